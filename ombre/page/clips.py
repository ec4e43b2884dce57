"""Short clips on the page: a frame of one to look at, and the whole dyed, to take home, just as the script does it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np

from common.image.picture import PictureError
from ombre.dye_clip import copy, seen_frames, write_dyed
from ombre.media.mask_files import Masks
from ombre.media.source import Frame, FrameSource, opened
from ombre.page.jobs import Turns
from ombre.stage import Dye
from ombre.style import Style
from ombre.tracking.heads import SteadyHeads
from segmentation.finding.hair_finder import Found, HairFinder

MOST_FRAMES = 900  # half a minute of 30 a second: somebody waits for it
MOST_PIXELS = 1920 * 1088  # of a frame
ANY_SIZE = 10**9  # pixels: what is larger than MOST_PIXELS is refused in the page's own words
LOOKS, APART = 4, 1.0  # frames in which hair is looked for, and seconds between them
SOMEBODY = 0.005  # share of hair in a frame with somebody

turns = Turns(1)  # a clip keeps all cores busy by itself


def opened_short(path: Path) -> FrameSource:
    """A clip, to be read. Raises PictureError, of the kind "clip" where it is too long or too large for the page."""
    clip = opened(path, ANY_SIZE)
    with _frames(clip) as frames:
        height, width = next(frames).rgb8().shape[:2]
    if clip.expected > MOST_FRAMES or height * width > MOST_PIXELS:
        raise _too_much(path, f"{clip.expected} frames of {width} x {height} pixels")
    return clip


def _too_much(path: Path, what: str) -> PictureError:
    return PictureError(f"{path}: {what} are too much for the page; the command dyes them", "clip")


@contextmanager
def _frames(clip: FrameSource) -> Iterator[Iterator[Frame]]:
    with closing(clip.frames()) as frames:  # type: ignore[type-var]  # they are made one by one
        yield frames


def still_of(clip: FrameSource, find: Callable[[np.ndarray], Found]) -> np.ndarray:
    """A frame to look at, (H, W, 3) uint8: the first of some in which hair is found, or the first of all."""
    looked: list[np.ndarray] = []
    with _frames(clip) as frames:
        for frame in frames:
            if looked and frame.seconds < APART * len(looked):
                continue
            looked.append(frame.rgb8())
            if cv2.mean(find(looked[-1]).mask())[0] / 255 > SOMEBODY:
                return looked[-1]
            if len(looked) == LOOKS:
                break
    return looked[0]


def dye_short(path: Path, target: Path, style: Style, finder: HairFinder, reached: Callable[[int], None]) -> None:
    """Dye a clip into a file; one in which nobody is found is copied. `reached` is told how many frames are done; what
    it raises ends the work, with no file. Raises PictureError."""
    clip, heads = opened_short(path), SteadyHeads()
    with clip.writer(target, Dye.quality) as writer, closing(seen_frames(clip, finder, Masks(), heads)) as frames:  # type: ignore[type-var]
        for done, seen in enumerate(frames):
            if done >= MOST_FRAMES:  # not all clips say how long they are
                raise _too_much(path, f"more than {MOST_FRAMES} frames")
            reached(done)
            write_dyed(seen, [style], [writer])
    if not any(heads.counts):
        copy(path, target)
