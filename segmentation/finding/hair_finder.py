"""A picture in, the student's probability of hair out, on the fastest engine at hand.

On a processor the student runs in OpenVINO, exported from the PyTorch network once and kept beside the weights; PyTorch
is not even imported then. On a GPU it runs in PyTorch.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from common.device import choose_device
from common.weights import WeightsError
from segmentation.finding.engines import openvino_engine, torch_engine
from segmentation.finding.export import exported
from segmentation.finding.heads_in_scene import HAIR, MOST, Part, closer_looks, is_far_away, pieces, tiles
from segmentation.student.frame import INPUT_SIZE, squash, to_mask

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "hair_student.safetensors"
FINE = 4 * INPUT_SIZE  # cells of what a search finds
AGREE = 0.4  # share of the hair that a closer look finds in a scene which the search must have seen too
FADE = 0.12  # of a look's side: the strip in which it gives way to what was seen before


class HairFinder:
    """The student, ready to look at pictures. May be used from several threads at once.

    Args:
        weights: our safetensors or the published `segmentation_model_ohlora_v4.pth`.
        device: "auto" (a CUDA GPU where there is one, else the processor), "cpu", "cuda", "mps".
        streams: how many threads will ask at once; the processor's cores are shared out among them.
        precision: of the processor's engine: "auto", "float32", "bfloat16".

    Raises:
        WeightsError: the weights are missing, broken, or of another network.
    """

    def __init__(
        self, weights: Path = SHIPPED_WEIGHTS, device: str = "auto", streams: int = 1, precision: str = "auto"
    ):
        weights = Path(weights)
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such weights; models/README.md says what goes where")
        if device == "auto" and shutil.which("nvidia-smi") is None:
            device = "cpu"  # known without importing torch
        if device != "cpu":
            device = str(choose_device(device))
        if device == "cpu":
            self.engine = openvino_engine(exported(weights), streams, precision)
        else:
            self.engine = torch_engine(weights, device)

    def probability(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> probability of hair (224, 224) float32 in 0..1, by one look at all of it."""
        return self.engine(squash(rgb)[None])[0]

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> soft hair mask (H, W) uint8, probability x 255.

        The whole picture is looked at first; where heads are small in it, or nobody is seen, it is searched in tiles,
        a long one in pieces; then each head that is small in it gets a look of its own.
        """
        height, width = rgb.shape[:2]
        windows, seen = pieces(Part(0, 0, height, width)), None
        if len(windows) == 1:
            seen = self.probability(rgb)
            windows = tiles(height, width) if is_far_away(seen, height, width) else []
        if windows:
            mask = self.search(rgb, windows)
            found = squash(mask, FINE) / np.float32(255)
            seen = found if seen is None else np.maximum(found, cv2.resize(seen, (FINE, FINE)))
            parts, expected = closer_looks(seen, height, width, below=1), to_mask(seen, height, width)
            mask = mask if len(parts) == MOST else within(parts, mask)  # a crowd keeps what the search has seen
        else:
            mask, expected = to_mask(seen, height, width), None
            parts = closer_looks(seen, height, width)
        for part in parts:
            self.look(rgb, part, mask, expected)
        return mask

    def seen_in(self, rgb: np.ndarray, part: Part) -> np.ndarray:
        """Soft hair mask (h, w) uint8 of a part of a picture (H, W, 3) uint8, by one look at it."""
        return to_mask(self.probability(rgb[part.slices]), part.bottom - part.top, part.right - part.left)

    def search(self, rgb: np.ndarray, windows: Iterable[Part]) -> np.ndarray:
        """Looks at parts that cover the picture (H, W, 3) -> soft hair mask (H, W) uint8; where they overlap, the
        most that one of them sees."""
        mask = np.zeros(rgb.shape[:2], np.uint8)
        for part in windows:
            box = part.slices
            found = self.seen_in(rgb, part)
            cv2.max(mask[box], found, mask[box])
        return mask

    def look(self, rgb: np.ndarray, part: Part, mask: np.ndarray, expected: np.ndarray | None = None) -> None:
        """Look at a part of a picture (H, W, 3) uint8 and lay what is found into its mask (H, W) uint8, in place.

        `expected`: what was seen from farther away before, (H, W) uint8; where hair is found that hardly was hair,
        it is none: what is hair from every distance is seldom anything else.
        """
        box = part.slices
        found = self.seen_in(rgb, part)
        if expected is not None and not agrees(found > 127, expected[box] > 255 * HAIR):
            found[:] = 0
        weight = fading(part, *mask.shape)
        mask[box] = cv2.blendLinear(found, mask[box], weight, 1 - weight)


def agrees(hair: np.ndarray, before: np.ndarray) -> bool:
    """Whether most of the hair that a look found was hair before; both (h, w) bool."""
    return np.count_nonzero(hair & before) >= AGREE * np.count_nonzero(hair)


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
