"""Writes a clip like another: its codec, times, rotation, tags, and all that is no video as it was."""

import os
from fractions import Fraction
from threading import Lock

import av
import numpy as np
from av.codec.codec import PixFmtLoss, find_best_pix_fmt_of_list
from av.codec.context import Flags

from common.workarounds import open_encoder, right_times
from ombre.media.video_frame import ClipFrame, changed, in_format, side_data

os.environ.setdefault("SVT_LOG", "1")  # its encoder would tell the terminal about itself

# A codec's encoder; the option that sets how fine it is; that at quality 0 and at 100; further options.
ENCODERS = {
    "h264": ("libx264", "crf", 51, 8, {"rc-lookahead": "20"}),  # half of its usual, to save memory
    "hevc": ("libx265", "crf", 51, 8, {"x265-params": "log-level=error"}),
    "av1": ("libsvtav1", "crf", 63, 12, {}),
    "vp9": ("libvpx-vp9", "crf", 63, 12, {"b": "0", "cpu-used": "4", "row-mt": "1"}),
    "vp8": ("libvpx", "crf", 63, 4, {"b": "0", "cpu-used": "4"}),
    "mpeg4": ("mpeg4", "qscale", 31, 1, {}),
    "mpeg2video": ("mpeg2video", "qscale", 31, 1, {}),
    "wmv2": ("wmv2", "qscale", 31, 1, {}),
    "mjpeg": ("mjpeg", "qscale", 31, 1, {}),
    "prores": ("prores_ks", "", 0, 0, {}),
    "ffv1": ("ffv1", "", 0, 0, {}),
}
LAMBDA = 118  # of FFmpeg's units to a quantiser's step
INSTEAD = {
    "webm": ("vp9", "av1"),
    "asf": ("wmv2",),
    "mpeg": ("mpeg2video",),
}  # where a clip's own codec cannot be written; else H.264 or H.265
ODD = ("mpeg4",)  # before them where a frame's sides are odd
# Before them where a clip has transparency.
SEEN_THROUGH = {"mov": ("prores",), "matroska": ("ffv1",), "avi": ("ffv1",)}
NARROW = ("prores",)  # codecs that cannot say that their range is full
WITH_FIELDS = ("h264", "mpeg2video", "mpeg4", "prores", "ffv1")  # codecs that are written interlaced here
LOWER_FIRST = (3, 5)  # FFmpeg's orders of fields whose lower one comes first
PLANAR = ("yuv", "gbrp", "gbrap", "gray")  # pixel formats that `changed` can change
ALPHA_MODE = "alpha_mode"  # a WebM's word for what may be seen through
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")  # which the new one has of its own


class ClipWriter:
    """Writes a clip like another; `notes` says what could not be kept.

    Args:
        container: where to, empty yet.
        source: the stream of the other that is dyed; those beside it are copied.
        first: its first frame; `rate` its frames a second.
        quality: 0 (smallest) to 100 (finest).
    """

    def __init__(
        self,
        container: av.container.OutputContainer,
        source: av.VideoStream,
        first: av.VideoFrame,
        rate: Fraction,
        quality: int,
    ) -> None:
        self.container, self.frames = container, 0
        self.notes: list[str] = []
        self.copies: dict[int, av.stream.Stream] = {}  # by the index of the source's
        self.muxing = Lock()  # sound comes from the thread that reads, frames from the one that dyes
        tags = source.container.metadata.items()
        container.metadata.update({name: text for name, text in tags if name not in OF_THE_FILE})
        container.set_chapters(source.container.chapters())
        for stream in source.container.streams:
            if stream is source:
                self.stream = self._add_video(source, first, rate, quality)
            elif stream.type != "data":
                self._add_copy(stream)
        if data_tracks(source.container):
            self.notes.append("without its data track")

    def _add_copy(self, source: av.stream.Stream) -> None:
        try:
            copy = self.container.add_stream_from_template(source)
        except (av.FFmpegError, ValueError, TypeError):
            self.notes.append(f"without its {source.type} stream")
            return
        copy.metadata.update(source.metadata)
        copy.disposition = source.disposition
        self.copies[source.index] = copy

    def _add_video(self, source: av.VideoStream, first: av.VideoFrame, rate: Fraction, quality: int) -> av.VideoStream:
        own, kind = source.codec.canonical_name, self.container.format.name
        instead = INSTEAD.get(kind, ("h264", "hevc"))
        if has_alpha(first.format):
            instead = (*SEEN_THROUGH.get(kind, ()), *instead)
        codec, self.pix_fmt = chosen(own, first, instead, self.container.supported_codecs)
        if codec != own:
            self.notes.append(f"as {codec}, since {own} cannot be written")
        if has_alpha(first.format) and not has_alpha(av.VideoFormat(self.pix_fmt)):
            self.notes.append("without its transparency")
        name, options, scale = settings(codec, quality)
        fields = first.interlaced_frame and codec in WITH_FIELDS
        if first.interlaced_frame and not fields:
            self.notes.append("no longer marked as interlaced")
        order = source.codec_context.field_order
        if fields and name == "libx264":
            options = options | {"x264-params": "bff=1" if order in LOWER_FIRST else "tff=1"}
        if name == "libx265" and (light := mastering(first)):
            options = options | {"x265-params": f"{options['x265-params']}:{light}"}
        if name == "libvpx" and has_alpha(av.VideoFormat(self.pix_fmt)):
            options = options | {"auto-alt-ref": "0"}  # which it does not take beside transparency
        self.bits = av.VideoFormat(self.pix_fmt).components[0].bits
        stream = self.container.add_stream(name, rate=rate, options=options)
        assert isinstance(stream, av.VideoStream), "as all of ENCODERS are for video"
        target = stream.codec_context
        if fields:
            target.flags |= Flags.interlaced_dct | Flags.interlaced_me
            target.field_order = order
        if scale:
            target.qscale, target.global_quality = True, scale
        if kind == "avi":
            target.max_b_frames = 0  # its frames have no times but their order
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, self.pix_fmt
        stream.time_base = target.time_base = source.time_base or 1 / rate
        if codec == "mpeg2video":
            target.time_base = 1 / rate  # it has no other times
        target.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(0)  # 0: not said
        self.wide = codec not in NARROW
        sample = in_format(first, self.pix_fmt, self.wide)
        target.color_range, target.colorspace = sample.color_range, sample.colorspace
        target.color_primaries, target.color_trc = first.color_primaries, first.color_trc
        if codec == own == "hevc":
            target.codec_tag = source.codec_tag
        if matrix := side_data(first, "DISPLAYMATRIX"):
            stream.set_display_matrix(np.frombuffer(matrix, np.int32).tolist())
        stream.metadata.update(source.metadata)
        stream.disposition = source.disposition
        for tag in [name for name in stream.metadata if name.lower() == ALPHA_MODE]:
            del stream.metadata[tag]  # written by itself where it is true
        open_encoder(target)
        return stream

    def write(self, frame: ClipFrame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None) -> None:
        """A frame whose `rgb()` was `before` and shall be `after`, which differ in the box (rows, columns) alone; None:
        nowhere."""
        raw = frame.raw if frame.raw.format.name == self.pix_fmt else in_format(frame.raw, self.pix_fmt, self.wide)
        self.encode(changed(raw, before, after, box, frame.turn))

    def encode(self, raw: av.VideoFrame | None) -> None:
        """A frame as it is; None: there are no more."""
        self.frames += raw is not None
        for packet in self.stream.encode(raw):
            if raw is None:  # now the number of all frames is known
                right_times(packet, self.frames)
            with self.muxing:
                self.container.mux_one(packet)

    def copy(self, packet: av.Packet, index: int) -> None:
        """A packet of another stream, whose index in the source is given, as it is."""
        if index in self.copies and packet.dts is not None:
            packet.stream = self.copies[index]
            with self.muxing:
                self.container.mux_one(packet)


def settings(codec: str, quality: int) -> tuple[str, dict[str, str], int]:
    """A codec's encoder, its options, and its quantiser in FFmpeg's units where it is set by that, else 0."""
    name, option, worst, best, options = ENCODERS[codec]
    level = worst + (best - worst) * quality / 100
    if option == "crf":
        options = options | {"crf": f"{level:.0f}"}
    return name, options, round(level * LAMBDA) if option == "qscale" else 0


def chosen(codec: str, first: av.VideoFrame, instead: tuple[str, ...], kinds: set[str]) -> tuple[str, str]:
    """The codec and pixel format to write: the clip's own, else what comes nearest.

    Args:
        first: a frame of it; of odd sides few codecs take what has colours at half of the resolution.
        instead: codecs to take where its own cannot be written.
        kinds: those that the file may have.
    """
    pix_fmt, odd = first.format.name, first.width % 2 or first.height % 2
    named = [name for name in (codec, *(ODD if odd else ()), *instead) if name in ENCODERS]
    candidates = [name for name in named if name in kinds] or named  # a transport stream does not say what it takes
    formats = {
        name: [kind.name for kind in av.Codec(ENCODERS[name][0], "w").video_formats or () if is_written(name, kind)]
        for name in candidates
    }
    for name in candidates:
        if pix_fmt in formats[name]:
            return name, pix_fmt
    lost = {}
    for name in candidates:
        best, loss = find_best_pix_fmt_of_list(formats[name], pix_fmt, has_alpha=has_alpha(first.format))
        if best is None:
            continue
        own = int(loss & ~PixFmtLoss.DEPTH) if name == codec else int(loss)  # which its decoder may have widened
        lost[name] = (bool(loss & PixFmtLoss.ALPHA), own.bit_count()), best.name
    name = min(lost, key=lambda name: lost[name][0])
    return name, lost[name][1]


def is_written(codec: str, kind: av.VideoFormat) -> bool:
    """Whether frames of this pixel format can be changed here and encoded so; x265 names transparency, and cannot."""
    return kind.name.startswith(PLANAR) and not (codec == "hevc" and has_alpha(kind))


def has_alpha(kind: av.VideoFormat) -> bool:
    """Whether frames of this pixel format can be seen through."""
    return any(component.is_alpha for component in kind.components)


def data_tracks(source: av.container.Container) -> int:
    """How many tracks hold what a camera notes while it films; titles of chapters and times go along anyway."""
    tracks = sum(stream.type == "data" and "timecode" not in stream.metadata for stream in source.streams)
    return max(tracks - bool(source.chapters()), 0)


def mastering(frame: av.VideoFrame) -> str:
    """x265's words for the screen that an HDR clip was made on, and for its light; "" where it says nothing of them."""
    words = []
    if data := side_data(frame, "MASTERING_DISPLAY_METADATA"):
        numbers = np.frombuffer(data, np.int32)
        parts = np.where(numbers[1:20:2] == 0, 0, numbers[0:20:2] / np.maximum(numbers[1:20:2], 1))
        if numbers[20] and numbers[21]:
            red, green, blue, white = (np.rint(parts[at : at + 2] * 50_000).astype(int).tolist() for at in (0, 2, 4, 6))
            least, most = np.rint(parts[8:10] * 10_000).astype(int).tolist()
            places = (f"{name}({x},{y})" for name, (x, y) in zip(("G", "B", "R", "WP"), (green, blue, red, white)))
            words.append(f"master-display={''.join(places)}L({most},{least})")
    if data := side_data(frame, "CONTENT_LIGHT_LEVEL"):
        words.append("max-cll={},{}".format(*np.frombuffer(data, np.uint32)[:2].tolist()))
    return ":".join(words)
