"""What the networks say of one crop, or of several: each is squashed to the network's square and put through it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.engines import Engine
from segmentation.networks.resize import INPUT_SIZE, squash

MOST_AT_ONCE = 16  # crops of a batch: so many are in memory at the network's size


class Prediction(NamedTuple):
    """Of one crop: `hair` (h, w) float32, probability of hair; `guide` (3, h, w) float32 or None, of a student that has
    one: probability of a face's skin, and where hair is the vector to the head's top, x and y in the crop's frame."""

    hair: np.ndarray
    guide: np.ndarray | None = None


class Predictor:
    """A network, ready for crops of any size. May be used from several threads at once.

    Args:
        engine: what runs the network.
        side: of the square that it sees, pixels.
    """

    def __init__(self, engine: Engine, side: int = INPUT_SIZE):
        self.engine, self.side = engine, side

    def __call__(self, rgb: np.ndarray) -> Prediction:
        """(H, W, 3) uint8 -> what the network sees in it."""
        return self.batch([rgb])[0]

    def batch(self, crops: Sequence[np.ndarray]) -> list[Prediction]:
        """As one call for each crop (H, W, 3) uint8, through the network together, some at a time."""
        found: list[Prediction] = []
        for start in range(0, len(crops), MOST_AT_ONCE):
            answers = self.engine(np.stack([squash(crop, self.side) for crop in crops[start : start + MOST_AT_ONCE]]))
            guides = [None] * len(answers.hair) if answers.guide is None else list(answers.guide)
            found += [Prediction(hair, guide) for hair, guide in zip(answers.hair, guides)]
        return found

    def mirrored(self, rgb: np.ndarray) -> Prediction:
        """As one call, by the mirror image, turned back."""
        seen = self(cv2.flip(rgb, 1))
        guide = None
        if seen.guide is not None:
            guide = seen.guide[:, :, ::-1] * np.array([1, -1, 1], np.float32)[:, None, None]
        return Prediction(cv2.flip(seen.hair, 1), guide)
