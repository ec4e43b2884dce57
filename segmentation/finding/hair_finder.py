"""A picture in, the student's probability of hair out, on the fastest engine at hand.

On a processor the student runs in OpenVINO, exported from the PyTorch network once and kept beside the weights; PyTorch
is not even imported then. On a GPU it runs in PyTorch.
"""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from common.device import choose_device
from common.paths import MODELS
from common.weights import WeightsError
from segmentation.finding.crops import (
    HAIR,
    HARDLY,
    MOST,
    SURELY,
    Part,
    belongs,
    closer_looks,
    is_far_away,
    is_in,
    nearer_looks,
    pieces,
    tiles,
)
from segmentation.finding.engines import Engine, LazyEngine, openvino_engine, torch_engine
from segmentation.finding.export import exported
from segmentation.networks.resize import INPUT_SIZE, SCOUT_SIZE, squash, to_mask

SHIPPED_WEIGHTS, SCOUT = MODELS / "hair_student.safetensors", MODELS / "hair_scout.safetensors"
DENSE = 672  # pixels of a short side, from which three of the student's tiles along it show more than two
FINE = 4 * INPUT_SIZE  # cells of what a search finds
LARGE = 0.6  # share of a scene's short side, of the look at a head that the search need not look for
CLEAR = 0.8  # probability with which a head as large as the picture was seen before it is looked at, at least
SURE, AFAR = 0.81, 0.15  # how sure that look is at least, and how much of what was seen from farthest away helps it
SOME, DOUBT = 0.02, 0.88  # share of a picture, mean probability: more hair, seen with less, is looked at again
MARGIN = 28  # cells that are left out, or added, where it is looked at from nearer, or from farther away
TURNED = 0.5  # overlap with what is surely seen in the turned picture, from which it is that
AGAIN = 0.4  # otherwise, least overlap with what is seen then, less that with what is seen upside down
SMALLEST, SMALL, PLAIN = 24, 60, 0.92  # pixels of looks that show no head, and one only if one was as sure before
FADE = 0.12  # of a look's side: the strip in which it gives way to what was seen before

Look = Callable[[np.ndarray], np.ndarray]  # a part of a picture (H, W, 3) uint8 -> probability of hair (h, w) float32


def engine_of(weights: Path, device: str, streams: int, precision: str) -> Engine:
    """The fastest engine for a network. Raises WeightsError: its weights are broken."""
    return openvino_engine(exported(weights), streams, precision) if device == "cpu" else torch_engine(weights, device)


class HairFinder:
    """The student, ready to look at pictures. May be used from several threads at once.

    Args:
        weights: our safetensors or the published `segmentation_model_ohlora_v4.pth`.
        device: "auto" (a CUDA GPU where there is one, else the processor), "cpu", "cuda", "mps".
        streams: how many threads will ask at once; the processor's cores are shared out among them.
        precision: of the processor's engine: "auto", "float32", "bfloat16".
        scout: weights of what searches scenes; None: the student does, in tiles, which takes several times as long.

    Raises:
        WeightsError: the weights are missing, broken, or of another network.
    """

    def __init__(
        self,
        weights: Path = SHIPPED_WEIGHTS,
        device: str = "auto",
        streams: int = 1,
        precision: str = "auto",
        scout: Path | None = SCOUT,
    ):
        for path in (weights, scout):
            if path and not Path(path).is_file():
                raise WeightsError(f"{path}: no such weights; models/README.md says what goes where")
        if device == "auto" and shutil.which("nvidia-smi") is None:
            device = "cpu"  # known without importing torch
        if device != "cpu":
            device = str(choose_device(device))
        self.engine = engine_of(Path(weights), device, streams, precision)
        self.scout = scout and LazyEngine(partial(engine_of, scout, device, streams, precision))

    def probability(self, rgb: np.ndarray, mirrored: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 -> probability of hair (224, 224) float32 in 0..1, by one look at all of it, or at its mirror
        image."""
        view = squash(rgb)
        return cv2.flip(self.engine(cv2.flip(view, 1)[None])[0], 1) if mirrored else self.engine(view[None])[0]

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> soft hair mask (H, W) uint8, probability x 255.

        The whole picture is looked at first, a long one in pieces; where heads are small in it, or nobody is seen, it
        is searched; then each place where a head may be gets a look of its own.
        """
        return self.mask_and_looks(rgb)[0]

    def mask_and_looks(self, rgb: np.ndarray) -> tuple[np.ndarray, list[Part]]:
        """As `mask`, and the parts whose looks make it, in the order in which what they show was laid in."""
        height, width = rgb.shape[:2]
        windows = pieces(Part(0, 0, height, width))
        if len(windows) > 1:
            mask = self.search(rgb, windows)
            return self.in_scene(rgb, mask, is_far_away(in_cells(mask), height, width))
        probability = self.probability(rgb)
        mask = to_mask(probability, height, width)
        if is_far_away(probability, height, width):
            return self.in_scene(rgb, mask, True)
        if not self.is_trusted(rgb, mask):
            mask[:] = 0
            return self.in_scene(rgb, mask, True) if min(height, width) > INPUT_SIZE else (mask, [])
        looks = closer_looks(probability, height, width)
        for part in looks:
            self.look(rgb, part, mask)
        return mask, looks if holds_all(looks, probability > 0.5, height, width) else [windows[0], *looks]

    def in_scene(self, rgb: np.ndarray, afar: np.ndarray, nearer: bool) -> tuple[np.ndarray, list[Part]]:
        """As `mask_and_looks`, of a picture with several or small heads, of which `afar` (H, W) uint8 is seen already;
        `nearer`: whether a search may show more."""
        height, width = afar.shape
        looks = closer_looks(in_cells(afar), height, width, below=1)
        large = [part for part in looks if part.size >= LARGE * min(height, width)]
        if nearer and large and not self.is_trusted(rgb, afar):
            afar, large = np.zeros_like(afar), []
        found = self.searched(rgb) if nearer else afar
        before, cells = cv2.max(found, afar), in_cells(found)
        heads = self.heads_among(large, rgb, before, afar)
        tried = set(large)
        for least, is_known, apart in ((HAIR, belongs, False), (SURELY, is_in, True), (HARDLY, belongs, False)):
            looks = closer_looks(cells, height, width, below=1, least=least, apart=apart)
            new = [part for part in looks if not any(is_known(part, head) or is_in(head, part) for head in heads)]
            heads |= self.heads_among([part for part in new if part not in tried], rgb, before, afar)
            tried.update(new)
        mask = within(heads, found) if len(heads) < MOST else found.copy()  # a crowd keeps what the search has seen
        for part in heads.keys() & large:
            mask[part.slices] = afar[part.slices]
        for part, seen in heads.items():
            lay_in(seen, part, mask)
        return mask, list(heads)

    def heads_among(
        self, looks: Iterable[Part], rgb: np.ndarray, before: np.ndarray, afar: np.ndarray
    ) -> dict[Part, np.ndarray]:
        """Those looks at parts of a picture (H, W, 3) that are at heads, each with what it sees, (h, w) uint8, and
        nearer ones where it sees them small; `before` and `afar` (H, W) uint8 as in `is_head`."""
        heads, short, todo = {}, min(afar.shape), deque(looks)
        while todo:
            part = todo.popleft()
            if part.size > SMALL or (part.size > SMALLEST and before[part.slices].max() > 255 * PLAIN):
                seen = self.seen_in(rgb, part)
                if is_head(seen, before[part.slices], afar[part.slices], part.size / short):
                    heads[part] = seen
                    todo.extendleft(nearer_looks(part, squash(seen) / np.float32(255)))
        return heads

    def is_trusted(self, rgb: np.ndarray, mask: np.ndarray) -> bool:
        """Whether what one look saw in a picture (H, W, 3) may be hair, mask (H, W) uint8: it is sure of it, or would
        be with the picture turned; or the same is seen in the mirror, from nearer and from farther away, and not upside
        down, as it is with heads and seldom with anything else."""
        found = cv2.threshold(mask, 127, 255, cv2.THRESH_TOZERO)[1]
        count = cv2.countNonZero(found)
        if count < SOME * mask.size or cv2.sumElems(found)[0] >= 255 * DOUBT * count:
            return True
        hair, small = squash(mask) > 127, squash(rgb)

        def turned(turns: int) -> np.ndarray:
            return np.rot90(self.engine(np.rot90(small, turns)[None])[0], -turns)

        def is_sure_of_it(seen: np.ndarray) -> bool:
            return is_sure(seen) and overlap(hair, seen > 0.5) > TURNED

        upside_down = turned(2)
        least = AGAIN + overlap(hair, upside_down > 0.5)
        if is_sure_of_it(upside_down) or all(again >= least for again in self.seen_again(rgb, small, hair)):
            return True
        return any(is_sure_of_it(turned(turns)) for turns in (1, 3))

    def seen_again(self, rgb: np.ndarray, small: np.ndarray, hair: np.ndarray) -> Iterator[float]:
        """How much of the hair (h, w) bool of a picture (H, W, 3), and of it as the network sees it, `small`, is seen
        in the mirror, from nearer, and from farther away: overlaps, each after a look."""
        yield overlap(hair, self.probability(small, mirrored=True) > 0.5)
        middle = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
        yield overlap(enlarged(hair[middle]), self.probability(small[middle]) > 0.5)
        inset = cv2.copyMakeBorder(squash(rgb, INPUT_SIZE - 2 * MARGIN), *[MARGIN] * 4, cv2.BORDER_REPLICATE)
        yield overlap(hair, enlarged(self.engine(inset[None])[0][middle] > 0.5))

    def searched(self, rgb: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) uint8 -> soft hair mask (H, W) uint8, coarse, in which small heads are to be seen."""
        height, width = rgb.shape[:2]
        if self.scout is None:
            return self.search(rgb, tiles(height, width, 3 if min(height, width) >= DENSE else 2))
        return self.search(rgb, tiles(height, width, 1), lambda part: self.scout(squash(part, SCOUT_SIZE)[None])[0])

    def seen_in(self, rgb: np.ndarray, part: Part) -> np.ndarray:
        """Soft hair mask (h, w) uint8 of a part of a picture (H, W, 3) uint8, by one look at it."""
        return to_mask(self.probability(rgb[part.slices]), part.bottom - part.top, part.right - part.left)

    def search(self, rgb: np.ndarray, windows: Iterable[Part], look: Look | None = None) -> np.ndarray:
        """Looks at parts that cover the picture (H, W, 3) -> soft hair mask (H, W) uint8; where they overlap, the
        most that one of them sees. `look`: the student's, if it is not given."""
        look = look or self.probability
        mask = np.zeros(rgb.shape[:2], np.uint8)
        for part in windows:
            box = part.slices
            cv2.max(mask[box], to_mask(look(rgb[box]), *mask[box].shape), mask[box])
        return mask

    def look(self, rgb: np.ndarray, part: Part, mask: np.ndarray, mirrored: bool = False) -> Part:
        """Look at a part of a picture (H, W, 3) uint8, in the mirror if asked to, and lay what is found into its mask
        (h, w) uint8, which may be coarser, in place; the part that this is of the mask."""
        place = part.scaled(mask.shape[0] / rgb.shape[0], mask.shape[1] / rgb.shape[1])
        lay_in(to_mask(self.probability(rgb[part.slices], mirrored), *mask[place.slices].shape), place, mask)
        return place


def lay_in(found: np.ndarray, part: Part, mask: np.ndarray) -> None:
    """Lay the mask of a part, (h, w) uint8, into the picture's, (H, W) uint8, in place, its sides fading."""
    box, weight = part.slices, fading(part, *mask.shape)
    mask[box] = cv2.blendLinear(found, mask[box], weight, 1 - weight)


def holds_all(looks: Iterable[Part], hair: np.ndarray, height: int, width: int) -> bool:
    """Whether all hair, cells (h, w) bool of a picture (height, width), lies in one of these parts of it."""
    down, across = hair.shape[0] / height, hair.shape[1] / width
    rest = hair.copy()
    for look in looks:
        rest[look.scaled(down, across).slices] = False
    return not rest.any()


def is_sure(probability: np.ndarray) -> bool:
    """Whether a look, (h, w) float32, has little doubt in the hair that it saw."""
    hair = probability > 0.5
    return bool(hair.any() and probability[hair].mean() >= DOUBT)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """IoU of two masks (h, w) bool."""
    return np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1)


def enlarged(mask: np.ndarray) -> np.ndarray:
    """A mask (h, w) bool at the network's size."""
    return cv2.resize(np.uint8(mask), (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_NEAREST) > 0


def in_cells(mask: np.ndarray) -> np.ndarray:
    """Probability (FINE, FINE) float32 of a mask (H, W) uint8."""
    return squash(mask, FINE) / np.float32(255)


def is_head(found: np.ndarray, before: np.ndarray, afar: np.ndarray, share: float) -> bool:
    """Whether what a look at a part of a scene takes for hair is that of a head: most other things are taken for it
    with more doubt, and from one distance only.

    Args:
        found, before, afar: (h, w) uint8, what the look sees there, what all before it did, and the one from farthest.
        share: the part's size, of the picture's shorter side: the larger a head, the clearer it was before.
    """
    hair = found > 127
    if not hair.any() or before[hair].mean() < 255 * CLEAR * min(share, 0.5):
        return False
    return found[hair].mean() + AFAR * afar[hair].mean() >= 255 * SURE


def within(parts: Iterable[Part], mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) uint8 in some parts of it, 0 elsewhere."""
    kept = np.zeros_like(mask)
    for part in parts:
        kept[part.slices] = mask[part.slices]
    return kept


def fading(part: Part, height: int, width: int) -> np.ndarray:
    """Weights (h, w) float32 of a look at a part of a picture (height, width): 1, falling to 0 at its sides where the
    picture goes on."""
    down = ramp(part.bottom - part.top, part.top > 0, part.bottom < height)
    across = ramp(part.right - part.left, part.left > 0, part.right < width)
    return cv2.min(np.tile(down[:, None], len(across)), np.tile(across, (len(down), 1)))


def ramp(length: int, first: bool, last: bool) -> np.ndarray:
    """(length,) float32: 1, rising from 0 over the first cells and falling to 0 over the last ones where asked to."""
    rising = np.minimum((np.arange(length, dtype=np.float32) + 0.5) / max(FADE * length, 1), 1)
    return np.minimum(rising if first else 1, rising[::-1] if last else np.ones_like(rising))
