"""A clip's frames: what is seen in one, and the same frame with what is seen changed.

The difference between two RGB pictures is brought to the frame's own colour planes and added there, at their depth, in
their range: nothing else changes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace

from common.image.cicp import BT601, LUMA
from common.image.icc import SRGB, Space
from common.image.pixels import to8


class Turn(NamedTuple):
    """How a picture is laid upright: its sides exchanged (`across`), then mirrored."""

    across: bool
    left_to_right: bool
    top_to_bottom: bool

    def view(self, pixels: np.ndarray) -> np.ndarray:
        """(h, w) or (h, w, C) laid upright, in the same memory."""
        pixels = pixels.swapaxes(0, 1) if self.across else pixels
        return pixels[:: -1 if self.top_to_bottom else 1, :: -1 if self.left_to_right else 1]


UPRIGHT = Turn(False, False, False)


@dataclass
class ClipFrame:
    """A frame as it was decoded. `number` from 1 on, `seconds` when it is shown, `turn` what brings it upright, `space`
    that of its RGB."""

    number: int
    seconds: float
    raw: av.VideoFrame
    turn: Turn = UPRIGHT
    space: Space = SRGB

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, or uint16 where it has more than 8 bits, upright."""
        deep = self.raw.format.components[0].bits > 8
        # swscale makes a muddle of 4:2:0 in rows of an odd length as rgb48le
        rgb = self.raw.reformat(
            format=("gbrp16le" if self.raw.width % 2 else "rgb48le") if deep else "rgb24",
            src_colorspace=matrix_of(self.raw),
            src_color_range=ColorRange.JPEG if is_full(self.raw) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,  # more would be started anew for each frame
        ).to_ndarray()
        return self._upright(rgb)

    def grey8(self) -> np.ndarray:
        """(H, W) uint8, upright: how bright it is, in the frame's own range."""
        kept = dict(src_color_range=ColorRange.MPEG, dst_color_range=ColorRange.MPEG)
        grey = self.raw.reformat(format="gray", threads=1, **kept).to_ndarray()
        return self._upright(grey)

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, upright, as a screen of sRGB shows it."""
        return self.space.to_srgb8(to8(self.rgb()))

    def _upright(self, pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.turn.view(pixels))


def like(raw: av.VideoFrame, first: av.VideoFrame) -> av.VideoFrame:
    """The frame in the first one's size and format, which a clip, or damage to it, may change midway."""
    if (raw.width, raw.height, raw.format.name) == (first.width, first.height, first.format.name):
        return raw
    return raw.reformat(first.width, first.height, first.format.name)


def in_format(raw: av.VideoFrame, pix_fmt: str, wide: bool = True) -> av.VideoFrame:
    """The frame in another pixel format; what was RGB becomes full range or, if not `wide`, a video's usual one."""
    matrix, full = matrix_of(raw), ColorRange.JPEG if is_full(raw) else ColorRange.MPEG
    from_rgb = raw.format.is_rgb and not av.VideoFormat(pix_fmt).is_rgb
    after = ColorRange.MPEG if from_rgb and not wide else full
    ranges = dict(src_color_range=full, dst_color_range=after)
    other = raw.reformat(format=pix_fmt, src_colorspace=matrix, dst_colorspace=matrix, **ranges)
    if from_rgb:
        other.colorspace, other.color_range = matrix, after
    return other


def is_full(raw: av.VideoFrame) -> bool:
    """Whether the planes use all values, not the television range."""
    return raw.color_range == ColorRange.JPEG or raw.format.name.startswith("yuvj") or raw.format.is_rgb


def matrix_of(raw: av.VideoFrame) -> int:
    """How the colour planes are made of RGB; where the clip does not say so, as players take it."""
    if raw.colorspace in (*LUMA, Colorspace.ITU601, Colorspace.SMPTE170M):
        return raw.colorspace
    return Colorspace.ITU709 if max(raw.width, raw.height) >= 1280 else Colorspace.ITU601


def side_data(raw: av.VideoFrame, name: str) -> bytes:
    """What a frame says besides its pixels, by FFmpeg's name of it; empty where it does not."""
    found = raw.side_data.get(name)
    return bytes(found) if isinstance(found, SideData) else b""


def turn_of(raw: av.VideoFrame) -> Turn:
    """What brings a frame upright, by its display matrix: x' = a x + c y, y' = b x + d y, of (a, b, ., c, d, ...)."""
    matrix = side_data(raw, "DISPLAYMATRIX")
    if not matrix:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def changed(
    raw: av.VideoFrame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None, turn: Turn
) -> av.VideoFrame:
    """A copy of a planar frame, with what differs between two upright RGB pictures in a box added to its planes."""
    copy, most = copy_of(raw), 2 ** raw.format.components[0].bits - 1
    if box is None:
        return copy
    grown = [slice(part.start // 4 * 4, min(-(-part.stop // 4) * 4, side)) for part, side in zip(box, before.shape)]
    difference = cv2.subtract(after[*grown], before[*grown], dtype=cv2.CV_32F)
    parts = cv2.transform(difference, weights_of(raw) * np.float32(most / np.iinfo(before.dtype).max))
    for plane, part in zip(copy.planes, cv2.split(parts)):
        pixels = turn.view(pixels_of(plane, most))
        steps = [round(side / own) for side, own in zip(before.shape, pixels.shape)]
        place = tuple(slice(part.start // step, -(-part.stop // step)) for part, step in zip(grown, steps))
        for field in fields_of(raw, turn):
            add(pixels[place][field], part[field], most)
    return copy


def copy_of(raw: av.VideoFrame) -> av.VideoFrame:
    """A planar frame whose planes may be changed."""
    if raw.interlaced_frame:
        return _with_fields(raw)
    copy, most = av.VideoFrame(raw.width, raw.height, raw.format.name), 2 ** raw.format.components[0].bits - 1
    copy.pts, copy.time_base, copy.duration = raw.pts, raw.time_base, raw.duration
    copy.colorspace, copy.color_range = raw.colorspace, raw.color_range
    copy.color_primaries, copy.color_trc = raw.color_primaries, raw.color_trc
    for source, target in zip(raw.planes, copy.planes):
        pixels_of(target, most)[...] = pixels_of(source, most)
    return copy


def _with_fields(raw: av.VideoFrame) -> av.VideoFrame:
    """The same by FFmpeg's filter, which keeps which field is the first: PyAV cannot set that."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(width=raw.width, height=raw.height, format=raw.format, time_base=raw.time_base),
        graph.add("copy"),
        graph.add("buffersink"),
    ).configure()
    graph.push(raw)
    copy = graph.pull()
    assert isinstance(copy, av.VideoFrame), "as it was pushed"
    return copy


def fields_of(raw: av.VideoFrame, turn: Turn) -> tuple[tuple[slice, slice], ...]:
    """Which rows of an upright picture belong together: those of each field, whose colours have rows of their own."""
    whole, lines = slice(None), (slice(0, None, 2), slice(1, None, 2))
    if not raw.interlaced_frame:
        return ((whole, whole),)
    return tuple((whole, line) if turn.across else (line, whole) for line in lines)


def add(pixels: np.ndarray, part: np.ndarray, most: int) -> None:
    """Add a difference, float32 and of any size, to a plane's pixels (h, w), in place."""
    if not pixels.size:
        return
    here = np.ascontiguousarray(pixels)
    part = cv2.resize(part, here.shape[::-1], interpolation=cv2.INTER_AREA)
    pixels[...] = np.minimum(cv2.add(here, part, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U), most)


def pixels_of(plane: av.video.plane.VideoPlane, most: int) -> np.ndarray:
    """(h, w) uint8 or, where the largest value is over 255, uint16: the plane's own memory."""
    pixels = np.frombuffer(memoryview(plane), np.uint8 if most == 255 else np.uint16)
    return pixels.reshape(plane.height, -1)[:, : plane.width]


def weights_of(raw: av.VideoFrame) -> np.ndarray:
    """(3, 3) float32: how much of red, green and blue goes into each plane."""
    if raw.format.is_rgb:
        return np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)  # stored as green, blue, red
    red, blue = LUMA.get(matrix_of(raw), BT601)
    luma = np.array([red, 1 - red - blue, blue])
    planes = np.array([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])
    steps = (1, 1, 1) if is_full(raw) else (219 / 255, 224 / 255, 224 / 255)
    return (planes * np.array(steps)[:, None]).astype(np.float32)
