"""How long the page in the browser lets one wait, and what memory it takes: its server, asked over HTTP.

python benchmarks/page_speed.py
"""

import argparse
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from common.device import own_cores
from common.image.picture import DEFAULT_MAX_PIXELS, Picture, read_picture, write_picture
from ombre.page.strokes import Stroke
from ombre.page.visitors import Visitor, Visitors
from segmentation.finding.hair_finder import HairFinder

PORTRAIT = ROOT / "data" / "samples" / "black_flying.jpg"
SHADES = ("platinum", "copper", "rose gold", "blue", "mint", "plum")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="looks timed of each kind (%(default)s)")
    parser.add_argument("--pictures", type=int, default=200, help="one after the other, for memory (%(default)s)")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        visitors = Visitors(Path(folder, "visitors"), HairFinder(streams=own_cores()), DEFAULT_MAX_PIXELS)
        address = served(visitors)
        rows = []
        for name, width, height in (("1024 x 1024", 1024, 1024), ("24 megapixels, 6000 x 4000", 6000, 4000)):
            file = Path(folder, f"{width}.jpg")
            sized = cv2.resize(read_picture(PORTRAIT).rgb, (width, height), interpolation=cv2.INTER_CUBIC)
            write_picture(file, Picture(sized))
            rows.append({"": name} | waits(visitors, file, address, options.runs))
        print("Milliseconds, median and the slowest of twenty, of the change and the picture that shows it:\n")
        print(markdown(rows))
        sizes = memory_over(visitors, Path(folder, "1024.jpg"), address, options.pictures)
        print(f"Memory of the server in MB, after pictures of 1024 x 1024, {options.pictures} in all:\n")
        print(markdown([{"pictures": "MB"} | sizes]))


def served(visitors: Visitors) -> str:
    """The page's application in a thread; its address."""
    import uvicorn

    from ombre.page.server import make_app

    server = uvicorn.Server(uvicorn.Config(make_app(visitors, [], 10**9), port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def waits(visitors: Visitors, file: Path, address: str, runs: int) -> dict[str, str]:
    visitor = visitors.of(str(file))
    started = time.perf_counter()
    number = visitors.add(visitor, file).number
    get(f"{address}/picture/{visitor.token}/{number}/after")
    first = f"{1000 * (time.perf_counter() - started):.0f}"
    changes = {
        "new colour": lambda i: visitor.change("upper", SHADES[i % len(SHADES)]),
        "new height": lambda i: visitor.change("ombre_height", 0.3 + 0.6 * i / runs),
        "stroke of paint": lambda i: visitor.paint(Stroke(True, 0.02, ((0.2 + 0.5 * i / runs, 0.5), (0.3, 0.6)))),
    }
    times = {name: timed(visitor, address, change, runs) for name, change in changes.items()}
    started = time.perf_counter()
    get(f"{address}/en/download/{visitor.token}/{number}/dyed")
    download = f"{1000 * (time.perf_counter() - started):.0f}"
    visitors.leave(str(file))
    return {"first sight": first} | times | {"download": download}


def timed(visitor: Visitor, address: str, change: Callable[[int], None], runs: int) -> str:
    taken = []
    for i in range(runs):
        started = time.perf_counter()
        change(i)
        get(f"{address}/picture/{visitor.token}/{visitor.step.number}/after?v={visitor.version}")
        taken.append(1000 * (time.perf_counter() - started))
    return f"{median(taken):.0f}, {sorted(taken)[-1 - runs // 20]:.0f}"


def memory_over(visitors: Visitors, file: Path, address: str, pictures: int) -> dict[str, float]:
    """Pictures taken in so far -> this process's resident memory in MB; a visitor has ten at a time, then another."""
    sizes = {}
    for i in range(1, pictures + 1):
        session = f"memory {(i - 1) // 10}"
        visitor = visitors.of(session)
        number = visitors.add(visitor, file).number
        for shade in SHADES[:2]:
            visitor.change("upper", shade)
            get(f"{address}/picture/{visitor.token}/{number}/after")
        get(f"{address}/picture/{visitor.token}/{number}/small")
        if i % 10 == 0:
            visitors.leave(session)
        if i in (pictures // 10, pictures // 2, pictures):
            sizes[str(i)] = resident()
    return sizes


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def get(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        return answer.read()


if __name__ == "__main__":
    main()
