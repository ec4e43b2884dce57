"""Small clips made for tests."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from common.workarounds import open_encoder
from ombre.media.video import Clip

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "learn.mkv"
SIZE = 128, 96
TICKS = 3000  # a second
CHAPTERS = [
    dict(id=number, start=500 * number, end=500 * (number + 1), time_base=Fraction(1, 1000), metadata={"title": title})
    for number, title in enumerate(("one", "two"))
]


def scene(number: int, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(h, w, 3) uint8: soft spots that move to the right by 2 pixels a frame."""
    spots = np.random.default_rng(seed).integers(40, 215, (7, 9, 3), dtype=np.uint8)
    return np.roll(cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC), 2 * number, axis=1)


def short_sample(path: Path) -> Path:
    """The first frames of the sample clip: somebody who turns to the camera."""
    clip = Clip(SAMPLE, 10**7)
    with clip.writer(path, 95) as writer:
        for frame in islice(clip.frames(), 8):
            writer.encode(frame.raw)
    return path


def make_clip(
    path: Path, codec: str = "libx264", pix_fmt: str = "yuv420p", *, frames: int = 20, sound: bool = False,
    times: list[int] | None = None, rotation: int = 0, tags: tuple[int, int, int] = (1, 1, 1),
    laid: list[int] | None = None, shape: Fraction | None = None, options: dict[str, str] | None = None,
    size: tuple[int, int] = SIZE,
    **container: str,
) -> Path:  # fmt: skip
    """A clip of `scene`; `tags` are matrix, transfer and range; `times` in ticks."""
    matrix, transfer, extent = tags
    with av.open(path, "w", options=container) as output:
        video = output.add_stream(codec, rate=30, options=options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        context = video.codec_context
        context.time_base, context.sample_aspect_ratio = Fraction(1, TICKS), shape or Fraction(1)
        if codec == "mpeg2video":  # which has no other times
            context.time_base = Fraction(1, 30)
        context.colorspace, context.color_range, context.color_trc = matrix, extent, transfer
        if rotation:
            video.set_display_rotation(rotation)
        if laid:
            video.set_display_matrix(laid)
        if path.suffix != ".avi":
            output.set_chapters(CHAPTERS)
        output.metadata["title"] = "A clip"
        audio = output.add_stream("aac", rate=48000) if sound else None
        open_encoder(context)
        for number in range(frames):
            rgb = av.VideoFrame.from_ndarray(scene(number, size=size), format="rgb24")
            frame = rgb.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=extent)
            frame.pts, frame.time_base = times[number] if times else 100 * number, Fraction(1, TICKS)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for number in range(30 if sound else 0):
            wave = np.float32(np.sin(np.arange(1024) / 20))[None].repeat(2, axis=0)
            sounds = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            sounds.sample_rate, sounds.pts, sounds.time_base = 48000, 1024 * number, Fraction(1, 48000)
            output.mux(audio.encode(sounds))
    return path
