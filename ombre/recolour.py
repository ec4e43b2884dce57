"""A picture and its hair mask in, the picture with an ombre out: matte, people, fade, dye.

`prepare` does once what all colours share, `dye_hair` lays one colour in, `ombre` is both. All arrays that are as
large as the picture are bytes; the rest lives on a coarse grid (grid.py) or in one band of rows at a time.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from ombre import dye, grid, heads, matte

FAINT = 4  # mask values below this are not hair at all
BAND = 96  # rows worked on at a time
AREA = (13, 13)  # cells: the area over which hair's own light is judged
ROOM = (5.0, 14.0)  # L* kept free at the ends of a colour's range for light and shade of strands: least, most


class Hair(NamedTuple):
    """What is known of a picture's hair whatever the colour.

    `rgb` the whole picture; `rows`, `columns` the part of it that has hair, `mask` (h, w) uint8 of that part, `step`
    its grid; `lines` of the matte (None: the mask is the matte); on the grid, float32, `light` (mean L* of the area
    around) and `relief` (deviation of L* there); `mean` and `spread` of `light` over the hair; `fade`."""

    rgb: np.ndarray
    rows: slice
    columns: slice
    step: int
    mask: np.ndarray
    lines: tuple[np.ndarray, np.ndarray] | None
    light: np.ndarray
    relief: np.ndarray
    mean: float
    spread: float
    fade: heads.Fade


def ombre(
    rgb: np.ndarray,
    mask: np.ndarray,
    color: float,
    ombre_height: float,
    ombre_grad_height: float,
    *,
    refine: bool = True,
    strength: float = 1.0,
    lightness: float = 0.0,
) -> np.ndarray:
    """The picture with an ombre, a new array; `prepare` and `dye_hair` say what the arguments are."""
    hair = prepare(rgb, mask, ombre_height, ombre_grad_height, refine=refine)
    return rgb.copy() if hair is None else dye_hair(hair, color, strength=strength, lightness=lightness)


def prepare(
    rgb: np.ndarray, mask: np.ndarray, ombre_height: float, ombre_grad_height: float, *, refine: bool = True
) -> Hair | None:
    """What several colours of one picture share; None where there is nothing to dye.

    Args:
        rgb: (H, W, 3) uint8 or uint16.
        mask: (H, W) uint8, share of hair x 255; where it is below FAINT no pixel changes.
        ombre_height: share of each person's hair, from below, that is dyed; 0 changes nothing, 1 dyes it all.
        ombre_grad_height: share of the dyed part, from above, over which the dye fades in; 0 is an edge.
        refine: make a matte of the mask that follows strands and leaves a doubtful rim alone, as a network's mask needs
            (a drawn one stays as it is); False takes the mask as the matte.

    Raises:
        ValueError: a share outside 0..1, or arrays of other shapes or kinds.
    """
    _check(ombre_height=ombre_height, ombre_grad_height=ombre_grad_height)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the picture is {rgb.shape} {rgb.dtype}, but must be (H, W, 3) uint8 or uint16")
    if mask.shape != rgb.shape[:2] or mask.dtype != np.uint8:
        raise ValueError(f"the mask is {mask.shape} {mask.dtype}, but must be {rgb.shape[:2]} uint8")
    left, top, width, height = cv2.boundingRect(cv2.threshold(mask, FAINT - 1, 255, cv2.THRESH_BINARY)[1])
    if width == 0 or ombre_height == 0:
        return None
    rows, columns, step = slice(top, top + height), slice(left, left + width), grid.step_for(height, width)
    mask = mask[rows, columns]
    cells = grid.shrink(mask, step)
    hair = matte.may_be_hair(mask) if refine else mask
    people = heads.find_people(hair, grid.shrink(hair, step), step)
    if not people.heads:
        return None
    grey = grid.shrink(cv2.cvtColor(rgb[rows, columns], cv2.COLOR_RGB2GRAY), step)
    lightness = np.take(_lightness_of_greys(rgb.dtype), grey)
    weight = np.float32(cells) / 255 + 1e-4
    weight_around = _smooth(weight)
    light = _smooth(lightness * weight) / weight_around  # weighted, so that no background shines into the hair
    relief = np.sqrt(np.maximum(_smooth((lightness - light) ** 2 * weight) / weight_around, 0))
    mean, spread = cv2.meanStdDev(light, mask=np.uint8(cells >= min(heads.HAIR, cells.max())))
    fade = heads.plan_fade(people, ombre_height, ombre_grad_height, heads.strand_signal(lightness, weight))
    lines = matte.fit_lines(cells, grey * np.float32(255 / np.iinfo(rgb.dtype).max)) if refine else None
    return Hair(rgb, rows, columns, step, mask, lines, light, relief, float(mean[0, 0]), float(spread[0, 0]), fade)


def dye_hair(hair: Hair, color: float, *, strength: float = 1.0, lightness: float = 0.0) -> np.ndarray:
    """The picture with its hair dyed: a new array like `hair.rgb`.

    Args:
        color: place on the hue circle, 0..1 (0 and 1 red).
        strength: share of the dye that takes, 0..1.
        lightness: -1 (darker) .. 1 (lighter).

    Raises:
        ValueError: a setting outside its range.
    """
    _check(color=color, strength=strength, lightness=(lightness + 1) / 2)
    mixed = dye.mix(color % 1, hair.rgb.dtype)
    lift = np.int16(np.rint(_lift(hair, mixed, lightness) * (mixed.table.shape[1] - 1) / 100))
    result = hair.rgb.copy()
    part = result[hair.rows, hair.columns]
    for start in range(heads.first_dyed_row(hair.fade), len(part), BAND):
        _dye_band(hair, part, (start, min(start + BAND, len(part))), lift, mixed.table, strength)
    return result


def alpha_of(hair: Hair, rows: tuple[int, int], grey: np.ndarray) -> np.ndarray:
    """Share of hair x 255 in the rows rows[0]..rows[1] of the part with hair, whose greys (0..255) these are: uint8."""
    mask = hair.mask[slice(*rows)]
    if hair.lines is None:
        return mask
    slope, offset = (grid.grow(line, hair.step, rows, (0, mask.shape[1])) for line in hair.lines)
    return matte.alpha_from(slope, offset, grey, mask)


def _check(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is out of its range")


@lru_cache(maxsize=2)
def _lightness_of_greys(dtype: np.dtype) -> np.ndarray:
    """L* of every grey of a dtype: float32."""
    grey = np.linspace(0, 1, np.iinfo(dtype).max + 1, dtype=np.float32)
    return np.ascontiguousarray(dye.lightness_and_chroma(np.repeat(grey[:, None], 3, axis=1))[0])


@lru_cache(maxsize=2)
def _levels_of_greys(dtype: np.dtype) -> np.ndarray:
    """The dye table's column for every grey of a dtype: int16."""
    return np.int16(np.rint(_lightness_of_greys(dtype) * (dye.LIGHTNESS_STEPS[dtype] - 1) / 100))


def _smooth(cells: np.ndarray) -> np.ndarray:
    """Means over AREA, twice: nearly a Gaussian."""
    return cv2.blur(cv2.blur(cells, AREA), AREA)


def _lift(hair: Hair, mixed: dye.Dye, lightness: float) -> np.ndarray:
    """L* to add, on the grid: black hair is bleached and blond hair toned down to about where the colour shows, while
    darker and lighter parts of the hair stay so, and strands' own light and shade (not in here) stay as they are."""
    room = np.clip(2.5 * hair.relief, *ROOM)
    centre = 0.45 * hair.mean + 0.55 * mixed.fullest + 15 * lightness
    centre = np.clip(centre, mixed.darkest + 10, mixed.lightest - 10)
    gain = np.clip((mixed.lightest - mixed.darkest - 20) / (4 * hair.spread + 1e-3), 0.4, 1.6)
    wanted = centre + gain * (hair.light - hair.mean)
    return np.clip(wanted, mixed.darkest + room, mixed.lightest - room) - hair.light


def _dye_band(
    hair: Hair, part: np.ndarray, rows: tuple[int, int], lift: np.ndarray, table: np.ndarray, strength: float
) -> None:
    """Dye the rows rows[0]..rows[1] of `part`, the picture's part with hair, in place."""
    most = np.iinfo(table.dtype).max
    band, mask = part[slice(*rows)], hair.mask[slice(*rows)]
    columns = (0, mask.shape[1])
    grey = cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    alpha = alpha_of(hair, rows, grey if most == 255 else np.uint8(grey >> 8))
    share = heads.dye_share(hair.fade, hair.step, rows, columns)
    weight = cv2.multiply(alpha, share, scale=strength * most / 255, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U)
    level = cv2.add(np.take(_levels_of_greys(table.dtype), grey), grid.grow(lift, hair.step, rows, columns))
    place = cv2.multiply(share, dye.FADE_STEPS - 1, dtype=cv2.CV_16S)
    dyed = cv2.remap(table, cv2.merge([level, place]), None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB)
    band[...] = cv2.add(cv2.multiply(band, most - weight, scale=1 / most), cv2.multiply(dyed, weight, scale=1 / most))
