"""Faces beside the hair, and which way up each head is, from what a guide shows (segmentation/finding/guide.py)."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.guide import Guide

UPRIGHT = (0.0, -1.0)  # x to the right, y down
SURE = 0.5  # probability from which it is a face's skin; length from which the guide's `up` is believed alone
DOUBT = 2.0  # how much more the picture's own up counts than the guide lacks of that length
LEAST = 6  # of the guide's cells: what is smaller is no face
OPEN = 0.05  # of the root of a face's area: half the breadth of gaps in its skin that are closed, as of an eye
BRIDGES = (0.4, 0.55, 0.7)  # of a face's half breadth, up to which skin that joins two is a bridge
CORE = 0.08  # of all that is broader: what is smaller is no face of its own


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
        return np.array(
            [
                [self.step * across, 0, (self.left + self.step / 2) * across - 0.5],
                [0, self.step * down, (self.top + self.step / 2) * down - 0.5],
            ]
        )


class Face(NamedTuple):
    """The skin of a face as an ellipse, in cells of the hair's grid: its centre, and the spread around it (2, 2)."""

    centre: np.ndarray
    spread: np.ndarray

    @property
    def area(self) -> float:
        """In cells."""
        return 4 * np.pi * float(np.sqrt(max(np.linalg.det(self.spread), 1e-6)))

    @property
    def size(self) -> float:
        """Half the longer extent."""
        return 2 * float(np.sqrt(max(np.linalg.eigvalsh(self.spread)[1], 1e-3)))

    def half(self, axis: np.ndarray) -> float:
        """Half the extent of the ellipse along an axis, a unit vector."""
        return 2 * float(np.sqrt(max(axis @ self.spread @ axis, 1e-3)))


def find_faces(guide: Guide | None, place: Place) -> list[Face]:
    """The faces that a guide shows, the largest first; none without a guide."""
    if guide is None:
        return []
    skin = (guide.face > SURE).astype(np.uint8)
    if not skin.any():
        return []
    matrix = place.of_guide(guide.face.shape)
    parts = sorted(_apart(_closed(skin)), key=lambda part: -int(np.count_nonzero(part)))
    return [_ellipse(part, matrix) for part in parts if np.count_nonzero(part) >= LEAST]


def _closed(skin: np.ndarray) -> np.ndarray:
    """Skin (h, w) uint8 with eyes and mouths, which are none: they would part a face."""
    closed = skin.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(skin)
    for label in range(1, count):
        reach = round(OPEN * float(np.sqrt(stats[label, cv2.CC_STAT_AREA])))
        if reach:
            piece = cv2.copyMakeBorder((labels == label).astype(np.uint8), *(reach,) * 4, cv2.BORDER_CONSTANT)
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
            closed |= cv2.morphologyEx(piece, cv2.MORPH_CLOSE, kernel)[reach:-reach, reach:-reach]
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)


def _apart(skin: np.ndarray) -> Iterator[np.ndarray]:
    """Skin (h, w) uint8 in pieces (h, w), each of one face: those that touch are parted where skin is narrow."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(skin)
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        box = np.s_[top : top + height, left : left + width]
        for part in _parted((labels[box] == label).astype(np.uint8)):
            whole = np.zeros_like(skin)
            whole[box] = part
            yield whole


def _parted(piece: np.ndarray) -> list[np.ndarray]:
    """One piece of skin (h, w) uint8, or the parts that narrow bridges join, its cells by the nearest part."""
    bordered = cv2.copyMakeBorder(piece, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(bordered, cv2.DIST_L2, 5)[1:-1, 1:-1]
    for share in BRIDGES:
        cores = (depth > share * depth.max()).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(cores)
        kept = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= CORE * cores.sum()]
        if len(kept) < 2:
            continue
        away = [cv2.distanceTransform((labels != label).astype(np.uint8), cv2.DIST_L2, 5) for label in kept]
        nearest = np.argmin(away, axis=0)
        parts = [piece * (nearest == number).astype(np.uint8) for number in range(len(kept))]
        return [smaller for part in parts for smaller in _parted(part)]
    return [piece]


def _ellipse(skin: np.ndarray, matrix: np.ndarray) -> Face:
    """A face's skin (h, w) uint8 in the guide, in cells of the grid; `matrix` leads from there to the guide."""
    moments = cv2.moments(skin, binaryImage=True)
    area = moments["m00"]
    centre = np.array([moments["m10"] / area, moments["m01"] / area])
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / area
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
        return np.array(UPRIGHT)
    seen = np.tensordot(hair, up, 2) / max(float(hair.sum()), 1e-6)
    mean = seen.astype(np.float64) + DOUBT * max(SURE - float(np.hypot(*seen)), 0) * np.array(UPRIGHT)
    return mean / max(float(np.hypot(*mean)), 1e-6)
