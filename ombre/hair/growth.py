"""How far along the hair each place lies: 0 where it grows from the scalp, 1 where it ends.

Hair grows from the skull, a disc that lies in the upper end of the hair and the face, whether it is seen there or a hat
is. Over the skull it is as far along as it lies below the skull's top; from there on it is as much farther as the
shortest way through the hair is long. So straight hair that hangs is as far along as its row says, and hair that leaves
the head aside or upwards is so along its own way. What a way of full length is, is told by the hair's ends: hair that
hangs is as long as the longest of it, and hair that has left its hanging way is as long as it is there.

Hair that ends above the chin hardly hangs: it is the farther along, the farther it is from the face and the ears.

Everything is worked out head by head, on a grid of CELLS cells.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair.faces import Face, mean_up
from ombre.hair.people import People

CELLS = 48  # on the longer side of a head's hair
ROOM = 2  # cells of the hair's grid around a head's hair that are worked out with it
MOSTLY = 0.5  # share of hair from which a cell is hair
DETOUR = 2.0  # a way that leads past hair is so many times longer, and one
DIAGONAL = 1.37  # of a diagonal step: ways in all directions are measured alike to within 4 %
FAR = 1e6  # cells: longer than any way
STEPS_AT_A_TIME = 8  # before it is seen whether ways still get shorter
WISPS = 99.6  # percentile of the ways of a head's hair which is its length
WITHIN = 1.15  # of a face's half extents: so far out the skull may reach where no hair is seen
# The skull's radius: of the disc that fits into hair seen without a face; of half the face's height, at least, and at
# most of faces that are seen from aside and from before (narrow, broad: half their breadth, of half their height).
UNSEEN, LEAST, NARROW, BROAD = 0.85, 0.65, (0.4, 2.0), (0.65, 1.25)
DOUBTED = 1.9  # of half the face's height: a fitting disc of a larger radius shows that only a part of the face is seen
SINKING = 0.4  # how much of a disc's size it must win to lie a row lower
BEHIND = (1.0, 0.6)  # how far the skull's middle is at most from a narrow and a broad face's, of the skull's radius
AHEAD = 2.5  # cells: hair whose way leads out of the hair within these ends there
OUT, HANGING = 0.6, 0.8  # how much of what is ahead is no hair; cosine of the angle to straight down
ASIDE = (0.25, 0.3)  # of the skull's radius: a way longer by this than straight down leaves; has left altogether
BESIDE = 1.5  # of a face's half extents: how near its middle hair beside it begins
APART = 2  # cells: pieces that are twice this apart, or less, are one
SHORTEST = 0.35  # of the hair's length: no nearer than this to the skull's top are ends
HANGING_LENGTH, LEFT_LENGTH = 0.95, 0.55  # of the hair's length: the length of hair that hangs, has left; at least
# Of half the face's height: hair is short that hangs so far below the face's middle and is so long; at the second, no
# longer.
SHORT_HANGING, SHORT_LENGTH = (0.2, 0.5), (1.3, 1.8)
DIRECTIONS = 32  # around a face, in each of which short hair ends somewhere
# Of the longest short hair: where it ends at least, above the face; all of it where the face's middle is less than so
# many half heights below.
LEAST_SHORT, LONGER_BELOW = 0.4, 0.5
EARS = 0.3  # of half the face's height above its middle, where short hair is fully counted

CROSS, SQUARE = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.ones((3, 3), np.uint8)


class _Head(NamedTuple):
    """A head on a grid of its own. `hair` (rows, columns) float32, shares; x and `y` (rows, columns) of the cells; the
    unit vector `up`; `down` (rows, columns): how far below the first cell's row, as the head is held; `face`."""

    hair: np.ndarray
    x: np.ndarray
    y: np.ndarray
    up: np.ndarray
    down: np.ndarray
    face: Face | None

    def below(self, point: np.ndarray) -> float:
        """`down` of a point (x, y)."""
        return -float(self.up @ point)


def along_hair(cells: np.ndarray, people: People, up: np.ndarray | None) -> np.ndarray:
    """How far along its person's hair each cell lies: (rows, columns) float32, from 0, about 1 at the ends.

    Args:
        cells: (rows, columns) uint8, share of hair x 255, on the hair's grid.
        people: whose hair it is.
        up: (rows, columns, 2) float32, as in `faces.which_way_up`.
    """
    growth = np.zeros(cells.shape, np.float32)
    for person, (box, face) in enumerate(zip(people.boxes, people.faces)):
        own = people.labels == person
        place = tuple(
            slice(max(side.start - ROOM, 0), min(side.stop + ROOM, length)) for side, length in zip(box, cells.shape)
        )
        hair = cells[place].astype(np.float32) * own[place] / 255
        found = _of_head(hair, mean_up(None if up is None else up[place], hair), _moved(face, place))
        rows, columns = place
        around = rows.start, cells.shape[0] - rows.stop, columns.start, cells.shape[1] - columns.stop
        if len(people.boxes) == 1:
            return cv2.copyMakeBorder(found, *around, cv2.BORDER_REPLICATE)
        np.copyto(growth, cv2.copyMakeBorder(found, *around, cv2.BORDER_REPLICATE), where=own)
    return cv2.GaussianBlur(growth, (0, 0), 1.5)


def _moved(face: Face | None, place: tuple[slice, ...]) -> Face | None:
    """A face in cells counted from a place of the grid."""
    return face and face._replace(centre=face.centre - (place[1].start, place[0].start))


def _of_head(hair: np.ndarray, up: np.ndarray, face: Face | None) -> np.ndarray:
    """The same of one head: its hair (rows, columns) float32, the face in the same cells."""
    size = max(hair.shape)
    scale = min(CELLS / size, 1)
    height, width = (max(1, round(side * scale)) for side in hair.shape)
    small = cv2.resize(hair, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else hair
    if not (small > MOSTLY).any():
        small = small * (1.01 * MOSTLY / max(float(small.max()), 1e-6))
    if face:
        face = Face((face.centre + 0.5) * scale - 0.5, face.spread * scale**2)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    head = _Head(small, x, y, up, np.float32(-up[0]) * x + np.float32(-up[1]) * y, face)
    if face and _fitting(head, face) > DOUBTED * face.half(up):
        head = head._replace(face=None)
    growth = _long_and_short(head)
    return cv2.resize(growth, hair.shape[::-1], interpolation=cv2.INTER_CUBIC) if scale < 1 else growth


def _long_and_short(head: _Head) -> np.ndarray:
    """How far along each cell is, where hair is long, short, or between."""
    centre, radius = _skull(head)
    is_hair = head.hair > MOSTLY
    skull = (head.x - centre[0]) ** 2 + (head.y - centre[1]) ** 2 <= radius**2
    over = is_hair & skull
    start = skull if over.any() else is_hair
    top = float(head.down[is_hair & start].min())
    cost = 1 + DETOUR * (1 - head.hair)
    way = _shortest(np.where(start, np.maximum(head.down - top, 0), FAR), cost)
    whole = _about_the_head(head, is_hair, over)
    length = float(np.percentile(way[whole], WISPS)) + 1e-3
    aside = way - (head.down - top)
    long = _mean(way, head.hair, 3) / _lengths(head, way, aside / radius, length, cost)
    if head.face is None:
        return long
    tall = head.face.half(head.up)
    hanging = (float(np.percentile(head.down[whole], 99)) - head.below(head.face.centre)) / tall
    share = max(_rising(hanging, *SHORT_HANGING), _rising(length / tall, *SHORT_LENGTH))
    return long if share == 1 else share * long + (1 - share) * _short(head, head.face, is_hair)


def _about_the_head(head: _Head, is_hair: np.ndarray, over: np.ndarray) -> np.ndarray:
    """The hair in pieces that come near the skull, `over`, or the face: all (rows, columns) bool. What lies apart, as
    the edge of a sleeve that was taken for hair, says nothing of how long hair is."""
    if head.face is None:
        return is_hair
    near = over | (is_hair & (_from_face(head, head.face) < BESIDE))
    if not near.any():
        return is_hair
    joined = cv2.dilate(is_hair.astype(np.uint8), np.ones((2 * APART + 1, 2 * APART + 1), np.uint8))
    _, labels = cv2.connectedComponents(joined)
    return is_hair & np.isin(labels, labels[near])


def _rising(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on, smooth between."""
    share = min(max((value - start) / (end - start), 0), 1)
    return share * share * (3 - 2 * share)


def _skull(head: _Head) -> tuple[np.ndarray, float]:
    """Centre (x, y) and radius of the disc that the hair grows on."""
    is_hair = head.hair > MOSTLY
    if head.face is None:
        solid = np.zeros(is_hair.shape, np.uint8)
        cv2.fillConvexPoly(solid, cv2.convexHull(cv2.findNonZero(is_hair.astype(np.uint8))), 1)  # a face parts the hair
        centre, radius = _disc(head, solid)
        return centre, UNSEEN * radius
    tall, wide = _extents(head.face, head.up)
    fitting = _fitting(head, head.face)
    shape = wide / tall
    most = np.interp(shape, (NARROW[0], BROAD[0]), (NARROW[1], BROAD[1]))
    radius = min(max(fitting, LEAST * tall), most * tall)
    middle = head.face.centre
    distance = np.hypot(head.x - np.float32(middle[0]), head.y - np.float32(middle[1]))
    near = head.hair * ((distance < 2 * radius) & (head.down - head.below(middle) < 0.2 * tall))
    total = float(near.sum())
    if total == 0:
        return middle + 0.5 * radius * head.up, radius
    away = np.array([(near * head.x).sum(), (near * head.y).sum()], np.float64) / total - middle
    most = np.interp(shape, (NARROW[0], BROAD[0]), BEHIND) * radius
    return middle + away * min(1, most / max(float(np.hypot(*away)), 1e-6)), radius


def _fitting(head: _Head, face: Face) -> float:
    """Radius of a large disc in hair and face together, at their upper end."""
    return _disc(head, ((head.hair > MOSTLY) | (_from_face(head, face) < WITHIN)).astype(np.uint8))[1]


def _disc(head: _Head, solid: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of a large disc in what is solid (rows, columns) uint8, at its upper end."""
    inside = cv2.distanceTransform(cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    top = np.percentile(head.down[solid > 0], 1)
    row, column = divmod(int(np.where(solid > 0, inside - SINKING * (head.down - top), -FAR).argmax()), solid.shape[1])
    return np.array([column, row], np.float64), float(inside[row, column])


def _extents(face: Face, up: np.ndarray) -> tuple[float, float]:
    """Half a face's height and half its breadth, by the unit vector towards the head's top."""
    return face.half(up), face.half(np.array([-up[1], up[0]]))


def _from_face(head: _Head, face: Face) -> np.ndarray:
    """How far from the face's middle cells are: (rows, columns) float32, 1 at its edge."""
    tall, wide = _extents(face, head.up)
    x, y = head.x - np.float32(face.centre[0]), head.y - np.float32(face.centre[1])
    up = head.up.astype(np.float32)
    return np.hypot((up[0] * x + up[1] * y) / np.float32(tall), (up[0] * y - up[1] * x) / np.float32(wide))


def _shortest(start: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Length of the shortest way to each cell: (rows, columns) float32. `start`: where a way begins, how long it is
    already, else FAR; `costs`: of a step into a cell."""
    way, cost, diagonal = (values.astype(np.float32) for values in (start, costs, DIAGONAL * costs))
    step, before = np.empty_like(way), -1.0
    while (total := float(cv2.sumElems(way)[0])) != before:
        before = total
        for _ in range(STEPS_AT_A_TIME):
            for element, price in ((CROSS, cost), (SQUARE, diagonal)):
                cv2.min(way, cv2.add(cv2.erode(way, element, step), price, step), way)
    return way


def _mean(values: np.ndarray, hair: np.ndarray, size: int) -> np.ndarray:
    """Means of what hair has around, (rows, columns) float32; twice, so nearly a Gaussian's."""
    weight, window = hair + np.float32(1e-3), (size, size)

    def blurred(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(cv2.blur(plane, window), window)

    return blurred(values * weight) / blurred(weight)


def _lengths(head: _Head, way: np.ndarray, aside: np.ndarray, length: float, cost: np.ndarray) -> np.ndarray:
    """How long the hair at each cell is altogether.

    Args:
        way: from the skull's top, in cells.
        aside: by how much that is more than straight down, of the skull's radius.
        length: of the longest hair.
        cost: of a step into a cell.
    """
    smooth = _mean(way, head.hair, 5)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    scale = 1 / (cv2.magnitude(across, down) + np.float32(1e-6))
    across, down = across * scale, down * scale
    solid = head.hair
    if head.face is not None:
        solid = np.maximum(solid, (_from_face(head, head.face) < 1).astype(np.float32))
    ahead = cv2.remap(
        solid, head.x + AHEAD * across, head.y + AHEAD * down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    hangs = -(np.float32(head.up[0]) * across + np.float32(head.up[1]) * down) > HANGING
    leaves = (head.hair > MOSTLY) & (1 - ahead > OUT) & (hangs | (aside > ASIDE[0])) & (way > SHORTEST * length)
    to_end = _shortest(np.where(leaves, 0, FAR), cost)
    left = np.clip(aside / ASIDE[1], 0, 1)
    least = length * (HANGING_LENGTH + (LEFT_LENGTH - HANGING_LENGTH) * left)
    return _mean(np.clip(way + to_end, least, length).astype(np.float32), head.hair, 5)


def _short(head: _Head, face: Face, is_hair: np.ndarray) -> np.ndarray:
    """How far along short hair is: away from the face to where it ends on that side of it, from the ears upwards."""
    tall, _ = _extents(face, head.up)
    above = (head.below(face.centre) - head.down) / np.float32(tall)
    upwards = np.clip(above + EARS, 0, 1)
    away = _mean(np.maximum(_from_face(head, face) - 1, 0).astype(np.float32), head.hair, 3)
    longest = max(float(np.percentile((away * upwards)[is_hair], 95)), 1e-3)
    on_top = np.clip((above - LONGER_BELOW) / (1 - LONGER_BELOW), 0, 1)
    least = longest * (1 - (1 - LEAST_SHORT) * on_top)
    return upwards * away / np.clip(_ends_around(head, face, away, is_hair), least, longest)


def _ends_around(head: _Head, face: Face, away: np.ndarray, is_hair: np.ndarray) -> np.ndarray:
    """How far `away` (rows, columns) from the face hair ends, in the direction in which each cell lies from its middle:
    (rows, columns) float32."""
    x, y = head.x - np.float32(face.centre[0]), head.y - np.float32(face.centre[1])
    way = cv2.phase(x, y) * np.float32(DIRECTIONS / (2 * np.pi))
    farthest: np.ndarray = np.zeros(DIRECTIONS, np.float32)
    np.maximum.at(farthest, way[is_hair].astype(int) % DIRECTIONS, away[is_hair])
    around = np.tile(farthest, 3)[None]
    around = cv2.GaussianBlur(cv2.dilate(around, np.ones((1, 3))), (0, 0), 1.5)[0, DIRECTIONS : 2 * DIRECTIONS + 1]
    return np.interp(way - 0.5, np.arange(-1, DIRECTIONS + 1), np.r_[around[-2], around]).astype(np.float32)
