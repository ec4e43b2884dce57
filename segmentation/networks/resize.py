"""The square frames in which the networks see a picture, and the masks made of what they see."""

import cv2
import numpy as np

INPUT_SIZE = 224  # pixels, the side of the square
SCOUT_SIZE = 448  # of the one that the scout sees
PERSONS_SIZE = 416  # of the one that the person detector sees
HAIR = 128  # a soft mask's value from which a pixel counts as hair


def squash(image: np.ndarray, side: int = INPUT_SIZE) -> np.ndarray:
    """(H, W[, 3]) uint8 -> (side, side[, 3]), antialiased where it shrinks; the aspect is given up, as published."""
    return reduced(image, side, side)


def reduced(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """As `resize`, where it shrinks far by halvings first, which is three times as fast as one step."""
    while _is_far_larger(image.shape, height, width):
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return resize(image, height, width)


def _is_far_larger(shape: tuple[int, ...], height: int, width: int) -> bool:
    return shape[0] >= 4 * height and shape[1] >= 4 * width and not (shape[0] % 2 or shape[1] % 2)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W[, 3]) uint8 -> (height, width[, 3]), antialiased where it shrinks."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def to_mask(probability: np.ndarray, height: int, width: int) -> np.ndarray:
    """Probability of hair (side, side) float32 in 0..1 -> soft mask (height, width) uint8, probability x 255."""
    mask = cv2.convertScaleAbs(probability, alpha=255)  # rounds
    return mask if mask.shape == (height, width) else cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
