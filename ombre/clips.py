"""Clips in and out, by PyAV (FFmpeg): what a clip carries besides its colours stays with it.

Only what the dye changes is changed: the difference that it makes in RGB is brought to the clip's own colour planes and
added there, at their depth, in their range. Sound, subtitles and chapters are copied as they are.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

from common.files import replacing
from common.pictures import PictureError

os.environ.setdefault("SVT_LOG", "1")  # its encoder would tell the terminal about itself

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
# A codec's encoder; the option that sets how fine it is; that at quality 0 and at 100; further options.
ENCODERS = {
    "h264": ("libx264", "crf", 51, 8, {"rc-lookahead": "20"}),  # half of its usual, to save memory
    "hevc": ("libx265", "crf", 51, 8, {"x265-params": "log-level=error"}),
    "av1": ("libsvtav1", "crf", 63, 12, {}),
    "vp9": ("libvpx-vp9", "crf", 63, 12, {"b": "0", "cpu-used": "4", "row-mt": "1"}),
    "vp8": ("libvpx", "crf", 63, 4, {"b": "0", "cpu-used": "4"}),
    "mpeg4": ("mpeg4", "qscale", 31, 1, {}),
    "mjpeg": ("mjpeg", "qscale", 31, 1, {}),
    "prores": ("prores_ks", "", 0, 0, {}),
    "ffv1": ("ffv1", "", 0, 0, {}),
}
INSTEAD = {"webm": ("vp9", "av1")}  # where a clip's own codec cannot be written; else H.264 or H.265
PLANAR = ("yuv", "gbrp", "gray")  # pixel formats that `changed` can change
HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
# Shares of red and blue in luma (ITU-T H.273, table 4).
LUMA = {Colorspace.ITU709: (0.2126, 0.0722), Colorspace.SMPTE240M: (0.212, 0.087), Colorspace.FCC: (0.3, 0.11)}
LUMA |= {9: (0.2627, 0.0593)}  # BT.2020
BT601 = (0.299, 0.114)
MOST_A_SECOND = 1000  # frames
LONGEST_SIDE = 16384  # pixels, of what the encoders take


@dataclass
class Frame:
    """A frame as it was decoded. `number` from 1 on, `seconds` when it is shown."""

    number: int
    seconds: float
    raw: av.VideoFrame

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, or uint16 where it has more than 8 bits, upright."""
        deep = self.raw.format.components[0].bits > 8
        rgb = self.raw.reformat(
            format="rgb48le" if deep else "rgb24",
            src_colorspace=matrix_of(self.raw),
            src_color_range=ColorRange.JPEG if is_full(self.raw) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, quarters_of(self.raw)))

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, upright."""
        rgb = self.rgb()
        return rgb if rgb.dtype == np.uint8 else cv2.convertScaleAbs(rgb, alpha=1 / 257)


class Clip:
    """A clip to read, frame by frame; `damaged` counts what could not be decoded or is marked as broken.

    Raises PictureError: no clip, encrypted, HDR, without a frame, or of an absurd size or rate.
    """

    def __init__(self, path: str | os.PathLike, max_pixels: int) -> None:
        self.path, self.damaged, self.writers = Path(path), 0, []
        with self._opened() as container:
            self.first = next(self._decoded(container), None)
            if self.first is None:
                raise PictureError(f"{path}: no frame of it can be decoded; copy it again or leave it out")
            stream = video_of(container, self.path)
            self.codec, self.rate = stream.codec.canonical_name, stream.average_rate or Fraction(25)
            self.expected = stream.frames or round((container.duration or 0) / av.time_base * self.rate)
        self._demand_sane(max_pixels)

    def frames(self) -> Iterator[Frame]:
        """All frames in the order in which they are shown. What is not video goes to the writers meanwhile."""
        self.damaged = 0
        with self._opened() as container:
            for number, raw in enumerate(self._decoded(container), 1):
                yield Frame(number, float(raw.pts * raw.time_base), raw)

    @contextmanager
    def writer(self, path: Path, quality: int) -> Iterator["Writer"]:
        """What writes the same clip in other colours, whole or not at all: to be had before the frames are asked for.

        Args:
            path: its suffix says what kind of clip.
            quality: 0 (smallest) to 100 (finest).
        """
        with replacing(path) as part, self._opened() as source:
            with av.open(part, "w", format=FORMATS[path.suffix.lower()]) as container:
                writer = Writer(self, source, container, quality)
                self.writers.append(writer)
                try:
                    yield writer
                    writer.encode(None)
                finally:
                    self.writers.remove(writer)

    def _opened(self) -> AbstractContextManager:
        try:
            return av.open(self.path, metadata_errors="replace", timeout=60)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise PictureError(f"{self.path}: is no clip that can be read ({error.strerror}); convert it") from None

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        stream = video_of(container, self.path)
        stream.thread_type = "AUTO"
        stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
        last, step = None, 1
        for packet in self._packets(container):
            if packet.stream is not stream:
                for writer in self.writers:
                    writer.copy(packet)
                continue
            if packet.has_sidedata("encryption_info"):
                raise PictureError(f"{self.path}: is encrypted; only its seller's player can show it")
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                if frame.pts is None or (last is not None and frame.pts <= last):  # a time that cannot be true
                    frame.pts = 0 if last is None else last + step
                step = max(frame.pts - last, 1) if last is not None else 1
                last = frame.pts
                yield frame

    def _packets(self, container: av.container.InputContainer) -> Iterator[av.Packet]:
        try:
            yield from container.demux()
        except av.FFmpegError:  # the rest cannot be read
            self.damaged += 1

    def _demand_sane(self, max_pixels: int) -> None:
        width, height, trc = self.first.width, self.first.height, self.first.color_trc
        if width * height > max_pixels or max(width, height) > LONGEST_SIDE:
            raise PictureError(f"{self.path}: frames of {width} x {height} pixels are too large; scale it down")
        if not 0 < self.rate <= MOST_A_SECOND:
            raise PictureError(f"{self.path}: {float(self.rate):g} frames a second cannot be true; convert it")
        if trc in HDR:
            raise PictureError(f"{self.path}: HDR ({HDR[trc]}) is not supported; convert it to SDR (BT.709) first")


class Writer:
    """Writes a clip like another; `notes` says what could not be kept. See `Clip.writer`."""

    def __init__(
        self, clip: Clip, source: av.container.InputContainer, container: av.container.OutputContainer, quality: int
    ) -> None:
        self.container, self.notes, self.copies = container, [], {}
        self.muxing = Lock()  # sound comes from the thread that reads, frames from the one that dyes
        self.container.metadata.update(source.metadata)
        self.container.set_chapters(source.chapters())
        video = video_of(source, clip.path)
        for stream in source.streams:
            if stream is video:
                self._add_video(clip, video, quality)
                continue
            if stream.type == "data":  # chapters' titles, which go along anyway; camera's notes, which few can write
                continue
            try:
                self.copies[stream.index] = self.container.add_stream_from_template(stream)
                self.copies[stream.index].metadata.update(stream.metadata)
            except (av.FFmpegError, ValueError, TypeError):
                self.notes.append(f"without its {stream.type} stream")

    def _add_video(self, clip: Clip, source: av.VideoStream, quality: int) -> None:
        first = clip.first
        kind, kinds = self.container.format.name, self.container.supported_codecs
        codec, self.pix_fmt = chosen(clip.codec, first.format.name, INSTEAD.get(kind, ("h264", "hevc")), kinds)
        if codec != clip.codec:
            self.notes.append(f"as {codec}, since {clip.codec} cannot be written")
        name, option, worst, best, options = ENCODERS[codec]
        level = worst + (best - worst) * quality / 100
        if option == "crf":
            options = options | {"crf": f"{level:.0f}"}
        stream = self.container.add_stream(name, rate=clip.rate, options=options)
        target = stream.codec_context
        if option == "qscale":
            target.qscale, target.global_quality = True, round(level * 118)  # FF_QP2LAMBDA
        if kind == "avi":
            target.max_b_frames = 0  # its frames have no times but their order
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, self.pix_fmt
        stream.time_base = target.time_base = source.time_base
        target.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(0)  # 0: not said
        sample = in_format(first, self.pix_fmt)
        target.color_range, target.colorspace = sample.color_range, sample.colorspace
        target.color_primaries, target.color_trc = first.color_primaries, first.color_trc
        if codec == clip.codec == "hevc":
            target.codec_tag = source.codec_tag
        if matrix := first.side_data.get("DISPLAYMATRIX"):
            stream.set_display_matrix(np.frombuffer(bytes(matrix), np.int32).tolist())
        stream.metadata.update(source.metadata)
        self.stream = stream

    def write(self, frame: Frame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None) -> None:
        """A frame whose `rgb()` was `before` and shall be `after`, which differ in the box (rows, columns) alone; None:
        nowhere."""
        raw = frame.raw if frame.raw.format.name == self.pix_fmt else in_format(frame.raw, self.pix_fmt)
        self.encode(changed(raw, before, after, box, quarters_of(frame.raw)))

    def encode(self, raw: av.VideoFrame | None) -> None:
        """A frame as it is; None: there are no more."""
        for packet in self.stream.encode(raw):
            with self.muxing:
                self.container.mux_one(packet)

    def copy(self, packet: av.Packet) -> None:
        """A packet of another stream, as it is."""
        if packet.stream.index in self.copies and packet.dts is not None:
            packet.stream = self.copies[packet.stream.index]
            with self.muxing:
                self.container.mux_one(packet)


def video_of(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream to dye: the first that moves."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise PictureError(f"{path}: nothing here decodes its codec, or it is broken; convert it")
            return stream
    raise PictureError(f"{path}: has no video stream; leave it out")


def chosen(codec: str, pix_fmt: str, instead: tuple[str, ...], kinds: set[str]) -> tuple[str, str]:
    """The codec and pixel format to write: the clip's own, else what comes nearest."""
    candidates = [name for name in (codec, *instead) if name in ENCODERS and name in kinds]
    formats = {
        name: [kind.name for kind in av.Codec(ENCODERS[name][0], "w").video_formats if kind.name.startswith(PLANAR)]
        for name in candidates
    }
    for name in candidates:
        if pix_fmt in formats[name]:
            return name, pix_fmt
    best = {name: av.codec.codec.find_best_pix_fmt_of_list(kinds, pix_fmt) for name, kinds in formats.items()}
    name = min(best, key=lambda name: bin(best[name][1]).count("1"))
    return name, best[name][0].name


def in_format(raw: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """The frame in another pixel format; what was RGB becomes full range."""
    matrix, full = matrix_of(raw), ColorRange.JPEG if is_full(raw) else ColorRange.MPEG
    ranges = dict(src_color_range=full, dst_color_range=full)
    other = raw.reformat(format=pix_fmt, src_colorspace=matrix, dst_colorspace=matrix, **ranges)
    if raw.format.is_rgb and not other.format.is_rgb:
        other.colorspace, other.color_range = matrix, ColorRange.JPEG
    return other


def is_full(raw: av.VideoFrame) -> bool:
    return raw.color_range == ColorRange.JPEG or raw.format.name.startswith("yuvj") or raw.format.is_rgb


def matrix_of(raw: av.VideoFrame) -> int:
    """How the colour planes are made of RGB; where the clip does not say so, as players take it."""
    if raw.colorspace in (*LUMA, Colorspace.ITU601, Colorspace.SMPTE170M):
        return raw.colorspace
    return Colorspace.ITU709 if max(raw.width, raw.height) >= 1280 else Colorspace.ITU601


def quarters_of(raw: av.VideoFrame) -> int:
    """Quarter turns, against the clock, that bring a frame upright."""
    return round(raw.rotation / 90) % 4


def changed(
    raw: av.VideoFrame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None, quarters: int
) -> av.VideoFrame:
    """A copy of a planar frame, with what differs between two upright RGB pictures in a box added to its planes."""
    copy = av.VideoFrame(raw.width, raw.height, raw.format.name)
    copy.pts, copy.time_base, copy.duration = raw.pts, raw.time_base, raw.duration
    copy.colorspace, copy.color_range = raw.colorspace, raw.color_range
    copy.color_primaries, copy.color_trc = raw.color_primaries, raw.color_trc
    most = 2 ** raw.format.components[0].bits - 1
    for source, target in zip(raw.planes, copy.planes):
        pixels_of(target, most)[...] = pixels_of(source, most)
    if box is None:
        return copy
    box = tuple(slice(part.start // 4 * 4, min(-(-part.stop // 4) * 4, side)) for part, side in zip(box, before.shape))
    difference = cv2.subtract(after[box], before[box], dtype=cv2.CV_32F)
    parts = cv2.transform(difference, weights_of(raw) * np.float32(most / np.iinfo(before.dtype).max))
    for plane, part in zip(copy.planes, cv2.split(parts)):
        pixels = np.rot90(pixels_of(plane, most), quarters)
        steps = [round(side / own) for side, own in zip(before.shape, pixels.shape)]
        place = tuple(slice(part.start // step, -(-part.stop // step)) for part, step in zip(box, steps))
        here = np.ascontiguousarray(pixels[place])
        part = cv2.resize(part, here.shape[::-1], interpolation=cv2.INTER_AREA)
        pixels[place] = np.minimum(cv2.add(here, part, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U), most)
    return copy


def pixels_of(plane: av.video.plane.VideoPlane, most: int) -> np.ndarray:
    """(h, w) uint8 or, where the largest value is over 255, uint16: the plane's own memory."""
    return np.frombuffer(plane, np.uint8 if most == 255 else np.uint16).reshape(plane.height, -1)[:, : plane.width]


def weights_of(raw: av.VideoFrame) -> np.ndarray:
    """(3, 3) float32: how much of red, green and blue goes into each plane."""
    if raw.format.is_rgb:
        return np.float32([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # stored as green, blue, red
    red, blue = LUMA.get(matrix_of(raw), BT601)
    luma = np.array([red, 1 - red - blue, blue])
    planes = np.array([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])
    steps = (1, 1, 1) if is_full(raw) else (219 / 255, 224 / 255, 224 / 255)
    return np.float32(planes * np.array(steps)[:, None])
