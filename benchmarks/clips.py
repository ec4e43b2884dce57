#!/usr/bin/env python
"""How steady, true and fast clips are dyed, against the same frame by frame.

    python benchmarks/clips.py CLIPS HAIR_MASKS [--every 24] [--frames 20] [--seconds 4]

CLIPS is a folder of clips, HAIR_MASKS one with `val` and `scenes_val`, of which every so many pictures are moved
(clip_truth.py). What flickers is sum of abs(mask - the mask before, moved by the optical flow) over the sum of the
masks, where a flow at the frame's full size (finer than the one that carries the masks) agrees forwards and backwards
within a pixel. Where the fade begins is told against the hair's height, from frame to frame, where the head moves by
less than half a pixel. The clip that is timed is the first, enlarged to 1280 x 720 and repeated;
what a busy machine has left of its cores changes the seconds, not the processor's seconds.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clip_truth import comings, cuts, truth
from benchmarks.markdown import markdown
from benchmarks.whole_script import run_script
from common.image.moving import is_clip
from ombre.media.source import FrameSource, opened
from ombre.media.video import Clip
from ombre.render.recolour import Hair, prepare
from ombre.tracking.heads import SteadyHeads
from ombre.tracking.steady import steady_masks
from segmentation.dataset.pairs import find_pairs
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder

HEIGHT = 0.6  # of the hair that is dyed, as the script's default
MOST_PIXELS = 10**8
QUALITY = 75
HD = 1280, 720


def main() -> None:
    options = parser().parse_args()
    cv2.setNumThreads(1)
    finder = HairFinder(options.weights)
    paths = sorted(path for path in options.clips.iterdir() if is_clip(path))
    pairs = [pair for part in ("val", "scenes_val") for pair in find_pairs(options.masks / part)[0][:: options.every]]
    parts = {
        "steady": ("Steady", lambda: [steadiness(path, finder) for path in paths]),
        "true": ("True: mean IoU of a frame", lambda: truth(pairs, finder, options.frames)),
        "cuts": ("Cuts: IoU from the second frame on, and what is left of the old mask", lambda: [cuts(pairs, finder)]),
        "comings": (
            "People who enter and leave: seconds until they are dyed, and until nothing is",
            lambda: comings(options.masks, finder, options.people),
        ),
        "fast": (
            f"Fast: {options.seconds} s of {HD[0]} x {HD[1]}, 30 frames a second, H.264",
            lambda: speed(paths[0], options.seconds),
        ),
    }
    for part in options.only or parts:
        title, rows = parts[part]
        print(f"{title}:\n\n{markdown(rows())}", flush=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, metavar="CLIPS")
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--every", type=int, default=24, metavar="N", help="every so many pictures are moved")
    parser.add_argument("--frames", type=int, default=20, metavar="N", help="of each of those clips")
    parser.add_argument("--people", type=int, default=8, metavar="N", help="who enter and leave")
    parser.add_argument("--seconds", type=int, default=4, metavar="N", help="of the clip that is timed")
    parser.add_argument("--only", nargs="+", choices=("steady", "true", "cuts", "comings", "fast"), help="not all")
    return parser


def clip_of(path: Path) -> FrameSource:
    return opened(path, MOST_PIXELS)


def steadiness(path: Path, finder: HairFinder) -> dict:
    """A clip's row: what flickers, and how the fade's beginning moves."""
    frames, masks, motions = zip(*steady_masks(clip_of(path).frames(), finder))
    pictures = [frame.rgb8() for frame in frames]
    masks = [cv2.resize(mask, rgb.shape[1::-1]) for mask, rgb in zip(masks, pictures)]
    alone = [finder.mask(rgb) for rgb in pictures]
    flows = [flow(before, now) for before, now in zip(pictures, pictures[1:])]
    before, after = flicker(alone, flows), flicker(masks, flows)
    heads, found, seconds = SteadyHeads(), [], 0.0
    for rgb, mask, motion, frame in zip(pictures, masks, motions, frames):
        found.append(heads.steadied(prepare(rgb, mask, still=False), motion, frame.seconds - seconds))
        seconds = frame.seconds
    by_itself = [prepare(rgb, mask, still=False) for rgb, mask in zip(pictures, alone)]
    return {
        "": path.name,
        "flicker, frame by frame": before,
        "here": after,
        "ratio": after / before,
        "fade moves, frame by frame, % of the hair": beginning_moves(by_itself, flows),
        "here ": beginning_moves(found, flows),
    }


def flow(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of `now` lies in `before` (H, W, 2), and whether both ways agree."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    greys = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (before, now)]
    there, back = search.calc(*greys, None), search.calc(*greys[::-1], None)
    height, width = back.shape[:2]
    at = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32) + back
    home = cv2.remap(there, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e4, 1e4))
    return at, np.linalg.norm(back + home, axis=2) <= 1


def flicker(masks: list[np.ndarray], flows: list[tuple[np.ndarray, np.ndarray]]) -> float:
    changed = total = 0.0
    for before, now, (at, agree) in zip(masks, masks[1:], flows):
        moved = cv2.remap(np.float32(before), at, None, cv2.INTER_LINEAR)
        changed += float(np.abs(now - moved)[agree].sum())
        total += float(now[agree].sum())
    return changed / max(total, 1.0)


def beginning_moves(found: list[Hair | None], flows: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """95th percentile of how far the beginning of the tallest hair's fade moves, % of its height."""
    moves = []
    for before, now, (at, _) in zip(found, found[1:], flows):
        if before is None or now is None:
            continue
        rows, columns = np.nonzero(now.alpha > 127)
        rows, columns = rows + now.rows.start, columns + now.columns.start
        away = at[rows, columns] - np.stack([columns, rows], axis=1)
        if np.median(np.linalg.norm(away, axis=1)) < 0.5:
            (first, height), (second, _) = beginning(before), beginning(now)
            moves.append(100 * abs(second - first) / height)
    return float(np.percentile(moves, 95)) if moves else float("nan")


def beginning(hair: Hair) -> tuple[float, float]:
    """The row in which the fade of the tallest hair begins, and that hair's height."""
    top, bottom = max(hair.people.heads, key=lambda head: head.bottom - head.top)
    return hair.rows.start + bottom - HEIGHT * (bottom - top), bottom - top


def speed(path: Path, length: int) -> list[dict]:
    """The script on a clip of so many seconds, and decoding and encoding alone."""
    with TemporaryDirectory() as folder:
        large = enlarged(path, Path(folder, "large.mp4"), length)
        run_script(path, Path(folder, "first"))  # all that is made once
        started, used = time.perf_counter(), processor_seconds()
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from benchmarks.clips import recode; recode(*sys.argv[1:])"
        )
        subprocess.run([sys.executable, "-c", code, str(large), str(Path(folder, "alone.mp4"))], check=True)
        alone = time.perf_counter() - started, processor_seconds() - used, ""
        used = processor_seconds()
        _, dyed, memory = run_script(large, Path(folder, "out"))
        dyed = dyed, processor_seconds() - used, memory
    return [
        {
            "": name,
            "seconds": seconds,
            "frames a second": length * 30 / seconds,
            "times": seconds / alone[0],
            "processor's seconds": used,
            "times ": used / alone[1],
            "MB": memory,
        }
        for name, (seconds, used, memory) in (("decoding and encoding alone", alone), ("the script", dyed))
    ]


def processor_seconds() -> float:
    """What the programs started so far have taken of all cores; programs beside them change it little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def enlarged(path: Path, target: Path, length: int) -> Path:
    """The clip at HD size, back and forth for so many seconds, as a telephone would write it."""
    import av

    frames = [frame.rgb8() for frame in clip_of(path).frames()]
    frames = [cv2.resize(rgb, HD, interpolation=cv2.INTER_CUBIC) for rgb in frames]
    with av.open(target, "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *HD, "yuv420p"
        for number in range(length * 30):
            place = number % (2 * len(frames) - 2)
            frame = av.VideoFrame.from_ndarray(frames[min(place, 2 * len(frames) - 2 - place)], format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


def recode(source: str, target: str) -> None:
    """Decode and encode a clip as the script does, with nothing between."""
    clip = Clip(source, MOST_PIXELS)
    with clip.writer(Path(target), QUALITY) as writer:
        for frame in clip.frames():
            writer.encode(frame.raw)


if __name__ == "__main__":
    main()
