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
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import ray
from pyarrow import fs

from common.folder import Source, result_names
from common.places import EARLIER, PARTS, Place, pictures_below
from common.table import FAILED, Row, relative_folder
from common.weights import WeightsError
from common.work import complaint, demand_room, stamp_of

ORDER = 64  # pictures

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
    named_when_failed: bool = True  # whether the row of a failure says what the result would have been called


class Orders:
    """Lists a folder and gives work orders, JSON of {"pictures": [[name, planned rows]...], what was passed over}."""

    def __init__(self, stage: Stage, source: Place, target: Place, done: ray.ObjectRef) -> None:
        self.stage, self.source, self.target, self.done = stage, source, target, done

    def __call__(self, _: dict) -> Iterator[dict[str, list[str]]]:
        for order in self.all(ray.get(self.done)):
            yield {"order": [order]}

    def all(self, done: np.ndarray) -> Iterator[str]:
        """The orders, given the fingerprints (N,) uint64 of what is done, sorted."""
        avoid = os.path.realpath(self.target.root) if self.target.local else self.target.root
        pictures: list = []
        passed = {"skipped": 0, "unreadable": 0, "said": []}
        for prefix, found, said in pictures_below(self.source, avoid):
            if said:
                passed["said"].append(said)
                passed["unreadable"] += EARLIER not in said
            for name, left, skipped in self.left(prefix, found, done):
                passed["skipped"] += skipped
                if left:
                    pictures.append([name, left])
                if len(pictures) == ORDER:
                    yield json.dumps({"pictures": pictures} | passed)
                    pictures, passed = [], {"skipped": 0, "unreadable": 0, "said": []}
        yield json.dumps({"pictures": pictures} | passed)

    def left(self, prefix: str, found: list[fs.FileInfo], done: np.ndarray) -> Iterator[tuple[str, list[Row], int]]:
        """Of each picture of a folder: its name, the planned rows that are not done, how many are."""
        results = {info.base_name: info.size for info in self.target.names(prefix.rstrip("/"))[0]} if len(done) else {}
        names = result_names([Source(info.path, prefix + info.base_name) for info in found], self.stage.suffix)
        folder = shown_folder(self.source, self.target, prefix)
        for info in found:
            name = prefix + info.base_name
            made_of = dict(image=folder + info.base_name, source=stamp_of(info.size, info.mtime_ns))
            rows = [row | made_of for row in self.stage.plan(names[name])]
            left = [row for row in rows if not self.is_done(row, results, done)]
            yield name, left, len(rows) - len(left)

    def is_done(self, row: Row, results: dict[str, int], done: np.ndarray) -> bool:
        size = results.get(PurePosixPath(str(row[self.stage.result])).name, "")
        return any(_is_in(done, fingerprint(row, bytes_)) for bytes_ in {size, ""})


def shown_folder(source: Place, target: Place, prefix: str) -> str:
    """How rows call a folder of pictures: as in the CSV, by the path from the results; by its address where it has one.

    With a slash at its end.
    """
    if not (source.local and target.local):
        return f"{source.given}/{prefix}"
    return relative_folder(source.path(prefix), target.root)


def fingerprint(planned: Row, result_bytes: object) -> int:
    """64 bits of all that a result was made of, and its size."""
    text = json.dumps([planned, str(result_bytes)], sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def fingerprints(target: Place, stage: Stage) -> np.ndarray:
    """Those of all rows that did not fail, (N,) uint64, sorted: 8 bytes a row, for as many as there are."""
    rows = pyarrow.dataset.dataset(
        target.path(stage.table + PARTS), schema=schema(stage), format="parquet", filesystem=target.files
    )
    found = rows.to_table(columns=["fingerprint"], filter=pyarrow.dataset.field("status") != FAILED)
    return np.sort(found["fingerprint"].to_numpy())


def _is_in(done: np.ndarray, value: int) -> bool:
    place = np.searchsorted(done, np.uint64(value))
    return place < len(done) and done[place] == value


def schema(stage: Stage) -> pa.Schema:
    """The columns of the Parquet files."""
    kinds = [(name, pa.float64() if name in stage.numbers else pa.string()) for name in stage.columns]
    return pa.schema([*kinds, ("fingerprint", pa.uint64())])


class Worker:
    """Carries out work orders: each picture fetched, worked on and put back, then their rows."""

    def __init__(self, stage: Stage, source: Place, target: Place, threads: int, job: str) -> None:
        self.stage, self.source, self.target, self.job = stage, source, target, job
        self.here = tempfile.TemporaryDirectory()
        self.work = stage.load(_on_this_machine(stage.weights))
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        order = json.loads(batch["order"][0])
        rows = [row for rows in self.pool.map(self.do, order["pictures"]) for row in rows]
        if rows:
            self.note(rows)
        failed = [row for row in rows if row["status"] == FAILED]
        said = order["said"] + list(dict.fromkeys(str(row["error"]) for row in failed))
        counts = dict(pictures=len(order["pictures"]), done=len(rows) - len(failed), failed=len(failed))
        counts["statuses"] = Counter(str(row["status"]) for row in rows)
        passed = {name: order[name] for name in ("skipped", "unreadable")}
        return {"report": [json.dumps(counts | passed | dict(said=said))]}

    def do(self, picture: tuple[str, list[Row]]) -> list[Row]:
        """The rows of one picture, its results put where they belong."""
        name, planned = picture
        shown = f"{self.source.given}/{name}"
        with tempfile.TemporaryDirectory(dir=self.here.name) as here:
            path, results = Path(here, PurePosixPath(name).name), Path(here, "results")
            results.mkdir()
            try:
                self.source.fetch(name, path)
                rows = self.work(path, results, planned)
                for row in rows:
                    if row.get("result_bytes"):
                        self.target.put(results / row[self.stage.result], row[self.stage.result])
            except Exception as error:  # one picture, whatever befell it, does not end the job
                demand_room(error)
                failure = {"status": FAILED, "error": complaint(error, shown).replace(str(path), shown)}
                failure |= {} if self.stage.named_when_failed else {self.stage.result: ""}
                rows = [row | failure for row in planned]
        sizes = [row.get("result_bytes", "") for row in rows]
        return [row | dict(fingerprint=fingerprint(plan, size)) for row, plan, size in zip(rows, planned, sizes)]

    def note(self, rows: list[Row]) -> None:
        """A Parquet file; carried out twice, an order has the same one."""
        part = Path(self.here.name) / "rows.parquet"
        kinds = schema(self.stage)
        values = [{name: _as(row.get(name), name in self.stage.numbers) for name in kinds.names} for row in rows]
        for value, row in zip(values, rows):
            value["fingerprint"] = row["fingerprint"]
        pyarrow.parquet.write_table(pa.Table.from_pylist(values, kinds), part)
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
    own = Path(__file__).resolve().parents[1] / weights.parent.name / weights.name
    if own.is_file():
        return own
    raise WeightsError(f"{weights}: is not on {platform.node()}; put the weights where every machine reaches them")
