"""A soft hair mask becomes an alpha matte that follows the strands.

Guided filter (He, Sun, Tang, "Guided Image Filtering", 2013) in its fast form (He, Sun, arXiv 1505.00996): within a
small window the share of hair is taken as a line in the picture's grey; the lines are fitted on a coarse grid and
applied at full size, so that strands are found however large the photograph is.
"""

import cv2
import numpy as np

RADIUS = 2  # cells
EPSILON = 10.0**2  # variance of the grey (0..255) below which an edge in the mask is left as it is
TRUST = (0.92, 0.99)  # probabilities taken as no hair and as hair: a doubtful rim is more often skin than hair
EDGE = (0.2, 0.8)  # what the guided filter softens is made this much crisper
NEVER, SURE = (0.5, 0.8), (0.98, 0.997)  # mask below which there is no dye, above which there is no doubt


def _between(shares: np.ndarray, start: float, end: float) -> np.ndarray:
    """How far shares are from start (0) to end (1)."""
    return np.clip((shares - start) / (end - start), 0, 1)


MOST, LEAST = (np.uint8(np.rint(255 * _between(np.arange(256) / 255, *limits))) for limits in (NEVER, SURE))


def may_be_hair(mask: np.ndarray) -> np.ndarray:
    """The most alpha (h, w) uint8 that a mask (h, w) uint8 allows; all 0 where it is sure of no pixel at all."""
    return cv2.LUT(mask, MOST) if mask.max(initial=0) > 255 * TRUST[0] else np.zeros_like(mask)


def fit_lines(mask: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of alpha (0..255) as a line in the grey: (rows, columns) float32 each. `mask` and `grey` are
    (rows, columns) on the grid, 0..255."""
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mask, grey = 255 * _between(np.float32(mask) / 255, *TRUST), np.float32(grey)
    mean_mask, mean_grey = cv2.blur(mask, window), cv2.blur(grey, window)
    covariance = cv2.blur(mask * grey, window) - mean_mask * mean_grey
    variance = cv2.blur(grey * grey, window) - mean_grey * mean_grey
    slope = covariance / (variance + EPSILON)
    offset = mean_mask - slope * mean_grey
    start, end = EDGE
    return cv2.blur(slope, window) / (end - start), (cv2.blur(offset, window) - 255 * start) / (end - start)


def alpha_from(slope: np.ndarray, offset: np.ndarray, grey: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Alpha (h, w) uint8 from lines and grey (0..255) at full size. Where the mask (h, w) uint8 is sure of itself it is
    believed: a pixel outside a drawn mask stays at 0, one inside at 255."""
    alpha = cv2.add(cv2.multiply(slope, grey, dtype=cv2.CV_32F), offset, dtype=cv2.CV_8U)
    return cv2.min(cv2.max(alpha, cv2.LUT(mask, LEAST)), cv2.LUT(mask, MOST))
