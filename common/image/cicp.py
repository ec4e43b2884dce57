"""Colour spaces that a picture names by code points (ITU-T H.273) instead of a profile: AVIF, HEIC and PNG can."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from common.image.pixels import chunks_in_png

HEAD = 1 << 16  # bytes, in which a HEIC's or AVIF's name stands
SMALL = 64  # bytes of a PNG's chunk
SRGB_LIKE = (1, 2, 5, 6)  # primaries of BT.709, unknown ones, BT.601's
PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
HDR = {16: "PQ", 18: "HLG"}  # transfer
# Shares of red and blue in luma, by matrix (ITU-T H.273, table 4): BT.709, FCC, SMPTE 240M, BT.2020; and BT.601's.
LUMA = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
BT601 = (0.299, 0.114)
BT2020_MATRIX = 9  # which HDR is in, where a file does not say


class CodePoints(NamedTuple):
    """What a file names; `beside`: a PNG's other small chunks before its pixels, by name."""

    primaries: int
    transfer: int
    matrix: int
    beside: dict[bytes, bytes]


def code_points(path: Path) -> CodePoints | None:
    """The code points of a PNG, AVIF or HEIC, if it has some."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        if head.startswith(b"\x89PNG"):
            chunks = _before_pixels(file)
            named = chunks.pop(b"cICP", b"")
            return CodePoints(named[0], named[1], named[2], chunks) if len(named) == 4 else None
    place, form = head.find(b"colrnclx"), ">8xHHH"
    if place < 0 or len(head) < place + struct.calcsize(form):
        return None
    primaries, transfer, matrix = struct.unpack_from(form, head, place)
    return CodePoints(primaries, transfer, matrix, {})


def _before_pixels(file: BinaryIO) -> dict[bytes, bytes]:
    """A PNG's chunks of few bytes that lie before its pixels."""
    found: dict[bytes, bytes] = {}
    with suppress(ValueError):  # cut short: that is said where its pixels are read
        for name, length in chunks_in_png(file):
            if name in (b"IDAT", b"IEND"):
                break
            if length <= SMALL:
                found[name] = file.read(length)
    return found


def named_space(path: Path) -> str:
    """The primaries that a picture names, "" where they are those of sRGB or it names none."""
    points = code_points(path)
    if points is None or points.primaries in SRGB_LIKE:
        return ""
    return PRIMARIES.get(points.primaries, f"primaries {points.primaries}")


def bits_of_avif(path: Path) -> int:
    """Bits a channel of an AVIF: 8, 10 or 12."""
    head = _head(path)
    place = head.find(b"av1C")
    said = head[place + 6] if 0 <= place < len(head) - 6 else 0  # AV1 in ISO base media files, 2.3.3
    return 8 if not said & 0x40 else 12 if said & 0x20 else 10


def names_light(path: Path) -> bool:
    """Whether a HEIC or AVIF says how light it is, or of which screen it was made."""
    head = _head(path)
    return b"clli" in head or b"mdcv" in head


def names_gain_map(path: Path) -> bool:
    """Whether a HEIC or AVIF has a picture that is made of another and a gain map (ISO 21496-1)."""
    return b"tmap" in _head(path)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD)
