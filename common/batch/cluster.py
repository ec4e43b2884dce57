"""The work on a folder of pictures shared out over many machines, by Ray Data: the same results, rows in Parquet.

One task lists the folder, folder by folder, and makes work orders of what is not done; actors, which hold the network
once each, carry them out. An order ends with a Parquet file of its rows, put beside the results when those are there:
what was killed before is done again, what was noted is not.
"""

import json
import logging
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import ray
from pyarrow import fs

from common.batch.discover import other_files
from common.batch.local import Tally
from common.batch.orders import Orders, Stage, Worker, fingerprints
from common.batch.storage import PARTS, Place
from common.batch.table import BatchError
from common.errors import UserError
from common.paths import ROOT
from common.progress import progress, say

CORES = 2  # of an actor, where there are no GPUs
SENT = 1 << 10  # bytes; Ray would gather orders up to 128 MB before it sends them on
NOT_SENT = ["/data", "/models/*", "!/models/*.safetensors", "/docs", "/tests", ".git", ".exported"]


def run_on_cluster(stage: Stage, given: str, output: str, address: str, overwrite: bool) -> Tally:
    """Do a stage's work on the pictures below `given`, here or in an object store, by the cluster at `address`.

    Args:
        given, output: folders, by path or address (s3://bucket/folder); every machine must reach them.
        address: of a Ray cluster; "local" starts one on this machine, which ends with this process.
        overwrite: do again what is done.

    Raises BatchError: there is no such cluster, the folder cannot be read or holds no picture, or the output cannot be
    written or is another folder's.
    """
    source, target = Place(given), Place(output)
    stage = replace(stage, weights=stage.weights.absolute())  # actors work elsewhere
    _claim(target, stage, source)
    _connect(address)
    try:
        done = np.zeros(0, np.uint64) if overwrite else fingerprints(target, stage)
        orders = ray.data.from_items([{"folder": ""}]).map_batches(
            Orders(stage, source, target, ray.put(done)), batch_size=None, num_cpus=0
        )
        cores, gpus = _share_of_an_actor()
        reports = orders.map_batches(
            Worker,
            fn_constructor_args=(stage, source, target, cores + 1, f"{datetime.now(UTC):%Y%m%dT%H%M%S}"),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1),
            num_cpus=cores,
            num_gpus=gpus,
        )
        return _followed(reports.iter_batches(batch_size=None), source)
    except ray.exceptions.RayError as error:
        cause = _cause(error)
        said = str(cause).strip().splitlines() or [type(cause).__name__]
        raise BatchError(said[-1] if isinstance(cause, UserError) else f"the cluster failed: {said[-1]}") from error
    finally:
        ray.shutdown()
        logging.disable(logging.NOTSET)


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of a cluster that is started here; else 15
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of Ray's own code, which writes to our stderr
    logging.disable(logging.CRITICAL)  # what a user can mend is said by us
    here = address == "local"
    code = {"env_vars": {"PYTHONPATH": str(ROOT)}} if here else {"working_dir": str(ROOT), "excludes": NOT_SENT}
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, port = address.rpartition("/")[2].split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        with _silence():
            ray.init(
                address,
                include_dashboard=False if here else None,
                logging_level="ERROR",
                log_to_driver=False,
                runtime_env=code,
            )
    except ray.exceptions.AuthenticationError as error:
        asks = f"the Ray cluster at '{address}' asks for a secret; set RAY_AUTH_TOKEN to it (docs/cluster.md)"
        raise BatchError(asks) from error
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        secret = "; does it ask for a secret (docs/cluster.md)?" if isinstance(error, ConnectionError) else ""
        raise BatchError(f"there is no Ray cluster at '{address}': {said}{secret}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = SENT


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


def _share_of_an_actor() -> tuple[int, int]:
    """Processor cores and GPUs for each: a GPU where there are any, and its part of the cores beside it."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if with_gpu := [node for node in nodes if node.get("GPU", 0) >= 1]:
        return max(1, int(min(node.get("CPU", 1) // node["GPU"] for node in with_gpu))), 1
    return int(max(1, min(CORES, *(node.get("CPU", 1) for node in nodes), CORES))), 0


def _cause(error: BaseException) -> BaseException:
    while following := getattr(error, "cause", None) or error.__cause__:
        error = following
    return error


def _claim(target: Place, stage: Stage, source: Place) -> None:
    """Names of results tell pictures of one folder apart, so an output belongs to one."""
    name = f"{stage.table}{PARTS}/_input"
    own = os.path.realpath(source.root) if source.local else source.given
    try:
        if source.files.get_file_info(source.root).type != fs.FileType.Directory:
            raise BatchError(f"{source.given}: there is no such folder; a cluster takes one folder, by path or address")
        before = target.read(name)
        if before is None:
            if target.read(f"{stage.table}.csv") is not None:
                raise BatchError(f"{target.given}: holds results made without a cluster; choose another --output")
            with tempfile.TemporaryDirectory() as here:
                (Path(here) / "input").write_text(own)
                target.put(Path(here) / "input", name)
        elif before.decode() != own:
            raise BatchError(f"{target.given}: holds the results of {before.decode()}; choose another --output")
    except OSError as error:
        raise BatchError(f"{error}; is it there, and may you read and write it?") from error


def _followed(batches: Iterator[dict[str, np.ndarray]], source: Place) -> Tally:
    tally, others = Tally(), Counter()
    with progress(None) as advance:
        for batch in batches:
            for report in map(json.loads, batch["report"]):
                for line in report["said"]:
                    say(line)
                for name in ("done", "skipped", "failed", "unreadable"):
                    setattr(tally, name, getattr(tally, name) + report[name])
                tally.statuses.update(report["statuses"])
                others.update(report["others"])
                advance(report["pictures"])
    if others:
        tally.left_out = f"{others.total()} {other_files(others)}"
    if not tally.done + tally.skipped + tally.failed:
        raise BatchError(f"{source.given}: there are no pictures in this folder")
    return tally
