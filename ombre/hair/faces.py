"""Faces beside the hair, and which way up each head is, from what a guide shows (segmentation/finding/guide.py)."""

from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.guide import Guide

UPRIGHT = (0.0, -1.0)  # x to the right, y down
SURE = 0.5  # probability from which it is a face's skin; length from which the guide's `up` is believed alone
LEAST = 6  # of the guide's cells: what is smaller is no face


class Place(NamedTuple):
    """Where a grid lies in its picture: the pixels before its first cell, pixels a cell, the picture's size."""

    top: int
    left: int
    step: int
    height: int
    width: int

    def of_guide(self, shape: tuple[int, ...]) -> np.ndarray:
        """(2, 3) float64: takes x and y in the grid to x and y in a guide of this shape, both counted from the centre
        of the first cell."""
        across, down = shape[1] / self.width, shape[0] / self.height
        return np.float64(
            [
                [self.step * across, 0, (self.left + self.step / 2) * across - 0.5],
                [0, self.step * down, (self.top + self.step / 2) * down - 0.5],
            ]
        )


class Face(NamedTuple):
    """The skin of a face as an ellipse, in cells of the hair's grid: its centre, and the spread around it (2, 2)."""

    centre: np.ndarray
    spread: np.ndarray

    def half(self, axis: np.ndarray) -> float:
        """Half the extent of the ellipse along an axis, a unit vector."""
        return 2 * float(np.sqrt(max(axis @ self.spread @ axis, 1e-3)))


def find_faces(guide: Guide | None, place: Place) -> list[Face]:
    """The faces that a guide shows, the largest first; none without a guide."""
    if guide is None:
        return []
    skin = np.uint8(guide.face > SURE)
    if not skin.any():
        return []
    count, _, stats, _ = cv2.connectedComponentsWithStats(skin)
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    matrix = place.of_guide(guide.face.shape)
    boxes = (stats[label] for label in order if stats[label, cv2.CC_STAT_AREA] >= LEAST)
    return [_ellipse(skin, box, matrix) for box in boxes]


def _ellipse(skin: np.ndarray, box: np.ndarray, matrix: np.ndarray) -> Face:
    """The skin (h, w) in a box (left, top, width, height) of the guide, in cells of the grid `matrix` begins at."""
    left, top, width, height = (int(value) for value in box[:4])
    moments = cv2.moments(skin[top : top + height, left : left + width], binaryImage=True)
    area = moments["m00"]
    centre = np.float64([left + moments["m10"] / area, top + moments["m01"] / area])
    spread = np.float64([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / area
    scale = 1 / matrix[[0, 1], [0, 1]]
    return Face((centre - matrix[:, 2]) * scale, spread * np.outer(scale, scale))


def which_way_up(guide: Guide | None, place: Place, shape: tuple[int, int]) -> np.ndarray | None:
    """The guide's `up` on the hair's grid of this shape (rows, columns, 2) float32; None without a guide."""
    if guide is None:
        return None
    matrix = place.of_guide(guide.up.shape)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(guide.up, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def mean_up(up: np.ndarray | None, hair: np.ndarray) -> np.ndarray:
    """The unit vector towards a head's top: the mean of `up` (rows, columns, 2) over its hair (rows, columns) float32,
    the shares; where that is not sure, the more the picture's own up."""
    if up is None:
        return np.float64(UPRIGHT)
    mean = np.tensordot(hair, up, 2) / max(float(hair.sum()), 1e-6)
    mean = np.float64(mean) + max(SURE - float(np.hypot(*mean)), 0) * np.float64(UPRIGHT)
    return mean / max(float(np.hypot(*mean)), 1e-6)
