"""A cluster of three nodes on this machine; a node is killed half-way, then everything, and the job is started again.

It says what was done when, and whether files and rows are those of a plain run in the end: none lost, none twice.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.tools.nodes import SETTINGS, cluster, wait_until
from tests.tools.processes import kill
from tests.tools.same_results import files_of, rows_of

SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpg"))
NODES = 3
IN_A_FOLDER = 500
EVERY = 100  # of so many pictures one is broken, and one a wall


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000, metavar="N")
    count = parser.parse_args().pictures
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_pictures(folder / "in", count)
        print(f"{count} pictures; a plain run:", dye(folder, "plain").communicate()[0].strip(), flush=True)
        interrupted(folder, count)
        kept = noted(folder)
        with cluster(NODES, folder / "node.log") as (_, address):
            print("started again:", dye(folder, "there", "--cluster", address).communicate()[0].strip(), flush=True)
        return compared(folder, kept)


def interrupted(folder: Path, count: int) -> None:
    """A job whose last node is killed after a third of the pictures, and all of it after two thirds."""
    with cluster(NODES, folder / "node.log") as (nodes, address):
        job = dye(folder, "there", "--cluster", address)
        wait_for_rows(folder, job, count // 3)
        kill(nodes[-1])
        print(f"a node of {NODES} killed when {len(noted(folder))} rows were noted", flush=True)
        wait_for_rows(folder, job, 2 * count // 3)
        kill(job, *nodes)
        print(f"everything killed when {len(noted(folder))} rows were noted", flush=True)


def compared(folder: Path, kept: pd.DataFrame) -> int:
    """Say how the results compare; the exit code, 0 where they are the same."""
    plain, there = files_of(folder / "plain"), files_of(folder / "there")
    rows = noted(folder)
    whole = rows[rows.status != "failed"]
    checks = {
        f"{len(there)} results, byte by byte those of the plain run": there == plain,
        f"{len(whole)} rows of results, none twice": len(whole) == whole.output.nunique() == len(plain),
        "rows as in the plain run": rows_of(folder / "there/ombre.parquet") == rows_of(folder / "plain/ombre.csv"),
        f"the {len(kept)} rows of the killed job are still there": kept.fingerprint.isin(rows.fingerprint).all(),
    }
    for check, holds in checks.items():
        print(f"{'yes' if holds else 'NO'}: {check}")
    return int(not all(checks.values()))


def make_pictures(folder: Path, count: int) -> None:
    """Small portraits, no two alike, in folders; some without hair, some broken."""
    portraits = [Image.open(path).resize((320, 320)) for path in SAMPLES]
    for number in range(count):
        path = folder / f"{number // IN_A_FOLDER:02d}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % EVERY == 7:
            path.write_text("no picture")
        elif number % EVERY == 8:
            Image.new("RGB", (60, 40), (180, number % 256, 150)).save(path)
        else:
            size = 160 + number // len(portraits) % 97, 200 + number % 89
            portraits[number % len(portraits)].resize(size).save(path)


def dye(folder: Path, output: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, SCRIPT, folder / "in", "--output", folder / output, *arguments]
    with open(folder / f"{output}.log", "a") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def noted(folder: Path) -> pd.DataFrame:
    """The rows that are there."""
    return pd.read_parquet(folder / "there" / "ombre.parquet")


def wait_for_rows(folder: Path, job: subprocess.Popen, count: int) -> None:
    def there() -> bool:
        parts = list((folder / "there" / "ombre.parquet").glob("[0-9]*.parquet"))
        return bool(parts) and len(noted(folder)) >= count

    wait_until(there, job, folder / "there.log")


if __name__ == "__main__":
    sys.exit(main())
