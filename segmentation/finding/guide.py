"""Where faces are, and which way heads point: what a student tells beside hair, put together from its crops."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.box import Part
from segmentation.finding.predictor import Prediction

SIDE = 400  # cells on a picture's longer side
CELL = 4  # pixels a cell at least


class Guide(NamedTuple):
    """Over the whole picture, at a coarse resolution.

    Attributes:
        face: (h, w) float32, probability that a face's skin is there.
        up: (h, w, 2) float32, where hair is the vector to its head's top: x to the right, y down, in the picture's
            directions, its length about 1 where the network is sure of it.
    """

    face: np.ndarray
    up: np.ndarray


def guide_of(height: int, width: int, crops: Iterable[tuple[Part, Prediction]]) -> Guide | None:
    """The guide of a picture (height, width) from crops of it, the later over the earlier; None where there is none."""
    scale = min(SIDE / max(height, width), 1 / CELL)
    planes = np.zeros((max(1, round(height * scale)), max(1, round(width * scale)), 3), np.float32)
    known = False
    for part, seen in crops:
        place = part.scaled(planes.shape[0] / height, planes.shape[1] / width)
        if seen.guide is None or not place.area:
            continue
        known = True
        cells = np.ascontiguousarray(seen.guide.transpose(1, 2, 0))
        planes[place.slices] = cv2.resize(cells, (place.width, place.height), interpolation=cv2.INTER_AREA)
    return Guide(np.ascontiguousarray(planes[..., 0]), np.ascontiguousarray(planes[..., 1:])) if known else None
