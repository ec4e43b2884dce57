"""A picture and its hair mask in, the picture with an ombre out: matte, people, dye.

`prepare` does once what all colours share; `dye_hair` lays one colour in. `ombre` is both.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ombre import dye, grid, heads, matte

FAINT = 4  # mask values below this are not hair at all
BAND = 64  # rows worked on at a time, so that what is between picture and result stays small
LIFT_BLUR = 7.0  # cells: hair's light is judged over areas of this size
ROOM = (3.0, 14.0)  # L* kept free at either end of a colour's range for strands' light and shade: least, most


class Hair(NamedTuple):
    """What is known of a picture's hair whatever the colour. `rows`, `columns`: the part of the picture with dyed
    hair; `step` its grid; `mask` (h, w) uint8 there; `alpha` lines of the matte or None; `lightness` and `light`
    (rows, columns) float32 on the grid: L* and its mean over an area; `mean`, `spread` of the latter over the hair."""

    rgb: np.ndarray
    rows: tuple[int, int]
    columns: tuple[int, int]
    step: int
    mask: np.ndarray
    lines: tuple[np.ndarray, np.ndarray] | None
    light: np.ndarray
    relief: np.ndarray
    mean: float
    spread: float
    fade: heads.Fade


def _grey_to_lightness() -> np.ndarray:
    """L* (float32) of the 256 greys."""
    grey = np.repeat(np.arange(256, dtype=np.float32)[None, :, None] / 255, 3, axis=2)
    return cv2.cvtColor(grey, cv2.COLOR_RGB2LAB)[0, :, 0]


GREY_TO_LIGHTNESS = _grey_to_lightness()


def _in_range(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, but must be from 0 to 1")


def prepare(rgb: np.ndarray, mask: np.ndarray, ombre_height: float, ombre_grad_height: float, *,
            refine: bool = True) -> Hair | None:
    """What several colours of one picture share; None where no hair is to be dyed.

    `rgb` (H, W, 3) uint8 or uint16; `mask` (H, W) uint8, the share of hair in each pixel x 255; the heights 0..1."""
    _in_range(ombre_height=ombre_height, ombre_grad_height=ombre_grad_height)
    if rgb.shape[:2] != mask.shape:
        raise ValueError(f"the mask is {mask.shape}, but the picture {rgb.shape[:2]}")
    left, top, width, height = cv2.boundingRect(cv2.threshold(mask, FAINT - 1, 255, cv2.THRESH_BINARY)[1])
    if ombre_height == 0 or width == 0:
        return None
    columns, step = (left, left + width), grid.step_for(height, width)
    part = mask[top:top + height, left:left + width]
    cells = grid.shrink(part, step)
    people = heads.find_people(part, cells, step)
    if not people.heads:
        return None
    grey = cv2.cvtColor(rgb[top:top + height, left:left + width], cv2.COLOR_RGB2GRAY)
    guide = np.float32(grid.shrink(grey, step)) * (255 / np.iinfo(rgb.dtype).max)
    lightness = np.interp(guide, np.arange(256), GREY_TO_LIGHTNESS).astype(np.float32)
    fade = heads.plan_fade(people, ombre_height, ombre_grad_height, heads.strand_signal(lightness, cells))
    weight = np.float32(cells) / 255 + 1e-4
    light = cv2.GaussianBlur(lightness * weight, (0, 0), LIFT_BLUR) / cv2.GaussianBlur(weight, (0, 0), LIFT_BLUR)
    relief = np.sqrt(cv2.GaussianBlur((lightness - light) ** 2 * weight, (0, 0), LIFT_BLUR)
                     / cv2.GaussianBlur(weight, (0, 0), LIFT_BLUR))
    mean, spread = cv2.meanStdDev(light, mask=np.uint8(cells >= min(heads.HAIR, cells.max())))
    lines = matte.fit_lines(cells, guide) if refine else None
    return Hair(rgb, (top, top + height), columns, step, part, lines, light, relief, float(mean[0, 0]), float(spread[0, 0]),
                fade)


def dye_hair(hair: Hair, color: float, *, strength: float = 1.0, lightness: float = 0.0) -> np.ndarray:
    """The picture with its hair dyed in the hue `color` (0..1): a new array like `hair.rgb`."""
    _in_range(color=color, strength=strength)
    mixed = dye.mix(color % 1)
    lift = _lift(hair, mixed, lightness)
    most = np.iinfo(hair.rgb.dtype).max
    table = np.rint(mixed.table * most).astype(hair.rgb.dtype)
    result = hair.rgb.copy()
    first = max(heads.first_dyed_row(hair.fade), 0)
    height, width = hair.mask.shape
    for start in range(first, height, BAND):
        rows = (start, min(start + BAND, height))
        _dye_band(hair, rows, lift, table, strength, result)
    return result


def _dye_band(hair, rows, lift, table, strength, result):
    most = np.iinfo(table.dtype).max
    mask = hair.mask[rows[0]:rows[1]]
    across = (0, mask.shape[1])
    band = result[hair.rows[0] + rows[0]:hair.rows[0] + rows[1], hair.columns[0]:hair.columns[1]]
    grey = cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    if hair.lines is None:
        alpha = mask
    else:
        slope, offset = (grid.grow(field, hair.step, rows, across) for field in hair.lines)
        alpha = matte.bounded(slope * grey * (255 / most) + offset, mask)
    share = heads.dye_share(hair.fade, hair.step, rows, across)
    weight = cv2.multiply(alpha, share * strength, scale=most / 255, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U)
    level = cv2.LUT(grey, GREY_TO_LIGHTNESS) if most == 255 else np.interp(grey / 257, np.arange(256), GREY_TO_LIGHTNESS).astype(np.float32)
    level += grid.grow(lift, hair.step, rows, across)
    level *= (dye.LIGHTNESS_STEPS - 1) / 100
    dyed = cv2.remap(table, level, share * (dye.FADE_STEPS - 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB)
    cv2.add(cv2.multiply(band, most - weight, scale=1 / most), cv2.multiply(dyed, weight, scale=1 / most), dst=band)


def _lift(hair: Hair, mixed: dye.Dye, lightness: float) -> np.ndarray:
    """L* to add, on the grid: hair's own light moved to where the colour shows, its contrast kept within the range."""
    room = np.clip(2 * hair.relief, *ROOM)
    low, high = mixed.darkest + room, mixed.lightest - room
    centre = np.clip(0.55 * hair.mean + 0.45 * mixed.fullest + 15 * lightness, mixed.darkest + 10, mixed.lightest - 10)
    gain = np.clip((mixed.lightest - mixed.darkest - 20) / (4 * hair.spread + 1e-3), 0.4, 1.6)
    wanted = np.clip(centre + gain * (hair.light - hair.mean), low, high)
    return wanted - hair.light


def ombre(rgb: np.ndarray, mask: np.ndarray, color: float, ombre_height: float, ombre_grad_height: float, *,
          refine: bool = True, strength: float = 1.0, lightness: float = 0.0) -> np.ndarray:
    """The picture with an ombre: a new array."""
    hair = prepare(rgb, mask, ombre_height, ombre_grad_height, refine=refine)
    return rgb.copy() if hair is None else dye_hair(hair, color, strength=strength, lightness=lightness)
