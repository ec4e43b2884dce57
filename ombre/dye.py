"""The colour itself: what a strand of given lightness looks like once it is bleached and dyed.

The model is HSV. The asked hue is taken as it is; saturation and value walk together from a deep shade, over the
full colour, to a tint that is nearly white, as light does on dyed hair. For each lightness L* (CIE 1976) there is
one place on that walk, so a table answers "which HSV colour of this hue has this lightness?", and a strand that
was 3 L* lighter than its neighbour stays 3 L* lighter.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

COLORS = {
    "red": 0.0, "coral": 0.03, "copper": 0.065, "orange": 0.1, "gold": 0.13, "yellow": 0.16, "lime": 0.24,
    "green": 0.36, "mint": 0.43, "turquoise": 0.48, "sky": 0.53, "blue": 0.61, "indigo": 0.68, "violet": 0.75,
    "purple": 0.79, "magenta": 0.85, "pink": 0.9, "rose": 0.95,
}

BLEACHED_HUE = 0.1  # what bleach leaves of hair's own pigment is a warm orange-yellow
LIGHTNESS_STEPS = 256
FADE_STEPS = 33
LOWEST, HIGHEST = 4 / 255, 251 / 255  # no channel is driven to the ends of its range
MOST_SATURATED, MOST_CHROMA = 0.95, 66.0  # beyond this LAB chroma hair looks painted
KNEE = 3.0  # L* over which the ends of the usable lightness are approached
VISIBLE_CHROMA = 22.0  # below this LAB chroma one sees grey; the walk's usable lightness ends there


class Dye(NamedTuple):
    """A colour made ready. `table` (FADE_STEPS, LIGHTNESS_STEPS, 3) float32 RGB in 0..1: rows go from bleached hair
    (top of the fade) to the asked hue, columns from L* 0 to 100. `darkest`, `lightest`: L* between which the
    asked hue is plainly seen; `fullest`: the L* where it is strongest."""

    table: np.ndarray
    darkest: float
    lightest: float
    fullest: float


def color_number(text: str) -> float:
    """A place on the hue circle, 0..1, from a name in COLORS or a number. Raises ValueError for anything else."""
    name = text.strip().lower()
    if name in COLORS:
        return COLORS[name]
    try:
        number = float(name)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"color {text!r} is neither a number from 0 to 1 nor one of: {', '.join(COLORS)}")
    return number


def hsv_to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """HSV, each 0..1 (hue 1 = 0 = red), to RGB 0..1 on a new last axis."""
    corner = (np.asarray(hue)[..., None] * 6 + np.array([0, 4, 2])) % 6
    pure = np.clip(np.abs(corner - 3) - 1, 0, 1)
    return np.asarray(value)[..., None] * (1 - np.asarray(saturation)[..., None] * (1 - pure))


def lightness_and_chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CIE L* and C*ab (D65) of (..., 3) sRGB in 0..1."""
    lab = cv2.cvtColor(np.float32(rgb).reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(np.shape(rgb))
    return lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])


def _walk(hue: float, saturated: float) -> np.ndarray:
    """(513, 3) RGB from black over the colour of `hue` to nearly white."""
    place = np.linspace(0, 1, 513)
    value = HIGHEST * (1 - (1 - place) ** 2)
    saturation = saturated * (1 - place ** 3)
    saturation = np.minimum(saturation, 1 - LOWEST / np.maximum(value, LOWEST))
    return hsv_to_rgb(np.full_like(place, hue), saturation, value)


def _saturation_for(hue: float) -> float:
    """The highest saturation at which the walk stays within MOST_CHROMA."""
    for saturated in np.arange(MOST_SATURATED, 0.3, -0.025):
        if lightness_and_chroma(_walk(hue, saturated))[1].max() <= MOST_CHROMA:
            break
    return float(saturated)


def _turned(hue: float, share: np.ndarray) -> np.ndarray:
    """Hues from BLEACHED_HUE (share 0) to `hue` (share 1), the shorter way around the circle."""
    way = (hue - BLEACHED_HUE + 0.5) % 1 - 0.5
    return (BLEACHED_HUE + way * share) % 1


def _kept_visible(levels: np.ndarray, darkest: float, lightest: float) -> np.ndarray:
    """Lightness drawn softly into darkest..lightest, and left alone well within."""
    lower = darkest + KNEE * np.logaddexp(0, (levels - darkest) / KNEE)
    return lightest - KNEE * np.logaddexp(0, (lightest - lower) / KNEE)


@lru_cache(maxsize=64)
def mix(color: float) -> Dye:
    """The dye of a hue `color` (0..1 on the circle). Cheap the second time."""
    levels = np.linspace(0, 100, LIGHTNESS_STEPS)
    table = np.empty((FADE_STEPS, LIGHTNESS_STEPS, 3), np.float32)
    share = np.linspace(0, 1, FADE_STEPS)
    for row, hue in enumerate(_turned(color, 1 - (1 - share) ** 2)):
        walk = _walk(hue, _saturation_for(hue))
        lightness, chroma = lightness_and_chroma(walk)
        seen = lightness[chroma >= VISIBLE_CHROMA]
        wanted = _kept_visible(levels, seen[0], seen[-1])
        table[row] = np.stack([np.interp(wanted, lightness, channel) for channel in walk.T], axis=-1)
    return Dye(table, float(seen[0]), float(seen[-1]), float(lightness[chroma.argmax()]))
