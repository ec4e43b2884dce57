"""How fast the page's mirror is: frames a second, and how long a frame is away; its server, asked over sockets.

python benchmarks/mirror.py
"""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clips import flicker, flow
from benchmarks.markdown import markdown
from benchmarks.page_speed import resident, served
from common.device import own_cores
from common.image.picture import DEFAULT_MAX_PIXELS
from ombre.media.live import LiveFrame
from ombre.media.source import opened
from ombre.page.mirror import decoded
from ombre.page.picture import jpeg
from ombre.page.visitors import Visitors
from ombre.render.recolour import Hair, prepare
from ombre.tracking.mirror import mirrored
from segmentation.finding.hair_finder import HairFinder

CLIP = ROOT / "data" / "samples" / "learn.mkv"
AT_ONCE = 2  # frames on their way, as the page has them
CAMERA = 1 / 30  # seconds from frame to frame of a camera
WARM_UP = 2.0  # seconds that are not counted


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steady", action="store_true", help="how much flickers instead, in so many seconds")
    options = parser.parse_args()
    frames, finder = film(options.clip, *options.size), HairFinder(streams=own_cores())
    if options.steady:
        print(markdown([steadiness(frames[: round(options.seconds / CAMERA)], finder)]))
    else:
        print(markdown(pace(frames, finder, options)))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What is asked of a mirror, in a browser too."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=CLIP, help="what the camera sees (%(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"), help="(640 480)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (%(default)s)")
    parser.add_argument("--visitors", type=int, default=1, help="mirrors that are open at once (%(default)s)")
    return parser


def pace(frames: list[bytes], finder: HairFinder, options: argparse.Namespace) -> list[dict[str, str]]:
    """A row for each visitor; the processor's time is that of all of them, a frame."""
    finder.find(decoded(frames[0]))  # what is made ready once
    with TemporaryDirectory() as folder, ThreadPoolExecutor(options.visitors) as pool:
        address = served(Visitors(Path(folder), finder, DEFAULT_MAX_PIXELS)).replace("http", "ws")
        looks = [pool.submit(look, address, frames, options.seconds) for _ in range(options.visitors)]
        time.sleep(WARM_UP)
        began = time.process_time()
        seen = [look.result() for look in looks]
        spent = time.process_time() - began
    each = f"{1000 * spent / max(sum(len(away) for away, _ in seen), 1):.0f}"
    return [
        {
            "frames a second": f"{len(away) / options.seconds:.1f}",
            "ms away, median": f"{1000 * median(away):.0f}",
            "95 % below": f"{1000 * sorted(away)[len(away) * 95 // 100]:.0f}",
            "processor, ms a frame": each,
            "MB, first and last": memory,
        }
        for away, memory in seen
    ]


def steadiness(frames: list[bytes], finder: HairFinder) -> dict[str, str]:
    """What flickers at the edge of the hair (clips.py), looked at frame by frame and in the mirror."""
    pictures = [decoded(data) for data in frames]
    flows = [flow(before, now) for before, now in zip(pictures, pictures[1:])]
    alone = [whole(rgb, prepare(rgb, finder.mask(rgb))) for rgb in pictures]
    live = [LiveFrame(number * CAMERA, partial(decoded, data)) for number, data in enumerate(frames)]
    here = [whole(frame.rgb, hair) for frame, hair in mirrored(live, finder)]
    both = flicker(alone, flows), flicker(here, flows)
    return {"flicker, frame by frame": f"{both[0]:.3f}", "here": f"{both[1]:.3f}", "ratio": f"{both[1] / both[0]:.2f}"}


def whole(rgb: np.ndarray, hair: Hair | None) -> np.ndarray:
    """Share of hair x 255 of a whole picture (H, W) uint8."""
    share = np.zeros(rgb.shape[:2], np.uint8)
    if hair is not None:
        share[hair.rows, hair.columns] = hair.alpha
    return share


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


def look(address: str, frames: list[bytes], seconds: float) -> tuple[list[float], str]:
    """One visitor's mirror for so long, as `turns` has it."""
    from websockets.sync.client import connect

    with connect(f"{address}/en/live", max_size=None) as page:
        token = json.loads(page.recv())["token"]
        with connect(f"{address}/mirror/{token}", max_size=None, compression=None) as mirror:
            return turns(mirror, frames, seconds)


def turns(mirror, frames: list[bytes], seconds: float) -> tuple[list[float], str]:
    """How long each frame that came back was away, in seconds; the process's memory, first and last. As the page does:
    the camera's newest frame is sent when fewer than AT_ONCE are on their way, each but once."""
    began, sent, away, first, last = time.perf_counter(), {}, [], 0.0, -1
    while (now := time.perf_counter() - began) < WARM_UP + seconds:
        number = int(now / CAMERA)
        if number > last and len(sent) < AT_ONCE:
            last, stamp = number, round(1000 * now)
            sent[stamp] = now
            mirror.send(stamp.to_bytes(4) + frames[number % len(frames)])
        try:
            answer = mirror.recv(max(0, (number + 1) * CAMERA - now) if len(sent) < AT_ONCE else None)
        except TimeoutError:
            continue
        stamp, now = int.from_bytes(answer[:4]), time.perf_counter() - began
        if now > WARM_UP:
            away.append(now - sent[stamp])
            first = first or resident()
        sent = {other: when for other, when in sent.items() if other > stamp}
    return away, f"{first:.0f}, {resident():.0f}"


if __name__ == "__main__":
    main()
