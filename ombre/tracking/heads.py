"""The people of a clip, from frame to frame: the ends of each one's hair go with the head, and do not jump, nor does
how far along the hair its parts are, nor the light."""

import cv2
import numpy as np

from ombre.hair.faces import Place
from ombre.hair.grid import sample
from ombre.hair.people import Head
from ombre.render.recolour import Hair
from ombre.tracking.steady import Motion
from segmentation.networks.resize import HAIR

SETTLING = 0.5  # seconds in which the ends of hair come two thirds nearer to where they are seen
FASTEST = 0.008  # of the hair's length: what they, and places along the hair, move at most against the head in a frame
LIGHT_SETTLING = 2.0  # the same of the light that a scene is in, so that the dye does not flicker with what passes by
FEWEST = 6  # cells that a head's motion is judged by
GROWTH = (0.9, 1.1)  # a head's size against the frame before
AROUND = (7, 7)  # cells of the motion's grid, over which a correction is spread


class SteadyHeads:
    """Give it the hair of frame after frame; `counts` has the number of people in each."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._ends: list[np.ndarray] = []  # top and bottom of each person's hair in the frame before, in pixels
        self._light: np.ndarray | None = None  # that the hair was dyed in there, a logarithm
        self._labels: np.ndarray | None = None  # whose hair each cell of the motion's grid was there, -1: nobody's
        self._growth: np.ndarray | None = None  # how far along the hair those cells were

    def steadied(self, hair: Hair | None, motion: Motion, seconds: float) -> Hair | None:
        """The same hair, its people's ends moved on from where they were.

        Args:
            hair: of this frame; None where there is none.
            motion: of this frame in the one before, so many `seconds` ago.
        """
        self.counts.append(0 if hair is None else len(hair.people.heads))
        if hair is None:
            self._ends, self._labels, self._growth, self._light = [], None, None, None
            return None
        labels = whose_cells(hair, motion.known.shape)
        settled = 1 - np.exp(-seconds / SETTLING)
        ends = []
        for person, head in enumerate(hair.people.heads):
            seen = np.array(head, np.float64) + hair.rows.start
            carried = self._carried(labels == person, motion, len(hair.rgb))
            if carried is None:
                ends.append(seen)
                continue
            most = FASTEST * (carried[1] - carried[0])
            ends.append(carried + np.clip(settled * (seen - carried), -most, most))
        growth = self._steadied_growth(hair, labels >= 0, motion, settled)
        self._ends, self._labels = ends, labels
        heads = [Head(*(pair - hair.rows.start)) for pair in ends]
        light = self._steady_light(np.log(hair.illuminant), motion, seconds)
        people = hair.people._replace(heads=heads)
        return hair._replace(people=people, growth=growth, illuminant=np.exp(light))

    def _steady_light(self, seen: np.ndarray, motion: Motion, seconds: float) -> np.ndarray:
        """The logarithm of the light, moved on from that of the frame before; another scene has its own."""
        before = seen if self._light is None or not motion.known.any() else self._light
        self._light = before + (1 - np.exp(-seconds / LIGHT_SETTLING)) * (seen - before)
        return self._light

    def _steadied_growth(self, hair: Hair, is_hair: np.ndarray, motion: Motion, settled: float) -> np.ndarray:
        """How far along the hair each cell of its grid is, moved on from where it was. `is_hair` (rows, columns) bool
        of the motion's grid; `settled`: how much of a difference goes in this frame."""
        place = Place(hair.rows.start, hair.columns.start, hair.step, *hair.rgb.shape[:2])
        matrix = place.of_guide(is_hair.shape)
        now = cv2.warpAffine(hair.growth, matrix, is_hair.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        if self._labels is None or self._growth is None:
            self._growth = now
            return hair.growth
        was_hair = (self._labels >= 0).astype(np.float32)
        there = sample(was_hair, motion.at)
        before = sample(self._growth * was_hair, motion.at) / np.maximum(there, 1e-3)
        step = np.clip(settled * (now - before), -FASTEST, FASTEST)
        weight = there * motion.known * is_hair
        spread = cv2.blur(weight, AROUND)
        shift = cv2.blur((before + step - now) * weight, AROUND) / np.maximum(cv2.blur(weight, AROUND), 1e-3)
        shift *= np.minimum(4 * spread, 1)
        self._growth = now + shift
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(shift, matrix, hair.growth.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return hair.growth + back

    def _carried(self, cells: np.ndarray, motion: Motion, height: int) -> np.ndarray | None:
        """Where the ends of the hair in these cells would be, had it only moved and grown; None where it is new."""
        if self._labels is None:
            return None
        rows = np.nonzero(cells & (motion.known > 0.5))[0]
        at = motion.at[cells & (motion.known > 0.5)]
        across, down = (
            np.clip(np.rint(values).astype(int), 0, side - 1) for values, side in zip(at.T, cells.shape[::-1])
        )
        before = self._labels[down, across]
        if np.count_nonzero(before >= 0) < FEWEST:
            return None
        person = np.bincount(before[before >= 0]).argmax()
        now, then = rows[before == person], at[before == person, 1]
        spread = then - then.mean()
        growth = np.clip((spread * now).sum() / max((spread**2).sum(), 1), *GROWTH) if spread.any() else 1.0
        size = height / len(cells)
        middle_then, middle_now = (then.mean() + 0.5) * size, (now.mean() + 0.5) * size
        return middle_now + growth * (self._ends[person] - middle_then)


def whose_cells(hair: Hair, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) int of a grid over the frame: whose hair is at each cell, -1 where there is none."""
    labels = np.full(shape, -1, np.int16)
    within, pixels = [], []
    for part, count, length in zip((hair.rows, hair.columns), shape, hair.rgb.shape):
        at = (np.arange(count) * (length / count)).astype(int)  # the pixel that stands for each cell
        inside = (at >= part.start) & (at < part.stop)
        within.append(inside)
        pixels.append(at[inside] - part.start)
    people = hair.people.labels[np.ix_(*(at // hair.step for at in pixels))]
    labels[np.ix_(*within)] = np.where(hair.alpha[np.ix_(*pixels)] >= HAIR, people, -1)
    return labels
