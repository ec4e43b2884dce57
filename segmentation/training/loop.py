"""The training loop: picture-label pairs in, a run folder out; killed at any moment, it goes on to the same numbers."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from common.device import rank_and_size
from common.files import replacing
from common.progress import say
from segmentation.dataset.loader import Batches, Changes, PairDataset, epoch_batches, load
from segmentation.dataset.pair import Pair, there
from segmentation.networks.network import Network
from segmentation.networks.registry import save_weights
from segmentation.training import ranks
from segmentation.training.losses import make_loss, with_guide
from segmentation.training.recipe import Recipe
from segmentation.training.report import Board, Pace, plot
from segmentation.training.runtime import Runtime
from segmentation.training.schedule import (
    make_optimizer,
    norms_from_nothing,
    set_momenta,
    set_rates,
    update_average,
)  # fmt: skip
from segmentation.training.state import (
    BEST,
    BOARD,
    HISTORY,
    PLOT,
    Learner,
    Progress,
    RunError,
    fingerprint,
    keep_state,
    resume,
)  # fmt: skip
from segmentation.training.validate import Validation, logits_of


def train(
    run: Path,
    model: Network,
    pairs: list[Pair],
    val: list[Pair],
    recipe: Recipe,
    runtime: Runtime,
    note: Callable[[], None],
) -> Path:
    """Train a network, or go on with the run in this folder, until the last epoch or out of patience.

    Under torchrun each process takes its share of every batch, and gradients are averaged (DistributedDataParallel)
    so that each picture counts alike. Batch norm is the plain one: each process normalises by its own share's
    statistics, and the first one's running statistics count.

    Args:
        run: folder of the run: `state.pt` (all that resuming needs), `best.safetensors`, `history.csv`, a curve of
            it, TensorBoard's files.
        model: the network as it starts: with an `encoder`, and logits (N, 1, H, W) of RGB (N, 3, H, W).
        pairs, val: what to train on, what to choose the best epoch by.
        note: called once it is known that the run can begin or go on, in the first process.

    Returns:
        The path of the best weights.

    Raises:
        RunError: the folder holds a run with other settings, the loss is no number any more, or a batch is too small
            to be shared out.
    """
    rank, size = rank_and_size()
    if min(recipe.batch_size, len(pairs)) < size:
        raise RunError(
            f"a batch of {min(recipe.batch_size, len(pairs))} pictures cannot be shared out over {size} processes; "
            "start fewer, or raise --batch-size"
        )
    settings = asdict(recipe) | dict(precision=str(runtime.dtype).removeprefix("torch."), processes=size)
    settings |= {"training data": fingerprint(pairs), "validation data": fingerprint(val)}
    model.to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
    learner = Learner.of(model, make_optimizer(model, recipe), recipe, runtime.dtype)
    progress = resume(run, settings, learner)
    if rank == 0:
        note()
    if runtime.dtype == torch.bfloat16 and runtime.device.type == "cpu":
        keep_depthwise_in_float32(model)
    steps = Steps(pairs, learner, recipe, runtime)
    validation = Validation(there(val), learner.measured, make_loss(recipe.loss, recipe.dice_weight), recipe, runtime)
    board = Board(run / BOARD if rank == 0 else None, progress.epoch)
    while progress.epoch < recipe.epochs and not out_of_patience(progress.history, recipe.patience):
        started = time.perf_counter()
        for progress in steps.of_epoch(progress):  # noqa: B020
            if rank == 0 and progress.step < steps.count:
                keep_state(run, settings, progress, learner)
        ranks.from_the_first([*learner.model.buffers(), *learner.average.buffers()])
        row = dict(epoch=progress.epoch + 1, train_loss=mean_loss(progress), **validation.figures())
        demand_numbers(row.values(), progress)
        progress = Progress(progress.epoch + 1, history=[*progress.history, row])
        if rank == 0:
            keep(run, settings, progress, learner)
            board.show(row, *validation.shown())
            tell(row, recipe.epochs, time.perf_counter() - started)
    return run / BEST


class Steps:
    """The steps of an epoch, taken one after another."""

    def __init__(self, pairs: list[Pair], learner: Learner, recipe: Recipe, runtime: Runtime) -> None:
        self.learner, self.recipe, self.runtime = learner, recipe, runtime
        self.pictures = len(pairs)
        self.count = len(self.shares_of(0))
        self.batches = Batches()
        changes = Changes(recipe.seed, recipe.composed, recipe.turned, recipe.covered) if recipe.augmented else None
        data = PairDataset(pairs, recipe.size, changes, recipe.guide)
        if runtime.keep_small:
            data.keep_small()
        self.loader = load(data, self.batches, runtime.workers)
        self.loss_of = with_guide(make_loss(recipe.loss, recipe.dice_weight))
        self.network = DistributedDataParallel(learner.model) if rank_and_size()[1] > 1 else learner.model
        self.norms = norms_from_nothing(learner.model, recipe.warm_start)
        self.pace = Pace(recipe.epochs, self.count, recipe.batch_size)

    def of_epoch(self, progress: Progress) -> Iterator[Progress]:
        """Train from `progress` to the end of its epoch; yields how far it is at each checkpoint and at the end.

        Raises RunError: the loss is no number any more.
        """
        rank, size = rank_and_size()
        recipe, runtime, epoch = self.recipe, self.runtime, progress.epoch
        batches = self.shares_of(epoch)
        self.batches.keys = [[(epoch, index) for index in batch[rank::size]] for batch in batches[progress.step :]]
        known = progress.losses[rank] if progress.losses else []
        new: list[Tensor] = []  # stay on the device, so that no step waits for its loss
        self.network.train()
        bar = tqdm(self.loader, f"epoch {epoch + 1}/{recipe.epochs}", leave=False, disable=quiet())
        for step, (x, labels) in enumerate(bar, start=progress.step + 1):
            before = epoch * len(batches) + step - 1  # steps of the whole run
            torch.manual_seed(seed_of(recipe.seed, before, rank))  # for drop-connect: a resumed step is the same
            set_rates(self.learner.optimizer, recipe, before / len(batches))
            set_momenta(self.norms, before)
            share = len(x) * size / len(batches[step - 1])  # of a batch that cannot be shared out evenly
            new.append(
                self.take(x.to(runtime.device, non_blocking=True), labels.to(runtime.device, non_blocking=True), share)
            )
            if recipe.ema:
                update_average(self.learner.average, self.learner.model, recipe.ema, before)
            self.pace.tell(epoch, step)
            if step == len(batches) or runtime.every and step % runtime.every == 0:
                known, new = [*known, *torch.stack(new).tolist()], []
                progress = Progress(epoch, step, ranks.gathered(known), progress.history)
                demand_numbers(sum(progress.losses, []), progress)
                yield progress

    def shares_of(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, of all processes."""
        least = max(2, rank_and_size()[1])
        return epoch_batches(self.pictures, self.recipe.batch_size, self.recipe.seed, epoch, least)

    def take(self, x: Tensor, labels: Tensor, share: float) -> Tensor:
        """One step; its loss."""
        optimizer, scaler = self.learner.optimizer, self.learner.scaler
        loss = self.loss_of(logits_of(self.network, x, self.runtime.dtype), labels) * share
        scaler.scale(loss).backward()
        if self.recipe.clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.learner.model.parameters(), self.recipe.clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return loss.detach()


def keep_depthwise_in_float32(model: Network) -> None:
    """Take the encoder's depthwise convolutions out of autocast: a processor is several times slower at their
    gradients in bfloat16, so that a step takes 0.7 of its time."""

    def in_float32(layer: nn.Conv2d, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return type(layer).forward(layer, x.float())

    for layer in model.encoder.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = partial(in_float32, layer)  # type: ignore[method-assign]  # of this layer alone


def seed_of(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def mean_loss(progress: Progress) -> float:
    """The mean loss of an epoch's steps, over all processes."""
    return math.fsum(sum(progress.losses, [])) / progress.step / len(progress.losses)


def demand_numbers(values: Iterable[float], progress: Progress) -> None:
    """Raise RunError where a loss is no number, or infinite."""
    if all(map(math.isfinite, values)):
        return
    kept = f"what the run had after epoch {progress.epoch} is kept; " if progress.epoch else ""
    raise RunError(
        f"the training has diverged in epoch {progress.epoch + 1}: its loss is no number any more; {kept}"
        "start over with --overwrite and a lower --learning-rate, or with --clip 1"
    )


def out_of_patience(history: list[dict], patience: int) -> bool:
    """Whether the best validation loss lies `patience` epochs or more behind."""
    if not history:
        return False
    best = min(history, key=lambda row: row["val_loss"])
    return len(history) - best["epoch"] >= patience


def keep(run: Path, settings: dict, progress: Progress, learner: Learner) -> None:
    """Write the best weights, the history, its curve and, last, the state from which a new start goes on."""
    if is_best(progress.history):
        save_weights(learner.measured, run / BEST)
    with replacing(run / HISTORY) as path:
        pd.DataFrame(progress.history).to_csv(path, index=False)
    plot(progress.history, run / PLOT)
    keep_state(run, settings, progress, learner)


def is_best(history: list[dict]) -> bool:
    """Whether the last epoch has the least validation loss."""
    return history[-1]["val_loss"] <= min(row["val_loss"] for row in history)


def tell(row: dict, epochs: int, seconds: float) -> None:
    """One finished epoch, a line."""
    say(
        f"epoch {row['epoch']}/{epochs}: train loss {row['train_loss']:.4f}, val loss {row['val_loss']:.4f}, "
        f"val IoU {row['val_iou']:.4f}, {seconds:.0f} s",
        sys.stdout,
    )


def quiet() -> bool:
    """Progress bars are for a person at a terminal, and one process of a run."""
    return rank_and_size()[0] > 0 or not sys.stderr.isatty()
