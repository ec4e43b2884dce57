"""What a network costs: its layers, parameters, multiply-adds, and the time of a forward pass."""
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn


def layers(model: nn.Module, x: Tensor) -> list[tuple[str, tuple[int, ...], int, int]]:
    """Run `model` on `x`: (layer, output shape, parameters, multiply-adds) of each convolution, linear layer and norm."""
    rows = []

    def note(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            size = sum(parameter.numel() for parameter in layer.parameters())
            rows.append((name, tuple(output.shape), size, multiply_adds(layer, output)))

        return hook

    leaves = [(name, layer) for name, layer in model.named_modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in leaves if list(layer.parameters())]
    try:
        with torch.inference_mode():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def multiply_adds(layer: nn.Module, output: Tensor) -> int:
    """Of a convolution or linear layer that gave `output`; 0 for others, whose cost is small beside them."""
    if isinstance(layer, nn.Conv2d):
        return output.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # each input value meets each weight of its channel
        return output.numel() * layer.weight[:, 0].numel() // (layer.stride[0] * layer.stride[1])
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    return 0


def time_in_turn(calls: dict[str, Callable[[], object]], runs: int = 100, warm_up: int = 5) -> dict[str, list[float]]:
    """Milliseconds of each call, `runs` times. They take turns, so that a busy machine burdens all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + runs):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(1000 * (time.perf_counter() - started))
    return times


def statistics_of(times: list[float]) -> dict[str, float]:
    """min, median, mean and standard deviation, in the unit of `times`."""
    return dict(
        min=min(times), median=statistics.median(times), mean=statistics.mean(times), deviation=statistics.pstdev(times)
    )  # fmt: skip
