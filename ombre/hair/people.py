"""People in a hair mask, and the height of each one's hair.

Who is who is settled on a coarse grid (see grid.py); the topmost and lowest rows are read off the mask itself. Hair
that the picture's frame cuts off counts as far as it is seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair.faces import Face

HAIR = 128  # a mask value from which a pixel counts as hair
SPECK = 0.0006  # a piece below this share of the grid's area is no head of its own
MOST_PIECES = 24  # the largest ones; every other piece goes with the nearest of them
PART, NEAR = 0.3, 0.25  # a bun: below this share of a head's area, no farther than this (in head's sizes)
LOCK, FAR = 0.5, 0.5  # a lock on the shoulder: the same for pieces that begin in the lower half
AROUND = 2.2  # of a face's ellipse, in which the hair around it is its own
VALLEY, LOBE = 0.2, 0.2  # heads that touch: how deep the skyline dips between them, and the smaller one's share


class Head(NamedTuple):
    """One person's hair: its first row and the row after its last, in pixels of the mask."""

    top: int
    bottom: int


class People(NamedTuple):
    """Who is where.

    Attributes:
        heads: one a person.
        labels: on the grid, (rows, columns) int: which of them a cell belongs to or is nearest to.
        boxes: the rows and columns of the grid with each one's hair.
        faces: each one's face, in cells of the grid; None where none is seen.
    """

    heads: list[Head]
    labels: np.ndarray
    boxes: list[tuple[slice, slice]]
    faces: list[Face | None]


def find_people(mask: np.ndarray, cells: np.ndarray, step: int, faces: Sequence[Face] = ()) -> People:
    """The people in a soft mask (h, w) uint8 whose means over the grid's cells are `cells`; none without hair.

    Args:
        mask: share of hair x 255.
        cells: (rows, columns) uint8.
        step: pixels a cell.
        faces: those that are seen, the largest first.
    """
    if not (mask >= HAIR).any():
        return People([], np.zeros(cells.shape, np.intp), [], [])
    hair = (cells >= min(HAIR, cells.max())).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hair, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = 1 + np.argsort(-areas, kind="stable")[:MOST_PIECES]
    pieces = [label for label in largest if areas[label - 1] >= SPECK * hair.size] or [largest[0]]
    pieces, count = _cut_touching(labels, pieces, count)
    groups = _join_parts(labels, pieces)
    number_of = np.zeros(count, np.intp)
    for number, group in enumerate(groups, 1):
        number_of[group] = number
    seeds = number_of[labels]
    own = [seeds == number for number in range(1, len(groups) + 1)]
    heads = [_rows(mask, cells, step) for cells in own]
    return People(heads, _nearest(seeds) - 1, [_box(cells) for cells in own], _whose(faces, seeds, len(own)))


def _cut_touching(labels: np.ndarray, pieces: list[int], count: int) -> tuple[list[int], int]:
    """Give the right one of two heads that touch a label of its own (in place) -> all labels, new label count."""
    done, todo = [], list(pieces)
    while todo:
        label = todo.pop(0)
        column = _valley(labels == label) if len(done) + len(todo) < MOST_PIECES else None
        if column is None:
            done.append(label)
            continue
        right = labels == label
        right[:, :column] = False
        labels[right] = count
        todo += [label, count]
        count += 1
    return done, count


def _valley(piece: np.ndarray) -> int | None:
    """The column where a deep valley parts the piece's upper outline into two heads, if there is one."""
    columns = np.flatnonzero(piece.any(axis=0))
    if len(columns) < 12:
        return None
    part = piece[:, columns[0] : columns[-1] + 1]
    rows = np.flatnonzero(part.any(axis=1))
    skyline = (rows[-1] + 1 - part.argmax(axis=0)).astype(np.float32)  # (width,) heights above the lowest row
    left, right = np.maximum.accumulate(skyline), np.maximum.accumulate(skyline[::-1])[::-1]
    lower = np.minimum(left, right)
    column = int((lower - skyline).argmax())
    share = part[:, :column].sum() / part.sum()
    if skyline[column] > (1 - VALLEY) * lower[column] or not LOBE <= share <= 1 - LOBE:
        return None
    return int(columns[0]) + column


def _join_parts(labels: np.ndarray, pieces: list[int]) -> list[list[int]]:
    """Labels grouped by person, the largest piece first: one's bun, tail, locks, or two curtains beside the face."""
    boxes = {}
    for label in pieces:
        rows, columns = np.flatnonzero((labels == label).any(axis=1)), np.flatnonzero((labels == label).any(axis=0))
        boxes[label] = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1, int((labels == label).sum()))
    groups: list[list[int]] = []
    for label in sorted(pieces, key=lambda label: -boxes[label][4]):
        home = next((group for group in groups if any(_same_person(boxes[label], boxes[at]) for at in group)), None)
        if home is None:
            groups.append([label])
        else:
            home.append(label)
    return groups


def _same_person(small: tuple, large: tuple) -> bool:
    """Whether a piece (top, bottom, left, right, area) goes with a larger one."""
    (top, bottom, left, right, area), (top2, bottom2, left2, right2, area2) = small, large
    height, width = min(bottom - top, bottom2 - top2), min(right - left, right2 - left2)
    down, across = max(top, top2) - min(bottom, bottom2), max(left, left2) - min(right, right2)  # gaps; < 0: overlaps
    gap = max(down, across) / max(bottom2 - top2, right2 - left2)
    bun = area < PART * area2 and gap <= NEAR
    lock = area < LOCK * area2 and gap <= FAR and top > (top2 + bottom2) / 2
    tail = gap <= NEAR and down > -0.3 * height and across < -0.4 * width
    tall = bottom - top > 1.2 * (right - left) and bottom2 - top2 > 1.2 * (right2 - left2)
    curtains = tall and down < -0.6 * height and 0 < across < height
    return bun or lock or tail or curtains


def _nearest(seeds: np.ndarray) -> np.ndarray:
    """Spread the numbers of `seeds` (0: nobody's) to the nearest cells."""
    if seeds.max() == 1:
        return np.ones_like(seeds)
    _, places = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number_at = np.zeros(places.max() + 1, seeds.dtype)
    number_at[places[seeds > 0]] = seeds[seeds > 0]
    return number_at[places]


def _rows(mask: np.ndarray, cells: np.ndarray, step: int) -> Head:
    """First and last row of a head known to within a cell, looked up in the mask to the pixel."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    across = slice(columns[0] * step, (columns[-1] + 1) * step)
    first, last = rows[0] * step, min((rows[-1] + 1) * step, len(mask))
    above, below = max(first - step, 0), max(last - 2 * step, 0)
    upper = np.flatnonzero((mask[above : first + step, across] >= HAIR).any(axis=1))
    lower = np.flatnonzero((mask[below : last + step, across] >= HAIR).any(axis=1))
    top = above + upper[0] if len(upper) else first
    bottom = below + lower[-1] + 1 if len(lower) else last
    return Head(int(top), int(max(bottom, top + 1)))


def _box(cells: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the grid with these cells."""
    left, top, width, height = cv2.boundingRect(np.uint8(cells))
    return slice(top, top + height), slice(left, left + width)


def _whose(faces: Sequence[Face], seeds: np.ndarray, count: int) -> list[Face | None]:
    """Each person's face: the largest one around which their hair is the most."""
    own: list[Face | None] = [None] * count
    rows, columns = np.nonzero(seeds)
    places, numbers = np.stack([columns, rows], 1), seeds[rows, columns]
    for face in faces:
        away = places - face.centre
        near = np.einsum("ni,ij,nj->n", away, np.linalg.inv(face.spread), away) < (2 * AROUND) ** 2
        counts = np.bincount(numbers[near], minlength=count + 1)[1:]
        person = int(counts.argmax())
        if counts[person] and own[person] is None:
            own[person] = face
    return own
