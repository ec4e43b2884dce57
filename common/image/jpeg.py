"""JPEG files as they lie on disk: segments, what lies behind the picture, and whether the picture's data is whole."""

import hashlib
import re
import struct
from typing import NamedTuple

import numpy as np
import simplejpeg

APP1, APP2, COM, SOS, EOI = 0xE1, 0xE2, 0xFE, 0xDA, 0xD9
JPEG_LS = 0xF7
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), JPEG_LS)  # what is coded how
MOST_IN_SEGMENT = 65_533  # bytes
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
EXTENSION_HEAD = 75  # bytes: its name, 32 digits, the length of all of it, and where this part belongs
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
MPF = b"MPF\0"
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # within a picture's data: what ends it
MOST_SCANS, MOST_SCANNED = 64, 10**10  # passes over a picture; pixels of all passes together
# libjpeg's warnings, of which the picture suffers, and those of which it does not
DAMAGE = ("Corrupt JPEG data", "Inconsistent progression", "Invalid SOS")
HARMLESS = ("Unknown Adobe color transform", "Warning: unknown JFIF", "Corrupt JPEG data: bad ICC marker")
EXTRA = re.compile(r"(\d+) extraneous bytes before marker 0xd9")

Segment = tuple[int, bytes]  # marker, and what stands behind its length


class Parts(NamedTuple):
    """A JPEG's segments up to its first scan, and the place behind its end: what lies there is another file."""

    segments: list[Segment]
    end: int


def parts(data: bytes) -> Parts:
    """The parts of a JPEG; of a broken one, as far as they can be told."""
    place = 2
    segments: list[Segment] = []
    try:
        while True:
            while data[place] == 0xFF and data[place + 1] == 0xFF:
                place += 1
            if data[place] != 0xFF:
                return Parts(segments, len(data))
            marker = data[place + 1]
            (length,) = struct.unpack_from(">H", data, place + 2)
            if marker == SOS:
                break
            segments.append((marker, data[place + 4 : place + 2 + length]))
            place += 2 + length
        while found := MARKER.search(data, place + 2 + length):
            place = found.start()
            if data[place + 1] == EOI:
                return Parts(segments, place + 2)
            (length,) = struct.unpack_from(">H", data, place + 2)
    except (IndexError, struct.error):
        pass
    return Parts(segments, len(data))


def segment(marker: int, data: bytes) -> bytes:
    """A segment as it lies in a file."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def extended_xmp(segments: list[Segment]) -> bytes | None:
    """What of the XMP had no room in one segment: a packet of its own."""
    found = [data for marker, data in segments if marker == APP1 and data.startswith(EXTENSION)]
    head = len(EXTENSION) + 32
    pieces = sorted(
        (struct.unpack_from(">I", data, head + 4)[0], data[EXTENSION_HEAD:])
        for data in found
        if len(data) > EXTENSION_HEAD
    )
    return b"".join(piece for _, piece in pieces) or None


def extension_segments(xmp: bytes) -> bytes:
    """The segments of an extended XMP packet."""
    room = MOST_IN_SEGMENT - EXTENSION_HEAD
    head = EXTENSION + digest(xmp)
    return b"".join(
        segment(APP1, head + struct.pack(">II", len(xmp), start) + xmp[start : start + room])
        for start in range(0, len(xmp), room)
    )


def digest(xmp: bytes) -> bytes:
    """By which the first packet names the extended one."""
    return hashlib.md5(xmp, usedforsecurity=False).hexdigest().upper().encode()


def pointer_to(xmp: bytes) -> bytes:
    """A first XMP packet that says nothing but that all is in the extended one."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
        b'xmpNote:HasExtendedXMP="' + digest(xmp) + b'"/></rdf:RDF></x:xmpmeta>'
    )


def decode(data: bytes, colorspace: str, pixels: int) -> tuple[np.ndarray | None, str]:
    """The pixels of a JPEG, (H, W, C) uint8, and what is wrong with them, or "". None where this cannot tell: it is cut
    short, or of a rare kind, which Pillow reads or refuses.

    Args:
        colorspace: "RGB", "GRAY" or "CMYK", as the file is.
        pixels: of the picture, as its head says.

    Raises ValueError where it would take hours.
    """
    scans = data.count(b"\xff\xda")
    if scans > MOST_SCANS and scans * pixels > MOST_SCANNED:
        raise ValueError(f"{scans} passes over its pixels, which would take very long")
    try:
        return simplejpeg.decode_jpeg(data, colorspace), ""
    except ValueError as error:
        said = str(error)
    if not said.startswith(DAMAGE + HARMLESS):
        return None, ""
    harmless = said.startswith(HARMLESS) or _is_padding(said, data)
    damage = "" if harmless else said.removeprefix("Corrupt JPEG data: ")
    return simplejpeg.decode_jpeg(data, colorspace, strict=False), damage


def _is_padding(said: str, data: bytes) -> bool:
    """Whether what is too much are zeros or ones before the end, as some cameras write them."""
    found = EXTRA.search(said)
    if not found:
        return False
    end = parts(data).end - 2
    return set(data[end - int(found[1]) : end]) <= {0x00, 0xFF}
