"""Work orders for a cluster: what of a folder, or of a list of names, is to be done, some pictures at a time."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from common.batch.discover import Source, Walk, other_files, result_names, suffix_of, suffixes_taken
from common.batch.rows import are_in, fingerprint
from common.batch.stage import Item, Stage, Tally
from common.batch.storage import PAGE, Folder, Place
from common.batch.table import BatchError, Row, relative_folder
from common.files import remove_leftovers
from common.image.moving import is_named_clip
from common.progress import say

FEWEST, MOST = 8, 64  # pictures of an order: the first rows shall come soon, and few pictures be shared out among many
PART = 16  # of the pictures so far, that the next order has
STALE = 3600  # seconds without a word from who writes a file: then he is gone
TAKEN = suffixes_taken(clips=True)

Named = tuple[str, str]  # a picture's name below the folder of pictures, and its stamp, empty where nobody knows it yet


class Picture(NamedTuple):
    """A picture of an order."""

    name: str  # below the folder of pictures
    image: str  # how rows call it
    stamp: str  # of its file
    result: str  # its result's plain name
    left: list[int]  # which of its rows are to be done

    def rows(self, stage: Stage) -> list[Row]:
        """All its rows, as far as known before the work."""
        made_of = dict(image=self.image, source=self.stamp)
        return [row | made_of for row in stage.plan(Item(Source(self.name, self.name, here=False), self.result))]

    def rows_left(self, stage: Stage) -> list[Row]:
        """Those that are to be done."""
        rows = self.rows(stage)
        return [rows[at] for at in self.left]


class Order(NamedTuple):
    """Pictures that one worker does, and how often the process that did them has ended."""

    pictures: list[Picture]
    losses: int = 0


class Lister:
    """Goes through a folder of pictures, or a list of their names, and makes orders of what is not done.

    Args:
        done: fingerprints (N,) uint64 of what is done, sorted.
        names: the pictures' names and stamps, sorted, in place of what the folder holds.
    """

    def __init__(
        self, stage: Stage, source: Place, target: Place, done: np.ndarray, names: Iterable[Named] | None = None
    ) -> None:
        self.stage, self.source, self.target, self.done, self.names = stage, source, target, done, names
        self.tally = Tally()  # what was passed over
        self.others: Counter[str] = Counter()  # files that are no pictures by their names, by suffix
        self.each = len(stage.plan(Item(Source("any.jpg", "any.jpg", here=False), "any.jpg")))  # rows of a picture
        self._tidied = ""

    def orders(self) -> Iterator[Order]:
        """The orders, the first one after as few of the pictures as can be; a clip has one of its own."""
        pictures: list[Picture] = []
        ordered = 0
        found = self._found() if self.names is None else self.names
        for part in whole_stems(found):
            for picture in self._left(part):
                if is_named_clip(picture.name):
                    yield Order([picture])
                    continue
                pictures.append(picture)
                if len(pictures) >= min(max(FEWEST, ordered // PART), MOST):
                    yield Order(pictures)
                    ordered += len(pictures)
                    pictures = []
        if pictures:
            yield Order(pictures)
        if self.others:
            self.tally.left_out = f"{self.others.total()} {other_files(self.others)}"

    def _found(self) -> Iterator[Named]:
        walk = Walk({self.target.real("")}, suffixes_taken(self.stage.clips))
        for listed in walk.below(self.source):
            if listed.why_left_out:
                say(f"{self.source.shown}/{listed.prefix}: is left out: {listed.why_left_out}")
                self.tally.unreadable += bool(listed.fault)
            self.others.update(listed.others)
            for file in listed.pictures:
                yield listed.prefix + file.name, file.stamp

    def _left(self, part: list[Named]) -> Iterator[Picture]:
        """The pictures of a part of which something is left to do."""
        sources = [Source(name, name, here=False) for name, _ in part]
        results = result_names(sources, self.stage.suffix, clips=self.stage.clips)
        for folder, files in groupby(part, lambda file: os.path.dirname(file[0])):
            shown = shown_folder(self.source, self.target, folder)
            pictures = [
                Picture(name, shown + os.path.basename(name), known or self._stamp(name), results[name], [])
                for name, known in files
            ]
            self._tidy(folder)
            for picture, left in zip(pictures, self._not_done(folder, pictures)):
                self.tally.skipped += self.each - len(left)
                if left:
                    yield picture._replace(left=left)

    def _stamp(self, name: str) -> str:
        """Of a file here; of one in a store the listing says it, and a list need not: that costs a question each."""
        return self.source.stamp(name) if self.source.local else ""

    def _tidy(self, folder: str) -> None:
        """Remove what killed runs left beside results, once a folder."""
        if isinstance(self.target, Folder) and folder != self._tidied:
            remove_leftovers(self.target.path(folder), STALE)
        self._tidied = folder

    def _not_done(self, folder: str, pictures: list[Picture]) -> list[list[int]]:
        """Which rows of each picture of this folder are to be done."""
        if not len(self.done):
            return [list(range(self.each)) for _ in pictures]
        rows = [row for picture in pictures for row in picture.rows(self.stage)]
        names = [os.path.basename(str(row[self.stage.result])) for row in rows]
        sizes = self.target.sizes(folder, names)
        prints = [fingerprint(row, sizes.get(name, "")) for row, name in zip(rows, names)]
        left = ~are_in(self.done, prints)
        for at in np.flatnonzero(left):  # some are done without a result, whatever lies in its place
            left[at] = not are_in(self.done, [fingerprint(rows[at], "")])[0]
        return [[at for at, is_left in enumerate(of) if is_left] for of in left.reshape(-1, self.each).tolist()]


def whole_stems(files: Iterable[Named], size: int = PAGE) -> Iterator[list[Named]]:
    """Parts of about this size, in order; two names whose results may be called alike are in one part.

    Those are names that differ in suffixes of pictures alone, as `a.jpg`, `a.webp` and `a.jpg.png`. In the order of
    names all that begins with `a.` lies together: what was read is held back until that is passed.
    """
    held: list[Named] = []
    enough = size
    for file in files:
        held.append(file)
        if len(held) < enough:
            continue
        ready = [one for one in held if not file[0].startswith(f"{stem_of(one[0])}.")]
        if ready:
            held = [one for one in held if file[0].startswith(f"{stem_of(one[0])}.")]
            yield ready
        enough = len(held) + size
    if held:
        yield held


def stem_of(name: str) -> str:
    """A name without any of its suffixes of pictures."""
    while suffix_of(name) in TAKEN:
        name = os.path.splitext(name)[0]
    return name


def shown_folder(source: Place, target: Place, folder: str) -> str:
    """How rows call a folder of pictures: as in the CSV, by the path from the results; by its address where it has one.

    With a slash at its end.
    """
    if source.local and target.local:
        return relative_folder(source.path(folder), target.root)
    return f"{source.shown}/{folder}/" if folder else f"{source.shown}/"


def demand_some(tally: Tally, source: Place) -> None:
    """Raise BatchError where a job came by no picture at all."""
    if not tally.done + tally.skipped + tally.failed:
        raise BatchError(f"{source.shown}: there are no pictures in this folder")
