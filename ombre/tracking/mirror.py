"""The mirror: hair in frames as they come, each given out as soon as it can be.

Steady as in a clip (steady.py, heads.py), but no frame waits for those after it, nor for a search of the whole frame,
which takes as long as several frames: it goes on in a thread of its own, and what it finds is carried along the motion
to the frame of that moment. In between the network looks at the heads that are known.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic

import cv2
import numpy as np

from ombre.render.recolour import Hair, prepare
from ombre.tracking.heads import SteadyHeads
from ombre.tracking.steady import SIDE, Evidence, F, Motion, Step, ahead, moved, moving, seen, seen_of
from segmentation.finding.box import Part
from segmentation.finding.hair_finder import Found, HairFinder

LOOK = 0.2  # seconds from look to look
FINEST = 1  # times that the motion's grid is halved: at a quarter of the time edges flicker a twentieth more
APART = 3  # frames from look to look at least: where a machine is slow, all the time would go into looking
SEARCH, NOBODY = 1.0, 0.3  # seconds from the end of a search to the next; where nobody was found
REST = 4  # times as long as a search took that passes to the next at least


def mirrored(frames: Iterable[F], finder: HairFinder) -> Generator[tuple[F, Hair | None], None, None]:
    """Each frame with its hair, ready to be dyed in any style, as dye_hair has it; None where there is none. All frames
    are of one size. While the hair of one is made ready, another thread looks for that of the next."""
    heads, seconds = SteadyHeads(), 0.0
    for step, known in ahead(watched(moving(frames, FINEST), finder), 1):
        rgb = step.frame.rgb8()
        hair = prepare(rgb, cv2.resize(known.mask(), rgb.shape[1::-1]), still=False)
        yield step.frame, heads.steadied(hair, step.to_before, step.frame.seconds - seconds)
        seconds = step.frame.seconds


def watched(steps: Iterable[Step[F]], finder: HairFinder) -> Generator[tuple[Step[F], Evidence], None, None]:
    """Each frame with what is known of its hair by then."""
    watcher: Watcher[F] = Watcher(finder)
    try:
        for step in steps:
            yield step, watcher.look(step)
    finally:
        watcher.search.close()


class Watcher(Generic[F]):
    """Give it frame after frame: it knows where hair is."""

    def __init__(self, finder: HairFinder) -> None:
        self.finder, self.search = finder, Search(finder)
        self._before: Step[F] | None = None
        self._known: Evidence | None = None
        self._found: deque[list[Part]] = deque(maxlen=2)  # the heads of the last searches, moved on
        self._next_look = self._next_search = -np.inf
        self._turn, self._since = 0, 0

    def look(self, step: Step[F]) -> Evidence:
        """What is known of this frame, with what is seen in it where it is looked at."""
        self._follow(step)
        known, looked, now = self._known, None, step.frame.seconds
        self._since += 1
        if known is None:
            looked, self._since = glance(self.finder, step.frame.rgb8()), 0
        elif self.search.ended():
            looked, heads = self.search.taken()
            self._found.append(heads)
            self._next_search = now + max(SEARCH if heads else NOBODY, REST * self.search.took)
        elif any(self._found) and not self.search.runs() and self._since >= APART and now >= self._next_look:
            looked = self._look_at_heads(step.frame.rgb8(), known)
            self._next_look, self._since = now + LOOK - 0.01, 0
        if not self.search.runs() and now >= self._next_search:
            self.search.begin(step.frame.rgb8())
        self._before = step
        self._known = known.joined(looked) if known is not None else looked
        assert self._known is not None, "the first frame is looked at"
        return self._known

    def _follow(self, step: Step[F]) -> None:
        """What was known of the frame before is carried on; of another scene nothing is known."""
        before, known = self._before, self._known
        if before is None or before.to_next is None or known is None:
            return
        if not step.to_before.known.any():
            self._known, self._next_search = None, -np.inf
            self._found.clear()
            self.search.forget()
            return
        size, seconds = step.frame.rgb8().shape[:2], step.frame.seconds - before.frame.seconds
        self._found = deque(([*moved(heads, before.to_next, known, size)] for heads in self._found), 2)
        self._known = known.carried(step.to_before, seconds)
        self.search.carry(before.to_next, step.to_before, seconds)

    def _look_at_heads(self, rgb: np.ndarray, known: Evidence) -> Evidence:
        """The heads of the last two searches take turns, and so do they and their mirror images."""
        self._turn += 1
        heads = self._found[self._turn % len(self._found)] or self._found[self._turn % len(self._found) - 1]
        return seen_of(heads, self.finder, rgb, known.mask(), self._turn % 4 > 1)


class Search:
    """A search of a whole frame while others go by."""

    def __init__(self, finder: HairFinder) -> None:
        self.took = 0.0  # seconds, of the last one
        self._finder, self._pool = finder, ThreadPoolExecutor(1)
        self._coming: Future[tuple[Found, float]] | None = None
        self._way: list[tuple[Motion, Motion, float]] = []  # from frame to frame since it began

    def begin(self, rgb: np.ndarray) -> None:
        """Search a frame (H, W, 3) uint8."""
        self._way = []
        self._coming = self._pool.submit(self._find, rgb)

    def _find(self, rgb: np.ndarray) -> tuple[Found, float]:
        began = time.perf_counter()
        return self._finder.find(rgb), time.perf_counter() - began

    def carry(self, to_next: Motion, to_before: Motion, seconds: float) -> None:
        """The next frame has come, so many seconds later: the motion of the one before in it, and of it in that."""
        if self._coming:
            self._way.append((to_next, to_before, seconds))

    def runs(self) -> bool:
        """Whether one was begun whose end nobody has taken."""
        return self._coming is not None

    def ended(self) -> bool:
        """Whether there is something to take."""
        return self._coming is not None and self._coming.done()

    def taken(self) -> tuple[Evidence, list[Part]]:
        """What was found and the heads, carried to the newest frame. Raises what the search raised."""
        assert self._coming is not None, "one was begun"
        (found, self.took), self._coming = self._coming.result(), None
        mask, heads = found.mask(), [crop.part for crop in found.crops]
        evidence = seen(mask, 1)
        for to_next, to_before, seconds in self._way:
            heads = [*moved(heads, to_next, evidence, mask.shape)]
            evidence = evidence.carried(to_before, seconds)
        return evidence, heads

    def forget(self) -> None:
        """What is being searched is of no use any more."""
        if self._coming:
            self._coming.cancel()
        self._coming = None

    def close(self) -> None:
        """No more searches."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def glance(finder: HairFinder, rgb: np.ndarray) -> Evidence:
    """What one look at the whole of a frame (H, W, 3) uint8 says."""
    height, width = rgb.shape[:2]
    scale = min(1, SIDE / max(height, width))
    none = np.zeros((max(1, round(scale * height)), max(1, round(scale * width))), np.uint8)
    return seen_of([Part(0, 0, height, width)], finder, rgb, none, False)
