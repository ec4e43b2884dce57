"""A cluster of three nodes on this machine, pictures and clips in a store: two nodes are killed, then everything.

    python benchmarks/cluster_killed.py [--pictures 2000] [--clips 20]

The store is moto's server, which speaks as S3 does. One picture ends each process that opens it. It says what was done
when, and whether files and rows are those of a plain run in the end: none lost, none twice.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image
from pyarrow import fs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.tools.clips import make_clip
from tests.tools.nodes import SETTINGS, cluster, object_store, start, wait_until
from tests.tools.processes import kill
from tests.tools.same_results import files_of

SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpg"))
NODES = 3
IN_A_FOLDER = 500
EVERY = 100  # of so many pictures one is broken, and one a wall
POISON = "poison.jpg"
# run by each Python that starts with its folder on PYTHONPATH: a decoder that crashes
CRASH = f"""
import os, sys
sys.addaudithook(lambda event, of: event == "open" and str(of[0]).endswith("{POISON}") and os._exit(139))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000, metavar="N")
    parser.add_argument("--clips", type=int, default=20, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, object_store() as keys:
        folder = Path(place)
        os.environ.update(SETTINGS | keys)
        make_pictures(folder / "in", options.pictures)
        (folder / "in" / "clips").mkdir()
        for number in range(options.clips):
            make_clip(folder / "in" / "clips" / f"{number:03d}.mp4", frames=10)
        print("a plain run:", dye(folder, folder / "in", folder / "plain").communicate()[0].strip(), flush=True)
        (folder / "in" / "00" / POISON).write_bytes(SAMPLES[0].read_bytes())
        store, _ = fs.FileSystem.from_uri("s3://bucket?allow_bucket_creation=true")
        store.create_dir("bucket")
        fs.copy_files(str(folder / "in"), "bucket/in", destination_filesystem=store)
        (folder / "crash").mkdir()
        (folder / "crash" / "sitecustomize.py").write_text(CRASH)
        os.environ["PYTHONPATH"] = str(folder / "crash")
        interrupted(folder, options.pictures)
        kept = noted()
        with cluster(NODES, folder / "node.log") as (_, address):
            print("started again:", on_cluster(folder, address).communicate()[0].strip(), flush=True)
        fs.copy_files("bucket/out", str(folder / "there"), source_filesystem=store)
        return compared(folder, kept)


def interrupted(folder: Path, count: int) -> None:
    """A job that loses a node after a quarter of the pictures and one after a half, and all after three quarters."""
    with cluster(NODES, folder / "node.log") as (nodes, address):
        job = on_cluster(folder, address)
        for part in (1, 2):
            wait_for_rows(folder, job, part * count // 4)
            kill(nodes[-1])
            print(f"a node of {NODES} killed when {len(noted())} rows were noted", flush=True)
            start(nodes, folder / "node.log", 1, "--address", address)
        wait_for_rows(folder, job, 3 * count // 4)
        kill(job, *nodes)
        print(f"everything killed when {len(noted())} rows were noted", flush=True)


def compared(folder: Path, kept: pd.DataFrame) -> int:
    """Say how the results compare; the exit code, 0 where they are the same."""
    plain, there = files_of(folder / "plain"), files_of(folder / "there")
    every = noted()
    rows = every.sort_values("number").drop_duplicates("output", keep="last")
    poison = rows.image.str.endswith(POISON)
    whole = every[every.status != "failed"]
    checks = {
        f"{len(there)} results, byte by byte those of the plain run": there == plain,
        f"{len(whole)} rows of results, none twice": len(whole) == whole.output.nunique() == len(plain),
        "rows as in the plain run, and one more": sorted(rows.status[~poison])
        == sorted(pd.read_csv(folder / "plain" / "ombre.csv").status),
        "the picture that ends its process is named": "has ended, twice" in rows.error[poison].item(),
        f"the {len(kept)} rows of the killed job are still there": kept.fingerprint.isin(noted().fingerprint).all(),
    }
    for check, holds in checks.items():
        print(f"{'yes' if holds else 'NO'}: {check}")
    for name in sorted(plain.keys() | there.keys()):
        if plain.get(name) != there.get(name):
            print(f"{name}: {len(plain.get(name, b''))} bytes in the plain run, {len(there.get(name, b''))} here")
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


def dye(folder: Path, given: Path | str, output: Path | str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, SCRIPT, given, "--output", output, *arguments]
    with open(folder / "job.log", "a") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def on_cluster(folder: Path, address: str) -> subprocess.Popen:
    return dye(folder, "s3://bucket/in", "s3://bucket/out", "--cluster", address)


def noted() -> pd.DataFrame:
    """The rows that are there."""
    return pd.read_parquet("bucket/out/ombre.parquet", filesystem=fs.FileSystem.from_uri("s3://bucket")[0])


def wait_for_rows(folder: Path, job: subprocess.Popen, count: int) -> None:
    def there() -> bool:
        try:
            return len(noted()) >= count
        except OSError:  # no file yet
            return False

    wait_until(there, job, folder / "job.log")


if __name__ == "__main__":
    sys.exit(main())
