"""AVIF of 10 bits, where Pillow knows 8: the pixels coded by FFmpeg, in the container that Pillow writes."""

import os
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from common.image.cicp import BT601, BT2020_MATRIX, LUMA
from common.workarounds import open_encoder

BITS, MOST = 10, 1023  # of a channel
SRGB = (1, 13, 6)  # primaries, transfer and matrix (ITU-T H.273), where a file names no others
UNKNOWN, MATRICES = 2, (1, 5, 6, 9)  # of colours; 2 counts as BT.601's
FULL = 2  # range of the numbers
HOW = {"crf": "7", "preset": "8", "svtav1-params": "avif=1:lp=1"}  # as fine as Pillow's 90, one picture, on one core
LEAST_SIDE = 4  # pixels, that the encoder takes
ITEM = 1  # that of the picture, in a file by Pillow
STRIP = 256  # rows worked on at a time, an even number


def decode(path: Path, matrix: int | None) -> np.ndarray | None:
    """(H, W, 3) uint16, as the pixels lie in the file; None where they are not plain 10 bits: with transparency, in
    tiles, or of other bits or a rare matrix. Of a file that Pillow has read: it is whole.

    Args:
        matrix: that the file names, if it does.
    """
    import av  # takes a while to load, and few pictures need it

    try:
        with av.open(os.fspath(path)) as file:
            if len(file.streams) != 1 or (frame := next(file.decode(video=0), None)) is None:
                return None
    except av.FFmpegError:
        return None
    matrix = frame.colorspace if matrix is None else matrix
    planar = frame.format.name in ("yuv420p10le", "yuv422p10le", "yuv444p10le") and matrix in (*MATRICES, UNKNOWN)
    return _rgb_of(frame, matrix) if planar else None


def encode(pixels: np.ndarray, named: tuple[int, int, int], settings: dict) -> bytes:
    """An AVIF of (H, W, 3) uint16, as they lie by the orientation of the EXIF in `settings`, which are as Pillow takes
    them. `named`: primaries, transfer and matrix by code points. Raises ValueError: the encoder takes no such size."""
    primaries, transfer, matrix = named
    named = primaries, transfer, matrix if matrix in MATRICES else BT2020_MATRIX
    about, coded = _coded(pixels, named)
    whole = BytesIO()
    Image.new("RGB", pixels.shape[1::-1]).save(whole, "AVIF", speed=10, **settings)
    file = bytearray(whole.getvalue())
    _put(file, b"av1C", about)
    _put(file, b"pixi", bytes((0, 0, 0, 0, 3, BITS, BITS, BITS)))
    _put(file, b"colrnclx", struct.pack(">HHHB", *named, 0x80))
    _point(file, len(file) + 8, len(coded))
    return bytes(file) + struct.pack(">I", len(coded) + 8) + b"mdat" + coded


def _to_rgb(matrix: int) -> np.ndarray:
    """(3, 3): luma and both differences of colour, 0..1 and -0.5..0.5, to red, green and blue (ITU-T H.273, 8.3)."""
    red, blue = LUMA.get(matrix, BT601)
    luma = np.array([red, 1 - red - blue, blue])
    return np.linalg.inv([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])


def _rgb_of(frame: Any, matrix: int) -> np.ndarray:
    """A frame's colours, (H, W, 3) uint16. Not by FFmpeg, which repeats colours in 4:2:0 instead of interpolating them,
    and makes a muddle of rows of an odd length."""
    result = np.empty((frame.height, frame.width, 3), np.uint16)
    full = [_grown(_pixels_of(plane), frame.width, frame.height) for plane in frame.planes]
    low, luma, colour = (0, MOST, MOST) if frame.color_range == FULL else (64, 876, 896)
    turn = _to_rgb(matrix) / [luma, colour, colour] * 65535
    turn = np.column_stack([turn, -turn @ [low, 512, 512]])
    for top in range(0, len(result), STRIP):
        strip = cv2.merge([plane[top : top + STRIP] for plane in full]).astype(np.float32)
        result[top : top + STRIP] = np.rint(np.clip(cv2.transform(strip, turn), 0, 65535))
    return result


def _grown(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    """A plane (h, w) uint16 at the picture's size: each of its sides is the picture's, or half of that rounded up."""
    if plane.shape == (height, width):
        return plane
    size = [side * (1 + (side < whole)) for side, whole in zip(plane.shape[::-1], (width, height))]
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[:height, :width]


def _frame_of(pixels: np.ndarray, matrix: int) -> Any:
    """The colours, (H, W, 3) uint16 in any order of memory, as a frame of 4:2:0 in full range."""
    import av

    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, "yuv420p10le")
    luma, *colours = map(_pixels_of, frame.planes)
    turn = np.column_stack([np.linalg.inv(_to_rgb(matrix)) * (MOST / 65535), [0, 512, 512]])
    for top in range(0, height, STRIP):
        strip = np.ascontiguousarray(pixels[top : top + STRIP], np.float32)
        parts = cv2.split(cv2.transform(strip, turn))
        luma[top : top + STRIP] = np.rint(parts[0])
        for plane, part in zip(colours, parts[1:]):
            even = cv2.copyMakeBorder(part, 0, len(part) % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            half = cv2.resize(even, (plane.shape[1], len(even) // 2), interpolation=cv2.INTER_AREA)
            plane[top // 2 : top // 2 + len(half)] = np.rint(np.clip(half, 0, MOST))
    frame.colorspace, frame.color_range = matrix, FULL
    return frame


def _pixels_of(plane: Any) -> np.ndarray:
    """(h, w) uint16: a plane's own memory."""
    return np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width]


def _coded(pixels: np.ndarray, named: tuple[int, int, int]) -> tuple[bytes, bytes]:
    """What an AVIF says of its coding (av1C), and the coded pixels."""
    os.environ.setdefault("SVT_LOG", "1")  # the encoder would tell the terminal about itself
    import av

    file = BytesIO()
    with av.open(file, "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options=HOW)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p10le"
        codec = stream.codec_context
        codec.color_primaries, codec.color_trc, codec.colorspace = named
        codec.color_range = FULL
        try:
            open_encoder(codec)
            packets = [*stream.encode(_frame_of(pixels, named[2])), *stream.encode(None)]
        except av.FFmpegError as error:
            raise ValueError(f"as AVIF of 10 bits: {error.strerror}") from None
        for packet in packets:
            container.mux(packet)
    data = file.getvalue()
    place = data.index(b"av1C") + 4
    return data[place : place + 4], data[data.index(b"mdat", place) + 4 :]


def _put(file: bytearray, name: bytes, data: bytes) -> None:
    """Put data behind a name that stands in a file."""
    place = file.index(name) + len(name)
    file[place : place + len(data)] = data


def _point(file: bytearray, place: int, size: int) -> None:
    """Let the picture's item lie at another place of the file, of so many bytes (ISO/IEC 14496-12, 8.11.3)."""
    at = file.index(b"iloc")
    if file[at + 4] or file[at + 8 : at + 10] != b"\x44\x00" or struct.unpack_from(">H", file, at + 12) != (ITEM,):
        raise ValueError("as AVIF of 10 bits: Pillow's container is another than this program knows")
    struct.pack_into(">II", file, at + 18, place, size)
