"""TIFF, and EXIF, which is a small TIFF: what Pillow and OpenCV leave to be done for pictures of 16 bits with tags.

Pillow writes no RGB of 16 bits, OpenCV no tags, and tifffile neither EXIF's nor GPS's directory (out of its scope, says
its manual; it leaves such a tag out with a warning).
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from common.image.rows import Rows, strips_of

ORIENTATION = ExifTags.Base.Orientation
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, CHANNELS, PREDICTOR = 256, 257, 258, 259, 262, 277, 317
STRIP_STARTS, STRIP_ROWS, STRIP_SIZES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_STARTS, TILE_SIZES = 322, 323, 324, 325
PLANAR, EXTRA_SAMPLES, ICC_PROFILE, XMP, IPTC = 284, 338, 34675, 700, 33723
X_DENSITY, Y_DENSITY, DENSITY_UNIT, PER_INCH = 282, 283, 296, 2
WHITE_IS_0, BLACK_IS_0, RGB, YCC = 0, 1, 2, 6  # values of PHOTOMETRIC
NOT_COMPRESSED = 1  # of COMPRESSION
DEFLATE, DIFFERENCES = 8, 2  # of COMPRESSION and PREDICTOR
PREMULTIPLIED, PLAIN_ALPHA = 1, 2  # of EXTRA_SAMPLES
IN_PLANES = 2  # of PLANAR
KIND, REDUCED, MASK, OLD_KIND, OLD_REDUCED = 254, 1, 4, 255, 2  # of a page
MOST_COPIES = 64  # pages of a TIFF that are looked at
# Of a TIFF's tags these describe the photograph, as EXIF does; the others describe the layout of the file.
DESCRIPTIVE = [
    ExifTags.Base[name]
    for name in (
        "ImageDescription",
        "Make",
        "Model",
        "Orientation",
        "XResolution",
        "YResolution",
        "ResolutionUnit",
        "Software",
        "DateTime",
        "Artist",
        "HostComputer",
        "Rating",
        "RatingPercent",
        "Copyright",
        "XPTitle",
        "XPComment",
        "XPAuthor",
        "XPKeywords",
        "XPSubject",
    )
]
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
ROWS = 64  # a strip
HEADER = b"II*\0"  # before the place of the directory
UNDEFINED = 7  # TIFF's type of plain bytes


def exif_tags(exif: bytes | None) -> Image.Exif:
    """The tags of EXIF data; none where there is none, or what there is cannot be understood."""
    tags = Image.Exif()
    if not exif:
        return tags
    try:
        tags.load(exif)
    except Exception:  # anything, from struct.error to SyntaxError
        return Image.Exif()
    return tags


def exif_of(image: TiffImageFile) -> bytes:
    """EXIF data made of the tags of a TIFF. To be called before `image.load()`, which forgets the orientation."""
    source, exif = image.getexif(), Image.Exif()
    for tag, value in _descriptive(source):
        exif[tag] = value
    return exif.tobytes()


def _descriptive(tags: Image.Exif) -> Iterator[tuple[int, object]]:
    yield from ((tag, tags[tag]) for tag in DESCRIPTIVE if tag in tags)
    yield from ((directory, dict(tags.get_ifd(directory))) for directory in DIRECTORIES if directory in tags)


def demand_whole(image: TiffImageFile, path: Path) -> None:
    """Raise ValueError where the file is too short for its strips or tiles, before libtiff complains on stderr, or has
    fewer strips than its rows need, the rest of which Pillow would leave black."""
    for starts, sizes in ((STRIP_STARTS, STRIP_SIZES), (TILE_STARTS, TILE_SIZES)):
        ends = map(sum, zip(image.tag_v2.get(starts, ()), image.tag_v2.get(sizes, ())))
        if max(ends, default=0) > path.stat().st_size:
            raise ValueError("it ends before its pixels do")
    tags = image.tag_v2
    planes = tags.get(CHANNELS, 1) if tags.get(PLANAR) == IN_PLANES else 1
    rows = min(tags.get(STRIP_ROWS, tags[HEIGHT]), tags[HEIGHT])
    if STRIP_STARTS in tags and len(tags[STRIP_STARTS]) * rows < tags[HEIGHT] * planes:
        raise ValueError("it has fewer strips than its rows need")


def is_plain_ycc(image: TiffImageFile) -> bool:
    """Whether a TIFF is of YCbCr that is not compressed."""
    return image.tag_v2.get(PHOTOMETRIC) == YCC and image.tag_v2.get(COMPRESSION, NOT_COMPRESSED) == NOT_COMPRESSED


def has_copies_alone(image: Image.Image) -> bool:
    """Whether all pages of a TIFF but the first are copies of it, reduced, or masks: it is one picture."""
    if not isinstance(image, TiffImageFile) or image.n_frames > MOST_COPIES:
        return False
    kinds = []
    for page in range(1, image.n_frames):
        image.seek(page)
        kinds.append(image.tag_v2.get(KIND, 0) & (REDUCED | MASK) or image.tag_v2.get(OLD_KIND) == OLD_REDUCED)
    image.seek(0)
    return all(kinds)


def lay_flat(data: np.ndarray) -> None:
    """Set the orientation in the bytes of a TIFF or BigTIFF to 1: OpenCV 5 fails on 16-bit pictures that lie turned."""
    file = data.data
    order = "<" if bytes(file[:2]) == b"II" else ">"
    big = struct.unpack_from(order + "H", file, 2) == (43,)
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), file, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), file, start)
    first, step = (start + 8, 20) if big else (start + 2, 12)
    for entry in range(first, first + step * min(count, 1 << 16), step):
        if struct.unpack_from(order + "H", file, entry) == (ORIENTATION,):
            struct.pack_into(order + "H", file, entry + (12 if big else 8), 1)


def bytes_of(image: TiffImageFile, tag: int) -> bytes | None:
    """A tag of plain bytes, if the file has it."""
    value = image.tag_v2.get(tag)
    value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    return value if isinstance(value, bytes) else None


def write(
    file: BinaryIO,
    pixels: np.ndarray | Rows,
    exif: bytes | None,
    dpi: tuple[float, float] | None,
    further: dict[int, bytes | None],
) -> None:
    """A TIFF of (H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8 or uint16, in any order of memory: header, deflated
    strips, directory.

    `pixels` may come some rows at a time; `further`: tags of plain bytes."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if len(pixels.shape) == 3 else 1
    file.write(HEADER + bytes(4))
    starts, sizes = [], []
    for rows in strips_of(pixels, ROWS):
        strip = zlib.compress(_row_differences(rows), 1)
        starts.append(file.tell())
        sizes.append(len(strip))
        file.write(strip)
    file.write(bytes(file.tell() % 2))
    tags = ImageFileDirectory_v2()
    for tag, value in _descriptive(exif_tags(exif)):
        tags[tag] = value
    tags[WIDTH], tags[HEIGHT], tags[CHANNELS] = width, height, channels
    tags[BITS] = (8 * pixels.dtype.itemsize,) * channels
    tags[PHOTOMETRIC] = BLACK_IS_0 if channels == 1 else RGB
    tags[COMPRESSION], tags[PREDICTOR] = DEFLATE, DIFFERENCES
    tags[STRIP_ROWS], tags[STRIP_SIZES] = ROWS, tuple(sizes)
    if channels == 4:
        tags[EXTRA_SAMPLES] = PLAIN_ALPHA
    if dpi:
        tags[X_DENSITY], tags[Y_DENSITY], tags[DENSITY_UNIT] = *dpi, PER_INCH
    for tag, data in further.items():
        if data:
            tags.tagtype[tag] = UNDEFINED
            tags[tag] = data
    end = file.tell()
    tags[STRIP_STARTS] = (1 << 16,) * len(starts)  # numbers of four bytes, whose places Pillow takes for its own to set
    file.write(_with_starts(bytearray(tags.tobytes(offset=end)), end, starts))
    file.seek(len(HEADER))
    file.write(struct.pack("<I", end))


def _with_starts(directory: bytearray, place: int, starts: list[int]) -> bytearray:
    """A directory that lies at a place of the file, with where the strips start."""
    (count,) = struct.unpack_from("<H", directory)
    for entry in range(2, 2 + 12 * count, 12):
        if struct.unpack_from("<H", directory, entry) == (STRIP_STARTS,):
            (elsewhere,) = struct.unpack_from("<I", directory, entry + 8)
            at = entry + 8 if len(starts) == 1 else elsewhere - place
            struct.pack_into(f"<{len(starts)}I", directory, at, *starts)
    return directory


def _row_differences(pixels: np.ndarray) -> bytes:
    differences = pixels.astype(pixels.dtype.newbyteorder("<"))
    differences[:, 1:] -= pixels[:, :-1]
    return differences.tobytes()
