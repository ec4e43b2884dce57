"""Clips with known masks: photographs seen through a window that moves, with what disturbs filmed ones."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks import made_pictures
from segmentation.dataset.pairs import find_pairs
from tests.tools.made_frame import Made

RATE = 30  # frames a second
WINDOW = 0.75  # of the photograph's sides
EMPTY, WALK, STAY = 8, 6, 12  # frames: of nobody, of walking in or out, of standing
BITS = 0.12  # a pixel: about what telephones write


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


def coming_and_going(masks: Path, count: int) -> Iterator[tuple[list[Made], int, int]]:
    """Clips in which one of `val`'s portraits slides into a scene from its left, stays, and slides out again: the
    frames, and the numbers of that in which it stands, and of that in which it is gone."""
    arrived = EMPTY + WALK
    left = arrived + STAY + WALK
    shown = [0.0] * EMPTY + list(np.linspace(0, 1, WALK, endpoint=False)) + [1.0] * STAY
    shown += list(np.linspace(1, 0, WALK, endpoint=False)) + [0.0] * STAY
    portraits = find_pairs(masks / "val")[0]
    for pair, scene in zip(portraits[:: len(portraits) // count], islice(made_pictures.bare_scenes(masks), count)):
        scene = cv2.resize(scene, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        rgb, hair = made_pictures.with_height(pair, round(0.6 * len(scene)))
        top, width = (len(scene) - len(rgb)) // 2, rgb.shape[1]
        made = []
        for number, share in enumerate(shown):
            seen = round(share * width)
            frame = Made(number / RATE, scene.copy(), np.zeros(scene.shape[:2], np.uint8))
            if seen:
                box = np.s_[top : top + len(rgb), :seen]
                frame.rgb[box], frame.hair[box] = rgb[:, width - seen :], hair[:, width - seen :]
            made.append(frame)
        yield made, arrived, left
