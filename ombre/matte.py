"""A soft hair mask becomes an alpha matte that follows the strands.

Guided filter (He, Sun, Tang, "Guided Image Filtering", 2013) in its fast form (He, Sun, arXiv 1505.00996): within a
small window the share of hair is taken as a line in the picture's grey; the lines are fitted on a coarse grid and
applied at full size, so that strands are found however large the photograph is.
"""

import cv2
import numpy as np

RADIUS = 3  # cells
EPSILON = 10.0 ** 2  # variance of the grey (0..255) below which an edge in the mask is left as it is
EDGE = (0.87, 0.985)  # shares of hair at which alpha starts and is full: a doubtful rim is more often skin than hair
NEVER, SURE = (0.5, 0.8), (0.982, 0.997)  # mask below which there is no dye, above which there is no doubt


def _ramp(start: float, end: float) -> np.ndarray:
    """Alpha (256,) uint8 for each mask value, rising over the shares start..end."""
    return np.uint8(np.rint(255 * np.clip((np.arange(256) / 255 - start) / (end - start), 0, 1)))


MOST, LEAST = _ramp(*NEVER), _ramp(*SURE)


def fit_lines(mask: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of alpha (0..255) as a line in the grey: (rows, columns) float32 each. `mask` and `grey` are
    (rows, columns) on the grid, 0..255."""
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mask, grey = np.float32(mask), np.float32(grey)
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
