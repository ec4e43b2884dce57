"""Pairs as tensors to train on, and which of them make a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from common.image.picture import PictureError
from common.progress import say
from segmentation.dataset import scenes
from segmentation.dataset.augment import WARP_MARGIN, augment, draw_angle
from segmentation.dataset.pair import read_with_face
from segmentation.dataset.pairs import DataError, Pair, read_pair
from segmentation.dataset.shrunk import Shrunk, room_for
from segmentation.networks.resize import INPUT_SIZE, resize, squash

Key = tuple[int, int]  # epoch, and which of the pairs


def to_input(rgb: np.ndarray, size: int = INPUT_SIZE) -> Tensor:
    """(H, W, 3) uint8 -> the student's input (3, size, size) float32 in -1..1."""
    return torch.tensor(squash(rgb, size)).permute(2, 0, 1).float().div_(127.5).sub_(1)


@dataclass(frozen=True)
class Changes:
    """How pairs are augmented: the seed of it, and the shares of the pictures that are changed so."""

    seed: int
    composed: float = 0.0  # several put together, heads in a scene
    turned: float = 0.0  # by a quarter or a half
    covered: float = 0.0  # of portraits: a cloth over the hair


class PairDataset(Dataset):
    """Pairs as tensors: input (3, size, size) float32 in -1..1, label (1, size, size) float32 in 0..1, with a guide
    (5, size, size), whose channels `losses.guide_loss` says.

    A picture to train on that has become unreadable since it was looked through is named, and the next one takes its
    place: a training of days does not end by it. A picture to measure on is not replaced.

    Args:
        pairs: what to read.
        size: side of the square in pixels.
        changes: with them the pairs are augmented, each differently in every epoch, the same for the same seed and
            epoch.
        guide: whether the labels say what a student with a guide learns beside hair.
        kept: where `keep_small` says so, pairs that were read are kept small, and read from there.
    """

    def __init__(self, pairs: Sequence[Pair], size: int, changes: Changes | None = None, guide: bool = False):
        self.pairs, self.size, self.changes, self.guide = pairs, size, changes, guide
        self.kept: Shrunk | None = None

    def keep_small(self) -> None:
        """Keep what is read on the disk, at the size that is needed, for the epochs and runs to come; the samples stay
        the same. Not where heads are cut out of other pictures, which takes these at their own size."""
        if self.changes is None:
            side = self.size
        elif not self.changes.composed and not self.changes.covered:
            side = round(self.size * WARP_MARGIN)
        else:
            return
        self.kept = room_for(self.pairs, side, 6 if self.guide else 4)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = key
        rgb, label = self.sample(index)
        angle = 0.0
        if self.changes is None:
            label = squash(label, self.size)
        else:
            rng = np.random.default_rng([self.changes.seed, epoch, index])
            angle = draw_angle(self.changes.turned, rng)
            rgb, label = augment(
                rgb, label, self.size, rng, self.others(self.changes, rng), angle, self.cloth(self.changes, rng)
            )
        return to_input(rgb, self.size), self.to_label(label, angle)

    def to_label(self, label: np.ndarray, angle: float) -> Tensor:
        """A label (size, size[, 3]) uint8 as a tensor; heads were turned by `angle`, radians clockwise."""
        shares = torch.tensor(label.reshape(*label.shape[:2], -1)).permute(2, 0, 1).float().div_(255)
        if not self.guide:
            return shares
        up = torch.tensor([np.sin(angle), -np.cos(angle)]).float()
        return torch.cat([shares, up[:, None, None].expand(2, *shares.shape[1:])])

    def sample(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, or the same small, where it is kept so. A scene, of which parts are cut, is never."""
        if self.kept is None:
            return self.read(index)
        if small := self.kept.get(index):
            return small
        rgb, label = self.read(index)
        if self.changes:
            label = resize(label, *rgb.shape[:2])
        side = self.kept.shape[1]
        small = squash(rgb, side), squash(label, side)
        if self.changes and (scenes.is_scene(label) or scenes.is_scene(small[1])):
            return rgb, label
        self.kept.put(index, *small)
        return small

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair's picture and label, or those of the next one that can be read. Raises DataError: none can."""
        for place in range(index, index + len(self)):
            try:
                return (read_with_face if self.guide else read_pair)(self.pairs[place % len(self)])
            except PictureError as error:
                say(f"{error}; the next picture is trained on in its place")
        raise DataError("not one of the pictures can be read any more; look after the data folder")

    def others(self, changes: Changes, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Now and then one to six pictures at random with their labels, to be put together with another."""
        if rng.random() >= changes.composed:
            return []
        return [self.read(index) for index in rng.integers(len(self.pairs), size=rng.integers(1, 7))]

    def cloth(self, changes: Changes, rng: np.random.Generator) -> np.ndarray | None:
        """Now and then a part (h, w, 3) of another picture, most likely one without hair, to cover hair with."""
        if rng.random() >= changes.covered:
            return None
        rgb, label = self.read(int(rng.integers(len(self.pairs))))
        return rgb[scenes.somewhere(resize(label, *rgb.shape[:2]), rng)]


class HeldOut(PairDataset):
    """Pairs to measure on: never changed, and each of them is there or the run ends."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair as it is."""
        return read_pair(self.pairs[index])


class Batches:
    """What a loader takes its batches from, epoch after epoch: lists of keys, from `start` on."""

    def __init__(self) -> None:
        self.keys: list[list[Key]] = []

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int, least: int = 2) -> list[list[int]]:
    """The batches of one epoch, in an order that depends on seed and epoch alone.

    Every picture is in one of them. The last batch may be smaller; a rest of less than `least` pictures goes with the
    batch before, since batch norm needs two, and each process one.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    if len(batches) > 1 and len(batches[-1]) < least:
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def load(dataset: PairDataset, batches: Batches, workers: int) -> DataLoader:
    """Batches of the given keys, decoded ahead by worker processes, which stay for the next round."""
    cv2.setNumThreads(1)  # the workers share out the cores already; set in one of them, OpenCV would wait for ever
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )
