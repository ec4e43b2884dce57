"""What a photograph carries besides its colours: EXIF, XMP, IPTC, comments, the density of its print."""

import struct
import zlib
from dataclasses import dataclass, field

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from common.image import jpeg, tiff
from common.image.pixels import png_chunk

EXIF_PREFIX = b"Exif\0\0"
IPTC_BLOCK = 0x0404  # Photoshop's number for it, in a JPEG
PNG_HEAD = 33  # bytes before the first chunk that may be another
PNG_XMP = "XML:com.adobe.xmp"
INCH = 0.0254  # metres
MOST_IN_SEGMENT = 65_500  # bytes, in a JPEG
MAKER_NOTE = 0x927C
DATES_AND_TURN = (0x0112, 0x0132, 0x9003, 0x9004)  # tags of EXIF that go last of all


@dataclass(frozen=True)
class Metadata:
    """As far as the file has it. `texts` are comments by their names in PNG; a JPEG's one is "Comment", and `comments`
    are its bytes, of whatever encoding. `extended_xmp` is what a JPEG's `xmp` had no room for, a packet of its own."""

    exif: bytes | None = None  # as in the file, orientation tag included, with a JPEG's prefix
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: dict[str, str] = field(default_factory=dict)
    comments: tuple[bytes, ...] = ()
    extended_xmp: bytes | None = None


def read_metadata(image: Image.Image, exif: bytes | None, segments: list[jpeg.Segment]) -> Metadata:
    """That of a loaded picture. `exif`: made already, of a TIFF; `segments` of a JPEG."""
    info = image.info
    exif = exif or info.get("exif") or None
    xmp = info.get("xmp") or info.get(PNG_XMP)
    texts = {name: str(text) for name, text in getattr(image, "text", {}).items() if name != PNG_XMP}
    iptc = None
    if isinstance(image, JpegImageFile):
        blocks = info.get("photoshop")
        iptc = blocks.get(IPTC_BLOCK) if isinstance(blocks, dict) else None
    comments = tuple(data for marker, data in segments if marker == jpeg.COM)
    if comments:
        texts = {"Comment": "\n".join(map(text_of, comments))}
    if isinstance(image, TiffImageFile):
        iptc = tiff.bytes_of(image, tiff.IPTC)
        xmp = tiff.bytes_of(image, tiff.XMP)
    dpi = info.get("dpi")
    return Metadata(
        exif and EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX),
        xmp.encode() if isinstance(xmp, str) else xmp,
        iptc,
        (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        texts,
        comments,
        jpeg.extended_xmp(segments),
    )


def text_of(comment: bytes) -> str:
    """A comment in UTF-8 or, where it is none, as if each byte were a letter of Latin-1, which loses nothing."""
    try:
        return comment.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return comment.rstrip(b"\0").decode("latin-1")


def shortened(exif: bytes, most: int) -> bytes:
    """EXIF of so many bytes at most: a camera's notes go first, then what is largest, orientation and times last."""
    tags = tiff.exif_tags(exif)
    inside = dict(tags.get_ifd(ExifTags.IFD.Exif))
    inside.pop(MAKER_NOTE, None)
    short = Image.Exif()
    for tag, value in tags.items():
        if tag not in tiff.DIRECTORIES:
            short[tag] = value
    short[ExifTags.IFD.GPSInfo] = dict(tags.get_ifd(ExifTags.IFD.GPSInfo))
    short[ExifTags.IFD.Exif] = inside
    while len(data := EXIF_PREFIX + short.tobytes().removeprefix(EXIF_PREFIX)) > most:
        places = [(own, tag) for own in (short, inside) for tag in own if tag not in DATES_AND_TURN]
        places = [(own, tag) for own, tag in places if not isinstance(own[tag], dict)]
        if not places:
            return b""
        own, tag = max(places, key=lambda place: len(str(place[0][place[1]])))
        del own[tag]
        short[ExifTags.IFD.Exif] = inside
    return data


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


def for_pillow(kind: str, kept: Metadata, notes: list[str]) -> dict[str, object]:
    """The settings with which Pillow writes it to a JPEG, WebP, AVIF or HEIF; what has no room is added to `notes`."""
    if kind == "JPEG":
        return _for_jpeg(kept, notes)
    return {name: data for name, data in (("exif", kept.exif), ("xmp", kept.xmp)) if data}


def _for_jpeg(kept: Metadata, notes: list[str]) -> dict[str, object]:
    settings: dict[str, object] = {"dpi": kept.dpi} if kept.dpi else {}
    exif, xmp, extended = kept.exif, kept.xmp, kept.extended_xmp
    if exif and len(exif) > MOST_IN_SEGMENT:
        exif = shortened(exif, MOST_IN_SEGMENT)
        notes.append("without parts of its EXIF (a camera's own notes), for which a JPEG has no room")
    if xmp and len(xmp) > MOST_IN_SEGMENT:
        xmp, extended = jpeg.pointer_to(xmp), xmp
    settings |= {name: data for name, data in (("exif", exif), ("xmp", xmp)) if data}
    further = b"".join(jpeg.segment(jpeg.COM, comment) for comment in kept.comments)
    if not kept.comments and "Comment" in kept.texts:
        further = jpeg.segment(jpeg.COM, kept.texts["Comment"].encode()[:MOST_IN_SEGMENT])
    if kept.iptc and len(kept.iptc) <= MOST_IN_SEGMENT:
        further += _photoshop_segment(kept.iptc)
    if extended:
        further += jpeg.extension_segments(extended)
    if further:
        settings["extra"] = further
    return settings


def _photoshop_segment(iptc: bytes) -> bytes:
    block = b"Photoshop 3.0\x008BIM" + struct.pack(">HHI", IPTC_BLOCK, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


def into_png(data: bytes, kept: Metadata, icc: bytes | None) -> bytes:
    """A PNG with what goes along put behind its head."""
    return data[:PNG_HEAD] + png_chunks(kept, icc) + data[PNG_HEAD:]


def png_chunks(kept: Metadata, icc: bytes | None) -> bytes:
    """What goes along, as it lies in a PNG behind its head."""
    chunks = [png_profile(icc)] if icc else []
    if kept.dpi:
        chunks.append(png_chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / INCH) for dpi in kept.dpi), 1)))
    if kept.exif:
        chunks.append(png_chunk(b"eXIf", kept.exif.removeprefix(EXIF_PREFIX)))
    texts = kept.texts | ({PNG_XMP: kept.xmp.decode("utf-8", "replace")} if kept.xmp else {})
    for name, text in texts.items():
        key = name.encode("latin-1", "replace")[:79]
        chunks.append(png_chunk(b"iTXt", key + b"\0\0\0\0\0" + text.encode()))
    return b"".join(chunks)


def into_bmp(data: bytes, kept: Metadata) -> bytes:
    """A BMP with its density."""
    if not kept.dpi:
        return data
    return data[:38] + struct.pack("<ii", *(round(dpi / INCH) for dpi in kept.dpi)) + data[46:]


def png_profile(icc: bytes) -> bytes:
    """A PNG's chunk of a colour profile."""
    return png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
