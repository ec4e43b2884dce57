"""The rows of a cluster's job: Parquet files of some thousand rows, known again by fingerprints.

A row's fingerprint, 64 bits of all that its result was made of and of its size, says later what is done. Its number
says which of several rows of one result is the last: it grows from row to row, from job to job.
"""

import hashlib
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet

from common.batch.discover import PARTS
from common.batch.stage import Stage
from common.batch.storage import Place
from common.batch.store import Store
from common.batch.table import FAILED, BatchError, Row

FIRST, MOST = 16, 4096  # rows of the first file of a job; of each, in the end: the files become as many as are needed
PAUSE = 60  # seconds after which what has come is written in any case: so much is done again after a kill
FILES = 1000  # of rows, read at once


def fingerprint(planned: Row, result_bytes: object) -> int:
    """64 bits of all that a result was made of, and its size."""
    text = "\0".join(map(str, (*planned.values(), result_bytes)))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def are_in(done: np.ndarray, values: list[int]) -> np.ndarray:
    """Which of these fingerprints are among the sorted ones."""
    asked = np.array(values, np.uint64)
    return done[np.searchsorted(done, asked).clip(max=len(done) - 1)] == asked


def schema(stage: Stage) -> pa.Schema:
    """The columns of the Parquet files."""
    kinds = [(name, pa.float64() if name in stage.numbers else pa.string()) for name in stage.columns]
    return pa.schema([*kinds, ("fingerprint", pa.uint64()), ("number", pa.int64())])


def fingerprints(target: Place, stage: Stage) -> tuple[np.ndarray, int]:
    """Those of all rows that did not fail, (N,) uint64, sorted, 8 bytes a row; and the greatest number of a row."""
    found, greatest = [np.zeros(0, np.uint64)], 0
    for batch in batches(target, f"{stage.table}{PARTS}", schema(stage), ["fingerprint", "number", "status"]):
        good = batch.filter(pyarrow.compute.not_equal(batch["status"], FAILED))
        found.append(good["fingerprint"].to_numpy())
        greatest = max(greatest, pyarrow.compute.max(batch["number"]).as_py() or 0)
    return np.sort(np.concatenate(found)), greatest


def batches(target: Place, folder: str, columns: pa.Schema, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """These columns of all files of rows in a folder, some thousand rows at a time. Raises OSError."""
    files = target.files if isinstance(target, Store) else None
    everything = pyarrow.dataset.dataset(target.path(folder), schema=columns, format="parquet", filesystem=files)
    paths, kinds = everything.files, everything.schema
    for start in range(0, len(paths), FILES):  # a data set remembers the heads of all files that it has read
        part = pyarrow.dataset.dataset(paths[start : start + FILES], schema=kinds, format="parquet", filesystem=files)
        yield from part.to_batches(columns=list(names))


def last_rows(target: Place, folder: str, names: Sequence[str], key: str) -> list[Row]:
    """These columns, of text, of the last row of each result, sorted by `key`, which `names` holds.

    Raises OSError or ValueError: they are not there, or broken.
    """
    last: dict[str, tuple[int, Row]] = {}
    columns = pa.schema(
        [*((name, pa.string()) for name in names), ("number", pa.int64())]
    )  # null where a file has none
    for batch in batches(target, folder, columns, columns.names):
        for row in batch.to_pylist():
            number = row.pop("number", None) or 0
            if number >= last.get(row[key], (0, {}))[0]:
                last[row[key]] = number, row
    return [row for _, (_, row) in sorted(last.items())]


class Rows:
    """What the workers report, written beside the results as it comes."""

    def __init__(self, stage: Stage, target: Place, number: int) -> None:
        self.stage, self.target, self.number = stage, target, number
        self.waiting: list[Row] = []
        self.enough, self.due = FIRST, time.monotonic() + PAUSE

    def add(self, rows: Sequence[Row]) -> None:
        """Take complete rows with their fingerprints. Raises BatchError: they cannot be written."""
        self.waiting += rows
        if len(self.waiting) >= self.enough:
            self.enough = min(2 * self.enough, MOST)
            self.write()

    def write_if_due(self) -> None:
        """Write what has waited for long. Raises BatchError."""
        if time.monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        """Write what waits, one file. Raises BatchError."""
        self.due = time.monotonic() + PAUSE
        if not self.waiting:
            return
        columns = {name: [_as(row.get(name), name in self.stage.numbers) for row in self.waiting]
                   for name in self.stage.columns}  # fmt: skip
        columns["fingerprint"] = [row["fingerprint"] for row in self.waiting]
        columns["number"] = list(range(self.number + 1, self.number + 1 + len(self.waiting)))
        name = f"{self.stage.table}{PARTS}/{self.number + 1:012d}-{secrets.token_hex(4)}.parquet"
        try:
            with tempfile.TemporaryDirectory() as folder:
                pyarrow.parquet.write_table(pa.table(columns, schema(self.stage)), Path(folder, "rows"))
                self.target.put(Path(folder, "rows"), name)
        except OSError as error:
            raise BatchError(f"{self.target.shown}/{name}: cannot be written: {error.strerror or error}") from error
        self.number += len(self.waiting)
        self.waiting = []


def _as(value: Any, number: bool) -> object:
    if number:
        return None if value in (None, "") else float(value)
    return "" if value is None else str(value)
