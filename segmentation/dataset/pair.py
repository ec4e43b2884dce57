"""One picture and its hair label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from common.image.picture import read_mask, read_picture
from segmentation.networks.resize import resize


@dataclass(frozen=True)
class Pair:
    """A picture and its hair label.

    `name` is the picture's path inside its data folder, without suffix; `hair_value` the class that is hair in a mask
    of classes, None where the label is a share of hair x 255; `face` a mask of the face's skin, where there is one;
    `maker` who made the label, as far as it is known; `gone` the bytes that picture and label had when a run began,
    where they cannot be read any more.
    """

    name: str
    image: Path
    label: Path
    hair_value: int | None = None
    face: Path | None = None
    maker: str = "drawn masks"
    gone: tuple[int, int] | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of its picture and of its label."""
        return self.gone or (self.image.stat().st_size, self.label.stat().st_size)


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """rgb (H, W, 3) uint8 and label (h, w) uint8, share of hair x 255. Raises PictureError."""
    return read_picture(pair.image).rgb8, read_mask(pair.label, pair.hair_value)


def read_with_face(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """rgb (H, W, 3) uint8 and label (h, w, 3) uint8: hair, the whole face, and 255 where it is known. Raises
    PictureError."""
    rgb, hair = read_pair(pair)
    known = np.full_like(hair, 255 if pair.face else 0)
    face = whole_face(resize(read_mask(pair.face), *hair.shape), hair) if pair.face else known
    return rgb, np.dstack([hair, face, known])


def whole_face(skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """A face with eyes, nose and mouth, which its skin (h, w) uint8 as drawn has not: all within the skin's convex hull
    that is no hair (h, w) uint8. 255 in it."""
    face = np.zeros_like(skin)
    if (skin > 127).any():
        cv2.fillConvexPoly(face, cv2.convexHull(cv2.findNonZero((skin > 127).astype(np.uint8))), 255)
    face[hair > 127] = 0
    return face


def there(pairs: Sequence[Pair]) -> list[Pair]:
    """Those that have not gone since their run began."""
    return [pair for pair in pairs if not pair.gone]
