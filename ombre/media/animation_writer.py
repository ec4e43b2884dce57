"""Writes a moving GIF, WebP or PNG frame by frame: no more than two frames are in memory, however many there are.

Pillow would keep all of them until the last has come. So it makes a file of each frame alone, whose data is put into
the moving one here (GIF89a; WebP Container Specification; Portable Network Graphics, third edition).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image

from common.image import webp
from common.image.metadata import EXIF_PREFIX, PNG_XMP, png_profile, without_thumbnail
from common.image.pixels import by_opencv, png_chunk

COLORS = 255  # of a GIF's frame, besides the one that is clear
CLEAR = 128  # alpha below which a GIF's pixel is clear
LONGEST = 0xFFFF  # units of time that a GIF or PNG can name
HEAD = {".gif": b"", ".webp": webp.HEAD, ".png": b"\x89PNG\r\n\x1a\n"}

Place = tuple[int, int, int, int]  # left, top, width, height


@dataclass
class MovingFrame:
    """A frame as it is seen. `number` from 1 on; `seconds` when it is shown, `delay` (milliseconds) how long."""

    number: int
    seconds: float
    delay: float
    rgba: np.ndarray

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.ascontiguousarray(self.rgba[..., :3])

    rgb8 = rgb

    def grey8(self) -> np.ndarray:
        """(H, W) uint8."""
        return cv2.cvtColor(self.rgba, cv2.COLOR_RGBA2GRAY)


class Kept(NamedTuple):
    """What goes along with a moving picture. `loop`: how often it is shown, 0 for ever; None: once, or not said."""

    loop: int | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


class MovingWriter:
    """Writes a moving picture; `notes` says what could not be kept.

    Args:
        kind: ".gif", ".webp", ".png" or ".apng".
        file: where to, open for reading and writing, empty yet.
        size: width and height.
        clear: whether it can be seen through in places.
        quality: of a WebP, 0 to 100.
    """

    def __init__(
        self, kind: str, file: BinaryIO, size: tuple[int, int], kept: Kept, clear: bool, quality: int, notes: list[str]
    ) -> None:
        kinds: dict[str, Callable[[BinaryIO, tuple[int, int], Kept, bool, int], _Moving]]
        kinds = {".gif": _Gif, ".webp": _WebP, ".png": _Png, ".apng": _Png}
        self.notes = notes
        self._file = kinds[kind](file, size, kept, clear, quality)

    def write(self, frame: MovingFrame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None) -> None:
        """A frame whose `rgb()` was `before` and shall be `after`."""
        self._file.add(cv2.merge([*cv2.split(after), np.ascontiguousarray(frame.rgba[..., 3])]), frame.delay)

    def close(self) -> None:
        """Write what comes behind the last frame."""
        self._file.close()


class _Moving(Protocol):
    """A moving picture's file, to which frames (H, W, 4) uint8 are added, `delay` milliseconds each."""

    def add(self, rgba: np.ndarray, delay: float) -> None: ...

    def close(self) -> None: ...


class _Held(NamedTuple):
    """A frame that waits until the next is known: what of it is written, over what."""

    rgba: np.ndarray
    delay: float
    place: Place
    before: np.ndarray | None  # None: over nothing


class _Gif:
    def __init__(self, file: BinaryIO, size: tuple[int, int], kept: Kept, clear: bool, quality: int) -> None:
        self.file = file
        self.held: _Held | None = None
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
        if kept.loop is not None:
            file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", kept.loop, 0))

    def add(self, rgba: np.ndarray, delay: float) -> None:
        """The frame before is written now that it is known whether something of it has to go for this one."""
        before, place = None, _all_of(rgba)
        if self.held is not None:
            shown = self.held.rgba
            goes = bool(((rgba[..., 3] < CLEAR) & (shown[..., 3] >= CLEAR)).any())
            self._write(self.held, goes)
            if not goes:
                before, place = shown, _changed(shown, rgba)
        self.held = _Held(rgba, delay, place, before)

    def _write(self, held: _Held, goes: bool) -> None:
        rgba, delay, place, before = held
        if goes:
            place = _all_of(rgba)  # only where a frame lies is it taken away
        part = _part(rgba, place)
        image = indexed(Image.fromarray(part))
        if before is not None:  # what stays as it is needs no colour
            stays = 255 * (_whole_pixels(part) == _whole_pixels(_part(before, place))).astype(np.uint8)
            image.paste(COLORS, mask=Image.fromarray(stays))
        left, top, width, height = place
        ticks = min(round(delay / 10), LONGEST)
        self.file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, (2 if goes else 1) << 2 | 1, ticks, COLORS, 0))
        self.file.write(struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0x87))
        palette = bytes(image.getpalette("RGB") or ())
        self.file.write(palette.ljust(768, b"\0")[:768] + gif_data(image))

    def close(self) -> None:
        if self.held is not None:
            self._write(self.held, False)
        self.file.write(b";")


def gif_data(image: Image.Image) -> bytes:
    """The compressed pixels of a palette's picture, as they lie in a GIF."""
    one = BytesIO()
    image.save(one, "GIF", optimize=False, interlace=False)
    data = one.getvalue()
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[place] == 0x21:  # an extension
        place += 2
        while data[place]:
            place += 1 + data[place]
        place += 1
    flags = data[place + 9]
    return data[place + 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) : -1]


class _Png:
    def __init__(self, file: BinaryIO, size: tuple[int, int], kept: Kept, clear: bool, quality: int) -> None:
        self.file, self.clear = file, clear
        self.before: np.ndarray | None = None
        self.frames = self.numbered = 0
        file.write(HEAD[".png"] + png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6 if clear else 2, 0, 0, 0)))
        self.count_at, self.loop = file.tell(), kept.loop or 0
        self._write_count()
        if kept.icc:
            file.write(png_profile(kept.icc))
        if kept.exif:
            file.write(png_chunk(b"eXIf", _bare(kept.exif)))
        if kept.xmp:
            file.write(png_chunk(b"iTXt", PNG_XMP.encode() + b"\0\0\0\0\0" + kept.xmp))

    def _write_count(self) -> None:
        self.file.write(png_chunk(b"acTL", struct.pack(">II", self.frames, self.loop)))

    def add(self, rgba: np.ndarray, delay: float) -> None:
        left, top, width, height = place = _changed(self.before, rgba)
        milliseconds = min(round(delay), LONGEST)
        control = struct.pack(">IIIIIHHBB", self._number(), width, height, left, top, milliseconds, 1000, 0, 0)
        self.file.write(png_chunk(b"fcTL", control))
        part = _part(rgba, place)
        for data in _png_data(by_opencv(".png", part if self.clear else cv2.cvtColor(part, cv2.COLOR_RGBA2RGB))):
            if self.frames:
                self.file.write(png_chunk(b"fdAT", struct.pack(">I", self._number()) + data))
            else:
                self.file.write(png_chunk(b"IDAT", data))
        self.frames, self.before = self.frames + 1, rgba

    def _number(self) -> int:
        self.numbered += 1
        return self.numbered - 1

    def close(self) -> None:
        self.file.write(png_chunk(b"IEND", b""))
        self.file.seek(self.count_at)
        self._write_count()


def _png_data(png: bytes) -> Iterator[bytes]:
    place = len(HEAD[".png"])
    while place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        if name == b"IDAT":
            yield png[place + 8 : place + 8 + length]
        place += 12 + length


class _WebP:
    def __init__(self, file: BinaryIO, size: tuple[int, int], kept: Kept, clear: bool, quality: int) -> None:
        self.file, self.kept, self.clear, self.quality = file, kept, clear, quality
        self.before: np.ndarray | None = None
        flags = 0x20 * bool(kept.icc) | 0x10 * clear | 0x08 * bool(kept.exif) | 0x04 * bool(kept.xmp) | 0x02
        sizes = webp.triple(size[0] - 1) + webp.triple(size[1] - 1)
        file.write(HEAD[".webp"] + webp.chunk(b"VP8X", struct.pack("<I", flags) + sizes))
        if kept.icc:
            file.write(webp.chunk(b"ICCP", kept.icc))
        file.write(webp.chunk(b"ANIM", struct.pack("<IH", 0, kept.loop or 0)))

    def add(self, rgba: np.ndarray, delay: float) -> None:
        left, top, width, height = _changed(self.before, rgba)
        left, width, top, height = left // 2 * 2, width + left % 2, top // 2 * 2, height + top % 2
        part = _part(rgba, (left, top, width, height))
        one = BytesIO()
        image = Image.fromarray(part if self.clear else cv2.cvtColor(part, cv2.COLOR_RGBA2RGB))
        image.save(one, "WEBP", quality=self.quality, method=4)
        where = b"".join(map(webp.triple, (left // 2, top // 2, width - 1, height - 1, round(delay))))
        plain_paint = b"\x02"  # over what was there, not blended with it
        self.file.write(webp.chunk(b"ANMF", where + plain_paint + webp.pixel_chunks(one.getvalue())))
        self.before = rgba

    def close(self) -> None:
        if self.kept.exif:
            self.file.write(webp.chunk(b"EXIF", _bare(self.kept.exif)))
        if self.kept.xmp:
            self.file.write(webp.chunk(b"XMP ", self.kept.xmp))
        size = self.file.tell() - 8
        self.file.seek(4)
        self.file.write(struct.pack("<I", size))


def _bare(exif: bytes) -> bytes:
    """EXIF without a JPEG's prefix, and without a thumbnail of what was."""
    return (without_thumbnail(EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX)) or b"").removeprefix(EXIF_PREFIX)


def _all_of(rgba: np.ndarray) -> Place:
    return 0, 0, rgba.shape[1], rgba.shape[0]


def _changed(before: np.ndarray | None, now: np.ndarray) -> Place:
    """The part in which two frames (H, W, 4) uint8 differ, a pixel at least."""
    if before is None:
        return _all_of(now)
    left, top, width, height = cv2.boundingRect((_whole_pixels(before) != _whole_pixels(now)).astype(np.uint8))
    return left, top, max(width, 1), max(height, 1)


def _part(rgba: np.ndarray, place: Place) -> np.ndarray:
    left, top, width, height = place
    return np.ascontiguousarray(rgba[top : top + height, left : left + width])


def _whole_pixels(rgba: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8 -> (h, w) uint32."""
    return rgba.view(np.uint32)[..., 0]


def indexed(image: Image.Image) -> Image.Image:
    """An RGBA picture in COLORS colours, and one more for what is clear."""
    picture = image.convert("RGB").quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.paste(COLORS, mask=image.getchannel("A").point(lambda alpha: 255 * (alpha < CLEAR)))
    return picture
