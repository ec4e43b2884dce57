"""Pixels that come some rows at a time, for pictures that are too large to be in memory as a whole."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

ROWS = 64  # decoded and written together: a copy of so many takes little memory, and there are several


class Rows(ABC):
    """Pixels uint16, as they lie in a file or would: (H, W) greys, (H, W, 3) RGB or (H, W, 4) RGBA."""

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint16)

    @abstractmethod
    def strips(self) -> Iterator[np.ndarray]:
        """All rows from the top, some at a time. Raises ValueError or UnsupportedError where they are broken."""


def strips_of(pixels: np.ndarray | Rows, count: int) -> Iterator[np.ndarray]:
    """So many rows at a time, each contiguous; the last may be fewer."""
    if isinstance(pixels, np.ndarray):
        for top in range(0, len(pixels), count):
            yield np.ascontiguousarray(pixels[top : top + count])
        return
    left: list[np.ndarray] = []
    for strip in pixels.strips():
        left = [np.concatenate([*left, strip])] if left else [strip]
        while len(left[0]) >= count:
            yield np.ascontiguousarray(left[0][:count])
            left[0] = left[0][count:]
    if left and len(left[0]):
        yield np.ascontiguousarray(left[0])
