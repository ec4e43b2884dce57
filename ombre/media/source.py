"""What moves, frame by frame, whatever kind of file it is: clips (video.py) and moving pictures (animation.py)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from common.image.icc import Space
from common.image.moving import is_moving_picture
from ombre.media.animation import MovingPicture

Box = tuple[slice, slice]  # rows and columns
F = TypeVar("F", bound="Frame")
F_in = TypeVar("F_in", bound="Frame", contravariant=True)


class Frame(Protocol):
    """A frame, upright: `number` from 1 on, `seconds` when it is shown."""

    number: int
    seconds: float

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, or uint16 where it has more than 8 bits."""

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, as a screen of sRGB shows it."""

    def grey8(self) -> np.ndarray:
        """(H, W) uint8: how bright it is."""


class FrameSink(Protocol[F_in]):
    """What frames are written to; `notes` says what could not be kept."""

    notes: list[str]

    def write(self, frame: F_in, before: np.ndarray, after: np.ndarray, box: Box | None) -> None:
        """A frame whose `rgb()` was `before` and shall be `after`, which differ in the box alone; None: nowhere."""


class FrameSource(Protocol[F]):
    """A file that moves. `expected` frames, as far as is known; `damaged` ones, counted while they are read; `space` of
    their RGB; `frame_bytes` of memory that a frame takes while it waits."""

    path: Path
    expected: int
    damaged: int
    space: Space
    frame_bytes: int

    def frames(self) -> Iterator[F]:
        """All frames in the order in which they are shown."""

    def writer(self, path: Path, quality: int) -> AbstractContextManager[FrameSink[F]]:
        """What writes the same in other colours, whole or not at all: to be had before the frames are asked for.
        `quality`: 0 (smallest) to 100 (finest)."""


def opened(path: Path, max_pixels: int) -> FrameSource[Any]:
    """A file that moves, to be read. Raises PictureError."""
    if is_moving_picture(path):
        return MovingPicture(path, max_pixels)
    from ombre.media.video import Clip  # FFmpeg takes a while to load

    return Clip(path, max_pixels)
