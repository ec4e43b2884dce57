"""What a training shows while it goes on: a curve, lines with its pace, and TensorBoard where that is installed."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from common.device import rank_and_size
from common.files import replacing
from common.progress import PAUSE, say

SHOWN = 4  # pictures of the validation whose masks are shown as they become


def plot(history: list[dict], path: Path) -> None:
    """Draw the losses and the validation IoU over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    curves = pd.DataFrame(history).set_index("epoch")
    axes = figure.subplots()
    curves[["train_loss", "val_loss"]].plot(ax=axes, marker=".", ylabel="loss", legend=False)
    right = curves["val_iou"].plot(ax=axes, secondary_y=True, marker=".", style="--", color="C2")
    right.set_ylabel("IoU")
    axes.legend([*axes.get_lines(), *right.get_lines()], ["train loss", "val loss", "val IoU (right)"])
    with replacing(path) as temporary:
        figure.savefig(temporary)


class Pace:
    """A line every half minute: where the run is, its pace, and how long it will still take at most."""

    def __init__(self, epochs: int, steps: int, batch_size: int) -> None:
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self.began = self.said = time.monotonic()
        self.done = 0

    def tell(self, epoch: int, step: int) -> None:
        """`step` steps of the epoch after `epoch` epochs are done."""
        self.done += 1
        now = time.monotonic()
        if now - self.said < PAUSE or rank_and_size()[0]:
            return
        self.said = now
        a_step = (now - self.began) / self.done
        left = a_step * ((self.epochs - epoch) * self.steps - step)
        say(
            f"epoch {epoch + 1}/{self.epochs}, step {step}/{self.steps}: {self.batch_size / a_step:.1f} pictures a "
            f"second, {a_step * (self.steps - step) / 60:.0f} min to its end, {left / 60:.0f} min to the last's",
            sys.stdout,
        )


class Board:
    """TensorBoard: curves, and the masks of a few pictures that stay the same. Does nothing where it is not installed.

    Args:
        folder: where TensorBoard looks; None is a board that shows nothing.
        epochs: finished so far: what an interrupted run has shown beyond them is taken back.
    """

    def __init__(self, folder: Path | None, epochs: int) -> None:
        self.writer = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self.writer = SummaryWriter(str(folder), purge_step=epochs + 1)

    def show(self, row: dict, pictures: Tensor, labels: Tensor, found: Tensor) -> None:
        """One epoch: its figures, and beside each other input (N, 3, H, W), label and found mask (N, 1, H, W)."""
        if self.writer is None:
            return
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, row["epoch"])
        grey = [masks.expand_as(pictures) for masks in (labels, found)]
        strips = torch.cat([(pictures + 1) / 2, *grey], dim=3).clamp(0, 1)
        self.writer.add_images("picture, label, found", strips, row["epoch"])
        self.writer.flush()


def shown_of(count: int) -> Sequence[int]:
    """Which of `count` pictures are shown: a few, evenly spread."""
    return np.unique(np.linspace(0, count - 1, SHOWN).astype(int)).tolist()
