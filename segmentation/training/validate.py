"""The pictures set aside, looked at after every epoch: the same figures however many processes share them out."""

import math

import torch
from torch import Tensor, nn

from common.device import rank_and_size
from common.image.picture import PictureError
from segmentation.dataset.loader import Batches, HeldOut, load
from segmentation.dataset.pairs import DataError, Pair
from segmentation.training import ranks
from segmentation.training.losses import Loss
from segmentation.training.recipe import Recipe
from segmentation.training.report import shown_of
from segmentation.training.runtime import Runtime


class Validation:
    """Pairs to measure `model` on. Each process takes whole batches, which do not depend on how many they are."""

    def __init__(self, pairs: list[Pair], model: nn.Module, loss_of: Loss, recipe: Recipe, runtime: Runtime) -> None:
        self.model, self.loss_of, self.runtime = model, loss_of, runtime
        self.data = HeldOut(pairs, recipe.size)
        rank, size = rank_and_size()
        keys = [(0, index) for index in range(len(pairs))]
        batches = Batches()
        batches.keys = [keys[start:][: recipe.batch_size] for start in range(0, len(keys), recipe.batch_size)][
            rank::size
        ]
        self.loader = load(self.data, batches, runtime.workers)

    @torch.inference_mode()
    def figures(self) -> dict[str, float]:
        """`val_loss`, the mean over the pictures, and `val_iou`, at 0.5 with pixels pooled, over all processes.

        Raises DataError: a picture has become unreadable.
        """
        self.model.eval()
        losses: list[Tensor] = []  # on the device, as the next, so that no batch waits for its figures
        overlaps: list[Tensor] = []
        pictures = 0
        try:
            for x, labels in self.loader:
                logits, labels = self.logits(x), labels.to(self.runtime.device, non_blocking=True)
                found, hair = logits > 0, labels > 0.5
                losses.append(self.loss_of(logits, labels) * len(x))
                overlaps.append(torch.stack([(found & hair).sum(), (found | hair).sum()]))
                pictures += len(x)
        except PictureError as error:  # of a worker process, whose traceback comes before it
            raise DataError(str(error).strip().splitlines()[-1].split("PictureError: ")[-1]) from None
        own = [math.fsum(torch.stack(losses).tolist()), *torch.stack(overlaps).sum(0).tolist()] if losses else [0, 0, 0]
        loss, intersection, union, count = ranks.summed([*own, pictures], self.runtime.device)
        return dict(val_loss=loss / count, val_iou=intersection / union if union else 1.0)

    @torch.inference_mode()
    def shown(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input (N, 3, H, W), label and found mask (N, 1, H, W) of a few pictures, always the same."""
        x, labels = (torch.stack(part) for part in zip(*(self.data[0, index] for index in shown_of(len(self.data)))))
        return x, labels, self.logits(x).sigmoid().cpu()

    def logits(self, x: Tensor) -> Tensor:
        """Input (N, 3, H, W) -> logits (N, 1, H, W) float32, as the network is now."""
        return logits_of(self.model.eval(), x.to(self.runtime.device, non_blocking=True), self.runtime.dtype)[:, :1]


def logits_of(model: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Input (N, 3, H, W) -> logits (N, C, H, W) float32, computed in `dtype` where that is safe."""
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        return model(x).float()
