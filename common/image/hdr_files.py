"""HDR still pictures: what their files say of their light, and the numbers of 10 bits and more of HEIC."""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from common.image.cicp import HDR, code_points
from common.image.pixels import HEIF_SETTINGS, Pixels, png_chunk

CHUNKS = (b"mDCV", b"mDCv", b"cLLI", b"cLLi")  # of a PNG: the screen that it was made on, and its light
TOLD = (  # the same of a HEIC, in pillow-heif's words
    "content_light_level",
    "mastering_display_colour_volume",
    "ambient_viewing_environment",
    "nominal_diffuse_white_luminance",
)
BT2020_MATRIX, LEAST_BITS, MOST_BITS = 9, 10, 12  # of a HEIC


class Hdr(NamedTuple):
    """A picture's kind of HDR: `transfer`, `primaries` and `matrix` by code points (ITU-T H.273), `bits` of its file,
    and what that says of its light, a PNG's chunks or a HEIC's properties, by name."""

    transfer: int
    primaries: int
    matrix: int
    bits: int
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
    return Hdr(points.transfer, points.primaries, points.matrix, int(image.info.get("bit_depth", 16)), light)


def decode_heif(path: Path) -> Pixels:
    """A HEIC's pixels, upright, uint16."""
    import pillow_heif  # rarely needed

    pixels = np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=True))
    if pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    if pixels.ndim == 2:
        pixels = np.dstack([pixels] * 3)
    return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].copy() if pixels.shape[2] == 4 else None, False


def write_heif(file: BinaryIO, pixels: np.ndarray, hdr: Hdr, quality: int, settings: dict) -> None:
    """A HEIC of (H, W, 3) or (H, W, 4) uint16, as they lie in the file by the orientation of the EXIF in `settings`."""
    import pillow_heif  # rarely needed

    mode, size = ("RGB;16", "RGBA;16")[pixels.shape[2] - 3], pixels.shape[1::-1]
    how = dict(
        color_primaries=hdr.primaries,
        transfer_characteristics=hdr.transfer,
        matrix_coefficients=hdr.matrix or BT2020_MATRIX,
        full_range_flag=1,
        bit_depth=min(max(hdr.bits, LEAST_BITS), MOST_BITS) if hdr.bits < 16 else LEAST_BITS,
        quality=quality,
    )
    light = {name: value for name, value in hdr.light.items() if name in TOLD}
    data = np.ascontiguousarray(pixels).tobytes()
    pillow_heif.encode(mode, size, data, file, **how, **light, **HEIF_SETTINGS, **settings)


def png_light(hdr: Hdr) -> bytes:
    """What a PNG says of its HDR, as it lies behind its head."""
    named = png_chunk(b"cICP", struct.pack(">BBBB", hdr.primaries, hdr.transfer, 0, 1))
    return named + b"".join(png_chunk(name, data) for name, data in hdr.light.items() if name in CHUNKS)


def says_otherwise(hdr: Hdr, png: bool) -> bool:
    """Whether what the file says of its light has no place in the other kind of file."""
    return any((name in CHUNKS) != png for name in hdr.light)
