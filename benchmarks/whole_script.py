"""The third stage as a user starts it, timed from outside, beside the copying of the same pictures."""

import math
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from common.device import own_cores

ROOT = Path(__file__).resolve().parents[1]


def the_same_again(paths: list[Path], folder: Path, count: int) -> Path:
    """A folder of `count` pictures which are these, again and again."""
    folder.mkdir()
    for number in range(count):
        os.link(paths[number % len(paths)], folder / f"{number:06}.jpg")
    return folder


def batches(inputs: dict[str, Path], paths: list[Path], out: Path) -> list[dict]:
    """The script on each, from command to exit, and the copying of `paths` alone: how often that would go meanwhile."""
    rows, copying = [], copy_all(paths, out / "copied") / len(paths)
    for number, (name, given) in enumerate(inputs.items()):
        first, seconds, memory = run_script(given, out / str(number))
        count = len(list((out / str(number)).rglob("*.jpg")))
        rows.append(
            {
                "": name,
                "seconds": seconds,
                "to the first result": first,
                "pictures a second": count / seconds,
                "times the copying": seconds / count / copying,
                "memory, MB": memory,
            }
        )
    copying = (copying + copy_all(paths, out / "copied") / len(paths)) / 2  # before and after
    plain = {"": f"{len(paths)} pictures, copied alone", "seconds": copying * len(paths), "to the first result": ""}
    return [*rows, plain | {"pictures a second": 1 / copying, "times the copying": 1, "memory, MB": ""}]


def copy_all(paths: list[Path], out: Path) -> float:
    """Seconds for decoding and encoding these JPEGs with Pillow, in as many threads as the script has."""
    out.mkdir(parents=True, exist_ok=True)

    def copy(path: Path) -> None:
        with Image.open(path) as image:
            sampling = JpegImagePlugin.get_sampling(image)
            Image.fromarray(np.asarray(image)).save(out / path.name, qtables=image.quantization, subsampling=sampling)

    started = time.perf_counter()
    with ThreadPoolExecutor(own_cores() + 1) as pool:
        list(pool.map(copy, paths))
    return time.perf_counter() - started


def run_script(given: Path, output: Path) -> tuple[float, float, float]:
    """Seconds to the first dyed picture and to the end, and the most memory it had, in MB (on Linux, else NaN)."""
    started = time.perf_counter()
    script = subprocess.Popen(command(given, output), stdout=subprocess.DEVNULL)
    first, memory = float("nan"), float("nan")
    while script.poll() is None:
        time.sleep(0.005)
        if math.isnan(first) and any(output.glob("*.jpg")):
            first = time.perf_counter() - started
        with suppress(OSError, TypeError):  # not Linux, or at its end
            memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{script.pid}/status").read_text())[1]) / 1024
    seconds = time.perf_counter() - started
    if script.returncode:
        raise SystemExit(f"the script failed on {given}")
    return first, seconds, memory


def command(given: Path, output: Path) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "ombre" / "generate_ombre_images.py"),
        str(given),
        "--output",
        str(output),
        "--device",
        "cpu",
    ]
