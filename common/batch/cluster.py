"""A stage's work shared out over many machines, by Ray: the same results as here, rows in Parquet.

This process lists the pictures, folder by folder, and makes work orders of what is not done; workers on the machines,
which hold the network once each, carry them out and put the results in their places. Their rows come back and are
written beside the results: what was noted before a kill is not done again.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from common.batch.crew import AT_ONCE, Crew, Kind, Landed, Waiting, kinds_of
from common.batch.discover import PARTS
from common.batch.local import count
from common.batch.names import names_in
from common.batch.orders import Lister, Picture, demand_some
from common.batch.places import place_at
from common.batch.rows import Rows, fingerprint, fingerprints
from common.batch.stage import Stage, Tally
from common.batch.storage import Place, without_secrets
from common.batch.table import BatchError, Row
from common.batch.worker import Worker, failed_rows
from common.device import own_cores
from common.errors import UserError
from common.paths import ROOT
from common.progress import progress, say

NOT_SENT = ["/data", "/models/*", "!/models/*.safetensors", "/docs", "/tests", ".git", ".exported"]
GIVEN_UP = (
    "the process that worked on it has ended, twice: a decoder's crash, or no memory left; convert it or leave it out"
)


def run_on_cluster(
    stage: Stage, given: str, output: str, address: str, *, overwrite: bool = False, names: str | None = None
) -> Tally:
    """Do a stage's work on the pictures below `given`, here or in an object store, by the cluster at `address`.

    Args:
        given, output: folders, by path or address (s3://bucket/folder); every machine must reach them.
        address: of a Ray cluster; "local" starts one on this machine, which ends with this process.
        overwrite: do again what is done.
        names: a file with the names of the pictures (see `names_in`), in place of all that `given` holds.

    Raises BatchError: there is no such cluster, the folder cannot be read or holds no picture, or the output cannot be
    written or is another folder's.
    """
    source, target = place_at(given), place_at(output)
    stage = replace(stage, weights=stage.weights.absolute())  # workers stand elsewhere
    _claim(target, stage, source)
    with _connected(address):
        done, number = fingerprints(target, stage)
        lister = Lister(
            stage,
            source,
            target,
            np.zeros(0, np.uint64) if overwrite else done,
            names_in(names, source, stage.clips) if names else None,
        )

        def start(kind: Kind) -> "ray.actor.ActorHandle":
            needs = dict(num_cpus=kind.cores, num_gpus=kind.gpus, memory=kind.memory, max_concurrency=AT_ONCE + 1)
            actor: Any = ray.remote(Worker)  # whose types do not know that its options may be asked for
            return actor.options(**needs).remote(stage, source, target, kind.device)

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        kinds = kinds_of(nodes, stage.device, grows=address != "local")
        crew = Crew(kinds, start, lambda picture: picture.rows_left(stage))
        job = Job(stage, source, Waiting(lister.orders()), crew, Rows(stage, target, number))
        job.carry_out()
        tally = replace(
            job.tally, skipped=lister.tally.skipped, unreadable=lister.tally.unreadable, left_out=lister.tally.left_out
        )
    demand_some(tally, source)
    return tally


class Job:
    """Orders go to workers, their rows to files, until none is left."""

    def __init__(self, stage: Stage, source: Place, waiting: Waiting, crew: Crew, rows: Rows) -> None:
        self.stage, self.source, self.waiting, self.crew, self.rows = stage, source, waiting, crew, rows
        self.tally = Tally()

    def carry_out(self) -> None:
        """Raises BatchError, RayError. Rows that have come are written in any case."""
        with progress(None) as advance:
            try:
                while not (self.waiting.all_had() and self.crew.is_idle()):
                    self.crew.hand_out(self.waiting)
                    advance(sum(map(self._take, self.crew.landed())))
                    self.rows.write_if_due()
                    self._complain()
            finally:
                self.rows.write()

    def _complain(self) -> None:
        if complaint := self.crew.complaint():
            say(complaint)

    def _take(self, landed: Landed) -> int:
        """Note what has come back; how many pictures are done with."""
        rows = landed.rows
        if rows is None:
            if landed.blamed:
                say(f"a process has ended that worked on {len(landed.order.pictures)} pictures; they are tried again")
            given_up = self.waiting.lost(landed.order, landed.blamed)
            rows = [row for picture in given_up for row in self._given_up(picture)]
        if not rows:
            return 0
        self.rows.add(rows)
        count(rows, self.tally)
        return len(landed.order.pictures)

    def _given_up(self, picture: Picture) -> list[Row]:
        planned = picture.rows_left(self.stage)
        failed = failed_rows(self.stage, planned, f"{self.source.shown}/{picture.name}: {GIVEN_UP}")
        return [row | dict(fingerprint=fingerprint(plan, "")) for row, plan in zip(failed, planned)]


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """The connection to a cluster; what it raises within becomes a BatchError."""
    before = None
    logging.disable(logging.CRITICAL)  # what a user can mend is said by us
    if threading.current_thread() is threading.main_thread():  # with SIGTERM machines are shut down
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _connect(address)
        yield
    except ray.exceptions.RayError as error:
        cause = _cause(error)
        said = str(cause).strip().splitlines() or [type(cause).__name__]
        raise BatchError(said[-1] if isinstance(cause, UserError) else f"the cluster failed: {said[-1]}") from error
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        ray.shutdown()
        logging.disable(logging.NOTSET)


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of a cluster that is started here; else 15
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of Ray's own code, which writes to our stderr
    # `ray job submit` names the code it was given, which would clash with ours: these are the same
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    _hide_keys()
    _quiet_nodes()
    here = address == "local"
    code = {"env_vars": {"PYTHONPATH": str(ROOT)}} if here else {"working_dir": str(ROOT), "excludes": NOT_SENT}
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, port = address.rpartition("/")[2].split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        with _silence():
            ray.init(
                address,
                num_cpus=own_cores() if here else None,
                include_dashboard=False if here else None,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env=code,
            )
    except ray.exceptions.AuthenticationError as error:
        asks = f"the Ray cluster at '{address}' asks for a secret; set RAY_AUTH_TOKEN to it (docs/cluster.md)"
        raise BatchError(asks) from error
    except Exception as error:  # of whatever kind: Ray has many for a start that fails
        said = " ".join(str(error).split())[:200]
        secret = "; does it ask for a secret (docs/cluster.md)?" if isinstance(error, ConnectionError) else ""
        raise BatchError(f"there is no Ray cluster at '{address}': {said}{secret}") from error


def _hide_keys() -> None:
    """Ray keeps the command line of a job and shows it on its dashboard; an address there may hold a key."""
    with suppress(AttributeError):
        ray._private.utils.get_entrypoint_name = lambda: " ".join(map(without_secrets, sys.argv))


def _quiet_nodes() -> None:
    """Ray's nodes tell of each process that ends, in long lines on standard output; what there is to say is said by
    us."""
    with suppress(AttributeError):
        ray._private.worker.print_to_stdstream = lambda *_, **__: None


@contextmanager
def _silence() -> Iterator[None]:
    """Ray's own code says, as it starts, that it is to be silent."""
    before = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _cause(error: BaseException) -> BaseException:
    while following := getattr(error, "cause", None) or error.__cause__:
        error = following
    return error


def _claim(target: Place, stage: Stage, source: Place) -> None:
    """Names of results tell pictures of one folder apart, so an output belongs to one."""
    name = f"{stage.table}{PARTS}/_input"
    own = source.real("") if source.local else source.shown
    try:
        if not source.is_there():
            raise BatchError(f"{source.shown}: there is no such folder; a cluster takes one folder, by path or address")
        before = target.read(name)
        if before is None:
            if target.read(f"{stage.table}.csv") is not None:
                raise BatchError(f"{target.shown}: holds results made without a cluster; choose another --output")
            with tempfile.TemporaryDirectory() as here:
                (Path(here) / "input").write_text(own)
                target.put(Path(here) / "input", name)
        elif without_secrets(before.decode()) != own:
            said = without_secrets(before.decode())
            raise BatchError(f"{target.shown}: holds the results of {said}; choose another --output")
    except OSError as error:
        raise BatchError(
            f"{source.without_secrets(str(error))}; is it there, and may you read and write it?"
        ) from error
