"""Moving GIF, WebP and PNG in and out, a frame at a time, by Pillow: delays, loops and transparency stay."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from common.files import replacing
from common.image.icc import colour_ready
from common.image.metadata import PNG_XMP
from common.image.moving import MOVING_FORMATS
from common.image.opening import strange, unreadable
from common.image.picture import Picture, PictureError
from ombre.media.animation_writer import Kept, MovingFrame, MovingWriter

SLOW = 100  # milliseconds that viewers show a frame that names no time
MOST_PIXELS = 4096 * 2304  # of a frame: several wait in memory, with four bytes a pixel
MOST_IN_ALL = 10_000_000_000  # pixels of all frames: what takes hours to dye


class MovingPicture:
    """A moving picture to read, frame by frame (a `source.FrameSource`). Raises PictureError: broken, or too large."""

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.path, self.damaged = path, 0
        with self._opened() as image:
            extent, self.size = image.size, image.size
            if image.format == "GIF":
                extent, self.size = gif_extent(path)
            self._demand_small("frames", extent, min(max_pixels, MOST_PIXELS))
            self.expected = frames_in(image)
            if self.expected * extent[0] * extent[1] > MOST_IN_ALL:
                raise PictureError(
                    f"{path}: {self.expected} frames of {extent[0]} x {extent[1]} pixels are over the limit of "
                    f"{MOST_IN_ALL // 10**6} megapixels in all; cut it, or scale it down"
                )
            own = {} if image.format == "GIF" else image.info
            xmp = own.get("xmp") or own.get(PNG_XMP) or None
            xmp = xmp.encode() if isinstance(xmp, str) else xmp
            self.kept = Kept(image.info.get("loop"), own.get("icc_profile") or None, own.get("exif") or None, xmp)
            self.clear = image.has_transparency_data
        self.frame_bytes = 4 * extent[0] * extent[1]
        ready, self.space, self.note = colour_ready(Picture(np.zeros((1, 1, 3), np.uint8), icc=self.kept.icc))
        if ready.icc is None:  # none, or one for greys
            self.kept = self.kept._replace(icc=None)

    def _demand_small(self, what: str, extent: tuple[int, int], most: int) -> None:
        if extent[0] * extent[1] > most:
            raise PictureError(
                f"{self.path}: {what} of {extent[0]} x {extent[1]} pixels are over the limit of {most / 1e6:.3g} "
                "megapixels for a moving picture; scale it down, or save it as a clip (.mp4)"
            )

    def frames(self) -> Iterator[MovingFrame]:
        """All frames; one that is broken ends them, and is counted."""
        seconds, (width, height) = 0.0, self.size
        with self._opened() as image:
            for number in range(self.expected):
                rgba = self._decoded(image, number)
                if rgba is None:
                    self.damaged += self.expected - number
                    return
                delay = float(image.info.get("duration") or SLOW)
                # Pillow's canvas grows with a frame that juts out; viewers cut it
                yield MovingFrame(number + 1, seconds, delay, np.ascontiguousarray(rgba[:height, :width]))
                seconds += delay / 1000

    def _decoded(self, image: Image.Image, number: int) -> np.ndarray | None:
        """A frame (H, W, 4) uint8, or None where it is broken. Raises PictureError: the first one is."""
        try:
            image.seek(number)
            return np.asarray(image.convert("RGBA"))
        except Exception as error:  # as decoders do
            if number == 0:
                raise PictureError(f"{self.path}: broken from its start; copy it again or leave it out") from error
            return None

    @contextmanager
    def writer(self, path: Path, quality: int) -> Iterator[MovingWriter]:
        """What writes the same in other colours, whole or not at all, `quality` 0 to 100 where it is a WebP."""
        notes = [self.note] if self.note else []
        with replacing(path) as part, open(part, "w+b") as file:
            try:
                writer = MovingWriter(path.suffix.lower(), file, self.size, self.kept, self.clear, quality, notes)
                yield writer
                writer.close()
            except ValueError as error:
                raise PictureError(f"{path}: cannot be written: {error}") from error

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        try:
            with Image.open(self.path, formats=MOVING_FORMATS) as image:
                yield image
        except PictureError:
            raise
        except OSError as error:
            if error.errno:
                raise unreadable(self.path, error) from error
            raise strange(self.path, "is no picture that can be read; convert it") from error


def frames_in(image: Image.Image) -> int:
    """How many frames a picture has, one that is broken and ends them among them."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # Pillow raises anything where the head of a frame is cut
        count = 1
        with suppress(Exception):
            while True:
                image.seek(count)
                count += 1
        return count + 1


def gif_extent(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height that hold all frames of a GIF, and those of its screen, to which viewers cut them."""
    with open(path, "rb") as file:
        head = file.read(13)
        width, height = screen = struct.unpack("<HH", head[6:10])
        _skip_colours(file, head[10])
        while (kind := file.read(1)) in (b"!", b","):
            if kind == b"!":
                file.read(1)
            elif len(block := file.read(9)) == 9:
                left, top, across, down = struct.unpack("<HHHH", block[:8])
                width, height = max(width, left + across), max(height, top + down)
                screen = (left + across, top + down) if 0 in screen else screen  # some have none: the first frame's
                _skip_colours(file, block[8])
                file.read(1)
            _skip_blocks(file)
    return (width, height), screen


def _skip_blocks(file: BinaryIO) -> None:
    """Go behind blocks of data, each behind its length, up to an empty one or the file's end."""
    while (length := file.read(1)) not in (b"", b"\0"):
        file.seek(length[0], 1)


def _skip_colours(file: BinaryIO, flags: int) -> None:
    file.seek(3 << (flags & 7) + 1 if flags & 0x80 else 0, 1)
