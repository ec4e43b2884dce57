"""What tests of the page begin with: a picture, and hair that is always found in it."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from common.image.picture import Picture, write_picture


def half_hair(rgb: np.ndarray) -> SimpleNamespace:
    """What is found in tests: the left half is hair."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[:, : rgb.shape[1] // 2] = 255
    return SimpleNamespace(mask=lambda: mask, guide=lambda: None, crops=[])


def two_heads(rgb: np.ndarray) -> SimpleNamespace:
    """What is found in other tests: two discs of hair, in the left half and in the right one."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    height, width = mask.shape
    for share in (0.25, 0.75):
        cv2.circle(mask, (round(share * width), height // 2), min(height, width) // 5, 255, -1)
    return SimpleNamespace(mask=lambda: mask, guide=lambda: None)


def write_photo(path: Path, height: int, width: int) -> Path:
    """A picture of this size, brown with some noise."""
    noise = np.random.default_rng(0).integers(-20, 20, (height, width, 3))
    write_picture(path, Picture(np.uint8(np.array([90, 60, 40]) + noise)))
    return path
