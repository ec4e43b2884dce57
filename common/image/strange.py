"""Files that cannot be read: what is at their place, and what they are by their first bytes, in words for the user."""

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from common.image import jpeg
from common.image.moving import CLIPS, MOVING_SUFFIXES

LOOKED_AT = 1 << 20  # bytes, in which a JPEG's head stands
UNREAD = "convert it or leave it out"
NOT_READ_HERE = "a TIFF of values or a compression that are not read here, or broken at its start"
AS_TIFF = "save it as a PNG, or as a TIFF in RGB of 8 or 16 bits"
SAME = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".heif": ".heic", ".hif": ".heic", ".apng": ".png"}
FAILED = "a web page, as of a download that failed"


class Known(NamedTuple):
    """What a file is, what to do about it, and the suffix that it should have, where that is what is wrong."""

    what: str
    todo: str = UNREAD
    suffix: str = ""


def _named(what: str, suffix: str) -> Known:
    return Known(what, f"end its name in {suffix}", suffix)


# Which bytes stand at this place.
HEADS = (
    (0, b"GIF8", _named("a GIF", ".gif")),
    (0, b"\x89PNG", _named("a PNG", ".png")),
    (0, b"BM", _named("a BMP", ".bmp")),
    (8, b"WEBP", _named("a WebP", ".webp")),
    (8, b"AVI ", _named("a clip", ".avi")),
    (0, b"\x1aE\xdf\xa3", _named("a clip", ".mkv")),
    (4, b"ftypavi", _named("an AVIF", ".avif")),
    (4, b"ftyphe", _named("a HEIC", ".heic")),
    (4, b"ftypmif1", _named("a HEIC", ".heic")),
    (4, b"ftypqt", _named("a clip", ".mov")),
    (4, b"ftyp", _named("a clip", ".mp4")),
    (0, b"8BPS", Known("a Photoshop document")),
    (0, b"%PDF", Known("a PDF")),
    (0, b"%!PS", Known("PostScript")),
    (4, b"jP  ", Known("JPEG 2000")),
    (0, b"\xff\x4f\xff\x51", Known("JPEG 2000")),
    (0, b"PK\x03\x04", Known("a ZIP archive", "unpack it")),
    (0, b"II*\0", Known(NOT_READ_HERE, AS_TIFF)),
    (0, b"MM\0*", Known(NOT_READ_HERE, AS_TIFF)),
)
TEXTS = (
    (b"<!doctype html", Known(FAILED, "download it again")),
    (b"<html", Known(FAILED, "download it again")),
    (b"<svg", Known("an SVG drawing")),
    (b"<?xml", Known("XML, as of an SVG drawing")),
)


def absence(path: str | os.PathLike) -> str:
    """Why there is no file at a path, or none that may be looked at, in words; "" where there is one."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads back to itself; leave it out"
        if os.path.islink(path):
            return f"is a link to {os.readlink(os.fspath(path))}, which is not there"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return "there is no such file"
        return f"cannot be read: {error.strerror}"
    return "" if stat.S_ISREG(mode) else "is no file but a folder, a pipe or a device"


def what_it_is(path: Path) -> Known | None:
    """What a file is by its first bytes; None where they tell nothing, or only what its name says. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(64)
        known = _jpeg(head + file.read(LOOKED_AT)) if head.startswith(b"\xff\xd8") else _known(head)
    suffix = path.suffix.lower()
    if known and known.suffix and suffix:
        clip = known.suffix in CLIPS and suffix in CLIPS - MOVING_SUFFIXES
        kinds = [SAME.get(name, name) for name in (known.suffix, suffix)]
        return None if clip or kinds[0] == kinds[1] else known
    return known


def _known(head: bytes) -> Known | None:
    if not head:
        return Known("empty", "leave it out")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    found = [known for place, sign, known in HEADS if head.startswith(sign, place)]
    found += [known for sign, known in TEXTS if text.startswith(sign)]
    return found[0] if found else None


def _jpeg(data: bytes) -> Known:
    frames = {marker: body for marker, body in jpeg.parts(data).segments if marker in jpeg.FRAMES}
    if jpeg.JPEG_LS in frames:
        return Known("JPEG-LS")
    bits = next((body[0] for body in frames.values() if body), 8)
    return _named("a JPEG", ".jpg") if bits == 8 else Known(f"a JPEG of {bits} bits a channel", "save it with 8")
