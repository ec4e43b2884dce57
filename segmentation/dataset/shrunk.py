"""Pictures and labels at the size that a training needs, kept beside the labels: the next epoch decodes none of them.

One file of bytes, mapped into memory by every process that reads pictures. A pair is put into it when it is first read.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.files import replacing
from common.progress import say
from segmentation.dataset.pair import Pair
from segmentation.dataset.scan import pair_stamp

NAME = ".shrunk-{side}-{key}.bytes"
ROOM = 4  # times its size that are free on the disk, for the file to be made
OLD = 7 * 86400  # seconds, after which a file that no run has written to is removed when another is made
UNKNOWN, KEPT = 0, 1  # what is known of a pair: nothing, or its pixels


class Shrunk:
    """Pairs as arrays of bytes, (side, side, channels) each, where they have been put already.

    Args:
        path: the file, which `room_for` has made.
        count, side, channels: pairs, pixels of a side, and channels of picture and label together.
    """

    def __init__(self, path: Path, count: int, side: int, channels: int) -> None:
        self.path, self.shape = path, (count, side, side, channels)
        self._maps: tuple[np.memmap, np.memmap] | None = None

    def __getstate__(self) -> dict:  # a process that is started anew maps the file itself
        return self.__dict__ | dict(_maps=None)

    def get(self, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Picture (side, side, 3) and label (side, side[, 3]) of a pair, None where they are not there yet."""
        known, pixels = self._mapped()
        if known[index] != KEPT:
            return None
        rgb, label = np.array(pixels[index, ..., :3]), np.array(pixels[index, ..., 3:])
        return rgb, label[..., 0] if label.shape[2] == 1 else label

    def put(self, index: int, rgb: np.ndarray, label: np.ndarray) -> None:
        """Keep a pair of this size. Two processes may put the same one at the same time."""
        known, pixels = self._mapped()
        pixels[index, ..., :3], pixels[index, ..., 3:] = rgb, label.reshape(*rgb.shape[:2], -1)
        known[index] = KEPT

    def _mapped(self) -> tuple[np.memmap, np.memmap]:
        if self._maps is None:
            known = np.memmap(self.path, np.uint8, "r+", 0, self.shape[:1])
            self._maps = known, np.memmap(self.path, np.uint8, "r+", self.shape[0], self.shape)
        return self._maps


def room_for(pairs: Sequence[Pair], side: int, channels: int) -> Shrunk | None:
    """Where these pairs are kept at this size: beside the labels, or in the user's cache where that cannot be written.

    The file of an earlier run over the same files, as they are now, serves again. None, which a line says, where the
    disk has no room for it.
    """
    stamps = "\n".join(pair_stamp(pair) if not pair.gone else pair.name for pair in pairs)
    key = hashlib.sha256(f"{channels}\n{stamps}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    size = len(pairs) * (1 + side * side * channels)
    for folder in (pairs[0].label.parent, Path.home() / ".cache" / "ombre-hair"):
        path = folder / NAME.format(side=side, key=key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.stat().st_size == size:
                return Shrunk(path, len(pairs), side, channels)
            if shutil.disk_usage(folder).free < ROOM * size:
                say(f"{folder}: has no room to keep the pictures small ({size / 1e6:.0f} MB): decoded each time")
                return None
            make(path, size)
            remove_old(folder)
        except OSError:
            continue
        return Shrunk(path, len(pairs), side, channels)
    return None


def remove_old(folder: Path) -> None:
    """Remove what was kept of pictures as they were, long ago. Raises OSError."""
    for path in folder.glob(NAME.format(side="*", key="*")):
        if time.time() - path.stat().st_mtime > OLD:
            path.unlink(missing_ok=True)


def make(path: Path, size: int) -> None:
    """An empty file of so many bytes, whose room is taken now: a disk that is full later would end the program."""
    with replacing(path) as part, open(part, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
