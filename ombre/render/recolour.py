"""A picture and its hair mask in, the picture with an ombre out: fade, lightness, dye_table.

`dye_hair` lays one colour into the hair that `analysis.prepare` has looked at, `ombre` is both. What is worked out at
the picture's size is so in one tile at a time.
"""

from typing import NamedTuple

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from ombre.colour import dye_table
from ombre.hair import grid
from ombre.hair.analysis import Hair, prepare
from ombre.render import fade
from ombre.render.lightness import Curve, tone_curve
from ombre.style import Style
from segmentation.finding.guide import Guide


def ombre(
    rgb: np.ndarray,
    mask: np.ndarray,
    style: Style,
    *,
    refine: bool = True,
    space: Space = SRGB,
    guide: Guide | None = None,
) -> np.ndarray:
    """The picture with an ombre, a new array; `prepare` says what the arguments are."""
    hair = prepare(rgb, mask, refine=refine, space=space, guide=guide)
    return rgb.copy() if hair is None else dye_hair(hair, style)


def dye_hair(hair: Hair, style: Style) -> np.ndarray:
    """The picture with its hair dyed: a new array like `hair.rgb`."""
    result = hair.rgb.copy()
    if style.ombre_height > 0:
        dye_part(hair, layer_of(hair, style), result[hair.rows, hair.columns])
    return result


def layer_of(hair: Hair, style: Style) -> "Layer":
    """What a style lays into a picture's hair."""
    mixed = dye_table.mix(style.color, hair.rgb.dtype, style.reverse, hair.space)
    fades = fade.fades_of(hair, style, len(mixed.tones))
    curve = tone_curve(hair, mixed.tones, fades, style.lightness)
    shaded = all(tone.lit for tone in mixed.tones)  # a place on the hue circle has its hue in any light
    table = dye_table.relit(mixed.table, hair.illuminant, hair.space) if shaded else mixed.table
    wanted = hair.support & fade.dyed_cells(fades[0], hair.step, hair.support.shape)
    return Layer(fades, curve, table, style.strength, wanted)


def dye_part(hair: Hair, dye: "Layer", pixels: np.ndarray, top: int = 0, left: int = 0) -> None:
    """Dye pixels (h, w, 3) in place, which lie from this row and column on of the part with hair."""
    below, right = top + pixels.shape[0], left + pixels.shape[1]
    for rows, columns in grid.tiles(dye.wanted, hair.step, *hair.alpha.shape):
        rows, columns = (max(rows[0], top), min(rows[1], below)), (max(columns[0], left), min(columns[1], right))
        if rows[0] < rows[1] and columns[0] < columns[1]:
            tile = pixels[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
            _dye_tile(hair, tile, rows, columns, dye)


class Layer(NamedTuple):
    """What is laid into a picture's hair.

    Attributes:
        fades: of each tint, the one that meets the natural hair first.
        curve: which place of the table a strand takes.
        table: of the dye's colours, as `dye_table.Dye`.
        strength: share of the dye that takes, 0..1.
        wanted: on the grid, bool: where there may be dye at all.
    """

    fades: list[fade.Fade | fade.Along]
    curve: Curve
    table: np.ndarray
    strength: float
    wanted: np.ndarray


def _dye_tile(hair: Hair, tile: np.ndarray, rows: tuple[int, int], columns: tuple[int, int], dye: Layer) -> None:
    """Dye a tile, which is these rows and columns (from, to) of the part with hair, in place: what is hair's own in a
    pixel is taken out, dyed, and laid back."""
    most = grid.MOST[dye.table.dtype]
    alpha = hair.alpha[slice(*rows), slice(*columns)]
    own = hair.own.of(tile, rows, columns)
    share = fade.dye_share(dye.fades[0], hair.step, rows, columns)
    depth, scale = cv2.CV_8U if most == 255 else cv2.CV_16U, dye.strength * most / 255
    weight = cv2.cvtColor(cv2.multiply(alpha, share, scale=scale, dtype=depth), cv2.COLOR_GRAY2RGB)
    shift = grid.grow(dye.curve.shifts[0], hair.step, rows, columns)
    place: np.ndarray = cv2.convertScaleAbs(share, alpha=dye_table.FADE_STEPS - 1).astype(np.int16)
    if len(dye.fades) > 1:
        share = fade.dye_share(dye.fades[1], hair.step, rows, columns)
        further = grid.grow(dye.curve.shifts[1], hair.step, rows, columns)
        shift = cv2.add(shift, cv2.multiply(cv2.subtract(further, shift), share, dtype=cv2.CV_16S))
        # The stubs know no numbers beside arrays.
        later = cv2.multiply(share, dye_table.FADE_STEPS, dtype=cv2.CV_16S)  # type: ignore[call-overload]
        place = cv2.add(place, later)
    look_up = cv2.LUT if most == 255 else lambda grey, levels: levels[grey]
    level = cv2.add(look_up(hair.space.grey(own), dye.curve.of_greys), shift)
    at, how = cv2.merge([level, place]), dict(borderMode=cv2.BORDER_REPLICATE)
    # The stubs know no single map of both x and y.
    dyed = cv2.remap(dye.table, at, None, cv2.INTER_NEAREST, **how)  # type: ignore[call-overload]
    tile[...] = _blended(tile, own, dyed, weight, hair.space.bend)


def _blended(tile: np.ndarray, own: np.ndarray, dyed: np.ndarray, weight: np.ndarray, bend: float) -> np.ndarray:
    """A tile (h, w, 3) in which the share `weight` (the same shape and type, of its greatest value) of hair's own
    colours is exchanged for the dyed ones; `bend` as in icc.py."""
    most = grid.MOST[tile.dtype]
    # One of the two is 0, so no sign is needed, which would take types that are four times as slow.
    lighter, darker = (cv2.multiply(cv2.subtract(*two), weight, scale=1 / most) for two in ((dyed, own), (own, dyed)))
    if bend:
        apart = cv2.absdiff(dyed, own)
        bent = cv2.multiply(apart, apart, scale=abs(bend) / most, dtype=cv2.CV_32F)
        bent = cv2.multiply(bent, most - weight, scale=1 / most, dtype=cv2.CV_32F)
        bent = cv2.multiply(bent, weight, scale=1 / most, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U)
        lighter, darker = (lighter, cv2.add(darker, bent)) if bend > 0 else (cv2.add(lighter, bent), darker)
    return cv2.subtract(cv2.add(tile, lighter), darker)
