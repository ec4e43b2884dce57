"""What a cluster's lister needs, in time and memory, to see what of a folder is done: nothing, and all of it.

The folder is made of links, its rows of Parquet files as workers write them. Give numbers of pictures. Seconds are by
the clock and, behind the stroke, of the processor; each step is a process of its own.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from common.batch.orders import ORDER, Orders, Picture, Worker, fingerprint, fingerprints
from common.batch.storage import Folder
from ombre.stage import Dye
from ombre.style import Style

IN_A_FOLDER = 1000
NOTHING = np.zeros(0, np.uint64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[100_000], metavar="N")
    for count in parser.parse_args().pictures:
        with tempfile.TemporaryDirectory() as place:
            print(markdown(steps(Path(place), count)), flush=True)


def steps(folder: Path, count: int) -> list[dict[str, object]]:
    for number in range(count):
        link(str(folder / "in" / f"{number // IN_A_FOLDER:05d}"), f"{number:08d}.jpg")
    listed = apart(listing, folder)
    apart(finish, folder)
    read, resumed = apart(reading, folder), apart(resuming, folder)
    assert listed["found"] == count and resumed["found"] == 0, (listed, resumed)
    return [
        {"pictures": f"{count:,}", "": name, "s / of the processor": step["seconds"], "memory, MB": step["memory"]}
        for name, step in {
            f"all listed, the first order after {listed['first']:.2g} s": listed,
            f"rows read ({-(-count // ORDER):,} files)": read,
            "rows read, all seen to be done": resumed,
        }.items()
    ]


def apart(step: Callable[[Path], dict], folder: Path) -> dict:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (step, folder))


def measured(step: Callable[[Path], dict], folder: Path) -> dict:
    """What the step says, its seconds and the most memory of its process (MB)."""
    clock, processor = time.perf_counter(), time.process_time()
    said = step(folder)
    seconds = f"{time.perf_counter() - clock:.3g} / {time.process_time() - processor:.3g}"
    return said | dict(seconds=seconds, memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def parts(folder: Path) -> tuple[Dye, Folder, Folder]:
    return Dye([Style()], "sha256:000000000000"), Folder(folder / "in"), Folder(folder / "out")


def listing(folder: Path) -> dict:
    began, found, first = time.perf_counter(), 0, 0.0
    for order in map(json.loads, Orders(*parts(folder), None).all(NOTHING)):
        first = first or time.perf_counter() - began
        found += len(order["pictures"])
    return dict(found=found, first=first)


def reading(folder: Path) -> dict:
    stage, _, target = parts(folder)
    return dict(rows=len(fingerprints(target, stage)))


def resuming(folder: Path) -> dict:
    stage, source, target = parts(folder)
    done = fingerprints(target, stage)
    orders = map(json.loads, Orders(stage, source, target, None).all(done))
    return dict(found=sum(len(order["pictures"]) for order in orders))


def finish(folder: Path) -> dict:
    """Results and rows as workers leave them."""
    stage, source, target = parts(folder)
    worker = Worker(stage, source, target, 1, "job")
    for order in map(json.loads, Orders(stage, source, target, None).all(NOTHING)):
        rows = [finished(folder, row) for entry in order["pictures"] for row in Picture(*entry).rows(stage)]
        if rows:  # the last order may be empty
            worker.note(rows, folder / "rows.parquet")
    return {}


def finished(folder: Path, row: dict) -> dict:
    link(*os.path.split(folder / "out" / row["output"]))
    return row | dict(status="ok", result_bytes=7, seconds=0.1, fingerprint=fingerprint(row, 7))


def link(folder: str, name: str) -> None:
    """An empty file; those of a folder are links to one."""
    first = os.path.join(folder, ".first")
    try:
        os.link(first, os.path.join(folder, name))
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        Path(first).write_bytes(b"picture")
        os.link(first, os.path.join(folder, name))


if __name__ == "__main__":
    main()
