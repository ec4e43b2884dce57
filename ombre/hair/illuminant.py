"""The light that a picture was taken in, told from the picture: its colour, and how much of it there is.

No single sign is to be trusted, so several are averaged, each as it lies in a logarithm away from what it is in
portraits in plain light: the steps between neighbouring places of the surroundings, whose mean is nearly grey (van de
Weijer, Gevers, Gijsenij, "Edge-Based Color Constancy", 2007); their brightest places (Finlayson, Trezzi, "Shades of
Gray and Colour Constancy", 2004); the lit strands of the hair, on which a lamp shines off; and, where a face is known,
its lit skin. All of them go with the light, so the light of a picture taken by a lamp is found as that of the same one
by day, times the lamp. A small departure says more of what is in the picture than of its light, and is passed over.
"""

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from common.image.pixels import to8

SAMPLES = 80  # places looked at along the picture's longer side
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB
NOT_HAIR, SURE_HAIR = 26, 200  # mask values below and above which a pixel says something
FEWEST = 30  # places that say something
DARKEST = 1e-5  # of linear 0..1
TOO_DARK = 3.0  # below what is expected, a logarithm: an even or a black background says nothing of the light
BRIGHT = 6  # power with which the brightest places count
# In plain light: log of red and of blue over green, of luminance; medians of drawn portraits, from before and behind.
EXPECTED = {
    "steps": (0.16, -0.08, -3.32),
    "bright": (0.13, -0.03, -0.55),
    "hair": (0.31, -0.28, -1.30),
    "skin": (0.54, -0.31, -0.79),
}
WEIGHTS = {  # how much each counts for red and blue, and for luminance
    "steps": (0.5, 0.5, 0.25),
    "bright": (0.3, 0.3, 0.6),
    "hair": (0.2, 0.2, 0.15),
    "skin": (0.8, 0.8, 1.6),
}
WARMER = 0.53, -0.85  # red and blue, of length 1: lights differ along this line, from lamps to skies; what does not is
# the colour of things
CAST, LEVEL = 0.16, 0.4  # departures of which half is believed
BELIEF = 3  # power with which one is believed once it is larger
MOST_LEVEL = 0.1  # no picture is so bright that hair should be brighter than its shade by more than that
LINEAR = SRGB.luminance_of_greys(256).astype(np.float32)


def find_light(rgb: np.ndarray, mask: np.ndarray, space: Space = SRGB, face: np.ndarray | None = None) -> np.ndarray:
    """(3,) float32: how much of plain light's red, green and blue, of linear sRGB, there is in a picture.

    Args:
        rgb: (H, W, 3) uint8 or uint16 in numbers of `space`.
        mask: (H, W) uint8, share of hair x 255.
        face: (h, w) probability of a face's skin, 0..1, of the same picture; None where nobody has looked.
    """
    every = -(-max(mask.shape) // SAMPLES)
    some = np.s_[every // 2 % mask.shape[0] :: every, every // 2 % mask.shape[1] :: every]
    light, share = LINEAR[space.to_srgb8(np.ascontiguousarray(to8(rgb[some])))], mask[some]
    skin = None if face is None else cv2.resize(face.astype(np.float32), share.shape[::-1]) > 0.5
    signs = _signs(light, share, skin)
    red, blue, level = _weighed(signs)
    warmth = np.dot((red, blue), WARMER)
    red, blue = np.array(WARMER) * warmth * _believed(abs(warmth), CAST)
    level = min(level * _believed(abs(level), LEVEL), MOST_LEVEL)
    colour = np.exp([red, 0, blue])
    return (colour / (colour @ LUMINANCE) * np.exp(level)).astype(np.float32)


def _signs(light: np.ndarray, share: np.ndarray, skin: np.ndarray | None) -> dict[str, np.ndarray]:
    """What there is of EXPECTED in linear colours (h, w, 3), in which (h, w) uint8 is hair."""
    around, hair = share < NOT_HAIR, share > SURE_HAIR
    signs = {}
    if np.count_nonzero(around) >= FEWEST:
        across, down = around[:, 1:] & around[:, :-1], around[1:] & around[:-1]
        steps = np.concatenate([np.abs(np.diff(light, axis=1))[across], np.abs(np.diff(light, axis=0))[down]])
        signs["steps"] = _logarithms(steps.mean(axis=0)) if len(steps) else np.full(3, -np.inf)
        signs["bright"] = _logarithms(
            (light[around] ** np.float32(BRIGHT)).mean(axis=0, dtype=np.float64) ** (1 / BRIGHT)
        )
    if np.count_nonzero(hair) >= FEWEST:
        strands = light[hair]
        lit = (strands @ LUMINANCE) ** 2 + DARKEST**2
        signs["hair"] = _logarithms(lit @ strands / lit.sum())
    if skin is not None and np.count_nonzero(skin & around) >= FEWEST:
        colours = light[skin & around]
        brightness = colours @ LUMINANCE
        signs["skin"] = _logarithms(colours[brightness >= np.median(brightness)].mean(axis=0))
    return {name: sign for name, sign in signs.items() if sign[2] > EXPECTED[name][2] - TOO_DARK}


def _weighed(signs: dict[str, np.ndarray]) -> np.ndarray:
    """(3,) mean departure from what is expected; where little is seen plain light counts with the weight that is left
    of 1."""
    away, total = np.zeros(3), np.zeros(3)
    for name, sign in signs.items():
        away += np.array(WEIGHTS[name]) * (sign - EXPECTED[name])
        total += WEIGHTS[name]
    return away / np.maximum(total, 1)


def _logarithms(light: np.ndarray) -> np.ndarray:
    """(3,) linear -> log of red and of blue over green, of luminance."""
    light = np.maximum(light, DARKEST)
    red, green, blue = np.log(light)
    return np.array([red - green, blue - green, np.log(light @ LUMINANCE)])


def _believed(away: float, half: float) -> float:
    """The share of a departure (0 or more) that is the light's, where half of one of size `half` is."""
    return away**BELIEF / (away**BELIEF + half**BELIEF)
