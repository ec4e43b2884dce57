"""WebP files as they lie on disk, in chunks of RIFF; large ones by OpenCV, which takes less memory than Pillow."""

import struct

import cv2
import numpy as np

HEAD = b"RIFF\0\0\0\0WEBP"
ICC, ALPHA, EXIF, XMP = 0x20, 0x10, 0x08, 0x04  # flags of what a file has
LOSSLESS = 101  # OpenCV's word for it, of a quality


def decode(path: str) -> np.ndarray:
    """A still WebP, (H, W, 3) or (H, W, 4) uint8 in OpenCV's order. Raises ValueError: it is broken."""
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its pixels cannot be decoded")
    return pixels


def encode(pixels: np.ndarray, quality: int, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """A WebP of (H, W, 3) or (H, W, 4) uint8 in OpenCV's order; `quality` 0 to 100, or LOSSLESS."""
    done, data = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise ValueError("OpenCV makes no WebP of it")
    flags = ICC * bool(icc) | ALPHA * (pixels.shape[2] == 4) | EXIF * bool(exif) | XMP * bool(xmp)
    height, width = pixels.shape[:2]
    parts = [chunk(b"VP8X", struct.pack("<I", flags) + triple(width - 1) + triple(height - 1))]
    parts += [chunk(b"ICCP", icc)] if icc else []
    parts.append(pixel_chunks(data.tobytes()))
    parts += [chunk(name, data) for name, data in ((b"EXIF", exif), (b"XMP ", xmp)) if data]
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def pixel_chunks(webp: bytes) -> bytes:
    """The chunks of a still WebP that hold its pixels."""
    place, chunks = len(HEAD), []
    while place < len(webp):
        name, length = struct.unpack_from("<4sI", webp, place)
        end = place + 8 + length + length % 2
        if name in (b"ALPH", b"VP8 ", b"VP8L"):
            chunks.append(webp[place:end])
        place = end
    return b"".join(chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk as it lies in a file."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def triple(number: int) -> bytes:
    """A number in three bytes, the greatest there is where it is more."""
    return struct.pack("<I", min(number, 0xFFFFFF))[:3]
