"""Heads in a picture: which crops show one from near enough, by which pass each was found, and what it shows.

A picture is seen whole first. Where a head fills it, that is all. Else the scout searches it for small heads, and each
place that it may have seen one gets a crop, until the crops show their heads large.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.box import Part, is_in
from segmentation.finding.crops import (
    CANDIDATE,
    MOST,
    ROOM,
    crops_of,
    extent_of,
    is_far_away,
    is_of_crowd,
    nearer_crops,
    pieces,
    tiles,
)
from segmentation.finding.engines import Engine
from segmentation.finding.persons import Persons
from segmentation.finding.predictor import Prediction, Predictor

FINE = 896  # cells on a side of what a search finds
THINNEST = 8  # pixels: a picture's or a crop's shorter side that can show a head
LOOKS = 2 * MOST  # at one picture: a crowd's heads are seen in two steps
OWN, SEEN = 0.5, 0.35  # of a crop's size, from which a place in it is of the same head; where the crop holds it whole
FAINT = 0.2  # probability down to which hair reaches around a place where nothing else of a head was seen
LEAST_NEARER = 32  # pixels: what a crop shows smaller than that is not looked at from nearer
WIDER, LOWER = 2.2, 0.3  # of its size: how wide a second crop of a place is, and how much lower its middle
NOBODY, SOMEBODY = 0.2, 0.4  # certainty of a person up to which nobody is there, from which somebody is
MORE = 0.12  # so much more surely is a head to be seen where nobody is: animals' fur is taken for hair with certainty
NEAR = 0.2, 0.4  # of the picture's longer side: crops up to which that does not hold, since the detector overlooks such
LESS = 0.08  # so much less surely is a head to be seen where somebody is, if it is small: all is blurred there
SMALL, LARGE = 40, 100  # pixels, a crop that is small, and one that is not
CROWD, FEW = 0.12, 3  # heads of a search below this share of the shorter side, so many at least, make it a crowd's
LARGE_ENOUGH = 0.2  # of the shorter side, crops from which the first looks tell well where a head is
CLOSE = 0.4  # of the shorter side, a head's crop: behind somebody so near the detector sees whether there is a crowd
TILES, LEAST_TILE = 3, 100  # along the shorter side, in which a crowd is searched again; of so many pixels at least


class Reason(Enum):
    """Why a crop was taken."""

    WHOLE = "the whole picture"
    PIECE = "a piece of a long picture"
    CLOSER = "a head that the whole picture shows small"
    SCOUT = "a place where the scout sees a head"
    PERSON = "where a person's head may be"
    WIDER = "more around a place where the scout sees a head"
    FAINT = "a place around which the scout sees hair faintly"
    NEARER = "a head that another crop shows small"


class Crop(NamedTuple):
    """A crop that shows hair: where, why it was taken, and what the student sees in it."""

    part: Part
    reason: Reason
    seen: Prediction


class Looks:
    """The student's looks at one picture, at LOOKS crops at most, however many heads there may be.

    Args:
        student: tells hair in a crop.
        rgb: the picture, (H, W, 3) uint8.
        persons: the people in it; None without a detector.
    """

    def __init__(self, student: Predictor, rgb: np.ndarray, persons: Persons | None):
        self.student, self.rgb, self.persons = student, rgb, persons
        self.left = LOOKS

    def at(self, parts: Iterable[Part], reason: Reason) -> list[Crop]:
        """What the student sees in parts of the picture, but for those that are too thin to show a head."""
        parts = [part for part in parts if min(part.height, part.width) >= THINNEST][: self.left]
        self.left -= len(parts)
        seen = self.student.upright([self.rgb[part.slices] for part in parts])
        return [Crop(part, reason, each) for part, each in zip(parts, seen)]


class HeadSearch:
    """Finds the crops of a picture that its mask is made of.

    Args:
        student: tells hair in a crop.
        scout: tells coarsely where hair may be in a whole scene; None: the student does, in tiles.
        sure: mean probability of what a crop takes for hair, from which it shows a head: most other things are taken
            for it with more doubt. It belongs to a student, which was measured; of others every crop counts.
        detector: what finds people; None: nobody is asked.
    """

    def __init__(self, student: Predictor, scout: Predictor | None, sure: float = 0.0, detector: Engine | None = None):
        self.student, self.scout, self.sure, self.detector = student, scout, sure, detector

    def __call__(self, rgb: np.ndarray) -> list[Crop]:
        """A picture (H, W, 3) uint8 -> its crops, in the order in which they are laid over each other."""
        height, width = rgb.shape[:2]
        if min(height, width) < THINNEST:
            return []
        looks, first = self.begin(rgb)
        whole = first[0]
        if whole.reason is Reason.PIECE or is_far_away(whole.seen.hair):
            return self.in_scene(looks, first)
        closer = looks.at(crops_of(whole.seen.hair, height, width), Reason.CLOSER)
        shown = [crop for crop in (whole, *closer) if self.shows_head(crop, looks.persons)]
        # A crowd may look like hair all over, and behind a head that does not fill the picture may be others.
        if (closer or not shown) and looks.persons and without(shown, looks.persons.heads(CLOSE)):
            return self.in_scene(looks, first if shown else [])
        return shown

    def begin(self, rgb: np.ndarray) -> tuple[Looks, list[Crop]]:
        """The looks at a picture, and what the first ones see: at all of it, or at its pieces."""
        looks = Looks(self.student, rgb, self.persons(rgb))
        windows = pieces(Part(0, 0, *rgb.shape[:2]))
        return looks, looks.at(windows[:MOST], Reason.WHOLE if len(windows) == 1 else Reason.PIECE)

    def in_turned_scene(self, looks: Looks) -> list[Crop]:
        """The crops of the heads in a picture that lies on its side or upside down, found in it as it should stand.
        None where the detector does not say that it lies, or its heads do not stand then."""
        quarters = looks.persons.quarters() if looks.persons else 0
        if not quarters:
            return []
        upright = np.ascontiguousarray(np.rot90(looks.rgb, quarters))
        crops = self.in_scene(*self.begin(upright), turned=True)
        if 2 * sum(crop.seen.quarters() == 0 for crop in crops) <= len(crops):
            return []
        return [
            Crop(part.turned(-quarters, *upright.shape[:2]), reason, seen.turned(-quarters))
            for part, reason, seen in crops
        ]

    def persons(self, rgb: np.ndarray) -> Persons | None:
        """The people in a picture, not looked for yet; None without a detector."""
        return Persons(self.detector, rgb) if self.detector else None

    def in_scene(self, looks: Looks, first: list[Crop], turned: bool = False) -> list[Crop]:
        """The crops of the heads in a picture in which they are small, of which some are seen in the `first` crops.
        Where none of these stands the picture may lie, unless it is `turned` already."""
        height, width = looks.rgb.shape[:2]
        heads: list[Crop] = []

        def look(places: Iterable[Part], reason: Reason) -> None:
            heads.extend(self.heads(looks, looks.at(without(heads, places), reason)))

        closer = crops_of(in_cells(first, height, width), height, width, below=1)
        look([part for part in closer if part.size > LARGE_ENOUGH * min(height, width)], Reason.CLOSER)
        stands = turned or any(head.seen.stands() for head in heads)
        if not stands and (upright := self.in_turned_scene(looks)):
            return upright
        found = self.search(looks.rgb, may_be_crowd(heads, looks))
        places = crops_of(found, height, width, below=1, crowded=True)
        look(places, Reason.SCOUT)
        look(looks.persons.heads() if looks.persons else [], Reason.PERSON)
        # Small heads in a blur are told by the body below them.
        look([wider(part, height, width) for part in without(heads, places)], Reason.WIDER)
        faint = crops_of(found, height, width, below=1, least=FAINT, crowded=True)
        look([part for part in faint if most_in(found, part, height, width) > CANDIDATE], Reason.FAINT)
        return sorted(heads, key=lambda head: -head.part.area)

    def search(self, rgb: np.ndarray, crowded: bool = True) -> np.ndarray:
        """A picture (H, W, 3) uint8 -> probability of hair (FINE, FINE) float32, coarse, in which small heads are to be
        seen; a crowd's, if it may be `crowded`, is searched again from nearer."""
        height, width = rgb.shape[:2]
        searcher = self.scout or self.student
        found = self.tiled(rgb, searcher, 1 if self.scout else 2)
        heads = crops_of(found, height, width, below=1, least=FAINT)
        small = [head for head in heads if head.size < CROWD * min(height, width)]
        crowd = crowded and (len(small) >= FEW or is_of_crowd(found, height, width, FAINT))
        if crowd and extent_of(min(height, width), TILES) >= LEAST_TILE:
            found = cv2.max(found, self.tiled(rgb, searcher, TILES))
        return found

    def tiled(self, rgb: np.ndarray, searcher: Predictor, count: int) -> np.ndarray:
        """Probability of hair (FINE, FINE) float32 by tiles, `count` along the shorter side; where they overlap, the
        most that one of them sees."""
        height, width = rgb.shape[:2]
        parts = tiles(height, width, count)
        seen = searcher.batch([rgb[part.slices] for part in parts])
        return in_cells([Crop(part, Reason.SCOUT, each) for part, each in zip(parts, seen)], height, width)

    def heads(self, looks: Looks, todo: list[Crop]) -> list[Crop]:
        """Those crops of a picture that show a head, and nearer ones of heads that they show small."""
        shown: list[Crop] = []
        while todo:
            shown += [crop for crop in todo if self.shows_head(crop, looks.persons)]
            nearer = [part for crop in todo for part in nearer_crops(crop.part, crop.seen.hair)]
            todo = looks.at([part for part in nearer if part.size >= LEAST_NEARER], Reason.NEARER)
        return shown

    def shows_head(self, crop: Crop, persons: Persons | None) -> bool:
        """Whether what a crop shows is the hair of a head. Where the student is neither sure nor much in doubt, it
        depends on whether a person is there."""
        if not self.sure or persons is None:
            return crop.seen.sure >= max(self.sure, 0.5)
        beyond, size = crop.seen.sure - self.sure, crop.part.size
        if not -LESS <= beyond < MORE:  # as most crops: who is there changes nothing
            return beyond > 0
        more = 0 if crop.seen.has_face() else np.interp(size / max(persons.rgb.shape), NEAR, (0, MORE))
        less = np.interp(size, (SMALL, LARGE), (LESS, 0))
        if not -less <= beyond < more:
            return beyond > 0
        person = persons.certainty(crop.part, crop.seen)
        return beyond >= float(np.interp(person, (NOBODY, SOMEBODY), (more, -less)))


def may_be_crowd(heads: Iterable[Crop], looks: Looks) -> bool:
    """Whether there may be a crowd where these heads were seen by the first looks: behind somebody who is near, people
    are as large as the detector sees them, if the picture is upright."""
    near = any(head.part.size > CLOSE * min(looks.rgb.shape[:2]) and not head.seen.quarters() for head in heads)
    return not near or looks.persons is None or bool(looks.persons.heads())


def is_same(place: Part, crop: Part) -> bool:
    """Whether a head's crop shows what a place for a crop would: the middle of one lies in the other, which is not much
    larger, or the crop holds all of the place's head, large enough to be seen."""
    if (is_in(place, crop) and place.size > OWN * crop.size) or (is_in(crop, place) and crop.size > OWN * place.size):
        return True
    head = place.grown(-round(ROOM / (1 + 2 * ROOM) * place.size))
    return crop.holds(head) and place.size > SEEN * crop.size


def without(heads: Iterable[Crop], places: Iterable[Part]) -> list[Part]:
    """Those places of which no crop shows the head."""
    return [part for part in places if not any(is_same(part, head.part) for head in heads)]


def wider(part: Part, height: int, width: int) -> Part:
    """A crop of more of a picture (height, width) than the part of a head shows: of the shoulders and the chest too."""
    grown = part.grown(round((WIDER - 1) / 2 * part.size)).moved(round(LOWER * part.size), 0)
    return grown.within(height, width)


def most_in(found: np.ndarray, part: Part, height: int, width: int) -> float:
    """The highest probability (FINE, FINE) float32 of a picture (height, width) in a part of it."""
    cells = found[part.scaled(FINE / height, FINE / width).slices]
    return float(cells.max()) if cells.size else 0.0


def in_cells(crops: Iterable[Crop], height: int, width: int) -> np.ndarray:
    """What crops of a picture (height, width) show, (FINE, FINE) float32; where they overlap, the most."""
    cells = np.zeros((FINE, FINE), np.float32)
    for part, _, seen in crops:
        place = part.scaled(FINE / height, FINE / width)
        if place.area:
            own = cv2.resize(seen.hair, (place.width, place.height), interpolation=cv2.INTER_LINEAR)
            cells[place.slices] = cv2.max(cells[place.slices], own)
    return cells
