"""People in a hair mask, and the height of each one's hair.

Each face that is seen has its hair around it; where the hair of several people touches, what is much nearer to one face
than to the others is this one's, as heads are wide and hair hangs, and from there it goes on to where the picture's
colours change (a watershed: Meyer, Color image segmentation, 1992). Hair without a face is one's whose shape it is.

Who is who is settled on a coarse grid (see grid.py); the topmost and lowest rows are read off the mask itself. Hair
that the picture's frame cuts off counts as far as it is seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair.faces import Face
from segmentation.networks.resize import HAIR

SPECK = 0.0006  # a piece below this share of the grid's area is no head of its own
MOST_PIECES = 40  # the largest ones; every other piece goes with the nearest of them
PART, NEAR = 0.3, 0.25  # a bun: below this share of a head's area, no farther than this (in head's sizes)
LOCK, FAR = 0.5, 0.55  # a lock on the shoulder: the same for pieces that begin in the lower half
# Of a face's half height: how near hair of its own is to its middle; how much farther hair may be that hangs; how near
# the middles of parts of one face are, and those of an ear, a neck or a hand, up to which size.
AROUND, HANGS, HALVES, BESIDE, EAR = 1.9, 1.6, 1.2, 2.5, 0.5
# Of a face's size: how far below another's middle a body's is. The share of what is above, in breadth, with hair: less
# above a body, more above a face.
BELOW, CROWNED = 0.8, (0.5, 0.8)
ABOVE = 0.7, 1.6  # what is above a face: half its breadth, its height
CROWN, SURELY = 0.8, 2.5  # how far above a face's middle that of its hair is; so many times nearer hair is surely one's
# Share of their hair's area that faces take together: below the first, what is smaller than a larger face by the second
# is a shoulder, a neck or an ear, if it is nearer to that than so many of its half heights, or much smaller. Below the
# last, all but the largest are.
LITTLE, SMALLER, BESIDE_LARGER, MUCH_SMALLER, LEAST_FACES = 0.3, 0.85, 2.2, 0.5, 0.1
LEAST_HAIR = 0.1  # of a face's area, that somebody with hair has around it
BIT = 0.1  # of the largest piece of a person's hair: what is smaller is nobody's
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


def find_people(
    mask: np.ndarray, cells: np.ndarray, step: int, faces: Sequence[Face] = (), colours: np.ndarray | None = None
) -> People:
    """The people in a soft mask (h, w) uint8 whose means over the grid's cells are `cells`; none without hair.

    Args:
        mask: share of hair x 255.
        cells: (rows, columns) uint8.
        step: pixels a cell.
        faces: those that are seen, the largest first.
        colours: (rows, columns, 3) uint8, of the picture; without them hair goes to the nearest face.
    """
    if not (mask >= HAIR).any():
        return People([], np.zeros(cells.shape, np.intp), [], [])
    hair = (cells >= min(HAIR, cells.max())).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hair, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = 1 + np.argsort(-areas, kind="stable")[:MOST_PIECES]
    pieces = [label for label in largest if areas[label - 1] >= SPECK * hair.size] or [largest[0]]
    faces = _without_other_skin(_one_each(_without_bodies(faces, hair), hair), labels, areas)
    groups, known, count = _around_faces(labels, pieces, faces, count, colours)
    left = np.bincount(labels.ravel(), minlength=count)
    rest = [label for label in pieces if left[label] >= (SPECK * hair.size if groups else 1)]
    rest, count = _cut_touching(labels, rest, count)
    groups = _join_parts(labels, rest, groups)
    number_of = np.zeros(count, np.intp)
    for number, group in enumerate(groups, 1):
        number_of[group] = number
    seeds = number_of[labels]
    own = [seeds == number for number in range(1, len(groups) + 1)]
    heads = [_rows(mask, cells, step) for cells in own]
    known += [None] * (len(groups) - len(known))
    return People(heads, _nearest(seeds) - 1, [_box(cells) for cells in own], known)


def _without_bodies(faces: Sequence[Face], hair: np.ndarray) -> list[Face]:
    """The faces without shoulders, arms and dresses below one, larger than it or nearly so; `hair` (rows, columns)
    uint8."""
    return [face for face in faces if not any(_is_body(face, other, hair) for other in faces)]


def _is_body(low: Face, face: Face, hair: np.ndarray) -> bool:
    """Whether what was taken for a face lies below one that has hair above it, and has itself hardly any there."""
    x, y = low.centre - face.centre
    size = max(low.size, face.size)
    if y < BELOW * min(low.size, face.size) or np.hypot(x, y) > BESIDE * size or face.size < EAR * low.size:
        return False
    return _crowned(face, hair) > CROWNED[1] and _crowned(low, hair) < CROWNED[0]


def _crowned(face: Face, hair: np.ndarray) -> float:
    """The share of the columns above a face's middle that have hair."""
    (x, y), size = face.centre, face.size
    left, right, top, bottom = x - ABOVE[0] * size, x + ABOVE[0] * size + 1, y - ABOVE[1] * size, y
    above = hair[max(int(top), 0) : max(int(bottom), 1), max(int(left), 0) : max(int(right), 1)]
    return float(above.any(axis=0).mean()) if above.size else 0.0


def _one_each(faces: Sequence[Face], hair: np.ndarray) -> list[Face]:
    """The faces (largest first) without parts of the same face, which hair or a hand parts, and without ears and necks
    beside; `hair` (rows, columns) uint8."""
    found: list[Face] = []
    for face in faces:
        if not any(_same_face(face, other, hair) for other in found):
            found.append(face)
    return found


def _same_face(small: Face, large: Face, hair: np.ndarray) -> bool:
    size, away = max(small.size, large.size), small.centre - large.centre
    distance = float(np.hypot(*away))
    if distance < HALVES * size or (distance < BESIDE * size and small.size < EAR * large.size):
        return True
    if distance > BESIDE * size or abs(away[0]) > abs(away[1]) / 2:
        return False
    between = np.rint(large.centre + np.linspace(0, 1, 16)[:, None] * away).astype(int)  # one below the other
    x, y = (np.clip(values, 0, side - 1) for values, side in zip(between.T, hair.shape[::-1]))
    return not hair[y, x].any()


def _without_other_skin(faces: list[Face], labels: np.ndarray, areas: np.ndarray) -> list[Face]:
    """The faces without shoulders, necks and ears that were taken for some: of hair and face, the face is not a small
    part. `labels` (rows, columns) int: pieces of hair, from 1 on; `areas` (n,): theirs."""
    if len(faces) < 2:
        return faces
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns] - 1
    faces_of: dict[int, list[Face]] = {}  # by the piece of hair that is around them
    for face in sorted(faces, key=lambda face: -face.size):
        around = own[_from_face(face, columns, rows) < AROUND]
        faces_of.setdefault(int(np.bincount(around, minlength=len(areas)).argmax()), []).append(face)
    found: list[Face] = []
    for piece, there in faces_of.items():
        share = sum(face.area for face in there) / areas[piece]
        kept: list[Face] = []
        for face in there:
            if not any(_is_other_skin(face, larger, share) for larger in kept):
                kept.append(face)
        found += kept
    return found


def _is_other_skin(small: Face, large: Face, share: float) -> bool:
    """Whether what was taken for a face is other skin beside a larger face. `share`: of the area of their hair, that of
    all that was taken for faces around it."""
    if share < LEAST_FACES:
        return True
    if share >= LITTLE or small.size >= SMALLER * large.size:
        return False
    near = np.hypot(*(small.centre - large.centre)) < BESIDE_LARGER * large.size
    return bool(near) or small.size < MUCH_SMALLER * large.size


def _around_faces(
    labels: np.ndarray, pieces: list[int], faces: list[Face], count: int, colours: np.ndarray | None
) -> tuple[list[list[int]], list[Face | None], int]:
    """Share out the hair of the pieces among the faces that it is around, in place -> the labels of each face's hair,
    those faces, new label count. Pieces around no face are left out, and so are faces without hair."""
    is_piece = np.zeros(count, bool)
    is_piece[pieces] = True
    rows, columns = np.nonzero(is_piece[labels])
    own = labels[rows, columns]
    away = np.full((len(faces), len(own)), np.inf, np.float32)
    for number, face in enumerate(faces):
        touched = np.zeros(count, bool)
        near = np.bincount(own[_from_face(face, columns, rows) < AROUND], minlength=count)
        touched[near >= LEAST_HAIR * face.area] = True
        away[number] = np.where(touched[own], _from_face(face, columns, rows, CROWN), np.inf)
    nearest = np.where(np.isfinite(away).any(axis=0), away.argmin(axis=0), -1) if faces else np.full(len(own), -1)
    if len(faces) > 1 and colours is not None:
        nearest = _by_colours(nearest, away, (rows, columns), colours)
    groups: list[list[int]] = []
    known: list[Face | None] = []
    for number, face in enumerate(faces):
        mine = nearest == number
        if np.count_nonzero(mine) < LEAST_HAIR * face.area:
            continue
        part = np.zeros(labels.shape, np.uint8)
        part[rows[mine], columns[mine]] = 1
        labels[part > 0] = 0
        labels[_without_bits(part)] = count
        groups.append([count])
        known.append(face)
        count += 1
    return groups, known, count


def _by_colours(
    nearest: np.ndarray, away: np.ndarray, places: tuple[np.ndarray, np.ndarray], colours: np.ndarray
) -> np.ndarray:
    """Whose hair is whose, where several may have it, by the colours: (n,) int, a number of a face, -1: nobody's.

    Args:
        nearest: (n,) int, the face that each place is nearest to, -1: to none.
        away: (faces, n) float32, how far from each; inf: not its hair.
        places: rows and columns of the places, (n,) int each.
        colours: (rows, columns, 3) uint8.
    """
    first, second = np.sort(away, axis=0)[:2]
    markers = np.ones(colours.shape[:2], np.int32)  # what is no hair
    markers[places] = np.where(second > SURELY * first, nearest + 2, 0)
    found = np.maximum(cv2.watershed(colours, markers) - 1, 0).astype(np.float32)  # from 1 on; 0: no hair, and borders
    own = np.where(found > 0, found, cv2.dilate(found, np.ones((3, 3), np.uint8)))[places].astype(int) - 1
    return np.where(own >= 0, own, nearest)


def _from_face(face: Face, x: np.ndarray, y: np.ndarray, above: float = 0.0) -> np.ndarray:
    """How far places are from so far above a face's middle, of its half height: hair lies around it, and hangs below
    it."""
    x = (x - face.centre[0]).astype(np.float32)
    y = (y - face.centre[1]).astype(np.float32) + np.float32(above * face.size)
    return np.hypot(x, np.where(y < 0, y, y / HANGS)) / np.float32(face.size)


def _without_bits(part: np.ndarray) -> np.ndarray:
    """The pieces of a part (rows, columns) uint8 that are not much smaller than the largest one: bool."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= BIT * areas.max())[labels]


def _cut_touching(labels: np.ndarray, pieces: list[int], count: int) -> tuple[list[int], int]:
    """Give the right one of two heads that touch a label of its own (in place) -> all labels, new label count."""
    done: list[int] = []
    todo = list(pieces)
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


def _join_parts(labels: np.ndarray, pieces: list[int], groups: list[list[int]]) -> list[list[int]]:
    """Labels grouped by person, those who are known first, then the largest piece first: one's bun, tail, locks, or two
    curtains beside the face."""
    boxes = {}
    for label in [*pieces, *(label for group in groups for label in group)]:
        rows, columns = np.flatnonzero((labels == label).any(axis=1)), np.flatnonzero((labels == label).any(axis=0))
        boxes[label] = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1, int((labels == label).sum()))
    groups = [list(group) for group in groups]
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
    left, top, width, height = cv2.boundingRect(cells.astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)
