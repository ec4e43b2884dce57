#!/usr/bin/env python
"""How fast the third stage is: colouring alone, a whole batch, where its time goes, its memory and its start.

    python benchmarks/ombre_speed.py [--pictures 200] [--memory 2000] [--runs 30]

Works on pictures made from data/samples (turned, cropped and enlarged to 1024 x 1024, JPEG of quality 90); the batches
are dyed by the script itself, as a user starts it. Beside them the copying alone: the same pictures decoded and encoded
with their own tables by Pillow, in as many threads. The table of where time goes is one core's time for a picture: the
script's steps one after the other, each on one thread. Beside each step the least that it could take (limit.py).
"""

import argparse
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import limit
from benchmarks.markdown import markdown
from benchmarks.ombre_quality import seed_tint
from benchmarks.whole_script import batches, command, run_script, the_same_again
from common.device import own_cores
from common.image.picture import Picture, read_picture, write_picture
from common.workarounds import keep_freed_memory
from ombre.render.recolour import dye_hair, ombre, prepare
from ombre.render.visibility import likely, shows_little
from ombre.style import Style
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.cost import statistics_of, time_in_turn
from segmentation.networks.resize import HAIR

SIDE = 1024  # pixels
COLOR, HEIGHT, GRAD_HEIGHT = 0.9, 0.6, 0.6  # the script's own defaults
STYLE = Style(str(COLOR), HEIGHT, GRAD_HEIGHT)
FEW = 10  # pictures, for the memory's growth
NAMED = ("numpy", "cv2", "PIL", "openvino", "pandas", "tqdm")  # packages whose import is listed


def main() -> None:
    options = parser().parse_args()
    keep_freed_memory()  # as the script does
    with TemporaryDirectory() as folder:
        many, few = Path(folder, "many"), Path(folder, "few")
        pictures = make_pictures(many, options.pictures)
        make_pictures(few, FEW)
        out = Path(folder, "out")
        run_script(pictures[0], out / "first")  # the engine may have to be exported, which is done once
        inputs = {"a picture": pictures[0], f"{FEW} pictures": few, f"{options.pictures} pictures": many}
        if options.memory:
            inputs[f"{options.memory} pictures"] = the_same_again(pictures, Path(folder, "again"), options.memory)
        tables = {
            "A picture of 1024 x 1024, its mask given, one thread": lambda: colouring(pictures[:8], options.runs),
            "The whole script": lambda: batches(inputs, pictures, out),
            "One core's time for a picture in a batch": lambda: steps(pictures[:8], out / "steps.jpg", options.runs),
            "What starting up imports": lambda: imports(pictures[0], out / "imports"),
        }
        for title, rows in tables.items():
            print(f"{title}:\n\n{markdown(rows())}", flush=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200, metavar="N", help="of the large batch")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="of a larger batch, the same ones again")
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="repetitions of what is timed in here")
    return parser


def make_pictures(folder: Path, count: int) -> list[Path]:
    """Write `count` pictures, all different: the samples turned a little, cropped and enlarged."""
    samples = [read_picture(path).rgb8 for path in sorted((ROOT / "data" / "samples").glob("*.jpg"))]
    random, paths = np.random.default_rng(0), [folder / f"{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        rgb = samples[number % len(samples)]
        height, width = rgb.shape[:2]
        scale = SIDE / min(height, width) * random.uniform(1, 1.2)
        place = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-8, 8), scale)
        place[:, 2] += SIDE / 2 - width / 2, scale * height / 2 - height / 2
        rgb = cv2.warpAffine(rgb, place, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        write_picture(path, Picture(rgb, jpeg={"quality": 90}))
    return paths


def colouring(paths: list[Path], runs: int) -> list[dict]:
    """Ours and the seed project's rule in turn."""
    cv2.setNumThreads(1)
    finder = HairFinder(device="cpu")
    seen = [(rgb, finder.mask(rgb)) for rgb in (read_picture(path).rgb8 for path in paths)]
    pairs = [(rgb, mask) for rgb, mask in seen if (mask >= HAIR).any()]  # the seed's rule fails where none is
    by_seed = partial(seed_tint, color=COLOR, height=HEIGHT, grad=GRAD_HEIGHT)
    ours, seed = "here, matte included", "the seed project's rule, a tint in RGB"
    times = time_in_turn(
        {
            ours: lambda: [ombre(*pair, STYLE) for pair in pairs],
            seed: lambda: [by_seed(*pair) for pair in pairs],
        },
        runs,
    )
    medians = {name: statistics_of(values)["median"] / len(pairs) for name, values in times.items()}
    sizes = {ours: memory_of(partial(ombre, style=STYLE), pairs[0]), seed: memory_of(by_seed, pairs[0])}
    return [
        {"": name, "ms": median, "times as fast": medians[seed] / median, "memory, times the picture": sizes[name]}
        for name, median in medians.items()
    ]


def memory_of(rule: Callable, pair: tuple[np.ndarray, np.ndarray]) -> float:
    """The most that a rule's arrays take together, the result among them, as a multiple of the picture."""
    tracemalloc.start()
    rule(*pair)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / pair[0].nbytes


def steps(paths: list[Path], target: Path, runs: int) -> list[dict]:
    """What the script does with a picture, step by step, over some pictures in turn."""
    cv2.setNumThreads(1)
    finder = HairFinder(device="cpu", streams=own_cores())  # one thread each, as in a batch
    results: dict[str, list] = {}

    def step(name: str, work: Callable, *inputs: str) -> Callable:
        def call() -> None:
            results[name] = [work(*values) for values in zip(*(results[given] for given in inputs))]

        return call

    results["path"] = paths
    calls = {
        "decode": step("decode", read_picture, "path"),
        "network": step("mask", lambda picture: finder.mask(picture.rgb8), "decode"),
        "people, light and matte": step("hair", lambda picture, mask: prepare(picture.rgb, mask), "decode", "mask"),
        "dye": step(
            "dye",
            lambda picture, hair: dye_hair(hair, STYLE) if hair else picture.rgb,
            "decode",
            "hair",
        ),
        "whether it shows": step(
            "shown",
            lambda hair, mask, rgb: hair and shows_little(hair, likely(hair, mask), rgb, STYLE),
            "hair",
            "mask",
            "dye",
        ),
        "encode": step(
            "encode", lambda picture, rgb: write_picture(target, replace(picture, rgb=rgb)), "decode", "dye"
        ),
    }
    times = {
        name: statistics_of(values)["median"] / len(paths)
        for name, values in time_in_turn(calls, runs, warm_up=2).items()
    }
    total = sum(times.values())
    least = limit.least(paths, runs)
    sums = {"sum": total}
    return [
        {
            "": name,
            "ms": value,
            "share": f"{100 * value / total:.0f} %",
            "least, ms": least.get(name, sum(least.values()) if name == "sum" else ""),
        }
        for name, value in (times | sums).items()
    ]


def imports(path: Path, output: Path) -> list[dict]:
    """Milliseconds of imports, by package, while the script dyes a picture; pandas comes after it, for the table."""
    python, *script = command(path, output)
    result = subprocess.run([python, "-X", "importtime", *script], capture_output=True, text=True)
    spent: Counter = Counter()
    for microseconds, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +([\w.]+)", result.stderr, re.MULTILINE):
        package = name.split(".")[0]
        spent[package if package in NAMED else "Python's own and the project's"] += int(microseconds) / 1000
    return [{"": name, "ms": value} for name, value in spent.most_common()]


if __name__ == "__main__":
    main()
