"""What carries out work orders on a cluster's machine: each picture fetched, worked on and put back."""

import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from types import SimpleNamespace

import ray
from ray.util import metrics

from common.batch.discover import Source
from common.batch.local import complaint, demand_room
from common.batch.orders import Picture
from common.batch.rows import fingerprint
from common.batch.stage import Item, Stage
from common.batch.storage import Place
from common.batch.store import Store
from common.batch.table import FAILED, Row
from common.paths import ROOT
from common.weights import WeightsError

AHEAD = 2  # pictures of a store that are fetched, or put back, for each that is worked on
SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]  # borders in the statistics of durations


class Worker:
    """Carries out work orders, several at once; the stage is made ready when `ready` is asked, once.

    Args:
        device: what the networks of this worker run on: it settles what the machine that started the job leaves open.
    """

    def __init__(self, stage: Stage, source: Place, target: Place, device: str) -> None:
        self.stage, self.source, self.target, self.device = stage, source, target, device

    def ready(self) -> str:
        """Make the stage ready; the machine's name in the cluster. Raises what `Stage.load` raises."""
        self.stage = replace(self.stage, weights=_on_this_machine(self.stage.weights)).here(self.device)
        self.work = self.stage.load()
        threads = self.stage.threads()
        waits = isinstance(self.source, Store) or isinstance(self.target, Store)
        self.pool = ThreadPoolExecutor(threads * (1 + AHEAD * waits))
        self.at_work = BoundedSemaphore(threads)
        self.seen = statistics()
        return ray.get_runtime_context().get_node_id()

    def carry_out(self, pictures: list[Picture], planned: list[list[Row]]) -> list[Row]:
        """The rows of an order, complete, with fingerprints.

        Args:
            planned: each picture's rows as the lister knows them, by which they are known again.

        Raises BatchError: the disk is full.
        """
        with tempfile.TemporaryDirectory(prefix="order-", ignore_cleanup_errors=True) as here:
            rows = list(self.pool.map(partial(self._do, here), pictures, planned))
        for status, count in Counter(str(row["status"]) for of in rows for row in of).items():
            self.seen.results.inc(count, {"stage": self.stage.table, "status": status})
        return [row for of in rows for row in of]

    def _do(self, here: str, picture: Picture, planned: list[Row]) -> list[Row]:
        """The rows of one picture, its results put where they belong; copies lie in `here` meanwhile."""
        shown = f"{self.source.shown}/{picture.name}"
        with tempfile.TemporaryDirectory(dir=here) as own:
            path = self.source.path(picture.name)
            if isinstance(self.source, Store):
                path = os.path.join(own, os.path.basename(picture.name))
            try:
                rows = self._work(Item(Source(path, picture.name), picture.result), Path(own, "results"), picture)
            except Exception as error:  # one picture, whatever befell it, does not end the job
                demand_room(error)
                said = complaint(error, shown).replace(path, shown)
                rows = failed_rows(self.stage, picture.rows_left(self.stage), self.source.without_secrets(said))
        sizes = [row.get("result_bytes", "") for row in rows]
        return [row | dict(fingerprint=fingerprint(plan, size)) for row, plan, size in zip(rows, planned, sizes)]

    def _work(self, item: Item, folder: Path, picture: Picture) -> list[Row]:
        if isinstance(self.source, Store):
            with self._timed("fetch"):
                self.source.fetch(picture.name, Path(item.source.path))
        output = Path(self.target.root) if self.target.local else folder
        with self.at_work, self._timed("work"):
            rows = self.work(item, output, picture.rows_left(self.stage))
        with self._timed("put"):
            for row in [] if self.target.local else rows:
                if row.get("result_bytes"):
                    name = str(row[self.stage.result])
                    self.target.put(folder / name, name)
        return rows

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seen.seconds.observe(time.perf_counter() - began, {"stage": self.stage.table, "step": step})


def statistics() -> SimpleNamespace:
    """What Ray's dashboard, and Prometheus behind it, show of a worker."""
    results = metrics.Counter("hair_results", "Results by status", tag_keys=("stage", "status"))
    seconds = metrics.Histogram("hair_seconds", "Seconds for a picture", SECONDS, tag_keys=("stage", "step"))
    return SimpleNamespace(results=results, seconds=seconds)


def failed_rows(stage: Stage, planned: list[Row], error: str) -> list[Row]:
    """Planned rows as those of a failure."""
    return [row | {"status": FAILED, "error": error} | stage.unnamed() for row in planned]


def _on_this_machine(weights: Path) -> Path:
    """The file with these weights: where it was named, or in the copy of the project that came with the work."""
    if weights.is_file():
        return weights
    own = ROOT / weights.parent.name / weights.name
    if own.is_file():
        return own
    raise WeightsError(f"{weights}: is not on {platform.node()}; put the weights where every machine reaches them")
