"""HDR still pictures: what their files say of their light; and HEIC of 10 and 12 bits, HDR or not."""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from common.image.cicp import BT2020_MATRIX, HDR, code_points
from common.image.pixels import HEIF_SETTINGS, Pixels, png_chunk

CHUNKS = (b"mDCV", b"mDCv", b"cLLI", b"cLLi")  # of a PNG: the screen that it was made on, and its light
TOLD = (  # the same of a HEIC, in pillow-heif's words
    "content_light_level",
    "mastering_display_colour_volume",
    "ambient_viewing_environment",
    "nominal_diffuse_white_luminance",
)
LEAST_BITS, MOST_BITS = 10, 12  # of a HEIC of more than 8 bits
ROWS = 256  # widened at a time


class Hdr(NamedTuple):
    """A picture's kind of HDR: `transfer`, `primaries` and `matrix` by code points (ITU-T H.273), and what its file
    says of its light, a PNG's chunks or a HEIC's properties, by name."""

    transfer: int
    primaries: int
    matrix: int
    light: dict

    @property
    def kind(self) -> str:
        """PQ or HLG."""
        return HDR[self.transfer]


def hdr_of(image: Image.Image, path: Path) -> Hdr | None:
    """The kind of HDR of a PNG, HEIC or AVIF that Pillow has opened; None of another picture."""
    points = code_points(path)
    if points is None or points.transfer not in HDR:
        return None
    light: dict = {name: image.info[name] for name in TOLD if image.info.get(name) is not None}
    if image.format == "PNG":
        light = {name: data for name, data in points.beside.items() if name in CHUNKS}
    return Hdr(points.transfer, points.primaries, points.matrix, light)


def bits_of_heif(info: dict) -> int:
    """Bits a channel of a HEIC, of which pillow-heif says this."""
    return int(info.get("bit_depth", 8))


def decode_heif(path: Path) -> Pixels:
    """A HEIC's pixels, upright, uint16, whatever bits it has."""
    import pillow_heif  # rarely needed

    file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=True)
    pixels, bits = np.array(file, np.uint16), bits_of_heif(file.info)
    del file
    for rows in (pixels[top : top + ROWS] for top in range(0, len(pixels), ROWS)):
        # the numbers stand in the highest bits: the lower ones repeat them, so that white is 65535
        rows |= rows << 8 if bits == 8 else rows >> bits
    if grey := pixels.ndim == 2:
        pixels = np.dstack([pixels] * 3)
    return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy() if pixels.shape[2] == 4 else None, grey


def write_heif(file: BinaryIO, pixels: np.ndarray, bits: int, hdr: Hdr | None, settings: dict) -> None:
    """A HEIC of (H, W, 3) or (H, W, 4) uint16, as they lie in the file by the orientation of the EXIF in `settings`,
    which are as Pillow takes them. It gets 12 bits where its source had so many `bits`, else 10."""
    import pillow_heif  # rarely needed

    mode, size = ("RGB;16", "RGBA;16")[pixels.shape[2] - 3], pixels.shape[1::-1]
    how = _told_of(hdr) if hdr else {}
    data = np.ascontiguousarray(pixels).tobytes()
    how["bit_depth"] = MOST_BITS if bits == MOST_BITS else LEAST_BITS
    pillow_heif.encode(mode, size, data, file, **how, **HEIF_SETTINGS, **settings)


def _told_of(hdr: Hdr) -> dict:
    """What a HEIC says of its HDR, in pillow-heif's words."""
    light = {name: value for name, value in hdr.light.items() if name in TOLD}
    return light | dict(
        color_primaries=hdr.primaries,
        transfer_characteristics=hdr.transfer,
        matrix_coefficients=hdr.matrix or BT2020_MATRIX,
        full_range_flag=1,
    )


def png_light(hdr: Hdr) -> bytes:
    """What a PNG says of its HDR, as it lies behind its head."""
    named = png_chunk(b"cICP", struct.pack(">BBBB", hdr.primaries, hdr.transfer, 0, 1))
    return named + b"".join(png_chunk(name, data) for name, data in hdr.light.items() if name in CHUNKS)


def says_otherwise(hdr: Hdr, png: bool) -> bool:
    """Whether what the file says of its light has no place in the other kind of file."""
    return any((name in CHUNKS) != png for name in hdr.light)
