"""What a photograph carries besides its colours: EXIF, XMP, IPTC, comments, the density of its print."""

import struct
import zlib
from dataclasses import dataclass, field

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from common.image import tiff

EXIF_PREFIX = b"Exif\0\0"
IPTC_BLOCK = 0x0404  # Photoshop's number for it, in a JPEG
PNG_HEAD = 33  # bytes before the first chunk that may be another
PNG_XMP = "XML:com.adobe.xmp"
INCH = 0.0254  # metres
MOST_IN_SEGMENT = 65_500  # bytes, in a JPEG


@dataclass(frozen=True)
class Metadata:
    """As far as the file has it. `texts` are comments by their names in PNG; a JPEG's one is "Comment"."""

    exif: bytes | None = None  # as in the file, orientation tag included, with a JPEG's prefix
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: dict[str, str] = field(default_factory=dict)


def read_metadata(image: Image.Image, exif: bytes | None) -> Metadata:
    """That of a loaded picture. `exif`: made already, of a TIFF."""
    info = image.info
    exif = exif or info.get("exif") or None
    xmp = info.get("xmp") or info.get(PNG_XMP)
    texts = {name: str(text) for name, text in getattr(image, "text", {}).items() if name != PNG_XMP}
    iptc = None
    if isinstance(image, JpegImageFile):
        blocks = info.get("photoshop")
        iptc = blocks.get(IPTC_BLOCK) if isinstance(blocks, dict) else None
        texts = {"Comment": info["comment"].decode("utf-8", "replace")} if info.get("comment") else {}
    if image.format == "TIFF":
        iptc = tiff.bytes_of(image, tiff.IPTC)
        xmp = tiff.bytes_of(image, tiff.XMP)
    dpi = info.get("dpi")
    return Metadata(
        exif and EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX),
        xmp.encode() if isinstance(xmp, str) else xmp,
        iptc,
        tuple(map(float, dpi)) if dpi and min(dpi) > 0 else None,
        texts,
    )


def without_thumbnail(exif: bytes | None) -> bytes | None:
    """EXIF data whose thumbnail, which would show the picture as it was, is blank and no longer named."""
    start = len(EXIF_PREFIX)
    if not exif or exif[start : start + 2] not in (b"II", b"MM"):
        return exif
    order, data = "<" if exif[start : start + 2] == b"II" else ">", bytearray(exif)

    def number(kind: str, place: int) -> int:
        return struct.unpack_from(order + kind, data, start + place)[0]

    try:
        first = number("I", 4)
        link = first + 2 + 12 * number("H", first)
        second = number("I", link)
        if not second:
            return exif
        entries = range(second + 2, second + 2 + 12 * number("H", second), 12)
        tags = {number("H", entry): number("I", entry + 8) for entry in entries}
        place, size = (tags.get(tag, 0) for tag in (ExifTags.Base.JpegIFOffset, ExifTags.Base.JpegIFByteCount))
        if place and place + size <= len(data) - start:
            data[start + place : start + place + size] = bytes(size)
        struct.pack_into(order + "I", data, start + link, 0)
    except struct.error:
        return exif  # broken: nothing finds a thumbnail in it either
    return bytes(data)


def for_pillow(kind: str, kept: Metadata) -> dict[str, object]:
    """The settings with which Pillow writes it to a JPEG, WebP, AVIF or HEIF."""
    settings: dict[str, object] = {"exif": kept.exif} if kept.exif else {}
    if kept.xmp:
        settings["xmp"] = kept.xmp
    if kind == "JPEG":
        if kept.dpi:
            settings["dpi"] = kept.dpi
        if "Comment" in kept.texts:
            settings["comment"] = kept.texts["Comment"].encode()[:MOST_IN_SEGMENT]
        if kept.iptc and len(kept.iptc) <= MOST_IN_SEGMENT:
            settings["extra"] = _photoshop_segment(kept.iptc)
        if kept.xmp and len(kept.xmp) > MOST_IN_SEGMENT:
            del settings["xmp"]
    return settings


def _photoshop_segment(iptc: bytes) -> bytes:
    block = b"Photoshop 3.0\x008BIM" + struct.pack(">HHI", IPTC_BLOCK, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


def into_png(data: bytes, kept: Metadata, icc: bytes | None) -> bytes:
    """A PNG with what goes along put behind its head."""
    chunks = [png_profile(icc)] if icc else []
    if kept.dpi:
        chunks.append(png_chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / INCH) for dpi in kept.dpi), 1)))
    if kept.exif:
        chunks.append(png_chunk(b"eXIf", kept.exif.removeprefix(EXIF_PREFIX)))
    texts = kept.texts | ({PNG_XMP: kept.xmp.decode("utf-8", "replace")} if kept.xmp else {})
    for name, text in texts.items():
        key = name.encode("latin-1", "replace")[:79]
        chunks.append(png_chunk(b"iTXt", key + b"\0\0\0\0\0" + text.encode()))
    return b"".join((data[:PNG_HEAD], *chunks, data[PNG_HEAD:]))


def into_bmp(data: bytes, kept: Metadata) -> bytes:
    """A BMP with its density."""
    if not kept.dpi:
        return data
    return data[:38] + struct.pack("<ii", *(round(dpi / INCH) for dpi in kept.dpi)) + data[46:]


def png_profile(icc: bytes) -> bytes:
    """A PNG's chunk of a colour profile."""
    return png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
