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
    "red": 0.0,
    "coral": 0.03,
    "copper": 0.065,
    "orange": 0.1,
    "gold": 0.125,
    "yellow": 0.145,
    "lime": 0.24,
    "green": 0.36,
    "mint": 0.42,
    "turquoise": 0.46,
    "sky": 0.5,
    "blue": 0.61,
    "indigo": 0.68,
    "violet": 0.75,
    "purple": 0.79,
    "magenta": 0.85,
    "pink": 0.9,
    "rose": 0.95,
}

BLEACHED_HUE = 0.1  # what bleach leaves of hair's own pigment is a warm orange-yellow
TURN = 1.7  # hue leads colour in the fade, so that half-way between brown and blue there is mauve, not grey
LIGHTNESS_STEPS = {np.dtype(np.uint8): 1024, np.dtype(np.uint16): 4096}
FADE_STEPS, FADE_HUES = 128, 16  # rows of the table; hues worked out among them
LOWEST, HIGHEST = 4 / 255, 251 / 255  # no channel is driven to the ends of its range
MOST_SATURATED, MOST_CHROMA = 0.95, 66.0  # beyond this LAB chroma hair looks painted
KNEE = 3.0  # L* over which the ends of the usable lightness are approached
VISIBLE_CHROMA = 22.0  # below this LAB chroma one sees grey; the walk's usable lightness ends there


class Dye(NamedTuple):
    """A colour made ready. `table` (FADE_STEPS, LIGHTNESS_STEPS, 3) RGB in the picture's dtype: rows go from bleached
    hair (top of the fade) to the asked hue, columns from L* 0 to 100. `darkest`, `lightest`: L* between which the
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
    saturation = saturated * (1 - place**3)
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


@lru_cache(maxsize=32)
def mix(color: float, dtype: np.dtype) -> Dye:
    """The dye of a hue `color` (0..1 on the circle) for pictures of a dtype. Cheap the second time."""
    levels = np.linspace(0, 100, LIGHTNESS_STEPS[dtype])
    rows = []
    for hue in _turned(color, 1 - (1 - np.linspace(0, 1, FADE_HUES + 1)) ** TURN):
        walk = _walk(hue, _saturation_for(hue))
        lightness, chroma = lightness_and_chroma(walk)
        seen = lightness[chroma >= VISIBLE_CHROMA]
        wanted = _kept_visible(levels, seen[0], seen[-1])
        rows.append(np.stack([np.interp(wanted, lightness, channel) for channel in walk.T], axis=-1))
    place = np.linspace(0, FADE_HUES, FADE_STEPS)
    above = np.minimum(place.astype(int), FADE_HUES - 1)
    between = (place - above)[:, None, None]
    rows = np.stack(rows)
    table = rows[above] * (1 - between) + rows[above + 1] * between
    table = np.rint(table * np.iinfo(dtype).max).astype(dtype)
    return Dye(table, float(seen[0]), float(seen[-1]), float(lightness[chroma.argmax()]))
