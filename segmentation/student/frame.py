"""The square frame in which the student sees a picture."""

import cv2
import numpy as np

INPUT_SIZE = 224  # pixels, the side of the square


def squash(image: np.ndarray, side: int = INPUT_SIZE) -> np.ndarray:
    """(H, W[, 3]) uint8 -> (side, side[, 3]), antialiased where it shrinks; the aspect is given up, as published."""
    return resize(image, side, side)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W[, 3]) uint8 -> (height, width[, 3]), antialiased where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def to_mask(probability: np.ndarray, height: int, width: int) -> np.ndarray:
    """Probability of hair (side, side) float32 in 0..1 -> soft mask (height, width) uint8, probability x 255."""
    if probability.shape != (height, width):
        probability = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.convertScaleAbs(probability, alpha=255)  # rounds
