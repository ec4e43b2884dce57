"""The depth of hair's light and shade: the logit of its lightness L* within the range that it can have.

Natural hair, from black to platinum, spreads in it by about as much, so that dyeing is an amount added to it.
"""

import numpy as np

from common.image.icc import Space
from ombre.hair.illuminant import LUMINANCE

TOE = 7.0  # L* added before the depth is told: what is darker is the camera's black and noise


def depths_of_greys(space: Space, illuminant: np.ndarray, count: int) -> np.ndarray:
    """(count,) float32: the depth of a space's greys from black to white, had a picture that was taken in this light,
    (3,) as in illuminant.py, been taken in plain light."""
    light = space.luminance_of_greys(count) / (illuminant @ LUMINANCE)
    lightness = np.where(light > 216 / 24389, 116 * np.cbrt(light) - 16, light * (24389 / 27))
    place = (np.minimum(lightness, 100) + TOE) / (100 + 2 * TOE)
    return np.log(place / (1 - place)).astype(np.float32)


def lightness_of(depth: np.ndarray | float) -> np.ndarray | float:
    """L* of a picture's depth."""
    return (100 + 2 * TOE) / (1 + np.exp(-depth)) - TOE
