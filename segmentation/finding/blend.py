"""What crops show, laid over each other into one mask, each giving way towards its sides."""

import cv2
import numpy as np

from segmentation.finding.box import Part

FADE = 0.12  # of a crop's side: the strip in which it gives way to what was there before


def blend(found: np.ndarray, part: Part, mask: np.ndarray) -> None:
    """Lay the mask of a part, (h, w) uint8, into the picture's, (H, W) uint8, in place, its sides fading."""
    if found.shape == mask.shape:
        mask[:] = found
        return
    box, weight = part.slices, fading(part, *mask.shape)
    mask[box] = cv2.blendLinear(found, np.ascontiguousarray(mask[box]), weight, 1 - weight)


def fading(part: Part, height: int, width: int) -> np.ndarray:
    """Weights (h, w) float32 of a crop of a picture (height, width): 1, falling to 0 at its sides where the picture
    goes on."""
    down = ramp(part.height, part.top > 0, part.bottom < height)
    across = ramp(part.width, part.left > 0, part.right < width)
    return cv2.min(np.tile(down[:, None], len(across)), np.tile(across, (len(down), 1)))


def ramp(length: int, first: bool, last: bool) -> np.ndarray:
    """(length,) float32: 1, rising from 0 over the first cells and falling to 0 over the last ones where asked to."""
    rising = np.minimum((np.arange(length, dtype=np.float32) + 0.5) / max(FADE * length, 1), 1)
    return np.minimum(rising if first else 1, rising[::-1] if last else np.ones_like(rising))
