"""Rectangles of a picture."""

from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A rectangle of a picture in pixels; bottom and right are the first ones outside."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def size(self) -> int:
        """The longer side."""
        return max(self.height, self.width)

    @property
    def area(self) -> int:
        """Pixels in it."""
        return self.height * self.width

    def scaled(self, down: float, across: float) -> "Part":
        """The same part of the picture at another resolution, so many times as fine."""
        return Part(*(round(side * scale) for side, scale in zip(self, (down, across) * 2)))

    def moved(self, down: int, across: int) -> "Part":
        """So many pixels farther down and to the right."""
        return Part(self.top + down, self.left + across, self.bottom + down, self.right + across)

    def turned(self, quarters: int, height: int, width: int) -> "Part":
        """Where it lies when its picture (height, width) is turned by so many quarters, counterclockwise."""
        part = self
        for _ in range(quarters % 4):
            part = Part(width - part.right, part.top, width - part.left, part.bottom)
            height, width = width, height
        return part

    def grown(self, pixels: int) -> "Part":
        """So many pixels larger on each side; it may reach beyond the picture."""
        return Part(self.top - pixels, self.left - pixels, self.bottom + pixels, self.right + pixels)

    def within(self, height: int, width: int) -> "Part":
        """What of it lies in a picture (height, width)."""
        return Part(max(0, self.top), max(0, self.left), min(height, self.bottom), min(width, self.right))

    def holds(self, other: "Part") -> bool:
        """Whether all of another part lies in it."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )


def around(parts: np.ndarray) -> Part:
    """The rectangle round parts (N, 4), at least one."""
    return Part(*parts[:, :2].min(axis=0).tolist(), *parts[:, 2:].max(axis=0).tolist())


def is_in(part: Part, other: Part) -> bool:
    """Whether the middle of a part lies in another."""
    down, across = (part.top + part.bottom) / 2, (part.left + part.right) / 2
    return other.top <= down < other.bottom and other.left <= across < other.right


def square_around(head: Part, height: int, width: int, room: float) -> Part:
    """A head with `room` around, a share of its longer side: a square, as portraits are, as far as a picture (height,
    width) goes."""
    reach = (0.5 + room) * head.size
    down, across = (head.top + head.bottom) / 2, (head.left + head.right) / 2
    square = Part(round(down - reach), round(across - reach), round(down + reach), round(across + reach))
    return square.within(height, width)
