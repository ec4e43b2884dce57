"""What telephones put behind a JPEG: the gain map, by which HDR screens show it brighter, clips, further pictures.

A gain map says, in a small second JPEG, how much brighter each place is on an HDR screen (Ultra HDR, ISO 21496-1, and
Apple's own kind). It goes along, found by the multi-picture format (CIPA DC-007) and by XMP.
"""

import re
import struct
from io import BytesIO
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from common.image import jpeg

SOI = b"\xff\xd8\xff"
MARKS = (b"hdr-gain-map", b"hdrgainmap", b"HDRGainMap")  # in a gain map's own XMP
FULLY = 24  # grey levels of change from which a place is as light on an HDR screen as the dye around it
PRIMARY = 0x030000  # the multi-picture format's word for the first picture
CLIP, FURTHER, REST = "the clip of a motion photo", "further pictures or depths", "what lies behind the picture"

_QUOTED = rb"""\s*=\s*(?:"[^"]*"|'[^']*')"""
_OF_CLIPS = rb"\w+:(?:MotionPhoto|MicroVideo)\w*"
_OF_GAIN = rb"hdrgm:\w+"
_DIRECTORY = re.compile(rb"<(\w+):Directory\b.*?</\1:Directory>", re.DOTALL)


class Behind(NamedTuple):
    """What lies behind a picture: its gain map, a JPEG, and in words what else, which is left out."""

    gain_map: bytes | None
    left_out: tuple[str, ...]


def behind(data: bytes, end: int, xmp: bytes | None) -> Behind:
    """What lies in a JPEG file behind the end of its picture, whose XMP may say so."""
    gain, left_out = None, []
    rest = data[end:]
    while (start := rest[:64].find(SOI)) >= 0:
        second = jpeg.parts(rest[start:])
        picture, rest = rest[start : start + second.end], rest[start + second.end :]
        says = any(_is_gain(marker, own) for marker, own in second.segments) or b'"GainMap"' in (xmp or b"")
        if gain is None and says:
            gain = picture
        else:
            left_out.append(FURTHER)
    if b"ftyp" in rest[:64]:
        left_out.append(CLIP)
    elif len(rest.strip(b"\0")) > 0:
        left_out.append(REST)
    return Behind(gain, tuple(dict.fromkeys(left_out)))


def _is_gain(marker: int, data: bytes) -> bool:
    if marker == jpeg.APP2:
        return data.startswith(jpeg.ISO_GAIN_MAP)
    return marker == jpeg.APP1 and any(mark in data for mark in MARKS)


def xmp_without(xmp: bytes | None, gain_bytes: int) -> bytes | None:
    """XMP that announces no clip any more, and a gain map of so many bytes, or none where that is 0."""
    if not xmp:
        return xmp
    gone = _OF_CLIPS if gain_bytes else rb"(?:" + _OF_CLIPS + rb"|" + _OF_GAIN + rb")"
    xmp = re.sub(rb"\s" + gone + _QUOTED, b"", xmp)
    xmp = re.sub(rb"<(" + gone + rb")\b[^>]*(?:/>|>.*?</\1>)", b"", xmp, flags=re.DOTALL)
    return _DIRECTORY.sub(lambda found: _directory(found, gain_bytes), xmp)


def _directory(found: re.Match, gain_bytes: int) -> bytes:
    item = re.search(rb"(\w+):Semantic", found[0])
    if not gain_bytes or not item or b"GainMap" not in found[0]:
        return b""
    entries = ((b"Primary", b""), (b"GainMap", b' %s:Length="%d"' % (item[1], gain_bytes)))
    inside = b"".join(
        b'<rdf:li rdf:parseType="Resource"><%b:Item %b:Semantic="%b" %b:Mime="image/jpeg"%b/></rdf:li>'
        % (found[1], item[1], meaning, item[1], length)
        for meaning, length in entries
    )
    return b"<%b:Directory><rdf:Seq>%b</rdf:Seq></%b:Directory>" % (found[1], inside, found[1])


def levelled(gain: bytes, before: np.ndarray, after: np.ndarray) -> bytes:
    """A gain map that is even where a picture (H, W, 3) uint8, lying as in the file, has changed: so an HDR screen
    shows the new colours and not the light and shade of the old ones. As it was where it cannot be read."""
    changed = cv2.absdiff(before, after).max(axis=2)
    try:
        with Image.open(BytesIO(gain), formats=["JPEG", "MPO"]) as image:
            if not isinstance(image, JpegImageFile):
                return gain
            image.load()
            settings = {"qtables": image.quantization, "subsampling": 0}
            light = np.asarray(image if image.mode == "L" else image.convert("RGB"), np.float32)
    except Exception:  # as decoders do
        return gain
    weight = cv2.resize(changed, light.shape[1::-1], interpolation=cv2.INTER_AREA)
    weight = cv2.blur(cv2.dilate(weight, np.ones((3, 3), np.uint8)), (3, 3))
    weight = np.minimum(weight.astype(np.float32) / FULLY, 1).reshape(*light.shape[:2], *(1,) * (light.ndim - 2))
    if not weight.any():
        return gain
    mean = (light * weight).sum(axis=(0, 1)) / weight.sum()
    again = BytesIO()
    Image.fromarray(np.rint(light + weight * (mean - light)).astype(np.uint8)).save(again, "JPEG", **settings)
    made = again.getvalue()
    (skipped,) = struct.unpack_from(">H", made, 4)  # its own first segment
    own = [jpeg.segment(*each) for each in jpeg.parts(gain).segments if each[0] >= 0xE0]
    return made[:2] + b"".join(own) + made[4 + skipped :]


def with_gain_map(picture: bytes, gain: bytes) -> bytes:
    """A JPEG file with its gain map behind it, and the segment that says where."""
    place = 2
    while picture[place + 1] in range(0xE0, 0xF0):
        (length,) = struct.unpack_from(">H", picture, place + 2)
        place += 2 + length
    size = len(picture) + len(_index(0, 0, 0))
    index = _index(size, len(gain), size - place - 8)  # counted from behind the segment's own name
    return picture[:place] + index + picture[place:] + gain


def _index(size: int, gain_size: int, gain_at: int) -> bytes:
    entries = struct.pack(">IIIHH", PRIMARY, size, 0, 0, 0) + struct.pack(">IIIHH", 0, gain_size, gain_at, 0, 0)
    head = b"MM\0*" + struct.pack(">IH", 8, 3)
    tags = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    tags += struct.pack(">HHIII", 0xB002, 7, len(entries), len(head) + 3 * 12 + 4, 0)
    return jpeg.segment(jpeg.APP2, jpeg.MPF + head + tags + entries)
