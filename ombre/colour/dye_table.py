"""The dye made ready: what a strand of given depth looks like at each place of the fade.

Light and shade of hair are told by its *depth*, the logit of its lightness L* (CIE 1976) within the range that it can
have: ln(p / (1 - p)) of its place p between the ends. Natural hair, from black to platinum, spreads in it by about as
much: what sets blond hair apart from black is an amount added to all of its depths, so black hair has light strands
before black shadows, blond hair dark shadows behind blond strands, and one becomes the other. For each depth there is
one place on a colour's walk (ramps.py).
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from ombre.colour.ramps import (
    HIGHEST,
    LOWEST,
    encoded,
    lightness_and_chroma,
    oklch,
    ramp_of_hue,
    ramp_of_shade,
    rgb_of,
)
from ombre.colour.shades import Tint, parse_color

BLEACHED_HUE = 0.1  # what bleach leaves of hair's own pigment is a warm orange-yellow
BLEACHED_CHROMA, BLEACHED_ANGLE = 0.09, 65.0  # the same in OKLab: chroma a lightness, degrees
TURN = 1.7  # hue leads colour in the fade, so that half-way between brown and blue there is mauve, not grey
UP_TO = 130.0  # degrees a shade's fade turns upwards, over yellow to green; bluer shades go the other way, over red
DEPTHS = {np.dtype(np.uint8): 1024, np.dtype(np.uint16): 4096}  # columns of a table
DEEPEST, LIGHTEST = -5.5, 5.5  # depths of the first and the last of them
FADE_STEPS, FADE_HUES = 128, 16  # rows of the table for a colour; hues worked out among them
VISIBLE_CHROMA = 22.0  # below this LAB chroma one sees grey; a hue's usable lightness ends there
SHADOW_CHROMA = 14.0  # but not below: shadows between strands are dark first of all, or hair looks painted
SHADE_ENDS = 0.0, 100.0  # the usable lightness of a shade
HUE_PULL = 0.55  # a hue meets the hair's own lightness half-way; a shade has its own


class Tone(NamedTuple):
    """Where a tint's lightness lies, L*: between `darkest` and `lightest` it is plainly seen. Its own is `level`, which
    hair takes on with the share `pull`, and keeps of its own the rest. `lit`: whether it is that of strands in the
    light, as a shade's is; else of all of the hair."""

    darkest: float
    lightest: float
    level: float
    pull: float
    lit: bool

    def depth(self, lightness: np.ndarray | float) -> np.ndarray | float:
        """Of L*, kept a little within the ends."""
        place = np.clip((lightness - self.darkest) / (self.lightest - self.darkest), 0.03, 0.97)
        return np.log(place / (1 - place))

    def lightness(self, depth: np.ndarray) -> np.ndarray:
        """L* of a depth."""
        return self.darkest + (self.lightest - self.darkest) / (1 + np.exp(-depth))


class Dye(NamedTuple):
    """A colour made ready. `table` (FADE_STEPS a tint, DEPTHS, 3) RGB in the picture's dtype: rows go from bleached
    hair to the first tint and, where there are two, on to the second, columns from DEEPEST to LIGHTEST."""

    table: np.ndarray
    tones: tuple[Tone, ...]


def columns_of(depths: np.ndarray | float, dtype: np.dtype) -> np.ndarray:
    """How many of a table's columns it is from depth 0 to this one, int16; depth 0 is at `columns_of(-DEEPEST)`."""
    return np.asarray(np.rint(depths * ((DEPTHS[dtype] - 1) / (LIGHTEST - DEEPEST))), np.int16)


@lru_cache(maxsize=64)
def mix(color: str | float, dtype: np.dtype, from_below: bool = False, space: Space = SRGB) -> Dye:
    """The dye of a colour (shades.py) for pictures of a dtype and a colour space. Cheap the second time.

    `from_below`: the fade begins at the lower end, so the lower of two tints comes first."""
    tints = parse_color(color)[1][:: -1 if from_below else 1]
    if len(tints) == 1 and isinstance(tints[0], float):
        ramps = [ramp_of_hue(hue) for hue in _turned(tints[0] % 1, _lead(FADE_HUES))]
        tones: tuple[Tone, ...] = (_tone_of_hue(ramps[-1]),)
        fades = [[(ramp, _tone_of_hue(ramp)) for ramp in ramps]]
    else:
        stops = [oklch(_rgb_of_tint(tint)) for tint in tints]
        tones = tuple(_tone_of_shade(_rgb_of_tint(tint)) for tint in tints)
        bleached = np.array([stops[0][0], BLEACHED_CHROMA * stops[0][0], BLEACHED_ANGLE])
        ways = [_between(bleached, stops[0], _lead(FADE_HUES), UP_TO)]
        ways += [_between(stops[0], stops[1], np.linspace(0, 1, FADE_HUES + 1), 180.0)] if len(stops) > 1 else []
        fades = [[(ramp_of_shade(*place), tones[0]) for place in way] for way in ways]
    depths = np.linspace(DEEPEST, LIGHTEST, DEPTHS[dtype])
    table = np.concatenate([_filled(np.stack([_row(*ramp, depths, space) for ramp in fade])) for fade in fades])
    return Dye(np.rint(table * np.iinfo(dtype).max).astype(dtype), tones)


def relit(table: np.ndarray, light: np.ndarray, space: Space = SRGB) -> np.ndarray:
    """A dye's table, or any colours of a space (..., 3) uint8 or uint16, in another than plain light: `light` (3,) is
    how much of plain light's red, green and blue, of linear sRGB, there is."""
    most = np.iinfo(table.dtype).max
    plain = space.luminance_of_greys(most + 1)
    own = light
    if space is not SRGB:
        way = space.from_srgb(encoded(np.linspace(1, light / light.max(), FADE_STEPS)))
        own = np.interp(np.clip(way[-1], 0, 1) * most, np.arange(most + 1), plain) * light.max()
    highest = plain[round(HIGHEST * most)]
    numbers = [np.interp(np.minimum(plain * gain, highest), plain, np.arange(most + 1)) for gain in own]
    look_up = np.rint(np.stack(numbers, axis=-1)).astype(table.dtype)
    if most == 255:
        return cv2.LUT(table, look_up[None])
    return np.stack([look_up[table[..., channel], channel] for channel in range(3)], axis=-1)


def _rgb_of_tint(tint: Tint) -> np.ndarray:
    """(3,) sRGB 0..1; of a place on the hue circle its fullest colour."""
    if isinstance(tint, str):
        return rgb_of(tint)
    ramp = ramp_of_hue(tint % 1)
    return ramp[lightness_and_chroma(ramp)[1].argmax()]


def _tone_of_hue(ramp: np.ndarray) -> Tone:
    lightness, chroma = lightness_and_chroma(ramp)
    darkest, lightest = lightness[chroma >= SHADOW_CHROMA][0], lightness[chroma >= VISIBLE_CHROMA][-1]
    return Tone(float(darkest), float(lightest), float(lightness[chroma.argmax()]), HUE_PULL, lit=False)


def _tone_of_shade(rgb: np.ndarray) -> Tone:
    return Tone(*SHADE_ENDS, float(lightness_and_chroma(rgb)[0]), 1.0, lit=True)


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


def _row(ramp: np.ndarray, tone: Tone, depths: np.ndarray, space: Space) -> np.ndarray:
    """(n, 3) in numbers of the space: the walk's colour at each depth."""
    lightness, own = lightness_and_chroma(ramp)[0], np.clip(space.from_srgb(ramp), LOWEST, HIGHEST)
    wanted = tone.lightness(depths)
    return np.stack([np.interp(wanted, lightness, channel) for channel in own.T], axis=-1)


def _filled(rows: np.ndarray) -> np.ndarray:
    """(FADE_HUES + 1, n, 3) -> (FADE_STEPS, n, 3)"""
    place = np.linspace(0, FADE_HUES, FADE_STEPS)
    above = np.minimum(place.astype(int), FADE_HUES - 1)
    between = (place - above)[:, None, None]
    return rows[above] * (1 - between) + rows[above + 1] * between
