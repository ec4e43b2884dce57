"""Picture-label pairs on disk -> tensors to train on."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from common.pictures import SUFFIXES, PictureError, read_mask, read_picture
from common.table import read_rows
from segmentation.student.frame import INPUT_SIZE, squash
from segmentation.training.augment import augment

FLAT_PICTURE, FLAT_LABEL = "face_", "parsing_hair_label_"  # prefixes in the published flat folder


class DataError(ValueError):
    """There is nothing to train on, or to measure on; the message says what to do."""


@dataclass(frozen=True)
class Pair:
    """A picture and its soft hair label; `name` is the picture's path inside its data folder, without suffix."""

    name: str
    image: Path
    label: Path


def gather(folders: Sequence[Path]) -> list[Pair]:
    """All pairs of data folders that can be trained on; what is left out is named on stderr, and counted.

    Raises:
        DataError: a folder is missing or of no known layout, or nothing is left.
    """
    pairs: list[Pair] = []
    for folder in folders:
        found, unmatched = find_pairs(folder)
        good, unreadable = readable(found)
        problems = unmatched + unreadable
        for problem in problems:
            print(problem, file=sys.stderr)
        if problems:
            print(f"{folder}: {len(good)} pairs, {len(problems)} left out", file=sys.stderr)
        if not good:
            raise DataError(
                f"{folder}: no picture with a hair label; `python segmentation/run_segmentation.py` makes labels"
            )
        pairs += good
    return pairs


def find_pairs(folder: Path) -> tuple[list[Pair], list[str]]:
    """Pairs of a data folder in any of the three layouts, sorted by name, and a line for each file left alone.

    The layouts: a `labels.csv` of the labelling stage; two folders `images/` and `masks/` with the same names; a flat
    folder with `face_000123.png` and `parsing_hair_label_000123.png`.

    Raises:
        DataError: the folder is missing or holds none of the three.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `python segmentation/run_segmentation.py` makes labels")
    if (folder / "labels.csv").is_file():
        return pairs_of_table(folder / "labels.csv")
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return match(by_stem(folder / "images"), by_stem(folder / "masks"))
    pictures, labels = flat_files(folder, FLAT_PICTURE), flat_files(folder, FLAT_LABEL)
    if not pictures and not labels:
        raise DataError(
            f"{folder}: no labels.csv, no images/ and masks/, no {FLAT_PICTURE}*.png; "
            "`python segmentation/run_segmentation.py` labels pictures"
        )
    return match(pictures, labels)


def pairs_of_table(table: Path) -> tuple[list[Pair], list[str]]:
    """The rows of a `labels.csv` whose status is ok; its paths are relative to its own folder."""
    good, problems = [], []
    for row in read_rows(table, "image"):
        if row["status"] != "ok":
            problems.append(f"{row['image']}: left out, its label has the status '{row['status']}'")
            continue
        label = table.parent / row["label"]
        good.append(Pair(Path(row["label"]).with_suffix("").as_posix(), table.parent / row["image"], label))
    return sorted(good, key=lambda pair: pair.name), problems


def by_stem(folder: Path) -> dict[str, Path]:
    """Path inside the folder, without suffix -> picture file, at any depth."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(files)}


def flat_files(folder: Path, prefix: str) -> dict[str, Path]:
    """Number in the name -> file, of the published flat folder."""
    return {path.stem.removeprefix(prefix): path for path in sorted(folder.glob(f"{prefix}*.png"))}


def match(pictures: dict[str, Path], labels: dict[str, Path]) -> tuple[list[Pair], list[str]]:
    """Join on the name; a line for each picture without a label and each label without a picture."""
    pairs = [Pair(name, path, labels[name]) for name, path in pictures.items() if name in labels]
    problems = [f"{path}: left out, it has no label" for name, path in pictures.items() if name not in labels]
    problems += [f"{path}: left out, it has no picture" for name, path in labels.items() if name not in pictures]
    return pairs, problems


def readable(pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
    """The pairs whose two files can be decoded and fit each other, and a line for each of the others."""
    with ThreadPoolExecutor() as pool:
        faults = list(pool.map(fault_of, pairs))
    good = [pair for pair, fault in zip(pairs, faults) if fault is None]
    return good, [f"left out: {fault}" for fault in faults if fault is not None]


def fault_of(pair: Pair) -> str | None:
    """Why a pair cannot be trained on, or None."""
    try:
        rgb, label = read_pair(pair)
    except PictureError as error:
        return str(error)
    if label.shape not in (rgb.shape[:2], (INPUT_SIZE, INPUT_SIZE)):
        return (
            f"{pair.label}: the label is {label.shape[1]} x {label.shape[0]} pixels, its picture "
            f"{rgb.shape[1]} x {rgb.shape[0]}; a label has its picture's size or {INPUT_SIZE} x {INPUT_SIZE}"
        )
    return None


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """rgb (H, W, 3) uint8 and label (h, w) uint8. Raises PictureError."""
    return read_picture(pair.image).rgb8, read_mask(pair.label)


def split(pairs: Sequence[Pair], seed: int) -> dict[str, list[Pair]]:
    """80 % train, 10 % val, 10 % test, by a seeded hash of the name: no pair moves when others come or go.

    A part that would be empty is all of the pairs instead, said on stderr, so that a handful of samples can be tried.
    """
    parts: dict[str, list[Pair]] = {"train": [], "val": [], "test": []}
    for pair in pairs:
        digest = hashlib.sha256(f"{seed}:{pair.name}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        parts["train" if share < 0.8 else "val" if share < 0.9 else "test"].append(pair)
    for name, part in parts.items():
        if not part:
            print(f"{len(pairs)} pictures are too few to split: '{name}' is all of them", file=sys.stderr)
            part.extend(pairs)
    return parts


def to_input(rgb: np.ndarray, size: int = INPUT_SIZE) -> Tensor:
    """(H, W, 3) uint8 -> the student's input (3, size, size) float32 in -1..1."""
    return torch.tensor(squash(rgb, size)).permute(2, 0, 1).float().div_(127.5).sub_(1)


class PairDataset(Dataset):
    """Pairs as tensors: input (3, size, size) float32 in -1..1, label (1, size, size) float32 in 0..1.

    Args:
        pairs: what to read.
        size: side of the square in pixels.
        seed: with it the pairs are augmented, each differently in every epoch, the same for the same seed and epoch.
        composed: share of the augmented samples that are several pictures put together, heads in a scene.
    """

    def __init__(self, pairs: Sequence[Pair], size: int, seed: int | None = None, composed: float = 0.0):
        self.pairs, self.size, self.seed, self.composed = pairs, size, seed, composed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rgb, label = read_pair(self.pairs[index])
        if self.seed is None:
            label = squash(label, self.size)
        else:
            rng = np.random.default_rng([self.seed, self.epoch, index])
            rgb, label = augment(rgb, label, self.size, rng, self.others(rng))
        return to_input(rgb, self.size), torch.tensor(label)[None].float().div_(255)

    def others(self, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Now and then one to six pictures at random with their labels, to be put together with another."""
        if rng.random() >= self.composed:
            return []
        return [read_pair(self.pairs[index]) for index in rng.integers(len(self.pairs), size=rng.integers(1, 7))]


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int, rank: int, world: int) -> Iterator[list[int]]:
    """This rank's share of each batch of one epoch, in an order that depends on seed and epoch alone.

    The last pictures that do not fill a batch wait for another epoch's order; a set smaller than a batch is one batch.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    for start in range(0, max(count - batch_size, 0) + 1, batch_size):
        yield order[start : start + batch_size][rank::world]


def load(dataset: PairDataset, batches: Sequence[list[int]], workers: int) -> DataLoader:
    """Batches of the given indices, decoded ahead by worker processes."""
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers, pin_memory=torch.cuda.is_available())
