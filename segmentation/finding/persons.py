"""Where people are in a picture, by the person detector: it has seen bodies, animals and things of all kinds, where the
student has seen hair."""

import cv2
import numpy as np

from segmentation.finding.box import Part
from segmentation.finding.crops import pieces
from segmentation.finding.engines import Engine
from segmentation.finding.predictor import Prediction
from segmentation.networks.resize import PERSONS_SIZE, squash

CELLS = 104  # on a side of the map of people
LEAST, SAME = 0.25, 0.5  # certainty from which a person's head is looked for; IoU from which boxes are of one person
MOST = 32  # people whose heads are looked for, the surest first
STANDING, CLOSE = 0.36, 0.6  # of a person's height: side of the crop of the head of one who stands, and at most
ABOVE = 0.15  # of that crop, what it shows above the person
FAR = 0.25  # of the picture's shorter side: larger crops are not taken, since a search overlooks no head so near
# Certainty of the surest person: from which a picture is upright; at least, and so much more, as it should be turned.
UPRIGHT, TURNED, SURER = 0.75, 0.7, 0.1


class Persons:
    """The people in one picture (H, W, 3) uint8; the detector is asked when that is to be known."""

    def __init__(self, engine: Engine, rgb: np.ndarray):
        self.engine, self.rgb = engine, rgb
        self._boxes: dict[int, np.ndarray] = {}
        self._cells: dict[int, np.ndarray] = {}

    def boxes(self, quarters: int = 0) -> np.ndarray:
        """Of the picture turned by so many quarters, counterclockwise: (M, 5) float32, left, top, right and bottom as
        shares of its sides, and the certainty that this is a person. A long picture is seen in pieces."""
        if quarters not in self._boxes:
            rgb = np.rot90(self.rgb, quarters)
            windows = pieces(Part(0, 0, *rgb.shape[:2]))[:MOST]
            self._boxes[quarters] = np.concatenate([self.boxes_in(rgb, window) for window in windows])
        return self._boxes[quarters]

    def quarters(self) -> int:
        """By how many quarters, counterclockwise, the picture is to be turned so that its people stand upright."""
        if self.surest(0) >= UPRIGHT:
            return 0
        best = max((1, 2, 3), key=self.surest)
        return best if self.surest(best) >= max(TURNED, self.surest(0) + SURER) else 0

    def surest(self, quarters: int) -> float:
        """How sure it is of the surest person, in the picture turned by so many quarters."""
        return float(self.boxes(quarters)[:, 4].max(initial=0))

    def cells(self, quarters: int) -> np.ndarray:
        """(CELLS, CELLS) float32 over the picture: how sure it is that a person is there, as it is seen turned so."""
        if quarters not in self._cells:
            self._cells[quarters] = np.rot90(painted(self.boxes(quarters)), -quarters)
        return self._cells[quarters]

    def boxes_in(self, rgb: np.ndarray, part: Part) -> np.ndarray:
        """Boxes of a part of a picture, in shares of the picture's sides."""
        (found,) = self.engine(squash(rgb[part.slices], PERSONS_SIZE)[None])[0]
        height, width = rgb.shape[:2]
        scale = part.width / width, part.height / height
        moved = part.left / width, part.top / height
        return found * np.array([*scale, *scale, 1], np.float32) + np.array([*moved, *moved, 0], np.float32)

    def certainty(self, part: Part, seen: Prediction) -> float:
        """How sure it is that what a part of the picture shows as hair is of a person, 0..1, the mean over the hair; by
        the picture turned as the head is."""
        place = part.scaled(CELLS / self.rgb.shape[0], CELLS / self.rgb.shape[1])
        top, left = min(place.top, CELLS - 1), min(place.left, CELLS - 1)  # one cell at least, also at the border
        place = Part(top, left, max(place.bottom, top + 1), max(place.right, left + 1))
        cells = self.cells(seen.quarters())[place.slices]
        people = cv2.resize(cells, seen.hair.shape[::-1], interpolation=cv2.INTER_NEAREST)
        hair = seen.hair > 0.5
        return float(people[hair].mean()) if hair.any() else 0.0

    def heads(self, most: float = FAR) -> list[Part]:
        """A part of the picture for the head of each person who is far away, which is at most so large, of the
        picture's shorter side."""
        height, width = self.rgb.shape[:2]
        found = self.boxes() * np.array([width, height, width, height, 1], np.float32)
        left, top, right, bottom, sure = found.T
        corners = np.stack([left, top, right - left, bottom - top], 1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), sure.tolist(), LEAST, SAME, top_k=MOST)
        heads = (head_of(*found[index, :4].tolist()) for index in kept)
        return [head.within(height, width) for head in heads if head.size <= most * min(height, width)]


def painted(boxes: np.ndarray) -> np.ndarray:
    """Boxes (M, 5) -> (CELLS, CELLS) float32: of each cell, how sure the surest box is that holds it."""
    cells = np.zeros((CELLS, CELLS), np.float32)
    for *sides, sure in sorted(boxes.tolist(), key=lambda box: box[4]):
        left, top, right, bottom = (max(0, round(side * CELLS)) for side in sides)
        cells[top:bottom, left:right] = sure
    return cells


def head_of(left: float, top: float, right: float, bottom: float) -> Part:
    """A square at the top of a person's box: some three heads of one who stands, nearly all of one who is near."""
    height, middle = bottom - top, (left + right) / 2
    side = max(STANDING * height, min(right - left, CLOSE * height))
    above = top - ABOVE * side
    return Part(round(above), round(middle - side / 2), round(above + side), round(middle + side / 2))
