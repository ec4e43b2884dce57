"""Large PNGs and TIFFs of 16 bits, decoded some rows at a time, so that they take no more memory than those of 8 bits.

OpenCV decodes whole files alone. So a small file is made of some rows' data, as they lie in the large one, and decoded.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from common.image import tiff
from common.image.pixels import TOO_SHORT, UnsupportedError, chunks_in_png, is_deep, png_chunk
from common.image.rows import ROWS, Rows

MOST_DOWN = 1024  # rows of a compressed strip or tile, which is decoded as a whole
PIECE = 1 << 20  # bytes of a file read at a time
PLAIN_LAYOUT, SHORT, LONG = 1, 3, 4
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of a PNG's kinds of colour


def rows_of(image: Image.Image, path: Path) -> Rows | None:
    """The rows of a picture of 16 bits that Pillow has opened and not decoded; None where they have to be decoded
    together (Adam7's passes, strips that are too large) or are of 8 bits."""
    if not is_deep(image):
        return None
    if isinstance(image, PngImagePlugin.PngImageFile):
        return None if image.info.get("interlace") else PngRows(image, path)
    if not isinstance(image, TiffImageFile):
        return None
    found = TiffRows(image, path)
    return found if found.can() else None


class PngRows(Rows):
    """Those of a PNG."""

    def __init__(self, image: Image.Image, path: Path) -> None:
        self.path, self.clear = path, image.info.get("transparency")
        with open(path, "rb") as file:
            self.head = file.read(29)[16:]
        width, height, _, kind = struct.unpack_from(">IIBB", self.head)
        self.line = 1 + 2 * width * CHANNELS[kind]
        self.shape = _shape(height, width, kind in (0, 4), kind in (4, 6) or self.clear is not None)

    def strips(self) -> Iterator[np.ndarray]:
        """As Rows.strips."""
        (width, height), kept = struct.unpack_from(">II", self.head), b""
        data = _inflated(self.path, self.line)
        for top in range(0, height, ROWS):
            rows = min(ROWS, height - top)
            lines = b"".join(next(data, b"") for _ in range(rows))
            if len(lines) < rows * self.line:
                raise ValueError(TOO_SHORT)
            before = b"\0" + kept if kept else b""  # most filters ask for the row above
            head = struct.pack(">II", width, rows + bool(kept)) + self.head[8:]
            small = BytesIO(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head))
            small.seek(0, 2)
            small.write(png_chunk(b"IDAT", zlib.compress(before + lines, 0)) + png_chunk(b"IEND", b""))
            pixels = _decoded(small)[bool(kept) :]
            kept = _bytes_of(pixels[-1:], self.line - 1)
            yield _in_order(pixels, len(self.shape) > 2 and self.shape[2] == 4 and self.clear is None, self.clear)


def _bytes_of(row: np.ndarray, count: int) -> bytes:
    """A row (1, w), (1, w, 3) or (1, w, 4) uint16 in OpenCV's order, as it lies in a PNG in so many bytes."""
    if row.ndim == 3:
        row = row[..., [2, 1, 0, 3][: row.shape[2]]]
        if row.size * 2 != count:  # grey and alpha
            row = row[..., [0, 3]]
    return np.ascontiguousarray(row, ">u2").tobytes()


def _inflated(path: Path, line: int) -> Iterator[bytes]:
    """The lines of a PNG's pixels, each of so many bytes, not yet unfiltered. Raises ValueError: not as their checksum
    says."""
    inflate, ready = zlib.decompressobj(), bytearray()
    for piece in _pixel_data(path):
        while piece:
            ready += inflate.decompress(piece, max(PIECE, line))
            piece = inflate.unconsumed_tail
            whole = len(ready) // line * line
            yield from (bytes(ready[at : at + line]) for at in range(0, whole, line))
            del ready[:whole]
    ready += inflate.flush()
    yield from (bytes(ready[at : at + line]) for at in range(0, len(ready) // line * line, line))


def _pixel_data(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        for name, length in chunks_in_png(file):
            if name == b"IDAT":
                yield from _checked(file, name, length)


def _checked(file: BinaryIO, name: bytes, length: int) -> Iterator[bytes]:
    """A chunk's data, so many bytes in pieces; then its checksum is read, and demanded to fit."""
    check = zlib.crc32(name)
    while length:
        piece = file.read(min(length, PIECE))
        if not piece:
            raise ValueError(TOO_SHORT)
        check, length = zlib.crc32(piece, check), length - len(piece)
        yield piece
    if file.read(4) != struct.pack(">I", check):
        raise ValueError("its pixels do not fit their checksum")


def without_pixels(path: Path) -> BytesIO:
    """A PNG of one pixel that says all that this one says besides its pixels: chunks may lie behind them."""
    small = BytesIO()
    with open(path, "rb") as file:
        small.write(file.read(8))
        for name, length in chunks_in_png(file):
            if name == b"IDAT":
                continue
            data = file.read(length)
            if name == b"IEND":
                kind = small.getvalue()[25]
                small.write(png_chunk(b"IDAT", zlib.compress(bytes(1 + 2 * CHANNELS[kind]))))
            small.write(png_chunk(name, struct.pack(">II", 1, 1) + data[8:] if name == b"IHDR" else data))
    small.seek(0)
    return small


class TiffRows(Rows):
    """Those of a TIFF in strips or tiles."""

    def __init__(self, image: TiffImageFile, path: Path) -> None:
        self.path, self.order, tags = path, image.tag_v2.prefix.decode(), image.tag_v2
        self.alpha, self.grey = image.mode == "RGBA", tags.get(tiff.CHANNELS, 1) == 1
        self.shape = _shape(image.height, image.width, self.grey, self.alpha)
        self.inverted = tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_0
        names = (tiff.BITS, tiff.COMPRESSION, tiff.PHOTOMETRIC, tiff.CHANNELS, tiff.PREDICTOR, tiff.EXTRA_SAMPLES)
        self.kept = {tag: tags[tag] for tag in names if tag in tags}
        self.layout, self.photometric = tags.get(tiff.PLANAR, PLAIN_LAYOUT), tags.get(tiff.PHOTOMETRIC)
        self._lay_out(tags, image.height, image.width)

    def _lay_out(self, tags: ImageFileDirectory_v2, height: int, width: int) -> None:
        """Note where the parts of the picture lie: `across` of them beside each other, `down` rows high."""
        if tiff.TILE_STARTS in tags:
            self.names = tiff.TILE_STARTS, tiff.TILE_SIZES
            self.down = tags.get(tiff.TILE_HEIGHT, 0)
            self.across = -(-width // max(tags.get(tiff.TILE_WIDTH, 0), 1))
            self.kept |= {tag: tags[tag] for tag in (tiff.TILE_WIDTH, tiff.TILE_HEIGHT) if tag in tags}
        else:
            self.names = tiff.STRIP_STARTS, tiff.STRIP_SIZES
            self.down, self.across = min(tags.get(tiff.STRIP_ROWS, height), height), 1
        self.starts, self.sizes = (list(tags.get(name, ())) for name in self.names)
        if self.down > ROWS and self.across == 1 and self.kept.get(tiff.COMPRESSION) == tiff.NOT_COMPRESSED:
            self._cut_strips(height, 2 * width * self.kept.get(tiff.CHANNELS, 1))

    def _cut_strips(self, height: int, line: int) -> None:
        """Strips that are not compressed may be cut after any row, of so many bytes."""
        tops = [(start, min(self.down, height - number * self.down)) for number, start in enumerate(self.starts)]
        cut = [(start + line * row, min(ROWS, rows - row)) for start, rows in tops for row in range(0, rows, ROWS)]
        if all(rows == ROWS for _, rows in cut[:-1]):
            self.starts, self.sizes = [start for start, _ in cut], [line * rows for _, rows in cut]
            self.down = ROWS

    def can(self) -> bool:
        """Whether they can be decoded some at a time."""
        plain = self.layout == PLAIN_LAYOUT and self.photometric in (tiff.WHITE_IS_0, tiff.BLACK_IS_0, tiff.RGB)
        multiplied = self.kept.get(tiff.EXTRA_SAMPLES) == (tiff.PREMULTIPLIED,)
        if not plain or multiplied or not 0 < self.down <= MOST_DOWN:
            return False
        return len(self.starts) == len(self.sizes) == -(-self.shape[0] // self.down) * self.across

    def strips(self) -> Iterator[np.ndarray]:
        """As Rows.strips."""
        at_once = max(ROWS // self.down, 1)
        step = at_once * self.across
        with open(self.path, "rb") as file:
            for number, first in enumerate(range(0, len(self.starts), step)):
                blocks = []
                for start, size in zip(self.starts[first : first + step], self.sizes[first : first + step]):
                    file.seek(start)
                    blocks.append(file.read(size))
                rows = min(at_once * self.down, self.shape[0] - number * at_once * self.down)
                pixels = _decoded(self._small(rows, blocks))
                yield _in_order(np.invert(pixels) if self.inverted else pixels, self.alpha, None)

    def _small(self, rows: int, blocks: list[bytes]) -> BytesIO:
        """A TIFF of these parts of the picture alone."""
        places = np.cumsum([8, *map(len, blocks)]).tolist()
        tags: dict[int, tuple[int, Iterable[int]]] = {}
        for tag, value in self.kept.items():
            tags[tag] = SHORT, value if isinstance(value, tuple) else (value,)
        tags[tiff.WIDTH], tags[tiff.HEIGHT] = (LONG, (self.shape[1],)), (LONG, (rows,))
        tags[self.names[0]], tags[self.names[1]] = (LONG, places[:-1]), (LONG, [*map(len, blocks)])
        if self.names[0] == tiff.STRIP_STARTS:
            tags[tiff.STRIP_ROWS] = LONG, (self.down,)
        order = "<" if self.order == "II" else ">"
        small = BytesIO()
        small.write(self.order.encode() + struct.pack(order + "HI", 42, places[-1]) + b"".join(blocks))
        small.write(_directory(order, tags, places[-1]))
        return small


def _directory(order: str, tags: dict[int, tuple[int, Iterable[int]]], place: int) -> bytes:
    """A TIFF's directory that lies at this place: tag -> its type and values."""
    entries, behind = [], b""
    end = place + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values := [*values])}{'H' if kind == SHORT else 'I'}", *values)
        if len(data) > 4:
            data, behind = struct.pack(order + "I", end + len(behind)), behind + data + bytes(len(data) % 2)
        entries.append(struct.pack(order + "HHI", tag, kind, len(values)) + data.ljust(4, b"\0"))
    return struct.pack(order + "H", len(tags)) + b"".join(entries) + bytes(4) + behind


def _shape(height: int, width: int, grey: bool, alpha: bool) -> tuple[int, ...]:
    return (height, width, 4) if alpha else (height, width) if grey else (height, width, 3)


def _decoded(small: BytesIO) -> np.ndarray:
    """A small file's pixels in OpenCV's order."""
    pixels = cv2.imdecode(np.frombuffer(small.getbuffer(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("its pixels cannot be decoded")
    if pixels.dtype != np.uint16:
        raise UnsupportedError("16-bit pictures of this kind")
    return pixels


def _in_order(pixels: np.ndarray, alpha: bool, clear: int | tuple[int, int, int] | None) -> np.ndarray:
    """OpenCV's order -> greys, RGB or, where there is `alpha` or one colour is `clear`, RGBA."""
    if alpha:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
    if clear is not None:
        rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)
        seen = np.where((rgb == np.array(clear, np.uint16)).all(axis=2), 0, 65535).astype(np.uint16)
        return cv2.merge([rgb, seen])
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
