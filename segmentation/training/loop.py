"""The training loop: picture-label pairs in, a run folder out; killed at any moment, it goes on to the same numbers."""

import math
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from common.device import rank_and_size, shard
from common.files import replacing
from segmentation.student.network import EffiSegNet, load_student, save_student
from segmentation.training.losses import Loss, make_loss
from segmentation.training.pairs import Pair, PairDataset, epoch_batches, load
from segmentation.training.recipe import Recipe
from segmentation.training.warm_start import start_from_imagenet, start_from_lite0

BEST, STATE, HISTORY, PLOT = "best.safetensors", "state.pt", "history.csv", "history.png"
WARM_UP = 0.1  # share of a one-cycle run in which the rate rises


class RunError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


def train(
    run: Path, pairs: list[Pair], val: list[Pair], recipe: Recipe, device: torch.device, bfloat16: bool, workers: int
) -> Path:
    """Train the student, or go on with the run in this folder, until the last epoch or out of patience.

    Under torchrun each process takes its share of every batch; gradients are averaged (DistributedDataParallel). Batch
    norm is the plain one: each process normalises by its own share's statistics, and rank 0's running statistics count.

    Args:
        run: folder of the run: `state.pt` (all that resuming needs), `best.safetensors`, `history.csv`.
        pairs, val: what to train on, what to choose the best epoch by.

    Returns:
        The path of the best weights.

    Raises:
        RunError: the folder holds a run by another recipe.
    """
    rank, size = rank_and_size()
    torch.manual_seed(recipe.seed)
    model = start(recipe).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model, recipe)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    history = resume(run, recipe, model, average, optimizer, device)
    measured = average.module if recipe.ema else model
    if bfloat16 and device.type == "cpu":
        keep_depthwise_in_float32(model)
    parallel = DistributedDataParallel(model) if size > 1 else model

    trained = PairDataset(pairs, recipe.size, recipe.seed if recipe.augmented else None, recipe.composed)
    validated = load(PairDataset(val, recipe.size), share_of(len(val), recipe.batch_size), workers)
    loss_of = make_loss(recipe.loss, recipe.dice_weight)
    for epoch in tqdm(range(len(history), recipe.epochs), "epochs", disable=quiet()):
        if out_of_patience(history, recipe.patience):
            break
        started = time.perf_counter()
        torch.manual_seed(recipe.seed + 1000 * epoch + rank)  # for drop-connect: a resumed epoch is the same
        trained.epoch = epoch
        batches = list(epoch_batches(len(pairs), recipe.batch_size, recipe.seed, epoch, rank, size))
        total = 0.0
        parallel.train()
        for step, (x, labels) in enumerate(
            tqdm(load(trained, batches, workers), "batches", leave=False, disable=quiet())
        ):
            set_rates(optimizer, recipe, epoch + step / len(batches))
            loss = loss_of(logits_of(parallel, x.to(device), bfloat16), labels.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if recipe.ema:
                average.update_parameters(model)
            total += loss.item()

        train_loss = mean_over_ranks([total / len(batches)], device)[0]
        val_loss, val_iou = validate(measured, validated, loss_of, device, bfloat16)
        history.append(dict(epoch=epoch + 1, train_loss=train_loss, val_loss=val_loss, val_iou=val_iou))
        if rank == 0:
            keep(run, recipe, model, average, optimizer, history, measured)
            tqdm.write(
                f"epoch {epoch + 1}/{recipe.epochs}: train loss {train_loss:.4f}, val loss {val_loss:.4f}, "
                f"val IoU {val_iou:.4f}, {time.perf_counter() - started:.0f} s"
            )
            sys.stdout.flush()
    if rank == 0:
        plot(history, run / PLOT)
    return run / BEST


def start(recipe: Recipe) -> EffiSegNet:
    """The student at the start of its training."""
    model = EffiSegNet(upsampling=recipe.upsampling)
    if recipe.warm_start == "lite0":
        start_from_lite0(model.encoder)
    elif recipe.warm_start == "imagenet":
        start_from_imagenet(model.encoder)
    elif recipe.warm_start != "none":
        model.load_state_dict(load_student(Path(recipe.warm_start)).state_dict())
    return model


def make_optimizer(model: EffiSegNet, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over encoder and decoder; the rates themselves are set at every step."""
    encoder = list(model.encoder.parameters())
    decoder = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    groups = [dict(params=encoder, share=recipe.encoder_rate), dict(params=decoder, share=1.0)]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def set_rates(optimizer: torch.optim.AdamW, recipe: Recipe, epoch: float) -> None:
    """Learning rates at a moment of the run, in epochs and their parts; of that alone, so that they resume."""
    if recipe.schedule == "exponential":
        factor = recipe.decay ** int(epoch)
    else:  # one-cycle (arXiv 1708.07120) with cosine branches
        progress = epoch / recipe.epochs
        rising = progress < WARM_UP
        along = progress / WARM_UP if rising else (1 - progress) / (1 - WARM_UP)
        factor = max(0.5 - 0.5 * math.cos(math.pi * along), 1e-3)
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["share"] * factor


def keep_depthwise_in_float32(model: EffiSegNet) -> None:
    """Take the encoder's depthwise convolutions out of autocast: a processor is several times slower at their
    gradients in bfloat16, so that a step takes 0.7 of its time."""

    def in_float32(layer: nn.Conv2d, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return type(layer).forward(layer, x.float())

    for layer in model.encoder.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = partial(in_float32, layer)


def logits_of(model: nn.Module, x: Tensor, bfloat16: bool) -> Tensor:
    """Input (N, 3, H, W) -> logits (N, 1, H, W) float32."""
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
        return model(x).float()


@torch.inference_mode()
def validate(
    model: nn.Module, loader: DataLoader, loss_of: Loss, device: torch.device, bfloat16: bool
) -> tuple[float, float]:
    """Mean loss over the pictures, and IoU at 0.5 with pixels pooled, over all ranks."""
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64)  # loss, pictures, intersection, union
    for x, labels in loader:
        logits, labels = logits_of(model, x.to(device), bfloat16), labels.to(device)
        found, hair = logits > 0, labels > 0.5
        batch = [loss_of(logits, labels) * len(x), len(x), (found & hair).sum(), (found | hair).sum()]
        sums += torch.tensor([float(value) for value in batch], dtype=torch.float64)
    loss, pictures, intersection, union = mean_over_ranks(sums.tolist(), device)
    return loss / pictures, intersection / max(union, 1e-9)


def share_of(count: int, batch_size: int) -> list[list[int]]:
    """This rank's indices out of `count`, in batches."""
    own = list(shard(range(count)))
    return [own[start : start + batch_size] for start in range(0, len(own), batch_size)]


def out_of_patience(history: list[dict], patience: int) -> bool:
    """Whether the best validation loss lies `patience` epochs or more behind."""
    if not history:
        return False
    best = min(history, key=lambda row: row["val_loss"])
    return len(history) - best["epoch"] >= patience


def keep(run: Path, recipe: Recipe, model, average, optimizer, history: list[dict], measured: nn.Module) -> None:
    """Write the best weights, the history and, last, the state from which a new start goes on."""
    if history[-1]["val_loss"] <= min(row["val_loss"] for row in history):
        save_student(measured, run / BEST)
    with replacing(run / HISTORY) as path:
        pd.DataFrame(history).to_csv(path, index=False)
    state = dict(
        recipe=asdict(recipe), model=model.state_dict(), average=average.state_dict(),
        optimizer=optimizer.state_dict(), history=history,
    )  # fmt: skip
    with replacing(run / STATE) as path:
        torch.save(state, path)


def plot(history: list[dict], path: Path) -> None:
    """Draw the losses and the validation IoU over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    curves = pd.DataFrame(history).set_index("epoch")
    axes = curves[["train_loss", "val_loss"]].plot(ax=figure.subplots(), secondary_y=False, ylabel="loss")
    curves["val_iou"].plot(ax=axes, secondary_y=True, style="--", legend=True)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def resume(run: Path, recipe: Recipe, model, average, optimizer, device: torch.device) -> list[dict]:
    """Put an interrupted run's state back into place; the history so far, empty where the run is new."""
    if not (run / STATE).is_file():
        return []
    state = torch.load(run / STATE, weights_only=True, map_location=device)
    others = {name: old for name, old in state["recipe"].items() if old != asdict(recipe)[name]}
    if others:
        raise RunError(
            f"{run} holds a run with other settings ("
            + ", ".join(f"{name} {old}" for name, old in others.items())
            + "): go on with those, name another run, or start over with --overwrite"
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return state["history"]


def mean_over_ranks(values: list[float], device: torch.device) -> list[float]:
    """Each value's mean over the processes of this run."""
    size = rank_and_size()[1]
    if size == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(tensor)
    return (tensor / size).tolist()


def quiet() -> bool:
    """Progress bars are for a person at a terminal, and one process of a run."""
    return rank_and_size()[0] > 0 or not sys.stderr.isatty()
