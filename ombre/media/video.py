"""Clips in and out, by PyAV (FFmpeg): what a clip carries besides its colours stays with it.

Only what the dye changes is changed (video_frame.py). Sound, subtitles and chapters are copied as they are
(video_writer.py).
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av

from common.files import replacing
from common.image.cicp import HDR
from common.image.hdr import hdr_space
from common.image.icc import SRGB, Space
from common.image.opening import demand_file, strange
from common.image.picture import PictureError
from ombre.media.video_frame import ClipFrame, like, turn_of
from ombre.media.video_writer import ALPHA_MODE, ClipWriter

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
FORMATS |= {".3gp": "3gp", ".3g2": "3g2", ".mts": "mpegts", ".m2ts": "mpegts", ".mpg": "mpeg", ".mpeg": "mpeg"}
FORMATS |= {".wmv": "asf", ".flv": "flv"}
WITH_ALPHA = {"vp9": "libvpx-vp9", "vp8": "libvpx"}  # decoders of what may be seen through
MOST_A_SECOND = 1000  # frames
LONGEST_SIDE = 16384  # pixels, of what the encoders take


class Clip:
    """A clip to read, frame by frame; `damaged` counts what could not be decoded or is marked as broken, `space` is
    that of its frames' RGB.

    Raises PictureError: no clip, encrypted, without a frame, or of an absurd size or rate.
    """

    space: Space = SRGB

    def __init__(self, path: str | os.PathLike, max_pixels: int) -> None:
        self.path, self.damaged = Path(path), 0
        self.writers: list[ClipWriter] = []
        with self._opened() as container:
            self.first = next(self._decoded(container), None) or self._nothing()
            stream = video_of(container, self.path)
            self.rate = rate_of(stream)
            self.expected = stream.frames or round((container.duration or 0) / av.time_base * self.rate)
        self._demand_sane(max_pixels)
        self.frame_bytes = sum(plane.buffer_size for plane in self.first.planes)

    def frames(self) -> Iterator[ClipFrame]:
        """All frames in the order in which they are shown. What is not video goes to the writers meanwhile.

        Raises PictureError: none comes, since a damaged clip may begin otherwise each time."""
        self.damaged, turn, number = 0, turn_of(self.first), 0
        with self._opened() as container:
            for number, raw in enumerate(self._decoded(container), 1):
                assert raw.pts is not None and raw.time_base is not None, "as it comes from `_decoded`"
                yield ClipFrame(number, float(raw.pts * raw.time_base), like(raw, self.first), turn, self.space)
        if not number:
            self._nothing()

    def _nothing(self) -> NoReturn:
        raise PictureError(f"{self.path}: no frame of it can be decoded; copy it again or leave it out")

    @contextmanager
    def writer(self, path: Path, quality: int) -> Iterator[ClipWriter]:
        """What writes the same clip in other colours, whole or not at all: to be had before the frames are asked for.

        Args:
            path: its suffix says what kind of clip.
            quality: 0 (smallest) to 100 (finest).
        """
        if path.suffix.lower() not in FORMATS:
            raise PictureError(
                f"{self.path}: is not what its suffix says; give a still picture that of its kind (.png)"
            )
        with replacing(path) as part, self._opened() as source, written_to(path):
            options = muxer_options(source)
            with av.open(part, "w", format=FORMATS[path.suffix.lower()], container_options=options) as container:
                writer = ClipWriter(container, video_of(source, self.path), self.first, self.rate, quality)
                if self.first.color_trc in HDR and writer.bits < 10:
                    kind = HDR[self.first.color_trc]
                    raise PictureError(
                        f"{self.path}: {kind} needs 10 bits, which cannot be written here; save it as .mp4"
                    )
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
            demand_file(self.path)
            reason = getattr(error, "strerror", None) or error
            raise strange(self.path, f"is no clip that can be read ({reason}); convert it") from None

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        stream = video_of(container, self.path)
        stream.thread_type = "AUTO"
        stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
        decoder, last, step = decoder_of(stream), None, 1
        for packet in self._packets(container):
            if packet.stream is not stream:
                index = packet.stream.index  # each writer makes the packet one of its own
                for writer in self.writers:
                    writer.copy(packet, index)
                continue
            if packet.has_sidedata("encryption_info"):
                raise PictureError(f"{self.path}: is encrypted; only its seller's player can show it")
            try:
                frames = packet.decode() if decoder is None else decoder.decode(packet)
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
        if self.rate > MOST_A_SECOND:
            raise PictureError(f"{self.path}: {float(self.rate):g} frames a second cannot be true; convert it")
        if trc in HDR:
            self.space = hdr_space(trc, int(self.first.color_primaries))


def muxer_options(source: av.container.InputContainer) -> dict[str, str]:
    """With these a MOV or MP4 keeps what telephones note under names of their own: place, camera, a Live Photo's
    link."""
    own = any(name.startswith("com.") for name in source.metadata)
    return {"movflags": "use_metadata_tags"} if own else {}


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """What an encoder complains of, in a line that names the clip; what the disk does stays as it is."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise PictureError(f"{path}: cannot be written ({error.strerror}); convert the clip") from error


def video_of(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream to dye: the first that moves."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise PictureError(f"{path}: nothing here decodes its codec, or it is broken; convert it")
            return stream
    raise PictureError(f"{path}: has no video stream; leave it out")


def decoder_of(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """What decodes a WebM with transparency, which FFmpeg's own decoders leave; None of another stream."""
    name = WITH_ALPHA.get(stream.codec.canonical_name)
    clear = any(tag.lower() == ALPHA_MODE and value == "1" for tag, value in stream.metadata.items())
    if name is None or not clear:
        return None
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext), "as both are for video"
    decoder.extradata = stream.codec_context.extradata
    return decoder


def rate_of(stream: av.VideoStream) -> Fraction:
    """Frames a second, as the file says or, where that cannot be true, as its times do."""
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate and rate > 0]
    return next((rate for rate in rates if rate <= MOST_A_SECOND), max(rates, default=Fraction(25)))
