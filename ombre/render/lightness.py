"""How much lighter or darker hair becomes in a colour, part by part."""

import cv2
import numpy as np

from ombre.colour.dye_table import Tone
from ombre.hair.analysis import Hair
from ombre.render import fade

GAIN = (0.4, 1.6)  # how much the differences of hair's light may shrink or grow to fit the colour's range
FULLY = 0.98  # of the fade: hair that is as good as fully dyed
LEAST_SIDE = 6.0  # L* between the middle of dyed hair and the ends of a colour's range
# What is kept free at the ends of a colour's range for light and shade of strands: deviations of their L*, and L* at
# least and at most. Below it is less, as strands in black may lie closer together than in platinum before one sees it.
ROOM_BELOW, ROOM_ABOVE = (1.2, 3.0, 21.0), (2.0, 4.0, 21.0)


def lightness_shifts(
    hair: Hair, tones: tuple[Tone, ...], fades: list[fade.Fade | fade.Along], lightness: float
) -> list[np.ndarray]:
    """For each tint the L* to add, on the grid: black hair is bleached and blond hair toned down to where the colour
    lies, while darker and lighter parts of the hair stay so, and strands' own light and shade (not in here) stay as
    they are. Each person's hair is judged by itself, by the part that the tint dyes."""
    shares = [fade.dye_share_of_cells(planned, hair.step, hair.light.shape) for planned in fades]
    shares.append(np.zeros_like(shares[0]))
    below, above = (np.clip(share * hair.deviation, *ends) for share, *ends in (ROOM_BELOW, ROOM_ABOVE))
    found = []
    for tone, own, following in zip(tones, shares, shares[1:]):
        dyed = hair.hair_mask * (own * (1 - following) > FULLY)
        mean, spread = _by_person(hair, hair.light, dyed)
        centre = (1 - tone.pull) * mean + tone.pull * tone.level + 15 * lightness
        centre = np.clip(centre, tone.darkest + LEAST_SIDE, tone.lightest - LEAST_SIDE)
        lightest, darkest = tone.lightest - above, tone.darkest + below
        up, down = ((side - 10) / (2 * spread + 1e-3) for side in (tone.lightest - centre, centre - tone.darkest))
        away = hair.light - mean
        wanted = centre + away * np.clip(np.where(away > 0, up, down), *GAIN)
        wanted += centre - _by_person(hair, np.clip(wanted, darkest, lightest), dyed)[0]
        found.append(np.clip(wanted, darkest, lightest) - hair.light)
    return found


def _by_person(hair: Hair, light: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of `light` over each person's hair so weighted, where that person is: on the grid, or of one
    person alone two numbers."""
    weight = weight + 1e-6 * hair.hair_mask + 1e-9
    if len(hair.people.heads) == 1:
        mean = np.average(light, weights=weight)
        return mean, np.sqrt(np.average((light - mean) ** 2, weights=weight))
    labels, weight, light = hair.people.labels.ravel(), weight.ravel(), light.ravel()
    total = np.bincount(labels, weight)
    mean = np.bincount(labels, weight * light) / total
    spread = np.sqrt(np.bincount(labels, weight * (light - mean[labels]) ** 2) / total)
    values = (np.float32(value)[hair.people.labels] for value in (mean, spread))
    return tuple(cv2.GaussianBlur(value, (0, 0), 1.5) for value in values)
