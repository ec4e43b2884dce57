"""A soft hair mask becomes an alpha matte that follows the strands.

Guided filter (He, Sun, Tang, "Guided Image Filtering", 2013) in its fast form (He, Sun, arXiv 1505.00996): within a
small window alpha is taken as a line in the picture's lightness; the lines are fitted on a coarse grid, and applied
at full size, so strands are found however large the photograph is.
"""

import cv2
import numpy as np

RADIUS = 4  # cells
EPSILON = 12.0 ** 2  # variance of the guide (0..255) below which an edge in the mask is left as it is
SURE = 0.06  # within this distance of 0 or 1 the mask is believed


def _bounds() -> tuple[np.ndarray, np.ndarray]:
    """For each mask value the least and the greatest alpha that it allows: at 0 and 255 alpha is the mask."""
    share = np.arange(256) / 255
    lowest = np.clip((share - (1 - SURE)) / SURE, 0, 1)
    highest = np.clip(share / SURE, 0, 1)
    return np.uint8(np.rint(lowest * 255)), np.uint8(np.rint(highest * 255))


LOWEST, HIGHEST = _bounds()


def fit_lines(mask: np.ndarray, guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset, (rows, columns) float32 each, of alpha (0..255) as a line in the guide; both inputs are
    (rows, columns) on the grid, 0..255."""
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mask, guide = np.float32(mask), np.float32(guide)
    mean_mask, mean_guide = cv2.blur(mask, window), cv2.blur(guide, window)
    covariance = cv2.blur(mask * guide, window) - mean_mask * mean_guide
    variance = cv2.blur(guide * guide, window) - mean_guide * mean_guide
    slope = covariance / (variance + EPSILON)
    offset = mean_mask - slope * mean_guide
    return cv2.blur(slope, window), cv2.blur(offset, window)


def bounded(alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Alpha (h, w) float32 0..255 within what the mask (h, w) uint8 allows, as uint8; 0 where the mask is 0."""
    alpha = cv2.add(alpha, 0, dtype=cv2.CV_8U)
    return cv2.min(cv2.max(alpha, cv2.LUT(mask, LOWEST)), cv2.LUT(mask, HIGHEST))
