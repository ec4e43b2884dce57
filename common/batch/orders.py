"""Work orders for a cluster: made from a folder, carried out picture by picture, closed by a Parquet file of rows.

A row's fingerprint, 64 bits of all that its result was made of and of its size, says later what is done.
"""

import hashlib
import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import ray

from common.batch.discover import Source, is_named_clip, result_names, suffixes_taken
from common.batch.local import complaint, demand_room, stamp_of
from common.batch.storage import EARLIER, PARTS, Listed, Place, listed_below
from common.batch.table import FAILED, Row, relative_folder
from common.files import remove_leftovers
from common.paths import ROOT
from common.weights import WeightsError

ORDER = 64  # pictures
FILES = 1000  # of rows, read at once
STALE = 3600  # seconds without a word from who writes a file: then he is gone

Work = Callable[[Path, Path, list[Row]], list[Row]]  # picture, folder for results, planned rows -> rows


@dataclass(frozen=True)
class Stage:
    """What a stage does to a picture, in a form that can be sent to other machines."""

    table: str  # its rows lie in TABLE.parquet
    columns: list[str]
    numbers: set[str]  # the columns that hold numbers; the others hold text
    result: str  # the column with the result's name
    suffix: str | None  # of the results; None: each picture's own
    plan: Callable[[str], list[Row]]  # a result's plain name -> the picture's rows, as far as known before the work
    weights: Path
    load: Callable[[Path], Work]  # what does the work with these weights, from several threads
    clips: bool = False  # whether it takes clips as well
    named_when_failed: bool = True  # whether the row of a failure says what the result would have been called


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
        return [row | made_of for row in stage.plan(self.result)]


class Orders:
    """Lists a folder and gives work orders, JSON of {"pictures": [Picture...], what was passed over}."""

    def __init__(self, stage: Stage, source: Place, target: Place, done: ray.ObjectRef) -> None:
        self.stage, self.source, self.target, self.done = stage, source, target, done
        self.looks = len(stage.plan("any.jpg"))

    def __call__(self, _: dict) -> Iterator[dict[str, list[str]]]:
        """One row an order, as JSON."""
        for order in self.all(ray.get(self.done)):
            yield {"order": [order]}

    def all(self, done: np.ndarray) -> Iterator[str]:
        """The orders, given the fingerprints (N,) uint64 of what is done, sorted."""
        avoid = os.path.realpath(self.target.root) if self.target.local else self.target.root
        pictures: list[Picture] = []
        passed = _nothing_passed()
        for listed in listed_below(self.source, avoid, suffixes_taken(self.stage.clips)):
            if listed.complaint:
                passed["said"].append(listed.complaint)
                passed["unreadable"] += EARLIER not in listed.complaint
            passed["others"].update(listed.others)
            for picture in self.left(listed, done):
                passed["skipped"] += self.looks - len(picture.left)
                if picture.left:
                    pictures.append(picture)
                if len(pictures) == ORDER:
                    yield json.dumps({"pictures": pictures} | passed)
                    pictures, passed = [], _nothing_passed()
        yield json.dumps({"pictures": pictures} | passed)

    def left(self, listed: Listed, done: np.ndarray) -> Iterator[Picture]:
        """The pictures of a folder, with what is left of each."""
        if self.target.local:
            remove_leftovers(self.target.path(listed.prefix.rstrip("/")), STALE)
        names = [(listed.prefix + info.base_name, info) for info in listed.pictures]
        sources = [Source(info.path, name) for name, info in names]
        results = result_names(sources, self.stage.suffix, is_clip=is_named_clip if self.stage.clips else None)
        folder, below = shown_folder(self.source, self.target, listed.prefix), len(listed.prefix)
        pictures = [
            Picture(name, folder + name[below:], stamp_of(info.size, info.mtime_ns or 0), results[name], [])
            for name, info in names
        ]
        everything = [range(self.looks)] * len(pictures)
        for picture, left in zip(pictures, self.not_done(listed.prefix, pictures, done) if len(done) else everything):
            picture.left.extend(left)
            yield picture

    def not_done(self, prefix: str, pictures: list[Picture], done: np.ndarray) -> list[list[int]]:
        """Which rows of each picture of this folder are to be done."""
        rows = [row for picture in pictures for row in picture.rows(self.stage)]
        sizes = self.target.sizes(prefix.rstrip("/"))
        found = [sizes.get(os.path.basename(str(row[self.stage.result])), "") for row in rows]
        left = ~_are_in(done, list(map(fingerprint, rows, found)))
        for at in np.flatnonzero(left):  # some are done without a result, whatever lies in its place
            left[at] = not _are_in(done, [fingerprint(rows[at], "")])[0]
        return [[at for at, is_left in enumerate(of) if is_left] for of in left.reshape(-1, self.looks).tolist()]


def _nothing_passed() -> dict:
    return {"skipped": 0, "unreadable": 0, "said": [], "others": Counter()}


def shown_folder(source: Place, target: Place, prefix: str) -> str:
    """How rows call a folder of pictures: as in the CSV, by the path from the results; by its address where it has one.

    With a slash at its end.
    """
    if not (source.local and target.local):
        return f"{source.given}/{prefix}"
    return relative_folder(source.path(prefix), target.root)


def fingerprint(planned: Row, result_bytes: object) -> int:
    """64 bits of all that a result was made of, and its size."""
    text = "\0".join(map(str, (*planned.values(), result_bytes)))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def fingerprints(target: Place, stage: Stage) -> np.ndarray:
    """Those of all rows that did not fail, (N,) uint64, sorted: 8 bytes a row, for as many as there are."""
    folder = pyarrow.dataset.dataset(
        target.path(stage.table + PARTS), schema=schema(stage), format="parquet", filesystem=target.files
    )
    found = [np.zeros(0, np.uint64)]
    for start in range(0, len(folder.files), FILES):  # a data set remembers the heads of all files that it has read
        part = pyarrow.dataset.dataset(
            folder.files[start : start + FILES], schema=folder.schema, format="parquet", filesystem=target.files
        )
        rows = part.to_table(columns=["fingerprint"], filter=pyarrow.dataset.field("status") != FAILED)
        found.append(rows["fingerprint"].to_numpy())
    return np.sort(np.concatenate(found))


def _are_in(done: np.ndarray, values: list[int]) -> np.ndarray:
    asked = np.array(values, np.uint64)
    return done[np.searchsorted(done, asked).clip(max=len(done) - 1)] == asked


def schema(stage: Stage) -> pa.Schema:
    """The columns of the Parquet files."""
    kinds = [(name, pa.float64() if name in stage.numbers else pa.string()) for name in stage.columns]
    return pa.schema([*kinds, ("fingerprint", pa.uint64())])


class Worker:
    """Carries out work orders: each picture fetched, worked on and put back, then their rows."""

    def __init__(self, stage: Stage, source: Place, target: Place, threads: int, job: str) -> None:
        self.stage, self.source, self.target, self.job = stage, source, target, job
        self.work = stage.load(_on_this_machine(stage.weights))
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Carry out the one order of a batch; what there is to say of it."""
        order = json.loads(batch["order"][0])
        with tempfile.TemporaryDirectory() as here:
            rows = [row for rows in self.pool.map(partial(self.do, here), order["pictures"]) for row in rows]
            if rows:
                self.note(rows, Path(here, "rows.parquet"))
        failed = [row for row in rows if row["status"] == FAILED]
        said = order["said"] + list(dict.fromkeys(str(row["error"]) for row in failed))
        counts = dict(pictures=len(order["pictures"]), done=len(rows) - len(failed), failed=len(failed))
        counts["statuses"] = Counter(str(row["status"]) for row in rows)
        passed = {name: order[name] for name in ("skipped", "unreadable", "others")}
        return {"report": [json.dumps(counts | passed | dict(said=said))]}

    def do(self, here: str, entry: list) -> list[Row]:
        """The rows of one picture of an order, its results put where they belong; copies lie in `here` meanwhile."""
        picture = Picture(*entry)
        rows = picture.rows(self.stage)
        planned, shown = [rows[at] for at in picture.left], f"{self.source.given}/{picture.name}"
        with tempfile.TemporaryDirectory(dir=here) as here:
            path = self.source.at_hand(picture.name, Path(here))
            try:
                if not self.source.local:
                    self.source.fetch(picture.name, path)
                rows = self.work(path, self.target.at_hand("", Path(here, "results")), planned)
                for row in [] if self.target.local else rows:
                    if row.get("result_bytes"):
                        self.target.put(Path(here, "results", row[self.stage.result]), row[self.stage.result])
            except Exception as error:  # one picture, whatever befell it, does not end the job
                demand_room(error)
                failure = {"status": FAILED, "error": complaint(error, shown).replace(str(path), shown)}
                failure |= {} if self.stage.named_when_failed else {self.stage.result: ""}
                rows = [row | failure for row in planned]
        sizes = [row.get("result_bytes", "") for row in rows]
        return [row | dict(fingerprint=fingerprint(plan, size)) for row, plan, size in zip(rows, planned, sizes)]

    def note(self, rows: list[Row], part: Path) -> None:
        """A Parquet file, made at `part`; carried out twice, an order has the same one."""
        kinds = schema(self.stage)
        columns = {
            name: [_as(row.get(name), name in self.stage.numbers) for row in rows] for name in self.stage.columns
        }
        columns["fingerprint"] = [row["fingerprint"] for row in rows]
        pyarrow.parquet.write_table(pa.table(columns, kinds), part)
        first = hashlib.blake2b(str(rows[0]["image"]).encode(), digest_size=8).hexdigest()
        self.target.put(part, f"{self.stage.table}{PARTS}/{self.job}-{first}.parquet")


def _as(value: object, number: bool) -> object:
    if number:
        return None if value in (None, "") else float(value)
    return "" if value is None else str(value)


def _on_this_machine(weights: Path) -> Path:
    """The file with these weights: where it was named, or in the copy of the project that came with the work."""
    if weights.is_file():
        return weights
    own = ROOT / weights.parent.name / weights.name
    if own.is_file():
        return own
    raise WeightsError(f"{weights}: is not on {platform.node()}; put the weights where every machine reaches them")
