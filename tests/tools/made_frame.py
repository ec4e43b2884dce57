"""A frame of a clip that was made, whose hair is known."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class Made:
    """A frame, (h, w, 3) uint8, and its hair, (h, w) uint8."""

    seconds: float
    rgb: np.ndarray
    hair: np.ndarray

    def rgb8(self) -> np.ndarray:
        return self.rgb

    def grey8(self) -> np.ndarray:
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)
