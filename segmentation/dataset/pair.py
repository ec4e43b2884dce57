"""One picture and its hair label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.image.picture import read_mask, read_picture


@dataclass(frozen=True)
class Pair:
    """A picture and its hair label.

    `name` is the picture's path inside its data folder, without suffix; `hair_value` the class that is hair in a mask
    of classes, None where the label is a share of hair x 255.
    """

    name: str
    image: Path
    label: Path
    hair_value: int | None = None


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """rgb (H, W, 3) uint8 and label (h, w) uint8, share of hair x 255. Raises PictureError."""
    return read_picture(pair.image).rgb8, read_mask(pair.label, pair.hair_value)
