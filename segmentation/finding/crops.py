"""Where to look for hair: the whole picture, in parts where it is long or heads are small in it, then each head."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.networks.resize import INPUT_SIZE

LONGEST = 2.0  # long side / short side from which a picture is looked at in pieces: squashed heads are strange
PIECE = 1.4  # of a piece at most
TOUCHING = 2.5  # width / height of hair from which it is taken for several heads side by side
HAIR = 0.4  # probability from which a place is worth a closer look; a doubtful one is decided by that look
# The same where a search saw nothing else of a head: a sure part of what is doubtful as a whole, and what is faint.
SURELY, HARDLY = 0.8, 0.2
SPECK, LEAST = 0.005, 0.0002  # of the largest head's area, of the picture's: what is smaller is no head
GAP = 0.05  # of the smaller one's size: pieces of hair that are nearer belong to one head
NEAR_ENOUGH = 1.5  # times a head's own look: another head's look that holds it whole and is no larger serves it too
ROOM = 0.4  # of the hair's height or width that a closer look sees around it
CLOSER_BELOW = 0.7  # share of the picture under which a head is worth a closer look
NEARER = 0.6  # share of a look, up to which a head in it is looked at once more
FAR = 0.6  # share of the picture's side: hair below it makes a scene, in which smaller heads may be overlooked
OVERLAP, LONGER = 0.28, 1.55  # of the tiles of a search: share of their sides; long side / short side at most
OWN = 0.5  # of the size of a look that it lies in, from which a look is at the same head
MOST = 24  # closer looks, the largest heads first


class Part(NamedTuple):
    """A rectangle of a picture in pixels; bottom and right are the first ones outside."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array by."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> int:
        """The longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def scaled(self, down: float, across: float) -> "Part":
        """The same part of the picture at another resolution, so many times as fine."""
        return Part(*(round(side * scale) for side, scale in zip(self, (down, across) * 2)))


def pieces(part: Part, longest: float = LONGEST) -> list[Part]:
    """The part itself or, where it is longer than `longest` short sides, parts that cover it and overlap."""
    height, width = part.bottom - part.top, part.right - part.left
    short, long = min(height, width), max(height, width)
    if long < longest * short:
        return [part]
    extent = round(PIECE * short)
    count = int(np.ceil((long - 0.25 * extent) / (0.75 * extent)))
    starts = np.linspace(0, long - extent, count).round().astype(int)
    if width > height:
        return [part._replace(left=part.left + start, right=part.left + start + extent) for start in starts.tolist()]
    return [part._replace(top=part.top + start, bottom=part.top + start + extent) for start in starts.tolist()]


def is_far_away(probability: np.ndarray, height: int, width: int) -> bool:
    """Whether heads as large as the largest one, in a picture (height, width), are so small that others may have been
    overlooked, or nobody is seen, and nearer looks would show more."""
    sizes = [max(across, down) for _, _, across, down in boxes_of_hair(probability)]
    return max(sizes, default=0) < FAR * len(probability) and min(height, width) > INPUT_SIZE


def tiles(height: int, width: int, count: int) -> list[Part]:
    """Parts that cover a picture and overlap, `count` along its short side."""
    short = min(height, width)
    return [
        Part(top, left, top + down, left + across)
        for top, down in along(height, short, count)
        for left, across in along(width, short, count)
    ]


def along(length: int, short: int, count: int) -> list[tuple[int, int]]:
    """Start and extent of the tiles along a side of a picture, whose short side has `count`."""
    longest = LONGER * extent_of(short, count)
    while (extent := extent_of(length, count)) > longest:
        count += 1
    return [(round(start), round(extent)) for start in np.linspace(0, length - round(extent), count)]


def extent_of(length: int, count: int) -> float:
    """Of each of `count` tiles that cover a length and overlap."""
    return length / (count - OVERLAP * (count - 1))


def closer_looks(
    probability: np.ndarray,
    height: int,
    width: int,
    below: float = CLOSER_BELOW,
    least: float = HAIR,
    apart: bool = False,
) -> list[Part]:
    """The parts of a picture (height, width) that a closer look is due to, the largest first.

    Args:
        probability: of hair, (h, w) float32 in 0..1 over the whole picture, at any resolution.
        below: share of the picture up to which a look is closer than what was seen.
        least: probability from which it is hair.
        apart: take each piece of hair for a head, also where others are near.
    """
    scale = height / probability.shape[0], width / probability.shape[1]
    found = [in_pixels(box, scale) for box in boxes_of_hair(probability, least)]
    heads = found if apart else joined(found)
    looks: list[Part] = []
    for piece in sorted((piece for head in heads for piece in side_by_side(head)), key=lambda piece: -piece.size):
        look = square_around(piece, height, width)
        if look.area <= below * height * width and not any(serves(other, piece, look) for other in looks):
            looks.append(look)
    return sorted(looks, key=lambda look: -look.area)[:MOST]


def nearer_looks(part: Part, probability: np.ndarray) -> list[Part]:
    """The looks that are due to heads which a look at a part of a picture shows small: its probability of hair, (h, w)
    float32. None where one of them fills it."""
    looks = closer_looks(probability, part.bottom - part.top, part.right - part.left, below=1)
    if any(look.area > NEARER * part.area for look in looks):
        return []
    return [
        Part(part.top + look.top, part.left + look.left, part.top + look.bottom, part.left + look.right)
        for look in looks
    ]


def side_by_side(head: Part) -> list[Part]:
    """Hair so wide that it is taken for several heads, in as many parts."""
    return pieces(head, TOUCHING) if head.right - head.left > head.bottom - head.top else [head]


def serves(other: Part, head: Part, look: Part) -> bool:
    """Whether the look at another head shows this one as well as its own look would."""
    inside = other.top <= head.top and other.left <= head.left and other.bottom >= head.bottom
    return inside and other.right >= head.right and other.size <= NEAR_ENOUGH * look.size


def belongs(look: Part, other: Part) -> bool:
    """Whether a look in the middle of another is at a piece of the same head, since it is not much smaller."""
    return is_in(look, other) and look.size > OWN * other.size


def is_in(look: Part, other: Part) -> bool:
    """Whether the middle of a look lies in another."""
    down, across = (look.top + look.bottom) / 2, (look.left + look.right) / 2
    return other.top <= down < other.bottom and other.left <= across < other.right


def boxes_of_hair(probability: np.ndarray, least: float = HAIR) -> Iterator[np.ndarray]:
    """left, top, width, height of each piece of hair that is no speck, in cells."""
    hair = np.uint8(probability > least)
    left, top, width, height = cv2.boundingRect(hair)
    if width == 0:
        return iter(())
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        hair[top : top + height, left : left + width],
        ltype=cv2.CV_16U,  # twice as fast
    )  # fmt: skip
    stats = stats[1:] + (left, top, 0, 0, 0)  # the first is what is no hair
    areas = stats[:, cv2.CC_STAT_AREA]
    return iter(stats[areas >= max(SPECK * areas.max(initial=0), LEAST * probability.size)][:, :4])


def in_pixels(box: np.ndarray, scale: tuple[float, float]) -> Part:
    """Every pixel that a box of cells touches, so that it is never empty."""
    left, top, width, height = (int(value) for value in box)
    down, across = scale
    ends = np.ceil([(top + height) * down, (left + width) * across])
    return Part(int(top * down), int(left * across), *(int(end) for end in ends))


def joined(pieces_of_hair: Iterable[Part]) -> list[Part]:
    """Pieces of hair that lie near each other, as one: a face often parts hair."""
    heads: list[list[Part]] = []
    for one in pieces_of_hair:
        near = [head for head in heads if any(gap(one, other) <= GAP * min(one.size, other.size) for other in head)]
        heads = [head for head in heads if head not in near] + [[one, *(piece for head in near for piece in head)]]
    return [around(np.array(head)) for head in heads]


def around(parts: np.ndarray) -> Part:
    """The rectangle round parts (N, 4)."""
    return Part(*parts[:, :2].min(axis=0).tolist(), *parts[:, 2:].max(axis=0).tolist())


def gap(one: Part, other: Part) -> int:
    """Pixels between two parts, along the axis where they lie farther apart; 0 where they overlap."""
    return max(
        one.top - other.bottom, other.top - one.bottom, one.left - other.right, other.left - one.right, 0
    )  # fmt: skip


def square_around(head: Part, height: int, width: int, room: float = ROOM) -> Part:
    """A head with room around: a square, as portraits are, as far as the picture goes."""
    reach = (0.5 + room) * head.size
    down, across = (head.top + head.bottom) / 2, (head.left + head.right) / 2
    return Part(
        max(0, round(down - reach)),
        max(0, round(across - reach)),
        min(height, round(down + reach)),
        min(width, round(across + reach)),
    )
