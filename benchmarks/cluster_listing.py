"""What a cluster's lister needs, in time and memory, to see what of a folder is done: nothing, and all of it.

The folder is made of links, its rows of Parquet files as workers write them. Give the number of pictures.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown  # noqa: E402
from common.orders import ORDER, Orders, Stage, Worker, fingerprint, fingerprints  # noqa: E402
from common.places import Place  # noqa: E402
from ombre.dyeing import COLUMNS  # noqa: E402
from ombre.look import Look  # noqa: E402
from ombre.on_cluster import NUMBERS, plan_looks  # noqa: E402

IN_A_FOLDER = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000, metavar="N")
    count = parser.parse_args().pictures
    plan = partial(plan_looks, [Look()], "sha256:000000000000")
    stage = Stage("ombre", COLUMNS, NUMBERS, "output", None, plan, Path(__file__), lambda weights: None)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(count):
            link(folder / "in" / f"{number // IN_A_FOLDER:05d}" / f"{number:08d}.jpg")
        source, target = Place(folder / "in"), Place(folder / "out")
        worker = Worker(stage, source, target, 1, "job")
        empty = np.zeros(0, np.uint64)
        began, found = time.perf_counter(), 0
        first = None
        for order in map(json.loads, Orders(stage, source, target, None).all(empty)):
            first = first or time.perf_counter() - began
            found += len(order["pictures"])
        listed = time.perf_counter() - began
        for order in map(json.loads, Orders(stage, source, target, None).all(empty)):
            worker.note([finished(folder, row) for _, rows in order["pictures"] for row in rows])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        done = fingerprints(target, stage)
        read = time.perf_counter() - began
        began = time.perf_counter()
        orders = [json.loads(order) for order in Orders(stage, source, target, None).all(done)]
        resumed = time.perf_counter() - began
        assert found == count and orders[0]["skipped"] == count and not orders[0]["pictures"]
    print(
        markdown([{
            "pictures": f"{count:,}", "first order, s": first, "all listed, s": listed,
            f"rows read ({count // ORDER:,} files), s": read, "all seen to be done, s": resumed,
            "most memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "before resuming, MB": before,
        }])
    )  # fmt: skip


def link(path: Path) -> None:
    """An empty file; those of a folder are links to one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = path.parent / ".first"
    if not first.exists():
        first.write_bytes(b"picture")
    os.link(first, path)


def finished(folder: Path, row: dict) -> dict:
    """The row as a worker notes it, its result beside the others."""
    link(folder / "out" / row["output"])
    return row | dict(status="ok", result_bytes=7, seconds=0.1, fingerprint=fingerprint(row, 7))


if __name__ == "__main__":
    main()
