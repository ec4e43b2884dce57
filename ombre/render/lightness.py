"""Which strand takes which place among a dye's light and shade.

Bleach and dye change what hair gives back of the light, so that all of its depths (dye_table.py) move by one amount:
lit strands come out in the shade's own colour, and shadows between them stay shadows. How far hair spreads in depth
stays its own for the most part: flat light stays flat.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ombre.colour.dye_table import DEEPEST, Tone, columns_of
from ombre.hair.analysis import Hair
from ombre.hair.depth import depths_of_greys, lightness_of
from ombre.hair.shadow import Made
from ombre.render import fade

SPREAD, USUAL = 0.735, 0.72  # deviation of depth in dyed hair, of which white and black take some; in natural hair
GAIN = (0.75, 1.3)  # times the depths: half-way, in a logarithm, from hair's own spread to SPREAD, within these
LIT = 0.15  # depth by which lit strands lie above the shade: their mean is then the shade's
MOST_LIT = 1.5  # deviations above the mean, beyond which strands count no more
LIGHTER = 15.0  # L* of a lightness of 1
FULLY = 0.98  # of the fade: hair that is as good as fully dyed


class Curve(NamedTuple):
    """Columns of a dye's table: what a grey of the picture's gives, (greys,) int16, and for each tint what is added to
    it, on the grid, int16; and what is added for strands that are made, int16, as they are (shadow.py)."""

    of_greys: np.ndarray
    shifts: list[np.ndarray]
    made: Made | None


def tone_curve(hair: Hair, tones: tuple[Tone, ...], fades: list[fade.Fade | fade.Along], lightness: float) -> Curve:
    """Where the hair's strands are looked up in the table of a dye of these tones. Each person's hair is judged by
    itself, by the part that the tint dyes; `lightness` as in recolour.py."""
    cells = np.take(depths_of_greys(hair.space, hair.illuminant, 256), hair.greys)
    shares = [fade.dye_share_of_cells(planned, hair.step, hair.hair_mask.shape) for planned in fades]
    shares.append(np.zeros_like(shares[0]))
    parts = [hair.hair_mask * (own * (1 - following) > FULLY) for own, following in zip(shares, shares[1:])]
    found = [_by_person(hair, cells, part) for part in parts]
    gains = [np.clip(SPREAD / np.sqrt(np.maximum(spread, 0.05) * USUAL), *GAIN) for _, _, spread in found]
    common = float(np.mean([np.mean(gain) for gain in gains]))
    shifts = []
    for tone, gain, (mean, lit, _) in zip(tones, gains, found):
        centre = (1 - tone.pull) * lightness_of(mean) + tone.pull * tone.level + LIGHTER * lightness
        place = tone.depth(centre) + (LIT if tone.lit else 0)
        shift = np.float32(place - gain * (lit if tone.lit else mean)) + np.float32(gain - common) * cells
        shifts.append(columns_of(shift, hair.rgb.dtype))
    depths = depths_of_greys(hair.space, hair.illuminant, np.iinfo(hair.rgb.dtype).max + 1)
    made = hair.made and hair.made._replace(
        depth=columns_of(hair.made.depth, hair.rgb.dtype),
        most=columns_of(np.minimum(common * hair.made.most, -DEEPEST) - DEEPEST, hair.rgb.dtype),
    )
    return Curve(columns_of(common * depths - DEEPEST, hair.rgb.dtype), shifts, made)


def _by_person(hair: Hair, depth: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each person's hair so weighted, where that person is: the mean depth, that of the lit half, above the mean,
    and the deviation: on the grid, or of one person alone three numbers."""
    alone, labels = len(hair.people.heads) == 1, hair.people.labels.ravel()
    weight, depth = (weight + 1e-6 * hair.hair_mask + 1e-9).ravel(), depth.ravel()

    def mean_of(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if alone:
            return np.asarray(weight @ values / np.maximum(weight.sum(), np.float32(1e-12)))
        return np.bincount(labels, weight * values) / np.maximum(np.bincount(labels, weight), 1e-12)

    def where(of_each: np.ndarray) -> np.ndarray:
        return of_each if alone else of_each[labels]

    mean = mean_of(depth, weight)
    away = depth - where(mean)
    spread = np.sqrt(mean_of(away * away, weight))
    capped = np.minimum(away, MOST_LIT * where(spread))  # a rim against the sun is not what hair looks like
    above = mean + mean_of(capped, weight * (away >= 0))
    if alone:
        return mean, above, spread
    values = (value.astype(np.float32)[hair.people.labels] for value in (mean, above, spread))
    mean, above, spread = (cv2.GaussianBlur(value, (0, 0), 1.5) for value in values)
    return mean, above, spread
