"""Hair masks of a clip's frames that do not flicker: each is joined from looks at the frames around it.

What a look finds is carried along the motion (dense inverse search: Kroeger et al., "Fast Optical Flow using Dense
Inverse Search", 2016), forwards and backwards in time, and averaged with what the next looks find. Where the motion
forwards and backwards disagrees something was covered, uncovered or has changed: nothing is carried over that. So the
network need not see every frame. The looks in between take turns in how they frame a head, and in the mirror, so that
their mean errs less than each.

All of this happens on a grid of cells, half as fine for the motion as for the masks.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from ombre.hair.grid import sample
from segmentation.finding.box import Part
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.resize import reduced

SIDE = 480  # cells of a mask on the frame's longer side
OWN = threading.local()  # `search`, each thread's
DISAGREE = 1.5, 3.0  # cells of the motion's grid by which forwards and backwards may differ and be fully, not believed
FEWEST = 16  # cells on a side of that grid, which the search for motion needs
CHANGED = 40  # grey levels by which a carried place may differ
CUT = 0.4  # share of the frame; where less of it is known from the frame before, it is another scene
LASTING = 0.45  # seconds after which a look counts only a third as much
AHEAD, MOST_AHEAD = 1.0, 16  # seconds, and frames, that are seen at once
AHEAD_BYTES = 200_000_000  # of frames that wait for those after them
DRAWN = 1e9  # looks that a drawn mask counts for: it lasts some six seconds where the motion can be followed
LOOK, WHOLE = 0.1, 0.3  # seconds from look to look; from one look at the whole frame to the next
WIDER = 0.5  # of a head's look: what one in the mirror sees more on each side
READY = 2, 4  # frames, and masks, that are worked out before they are asked for

Item = TypeVar("Item")
F = TypeVar("F", bound="Frame")


class Frame(Protocol):
    """What is asked of a frame: when it is shown, in seconds, what is seen, (H, W, 3) uint8, and how bright it is,
    (H, W) uint8."""

    seconds: float

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, upright."""

    def grey8(self) -> np.ndarray:
        """(H, W) uint8, upright."""


class Motion(NamedTuple):
    """Where a frame's cells, half as many as a mask has, lie in another: `at` (h, w, 2) float32 x and y there; `known`
    (h, w) float32 0..1, whether they are to be seen there."""

    at: np.ndarray
    known: np.ndarray


class Evidence(NamedTuple):
    """What looks say: `hair` (h, w) float32, the mean of (probability of hair x 255) squared, and how many looks say
    so, `weight` (h, w) float32.

    Squared, since a look misses hair more often than it makes some up: where a quarter of them are sure of it, it is.
    """

    hair: np.ndarray
    weight: np.ndarray

    def mask(self) -> np.ndarray:
        """(h, w) uint8, probability of hair x 255."""
        return cv2.convertScaleAbs(cv2.sqrt(self.hair))

    def carried(self, motion: Motion, seconds: float) -> "Evidence":
        """The same at the cells of the frame that the motion is of, so many seconds away."""
        size = self.hair.shape[::-1]
        across, down = size[0] / motion.known.shape[1], size[1] / motion.known.shape[0]
        finer = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]], np.float32)
        at = cv2.resize(cv2.transform(motion.at, finer), size)
        hair, weight = (
            sample(plane, at, cv2.BORDER_REPLICATE)
            for plane in self  # one by one: twice as fast as both together
        )
        known = cv2.resize(motion.known * np.float32(np.exp(-seconds / LASTING)), size)
        return Evidence(hair, cv2.multiply(weight, known))

    def joined(self, other: "Evidence | None") -> "Evidence":
        """Both, each as much as its looks."""
        if other is None:
            return self
        weight = cv2.add(self.weight, other.weight)
        share = cv2.divide(other.weight, np.maximum(weight, 1e-3))
        return Evidence(cv2.blendLinear(other.hair, self.hair, share, 1 - share), weight)


@dataclass
class Step(Generic[F]):
    """A frame on its way: what was seen of it (None: not looked at), what is known from it and those before it (None:
    nobody has looked yet), and its motion in the one before and in the next."""

    frame: F
    grey: np.ndarray
    to_before: Motion
    looked: Evidence | None = None
    forwards: Evidence | None = None
    to_next: Motion | None = None


class Searches:
    """When all of a frame is searched for heads: WHOLE after the last time; sooner where nobody has been found since a
    short time, as another scene begins or somebody has left.

    Attributes:
        due: seconds, from which on the next search is due.
    """

    def __init__(self) -> None:
        self.due, self._alone_since = -np.inf, np.inf

    def another_scene(self, seconds: float) -> None:
        """It begins with this frame."""
        self.due, self._alone_since = seconds, seconds

    def made(self, seconds: float, anybody: bool) -> None:
        """A search was made; `anybody`: it found a head, or the one before did."""
        self._alone_since = seconds if anybody else min(self._alone_since, seconds)
        wait = WHOLE if anybody else min(max((seconds - self._alone_since) / 2, LOOK), WHOLE)
        self.due = seconds + wait - 0.01


def steady_masks(
    frames: Iterable[F],
    finder: HairFinder,
    drawn: Callable[[F], np.ndarray | None] = lambda frame: None,
    frame_bytes: int = 0,
) -> Iterator[tuple[F, np.ndarray, Motion]]:
    """Each frame with its mask and its motion in the frame before; a mask is (h, w) uint8, probability of hair x 255,
    SIDE cells on the longer side at most.

    Args:
        drawn: gives the masks (H, W) uint8 of those frames that a person has drawn one for; the network does not look
            there, and the frames around follow along the motion.
        frame_bytes: of memory that a frame takes: of large ones fewer are seen at once.
    """
    most = min(max(AHEAD_BYTES // max(frame_bytes, 1), 2), MOST_AHEAD)
    return ahead(masked(looked_at(ahead(moving(frames), READY[0]), finder, drawn), most), READY[1])


def ahead(items: Generator[Item, None, None], count: int) -> Generator[Item, None, None]:
    """The same items, `count` of them worked out in another thread while those before them are used."""
    pool = ThreadPoolExecutor(1)
    try:
        coming = deque(pool.submit(next, items, None) for _ in range(count))
        while (item := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, items, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
        items.close()


def masked(looked: Iterable[Step[F]], most: int = MOST_AHEAD) -> Generator[tuple[F, np.ndarray, Motion], None, None]:
    """What `steady_masks` gives, of frames with what is seen in them, at most so many at once."""
    steps: list[Step[F]] = []
    for step in looked:
        steps.append(step)
        if step.frame.seconds - steps[0].frame.seconds >= AHEAD or len(steps) == most:
            half = (len(steps) + 1) // 2
            yield from given_out(steps, half)
            del steps[:half]
    yield from given_out(steps, len(steps))


def given_out(steps: list[Step[F]], count: int) -> Iterator[tuple[F, np.ndarray, Motion]]:
    """The first `count` frames, with mask and motion from the frame before."""
    return ((step.frame, mask, step.to_before) for step, mask in zip(steps[:count], masks_of(steps)))


def masks_of(steps: list[Step[F]]) -> list[np.ndarray]:
    """The masks, from what is known from before each frame and what is known from after it."""
    masks: list[np.ndarray] = []
    after: Evidence | None = None
    seconds = 0.0
    for step in reversed(steps):
        assert step.forwards is not None, "the first frame is looked at"
        if after is not None and step.to_next is not None:
            after = after.carried(step.to_next, seconds - step.frame.seconds)
        masks.append(step.forwards.joined(after).mask())
        after = step.looked if after is None else after.joined(step.looked)
        seconds = step.frame.seconds
    return masks[::-1]


def moving(frames: Iterable[F], finest: int = 0) -> Generator[Step[F], None, None]:
    """Each frame with its motion; its `to_next` is set when the next one comes. `finest`: how many times the grid is
    halved before the motion is searched on it."""
    before: Step[F] | None = None
    for frame in frames:
        grey = small_grey(frame.grey8())
        step: Step[F] = Step(frame, grey, Motion(places(*grey.shape), np.zeros(grey.shape, np.float32)))
        if before is not None:
            before.to_next, step.to_before = motions(before.grey, grey, finest)
        yield step
        before = step


def looked_at(
    steps: Iterable[Step[F]], finder: HairFinder, drawn: Callable[[F], np.ndarray | None]
) -> Generator[Step[F], None, None]:
    """Each frame with what is seen in it and known from before."""
    before: Step[F] | None = None
    known: Evidence | None = None
    size, next_look, search = (0, 0), -np.inf, Searches()
    found: deque[list[Part]] = deque(maxlen=2)  # the heads of the last looks at the whole, moved on
    turn = 0
    for step in steps:
        frame = step.frame
        if before is not None and before.to_next is not None and known is not None:
            if step.to_before.known.any():
                found = deque(([*moved(heads, before.to_next, known, size)] for heads in found), found.maxlen)
            else:  # another scene
                found.clear()
                search.another_scene(frame.seconds)
            known = known.carried(step.to_before, frame.seconds - before.frame.seconds)
        if (mask := drawn(frame)) is not None:
            step.looked = seen(mask, DRAWN)
        elif frame.seconds >= search.due or (any(found) and frame.seconds >= next_look):
            rgb, next_look = frame.rgb8(), frame.seconds + LOOK - 0.01
            if frame.seconds >= search.due or known is None:
                looked = finder.find(rgb)
                mask = looked.mask()
                step.looked, size = seen(mask, 1), mask.shape
                found.append([crop.part for crop in looked.crops])
                search.made(frame.seconds, any(found))
            else:
                turn += 1
                heads = found[turn % len(found)] or found[turn % len(found) - 1]
                mirrored = turn % 4 > 1
                step.looked = seen_of(heads, finder, rgb, known.mask(), mirrored)
        step.forwards = known = step.looked if known is None else known.joined(step.looked)
        yield step
        before = step


def seen_of(heads: list[Part], finder: HairFinder, rgb: np.ndarray, known: np.ndarray, mirrored: bool) -> Evidence:
    """What the network sees of heads in a frame (H, W, 3), perhaps in the mirror and from a little farther away; of the
    rest the mask `known` (h, w) tells."""
    mask, count = known.copy(), np.zeros(known.shape, np.float32)
    for head in [wider(head, *rgb.shape[:2]) for head in heads] if mirrored else heads:
        count[finder.predict_into(mask, rgb, head, mirrored).slices] = 1
    return Evidence(squared(mask), count)


def wider(part: Part, height: int, width: int) -> Part:
    """A part of a frame (height, width) and what is around it."""
    down, across = round(WIDER * (part.bottom - part.top)), round(WIDER * (part.right - part.left))
    return Part(
        max(part.top - down, 0),
        max(part.left - across, 0),
        min(part.bottom + down, height),
        min(part.right + across, width),
    )


def moved(heads: list[Part], motion: Motion, known: Evidence, size: tuple[int, int]) -> Iterator[Part]:
    """The parts of a frame of this size (height, width) that show heads, in the next frame: each goes with the hair in
    it; a side at the frame's border stays there. `motion` in the next frame, `known` of the frame itself."""
    height, width = size
    if set(heads) <= {Part(0, 0, height, width)}:
        yield from heads
        return
    hair = cv2.resize(known.hair, motion.known.shape[::-1])
    scale, own = len(hair) / height, places(*hair.shape)
    for head in heads:
        cells = head.scaled(scale, scale).slices
        weight, away = hair[cells] * motion.known[cells], motion.at[cells] - own[cells]
        mean = np.tensordot(weight, away, 2) / max(weight.sum(), 1)
        across, down = np.rint(mean / scale).astype(int).tolist()
        part = Part(
            max(head.top + down, 0) if head.top else 0,
            max(head.left + across, 0) if head.left else 0,
            min(head.bottom + down, height) if head.bottom < height else height,
            min(head.right + across, width) if head.right < width else width,
        )
        if part.bottom > part.top and part.right > part.left:
            yield part


def seen(mask: np.ndarray, count: float) -> Evidence:
    """What a mask (H, W) uint8 of a frame says, as so many looks."""
    scale = min(1, SIDE / max(mask.shape))
    hair = squared(reduced(mask, *(max(1, round(side * scale)) for side in mask.shape)))
    return Evidence(hair, np.full(hair.shape, count, np.float32))


def squared(mask: np.ndarray) -> np.ndarray:
    """(h, w) uint8 -> float32."""
    return cv2.multiply(mask, mask, dtype=cv2.CV_32F)


def motions(before: np.ndarray, now: np.ndarray, finest: int = 0) -> tuple[Motion, Motion]:
    """The motion of `before` in `now`, and of `now` in `before`, both small and grey; `finest` as in `moving`."""
    flow = dense_inverse_search()
    flow.setFinestScale(finest)
    there = flow.calc(before, now, None)  # type: ignore[call-overload]  # the stubs do not know
    back = flow.calc(now, before, None)  # type: ignore[call-overload]  # that there need be no flow to start from
    return motion(there, back, before, now), motion(back, there, now, before)


def motion(there: np.ndarray, back: np.ndarray, of: np.ndarray, to: np.ndarray) -> Motion:
    """The motion of one grey frame to another, from the flow there and back."""
    at = places(*of.shape) + there
    home = sample(back, at, beyond=(1e4, 1e4))
    seen = sample(to, at, cv2.BORDER_REPLICATE)
    same = cv2.blur(cv2.absdiff(seen, of), (3, 3)) < CHANGED
    full, none = DISAGREE
    known = np.clip((none - cv2.magnitude(*cv2.split(there + home))) / (none - full), 0, 1) * same
    return Motion(at, (known if known.mean() >= CUT else np.zeros_like(known)).astype(np.float32))


def small_grey(grey: np.ndarray) -> np.ndarray:
    """(H, W) -> (h, w) uint8, half as many cells as a mask has, FEWEST on a side at least."""
    scale = min(1, SIDE / max(grey.shape)) / 2
    return reduced(grey, *(max(FEWEST, round(side * scale)) for side in grey.shape))


@lru_cache(maxsize=4)
def places(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float32: every cell's own x and y."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def dense_inverse_search() -> cv2.DISOpticalFlow:
    """The search, a thread's own, since it keeps what it works with. At the grid's own fineness edges flicker least;
    the presets stop at half or a quarter of it, and spend that time on smoothing."""
    if not hasattr(OWN, "search"):
        OWN.search = new_search()
    return OWN.search


def new_search() -> cv2.DISOpticalFlow:
    """One that nobody else uses."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setGradientDescentIterations(4)
    search.setPatchStride(6)
    search.setVariationalRefinementIterations(0)
    return search
