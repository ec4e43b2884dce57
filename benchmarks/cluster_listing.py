"""What a cluster's lister needs, in time and memory, to see what of a folder is done: nothing, and all of it.

    python benchmarks/cluster_listing.py [--pictures 100000 ...] [--flat] [--store-alone]

The folder is made of links, in folders of IN_A_FOLDER or, with --flat, all in one; its rows are Parquet files as jobs
write them. Of a store, a flat prefix is listed whose client answers a thousand names a call, after a pause as of a
store that is near. Give numbers of pictures. Seconds are by the clock and, behind the stroke, of the processor; each
step is a process of its own.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from common.batch import s3
from common.batch.orders import Lister
from common.batch.places import place_at
from common.batch.rows import Rows, fingerprint, fingerprints
from common.batch.storage import Folder
from ombre.stage import Dye
from ombre.style import Style

IN_A_FOLDER = 1000
PAGE = 1000  # names that a store answers with
NEAR = 0.02  # seconds that it takes
NOTHING = np.zeros(0, np.uint64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[100_000], metavar="N")
    parser.add_argument("--flat", action="store_true", help="all pictures in one folder")
    parser.add_argument("--store-alone", action="store_true", help="list the store's prefix alone")
    options = parser.parse_args()
    for count in options.pictures:
        with tempfile.TemporaryDirectory() as place:
            print(markdown(steps(Path(place), count, options)), flush=True)


def steps(folder: Path, count: int, options: argparse.Namespace) -> list[dict[str, object]]:
    said = {}
    stored = apart(partial(listing_of_store, count), folder)
    said[f"a store's flat prefix listed, the first order after {stored['first']:.2g} s"] = stored
    if not options.store_alone:
        in_a_folder = count if options.flat else IN_A_FOLDER
        for number in range(count):
            link(str(folder / "in" / f"{number // in_a_folder:05d}"), f"{number:08d}.jpg")
        listed = apart(listing, folder)
        apart(finish, folder)
        read, resumed = apart(reading, folder), apart(resuming, folder)
        assert listed["found"] == count and resumed["found"] == 0, (listed, resumed)
        said[f"a folder listed, the first order after {listed['first']:.2g} s"] = listed
        said[f"rows read ({read['files']:,} files)"] = read
        said["rows read, all seen to be done"] = resumed
    return [
        {"pictures": f"{count:,}", "": name, "s / of the processor": step["seconds"], "memory, MB": step["memory"]}
        for name, step in said.items()
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
    return Dye(styles=[Style()], weights_hash="sha256:000000000000"), Folder(folder / "in"), Folder(folder / "out")


class Prefix:
    """What asks a store, as boto3 does, for a bucket with so many keys under one prefix."""

    def __init__(self, count: int) -> None:
        self.count = count

    def get_paginator(self, _: str) -> "Prefix":
        return self

    def paginate(self, Prefix: str, **_: object) -> Iterator[dict]:
        now = datetime.now(UTC)
        for start in range(0, self.count if Prefix == "in/" else 1, PAGE):
            time.sleep(NEAR)
            keys = [f"in/{number:09d}.jpg" for number in range(start, min(start + PAGE, self.count))]
            contents = [dict(Key=key, Size=7, LastModified=now) for key in keys if key.startswith(Prefix)]
            yield {"Contents": contents, "IsTruncated": start + PAGE < self.count}


def listing_of_store(count: int, folder: Path) -> dict:
    s3._client = lambda given: Prefix(count)
    stage, _, target = parts(folder)
    return listed_by(Lister(stage, place_at("s3://bucket/in?region=us-east-1"), target, NOTHING))


def listing(folder: Path) -> dict:
    return listed_by(Lister(*parts(folder), NOTHING))


def listed_by(lister: Lister) -> dict:
    began, found, first = time.perf_counter(), 0, 0.0
    for order in lister.orders():
        first = first or time.perf_counter() - began
        found += len(order.pictures)
    return dict(found=found, first=first)


def reading(folder: Path) -> dict:
    stage, _, target = parts(folder)
    files = len(list((folder / "out" / "ombre.parquet").iterdir()))
    return dict(rows=len(fingerprints(target, stage)[0]), files=files)


def resuming(folder: Path) -> dict:
    stage, source, target = parts(folder)
    return listed_by(Lister(stage, source, target, fingerprints(target, stage)[0]))


def finish(folder: Path) -> dict:
    """Results and rows as a job leaves them."""
    stage, source, target = parts(folder)
    rows = Rows(stage, target, 0)
    for order in Lister(stage, source, target, NOTHING).orders():
        rows.add([finished(folder, row) for picture in order.pictures for row in picture.rows(stage)])
    rows.write()
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
