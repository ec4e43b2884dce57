"""Colour spaces that a picture names by code points (ITU-T H.273) instead of a profile: AVIF, HEIC and PNG can."""

import struct
from pathlib import Path

HEAD = 1 << 16  # bytes, in which the name stands
SRGB_LIKE = (1, 2, 5, 6)  # primaries of BT.709, unknown ones, BT.601's
PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
HDR = {16: "PQ", 18: "HLG"}  # transfer


def named_space(path: Path) -> tuple[str, str]:
    """The kind of HDR that a picture names, and its primaries, each "" where they are none or those of sRGB."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"\x89PNG"):
        place, form = head.find(b"cICP"), ">4xBB"
    else:
        place, form = head.find(b"colrnclx"), ">8xHH"
    if place < 0 or len(head) < place + struct.calcsize(form):
        return "", ""
    primaries, transfer = struct.unpack_from(form, head, place)
    known = PRIMARIES.get(primaries, f"primaries {primaries}")
    return HDR.get(transfer, ""), "" if primaries in SRGB_LIKE else known


def names_gain_map(path: Path) -> bool:
    """Whether a HEIC or AVIF has a picture that is made of another and a gain map (ISO 21496-1)."""
    with open(path, "rb") as file:
        return b"tmap" in file.read(HEAD)
