"""How fast the page's mirror is: frames a second, and how long a frame is away; its server, asked over sockets.

python benchmarks/mirror.py
"""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from benchmarks.page_speed import resident, served
from common.device import own_cores
from common.image.picture import DEFAULT_MAX_PIXELS
from ombre.media.source import opened
from ombre.page.picture import jpeg
from ombre.page.visitors import Visitors
from segmentation.finding.hair_finder import HairFinder

CLIP = ROOT / "data" / "samples" / "learn.mkv"
AT_ONCE = 2  # frames on their way, as the page has them
CAMERA = 1 / 30  # seconds from frame to frame of a camera
WARM_UP = 2.0  # seconds that are not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP, help="what the camera sees (%(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"), help="(640 480)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (%(default)s)")
    parser.add_argument("--visitors", type=int, default=1, help="mirrors that are open at once (%(default)s)")
    options = parser.parse_args()
    frames = film(options.clip, *options.size)
    with TemporaryDirectory() as folder:
        visitors = Visitors(Path(folder), HairFinder(streams=own_cores()), DEFAULT_MAX_PIXELS)
        address = served(visitors).replace("http", "ws")
        with ThreadPoolExecutor(options.visitors) as pool:
            looks = [pool.submit(look, address, frames, options.seconds) for _ in range(options.visitors)]
            print(markdown([look.result() for look in looks]))


def film(clip: Path, width: int, height: int) -> list[bytes]:
    """The clip's frames as JPEGs, cut to the shape that is asked for, forwards and back again."""
    frames = []
    for frame in opened(clip, DEFAULT_MAX_PIXELS).frames():
        rgb = frame.rgb8()
        share = max(height / rgb.shape[0], width / rgb.shape[1])
        sized = cv2.resize(rgb, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        top, left = (sized.shape[0] - height) // 2, (sized.shape[1] - width) // 2
        frames.append(jpeg(sized[top : top + height, left : left + width]))
    return frames + frames[-2:0:-1]


def look(address: str, frames: list[bytes], seconds: float) -> dict[str, str]:
    """One visitor's mirror for so long."""
    from websockets.sync.client import connect

    with connect(f"{address}/en/live", max_size=None) as page:
        token = json.loads(page.recv())["token"]
        with connect(f"{address}/mirror/{token}", max_size=None) as mirror:
            away, memory = turns(mirror, frames, seconds)
    row = {"frames a second": f"{len(away) / seconds:.1f}", "ms away, median": f"{1000 * median(away):.0f}"}
    return row | {"95 % below": f"{1000 * sorted(away)[len(away) * 95 // 100]:.0f}", "MB": memory}


def turns(mirror, frames: list[bytes], seconds: float) -> tuple[list[float], str]:
    """How long each frame that came back was away, in seconds; the process's memory, first and last."""
    began, sent, away, first = time.perf_counter(), {}, [], 0.0
    for data in cycle(frames):
        now = time.perf_counter()
        if now - began > WARM_UP + seconds:
            break
        if len(sent) < AT_ONCE:
            stamp = round(1000 * (now - began))
            sent[stamp] = now
            mirror.send(stamp.to_bytes(4) + data)
        while len(sent) == AT_ONCE or sent and time.perf_counter() - now < CAMERA:
            try:
                stamp = int.from_bytes(mirror.recv(max(0, CAMERA - (time.perf_counter() - now)))[:4])
            except TimeoutError:
                break
            taken = time.perf_counter() - sent[stamp]
            sent = {other: when for other, when in sent.items() if other > stamp}
            if time.perf_counter() - began > WARM_UP:
                away.append(taken)
                first = first or resident()
    return away, f"{first:.0f}, {resident():.0f}"


if __name__ == "__main__":
    main()
