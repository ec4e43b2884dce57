"""What a network costs: its layers, parameters, multiply-adds, and the time of a forward pass."""

import statistics
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Name = TypeVar("Name", bound=Hashable)


def layers(model: nn.Module, x: Tensor) -> tuple[list[tuple[str, tuple[int, ...], int, int]], int]:
    """Run `model` on `x` and look at what it does.

    Returns:
        (name, output shape, parameters, multiply-adds) of each layer with parameters, and the whole's multiply-adds.
        Multiplications of matrices and convolutions count, what else there is costs little beside them.
    """
    shapes = {}

    def note(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            shapes[name] = tuple(output.shape), sum(parameter.numel() for parameter in layer.parameters(recurse=False))

        return hook

    own = {name: layer for name, layer in model.named_modules() if list(layer.parameters(recurse=False))}
    hooks = [layer.register_forward_hook(note(name)) for name, layer in own.items()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    counts = {name: sum(ops.values()) // 2 for name, ops in counter.get_flop_counts().items()}  # two operations each
    whole = type(model).__name__
    rows = [(name, shape, size, counts.get(f"{whole}.{name}", 0)) for name, (shape, size) in shapes.items()]
    return rows, counter.get_total_flops() // 2


def time_in_turn(calls: dict[Name, Callable[[], object]], runs: int = 100, warm_up: int = 5) -> dict[Name, list[float]]:
    """Milliseconds of each call, `runs` times. They take turns, so that a busy machine burdens all alike."""
    times: dict[Name, list[float]] = {name: [] for name in calls}
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
