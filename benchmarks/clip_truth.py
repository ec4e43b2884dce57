"""How true the masks of made clips are: in motion, after a cut, and of people who enter and leave."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.made_clips import KINDS, RATE, STAY, coming_and_going, made_clip
from ombre.tracking.steady import steady_masks
from segmentation.dataset.pairs import Pair, read_pair
from segmentation.finding.hair_finder import HairFinder
from segmentation.training.metrics import measure
from tests.tools.made_frame import Made

THERE, GONE = 0.9, 0.05  # of what is found of a person at rest: enough to be dyed, so little that nobody is


def truth(pairs: Sequence[Pair], finder: HairFinder, frames: int) -> list[dict]:
    """A row a kind of motion."""
    found = defaultdict(lambda: defaultdict(list))
    for picture, drawn in map(read_pair, pairs):
        for kind in KINDS:
            made = made_clip(picture, drawn, kind, frames)
            found[kind]["frame by frame"] += ious(alone(made, finder), made)
            found[kind]["here"] += ious(steady(made, finder), made)
    return [
        {"": kind} | {name: float(np.mean(values)) for name, values in both.items()} for kind, both in found.items()
    ]


def cuts(pairs: Sequence[Pair], finder: HairFinder, frames: int = 8) -> dict:
    """From each picture to the next: the masks from the second frame after the cut on, and the share of what was hair
    before it that is hair here still, and is not when that frame is looked at by itself."""
    own, here, left = [], [], []
    for one, other in zip(pairs, pairs[1:]):
        before, after = (made_clip(*read_pair(pair), "slow", frames) for pair in (one, other))
        size = before[0].hair.shape[::-1]
        for number, frame in enumerate(after):
            frame.seconds = (frames + number) / RATE
            frame.rgb, frame.hair = cv2.resize(frame.rgb, size), cv2.resize(frame.hair, size)
        masks, by_itself = steady(before + after, finder), alone(after, finder)[1:]
        old, masks = masks[frames - 1] > 127, masks[frames + 1 :]
        own += ious(by_itself, after[1:])
        here += ious(masks, after[1:])
        left += [
            float((old & (mask > 127) & (single <= 127)).sum() / max(old.sum(), 1))
            for mask, single in zip(masks, by_itself)
        ]
    names = "frame by frame", "here", "left of the old mask"
    return dict(zip(names, (float(np.mean(values)) for values in (own, here, left))))


def comings(masks: Path, finder: HairFinder, people: int) -> list[dict]:
    """Rows of people who enter and of those who leave: seconds until THERE, and until GONE, of what is found in the
    frames in which they rest."""
    waits = defaultdict(lambda: defaultdict(list))
    for made, arrived, left in coming_and_going(masks, people):
        for name, found in (("frame by frame", alone(made, finder)), ("here", steady(made, finder))):
            hair = np.array([float((mask > 127)[frame.hair > 127].sum()) for mask, frame in zip(found, made)])
            whole = np.median(hair[arrived : arrived + STAY])
            rest = np.array([float((mask > 127).sum()) for mask in found])
            waits["enter"][name].append(first(hair[arrived:] >= THERE * whole))
            waits["leave"][name].append(first(rest[left:] <= GONE * whole))
    return [
        {"": what} | {f"{name}, {word}": figure(values) for name, values in both.items() for word, figure in FIGURES}
        for what, both in waits.items()
    ]


FIGURES = (("mean", lambda values: float(np.mean(values))), ("most", lambda values: float(np.max(values))))


def first(reached: np.ndarray) -> float:
    """Seconds until it is so."""
    return float(np.argmax(reached) if reached.any() else len(reached)) / RATE


def alone(made: Iterable[Made], finder: HairFinder) -> list[np.ndarray]:
    return [finder.mask(frame.rgb) for frame in made]


def steady(made: list[Made], finder: HairFinder) -> list[np.ndarray]:
    return [cv2.resize(mask, made[0].hair.shape[::-1]) for _, mask, _ in steady_masks(made, finder)]


def ious(masks: Iterable[np.ndarray], made: Iterable[Made]) -> list[float]:
    return [measure(mask, frame.hair)["iou"] for mask, frame in zip(masks, made) if (frame.hair > 127).any()]
