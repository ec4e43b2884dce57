"""What a cluster costs beside a plain run on this machine, in pictures a second and processor time, once both run.

    python benchmarks/cluster_pace.py [--pictures 400] [--rounds 3]

They take turns, by rounds. Counted is from the first result to the last one: pictures a second by the clock, and
the processor time of all processes for a picture, which other programs disturb less. The ratios are of the medians.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from tests.tools.processes import below

SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpg"))
SIDE = 1024  # pixels
PAUSE = 0.3  # seconds between two looks at the processor time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args()
    runs: dict[str, list] = {"plain": [], "cluster": []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_pictures(folder / "in", options.pictures)
        for number in range(options.rounds):
            runs["plain"].append(measured(folder, f"plain{number}"))
            runs["cluster"].append(measured(folder, f"cluster{number}", "--cluster"))
    rows = [{"": name} | dict(zip(COLUMNS, np.median(of, axis=0))) for name, of in runs.items()]
    ratios = [rows[1][name] / rows[0][name] for name in COLUMNS]
    print(markdown([*rows, {"": "ratio"} | dict(zip(COLUMNS, ratios))]))


COLUMNS = ["pictures a second", "processor ms a picture", "seconds to the first result"]


def make_pictures(folder: Path, count: int) -> None:
    """Portraits of one size, no two alike."""
    folder.mkdir()
    portraits = [Image.open(path).convert("RGB").resize((SIDE, SIDE)) for path in SAMPLES]
    for number in range(count):
        picture = portraits[number % len(portraits)]
        moved = picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, number, 0, 1, 0))
        moved.save(folder / f"{number:05}.jpg")


def measured(folder: Path, output: str, *arguments: str) -> tuple[float, float, float]:
    """The columns for one run."""
    began = time.time()
    command = [sys.executable, SCRIPT, folder / "in", "--output", folder / output, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    had: dict[int, float] = {}
    looks = []
    while process.poll() is None:
        had |= below(process.pid)
        looks.append((time.time(), sum(had.values())))
        time.sleep(PAUSE)
    assert process.returncode == 0
    done = sorted(path.stat().st_mtime for path in (folder / output).rglob("*.jpg"))
    first, last = done[0], done[-1]
    spent = np.diff(np.interp([first, last], *zip(*looks)))[0]
    return (len(done) - 1) / (last - first), 1000 * spent / (len(done) - 1), first - began


if __name__ == "__main__":
    main()
