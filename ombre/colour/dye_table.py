"""The dye made ready: what a strand of given lightness looks like at each place of the fade.

For each lightness L* (CIE 1976) there is one place on a colour's walk (ramps.py), so a table answers "which colour of
this dye has this lightness?", and a strand that was 3 L* lighter than its neighbour stays 3 L* lighter.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from common.image.icc import SRGB, Space
from ombre.colour.ramps import HIGHEST, LOWEST, lightness_and_chroma, oklch, ramp_of_hue, ramp_of_shade, rgb_of
from ombre.colour.shades import Tint, parse_color

BLEACHED_HUE = 0.1  # what bleach leaves of hair's own pigment is a warm orange-yellow
BLEACHED_CHROMA, BLEACHED_ANGLE = 0.09, 65.0  # the same in OKLab: chroma a lightness, degrees
TURN = 1.7  # hue leads colour in the fade, so that half-way between brown and blue there is mauve, not grey
UP_TO = 130.0  # degrees a shade's fade turns upwards, over yellow to green; bluer shades go the other way, over red
LIGHTNESS_STEPS = {np.dtype(np.uint8): 1024, np.dtype(np.uint16): 4096}
FADE_STEPS, FADE_HUES = 128, 16  # rows of the table for a colour; hues worked out among them
KNEE, SHADE_KNEE = 3.0, 1.5  # L* over which the ends of the usable lightness are approached
VISIBLE_CHROMA = 22.0  # below this LAB chroma one sees grey; a hue's usable lightness ends there
SHADE_ENDS = 1.5, 99.0  # the usable lightness of a shade
HUE_PULL = 0.55  # a hue meets the hair's own lightness half-way; a shade has its own


class Tone(NamedTuple):
    """Where a tint's lightness lies, L*: between `darkest` and `lightest` it is plainly seen; hair goes the share
    `pull` of the way from its own lightness to `level`; the ends are approached over `knee`."""

    darkest: float
    lightest: float
    level: float
    pull: float
    knee: float


class Dye(NamedTuple):
    """A colour made ready. `table` (FADE_STEPS a tint, LIGHTNESS_STEPS, 3) RGB in the picture's dtype: rows go from
    bleached hair to the first tint and, where there are two, on to the second, columns from L* 0 to 100."""

    table: np.ndarray
    tones: tuple[Tone, ...]


@lru_cache(maxsize=64)
def mix(color: str | float, dtype: np.dtype, from_below: bool = False, space: Space = SRGB) -> Dye:
    """The dye of a colour (shades.py) for pictures of a dtype and a colour space. Cheap the second time.

    `from_below`: the fade begins at the lower end, so the lower of two tints comes first."""
    tints = parse_color(color)[1][:: -1 if from_below else 1]
    if len(tints) == 1 and isinstance(tints[0], float):
        ramps = [ramp_of_hue(hue) for hue in _turned(tints[0] % 1, _lead(FADE_HUES))]
        tones = (_tone_of_hue(ramps[-1]),)
        fades = [[(ramp, _tone_of_hue(ramp)) for ramp in ramps]]
    else:
        stops = [oklch(_rgb_of_tint(tint)) for tint in tints]
        tones = tuple(_tone_of_shade(_rgb_of_tint(tint)) for tint in tints)
        bleached = np.array([stops[0][0], BLEACHED_CHROMA * stops[0][0], BLEACHED_ANGLE])
        ways = [_between(bleached, stops[0], _lead(FADE_HUES), UP_TO)]
        ways += [_between(*stops, np.linspace(0, 1, FADE_HUES + 1), 180.0)] if len(stops) > 1 else []
        fades = [[(ramp_of_shade(*place), tones[0]) for place in way] for way in ways]
    levels = np.linspace(0, 100, LIGHTNESS_STEPS[dtype])
    table = np.concatenate([_filled(np.stack([_row(*ramp, levels, space) for ramp in fade])) for fade in fades])
    return Dye(np.rint(table * np.iinfo(dtype).max).astype(dtype), tones)


def _rgb_of_tint(tint: Tint) -> np.ndarray:
    """(3,) sRGB 0..1; of a place on the hue circle its fullest colour."""
    if isinstance(tint, str):
        return rgb_of(tint)
    ramp = ramp_of_hue(tint % 1)
    return ramp[lightness_and_chroma(ramp)[1].argmax()]


def _tone_of_hue(ramp: np.ndarray) -> Tone:
    lightness, chroma = lightness_and_chroma(ramp)
    seen = lightness[chroma >= VISIBLE_CHROMA]
    return Tone(float(seen[0]), float(seen[-1]), float(lightness[chroma.argmax()]), HUE_PULL, KNEE)


def _tone_of_shade(rgb: np.ndarray) -> Tone:
    return Tone(*SHADE_ENDS, float(lightness_and_chroma(rgb)[0]), 1.0, SHADE_KNEE)


def _lead(steps: int) -> np.ndarray:
    return 1 - (1 - np.linspace(0, 1, steps + 1)) ** TURN


def _turned(hue: float, share: np.ndarray) -> np.ndarray:
    """Hues from BLEACHED_HUE (share 0) to `hue` (share 1), the shorter way around the circle."""
    way = (hue - BLEACHED_HUE + 0.5) % 1 - 0.5
    return (BLEACHED_HUE + way * share) % 1


def _between(start: np.ndarray, end: np.ndarray, share: np.ndarray, up_to: float) -> np.ndarray:
    """(n, 3) OKLab's lightness, chroma, hue from `start` (share 0) to `end` (share 1). Hues of little chroma count
    little, so that silver does not pass all the hues; a way over `up_to` degrees goes round the other side."""
    way = (end[2] - start[2]) % 360
    way -= 360 if way > up_to else 0
    turned = share * end[1] / (share * end[1] + (1 - share) * start[1] + 1e-6)
    places = start + share[:, None] * (end - start)
    places[:, 2] = start[2] + way * turned
    return places


def _row(ramp: np.ndarray, tone: Tone, levels: np.ndarray, space: Space) -> np.ndarray:
    """(n, 3) in numbers of the space: the walk's colour at each lightness L*."""
    lightness, own = lightness_and_chroma(ramp)[0], np.clip(space.from_srgb(ramp), LOWEST, HIGHEST)
    wanted = _kept_visible(levels, tone)
    return np.stack([np.interp(wanted, lightness, channel) for channel in own.T], axis=-1)


def _kept_visible(levels: np.ndarray, tone: Tone) -> np.ndarray:
    """Lightness drawn softly into darkest..lightest, and left alone well within."""
    lower = tone.darkest + tone.knee * np.logaddexp(0, (levels - tone.darkest) / tone.knee)
    return tone.lightest - tone.knee * np.logaddexp(0, (tone.lightest - lower) / tone.knee)


def _filled(rows: np.ndarray) -> np.ndarray:
    """(FADE_HUES + 1, n, 3) -> (FADE_STEPS, n, 3)"""
    place = np.linspace(0, FADE_HUES, FADE_STEPS)
    above = np.minimum(place.astype(int), FADE_HUES - 1)
    between = (place - above)[:, None, None]
    return rows[above] * (1 - between) + rows[above + 1] * between
