"""Clips with known masks: photographs seen through a window that moves, with what disturbs filmed ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av
import cv2
import numpy as np

RATE = 30  # frames a second
WINDOW = 0.75  # of the photograph's sides
BITS = 0.12  # a pixel: about what telephones write


@dataclass
class Made:
    """A frame, (h, w, 3) uint8, and its hair, (h, w) uint8."""

    seconds: float
    rgb: np.ndarray
    hair: np.ndarray

    def rgb8(self) -> np.ndarray:
        return self.rgb


Place = Callable[[int], tuple[float, float, float]]  # frame -> way across (window widths), degrees, size


def back_and_forth(number: int, step: float, reach: float) -> float:
    """Steps of one size between -reach and reach."""
    place = (number * step + reach) % (4 * reach)
    return min(place, 4 * reach - place) - reach


PATHS: dict[str, Place] = {
    "slow": lambda number: (back_and_forth(number, 0.005, 0.15), 0, 1),
    "fast": lambda number: (back_and_forth(number, 0.04, 0.15), 0, 1),
    "turned": lambda number: (0, back_and_forth(number, 2, 10), 1),
    "zoomed": lambda number: (0, 0, 1.02 ** back_and_forth(number, 1, 8)),
}
KINDS = (*PATHS, "a bar passes", "noise", "H.264")


def made_clip(rgb: np.ndarray, hair: np.ndarray, kind: str, frames: int) -> list[Made]:
    """A photograph and its hair, seen in motion of a kind."""
    path = PATHS.get(kind, PATHS["slow"])
    seen = [
        Made(number / RATE, *(through_window(plane, *path(number)) for plane in (rgb, hair)))
        for number in range(frames)
    ]
    if kind == "a bar passes":
        for number, frame in enumerate(seen):
            pass_bar(frame, number)
    if kind == "noise":
        rng = np.random.default_rng(0)
        for frame in seen:
            frame.rgb = np.uint8(np.clip(frame.rgb + rng.normal(0, 8, frame.rgb.shape), 0, 255))
    if kind == "H.264":
        for frame, filmed in zip(seen, through_encoder([frame.rgb for frame in seen])):
            frame.rgb = filmed
    return seen


def through_window(plane: np.ndarray, across: float, degrees: float, size: float) -> np.ndarray:
    height, width = plane.shape[:2]
    window = round(WINDOW * width) // 2 * 2, round(WINDOW * height) // 2 * 2
    place = cv2.getRotationMatrix2D((width / 2 + across * window[0], height / 2), degrees, size)
    place[:, 2] += window[0] / 2 - width / 2 - across * window[0], window[1] / 2 - height / 2
    return cv2.warpAffine(plane, place, window, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def pass_bar(frame: Made, number: int) -> None:
    """A skin-coloured bar, a tenth as wide as the frame, that crosses it within a second."""
    width = frame.rgb.shape[1]
    left = round(width * (1.1 * (number % RATE) / RATE - 0.1))
    bar = np.s_[:, max(left, 0) : left + width // 10]
    frame.rgb[bar], frame.hair[bar] = (205, 160, 140), 0


def through_encoder(frames: list[np.ndarray]) -> Iterator[np.ndarray]:
    height, width = frames[0].shape[:2]
    file = BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate, stream.codec_context.time_base = round(BITS * width * height * RATE), Fraction(1, RATE)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as source:
        yield from (frame.to_ndarray(format="rgb24") for frame in source.decode(video=0))
