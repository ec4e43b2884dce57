"""How long the dyeing script takes, and how much memory, to see what of a folder is done: all of it, or all but one.

    python benchmarks/start.py [--pictures 100000]

One picture is dyed by the script; its links, those of its result and the copies of its row stand for the others.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown

SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
PICTURE = ROOT / "data" / "samples" / "astronaut.jpg"
IN_A_FOLDER = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000, metavar="N")
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        finish(folder, count)
        rows = [{"": f"{count:,} finished"} | start(folder)]
        (folder / "out" / dyed(name_of(count - 1))).unlink()
        rows.append({"": f"{count:,} finished but one"} | start(folder))
    print(markdown(rows))


def finish(folder: Path, count: int) -> None:
    """Pictures in `in/`, results and their table in `out/`."""
    first = folder / "in" / name_of(0)
    first.parent.mkdir(parents=True)
    first.write_bytes(PICTURE.read_bytes())
    start(folder)
    table = folder / "out" / "ombre.csv"
    with open(table, newline="") as file:
        (row,) = csv.DictReader(file)
    with open(table, "a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        for name in map(name_of, range(1, count)):
            link(first, folder / "in" / name)
            link(folder / "out" / row["output"], folder / "out" / dyed(name))
            writer.writerow(row | dict(image=f"../in/{name}", output=dyed(name)))


def link(original: Path, path: Path) -> None:
    """A link to a file, by way of a hidden copy in each folder: a file may not have any number of links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.parent / f".{original.name}"
    if not own.exists():
        shutil.copy2(original, own)
    os.link(own, path)


def name_of(number: int) -> str:
    return f"{number // IN_A_FOLDER:05d}/{number:08d}.jpg"


def dyed(name: str) -> str:
    return name.replace(".jpg", "_0.9.jpg")


def start(folder: Path) -> dict[str, object]:
    """Run the script to its end: seconds, the most memory it had, its last line."""
    began = time.perf_counter()
    command = [sys.executable, str(SCRIPT), "in", "--output", "out"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said
    seconds = time.perf_counter() - began
    processor = usage.ru_utime + usage.ru_stime
    return {
        "seconds": seconds,
        "of the processor": processor,
        "memory, MB": usage.ru_maxrss / 1024,
        "the script says": said.splitlines()[-1],
    }


if __name__ == "__main__":
    main()
