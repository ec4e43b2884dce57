"""A picture and its hair mask in, the picture with an ombre out: fade, lightness, dye_table.

`dye_hair` lays one colour into the hair that `analysis.prepare` has looked at, or several, where people have styles of
their own; `ombre` is both. What is worked out at the picture's size is so in one tile at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from ombre.colour import dye_table
from ombre.hair import grid
from ombre.hair.analysis import Hair, person_at, prepare
from ombre.render import fade
from ombre.render.lightness import Curve, tone_curve
from ombre.style import PersonStyle, Style

TOUCHING = 1.5  # cells: how softly one's hair goes over into another's


def ombre(
    rgb: np.ndarray,
    mask: np.ndarray,
    style: Style,
    *,
    refine: bool = True,
    space: Space = SRGB,
) -> np.ndarray:
    """The picture with an ombre, a new array; `prepare` says what the arguments are."""
    hair = prepare(rgb, mask, refine=refine, space=space)
    return rgb.copy() if hair is None else dye_hair(hair, style)


def dye_hair(hair: Hair, style: Style, own: Sequence[PersonStyle] = ()) -> np.ndarray:
    """The picture with its hair dyed, in `own` styles where people have some: a new array like `hair.rgb`."""
    result, part = hair.rgb.copy(), (hair.rows, hair.columns)
    dye_part(hair, layers_of(hair, style, own), result[part], hair.rgb[part])
    return result


def layers_of(hair: Hair, style: Style, own: Sequence[PersonStyle] = ()) -> list["Layer"]:
    """What is laid into a picture's hair: a layer for each style, over the people who have it."""
    styles = [style] * len(hair.people.heads)
    for x, y, other in own:
        styles[person_at(hair, x, y)] = other
    layers = []
    for each in dict.fromkeys(styles):
        if each.ombre_height > 0:
            having = np.array([other == each for other in styles])
            layers.append(_layer_of(hair, each, None if having.all() else _hair_of(hair, having)))
    return layers


def _hair_of(hair: Hair, people: np.ndarray) -> np.ndarray:
    """Whose hair it is, on the grid: float32, 1 of these people (bool, one each), 0 of others, between where they
    touch; of all people together 1."""
    return cv2.GaussianBlur(people[hair.people.labels].astype(np.float32), (0, 0), TOUCHING)


def _layer_of(hair: Hair, style: Style, whose: np.ndarray | None) -> "Layer":
    mixed = dye_table.mix(style.color, hair.rgb.dtype, style.reverse, hair.space)
    fades = fade.fades_of(hair, style, len(mixed.tones))
    curve = tone_curve(hair, mixed.tones, fades, style.lightness)
    shaded = all(tone.lit for tone in mixed.tones)  # a place on the hue circle has its hue in any light
    table = dye_table.relit(mixed.table, hair.illuminant, hair.space) if shaded else mixed.table
    wanted = hair.support & fade.dyed_cells(fades[0], hair.step, hair.support.shape)
    if whose is not None:
        wanted &= grid.near(whose > 0)
    return Layer(fades, curve, table, style.strength, wanted, whose)


def dye_part(
    hair: Hair, layers: Sequence["Layer"], pixels: np.ndarray, natural: np.ndarray, top: int = 0, left: int = 0
) -> None:
    """Dye pixels (h, w, 3) in place, which lie from this row and column on of the part with hair; `natural`: a copy of
    them."""
    below, right = top + pixels.shape[0], left + pixels.shape[1]
    tiles = ((dye, tile) for dye in layers for tile in grid.tiles(dye.wanted, hair.step, *hair.alpha.shape))
    for dye, (rows, columns) in tiles:
        rows, columns = (max(rows[0], top), min(rows[1], below)), (max(columns[0], left), min(columns[1], right))
        if rows[0] < rows[1] and columns[0] < columns[1]:
            place = slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left)
            _dye_tile(hair, pixels[place], hair.own.of(natural[place], rows, columns), (rows, columns), dye)


class Layer(NamedTuple):
    """What is laid into a picture's hair.

    Attributes:
        fades: of each tint, the one that meets the natural hair first.
        curve: which place of the table a strand takes.
        table: of the dye's colours, as `dye_table.Dye`.
        strength: share of the dye that takes, 0..1.
        wanted: on the grid, bool: where there may be dye at all.
        whose: on the grid, float32: how much of the hair has this layer; None: all.
    """

    fades: list[fade.Fade | fade.Along]
    curve: Curve
    table: np.ndarray
    strength: float
    wanted: np.ndarray
    whose: np.ndarray | None


def _dye_tile(
    hair: Hair, tile: np.ndarray, own: np.ndarray, place: tuple[tuple[int, int], tuple[int, int]], dye: Layer
) -> None:
    """Dye a tile, which is these rows and columns (from, to) of the part with hair, in place: what is hair's `own` in a
    pixel is taken out, dyed, and laid back."""
    rows, columns = place
    most = grid.MOST[dye.table.dtype]
    alpha = hair.alpha[slice(*rows), slice(*columns)]
    share = fade.dye_share(dye.fades[0], hair.step, rows, columns)
    taken = share if dye.whose is None else share * grid.grow(dye.whose, hair.step, rows, columns)
    depth, scale = cv2.CV_8U if most == 255 else cv2.CV_16U, dye.strength * most / 255
    weight = cv2.cvtColor(cv2.multiply(alpha, taken, scale=scale, dtype=depth), cv2.COLOR_GRAY2RGB)
    shift = grid.grow(dye.curve.shifts[0], hair.step, rows, columns)
    through: np.ndarray = cv2.convertScaleAbs(share, alpha=dye_table.FADE_STEPS - 1).astype(np.int16)
    if len(dye.fades) > 1:
        share = fade.dye_share(dye.fades[1], hair.step, rows, columns)
        further = grid.grow(dye.curve.shifts[1], hair.step, rows, columns)
        shift = cv2.add(shift, cv2.multiply(cv2.subtract(further, shift), share, dtype=cv2.CV_16S))
        # The stubs know no numbers beside arrays.
        later = cv2.multiply(share, dye_table.FADE_STEPS, dtype=cv2.CV_16S)  # type: ignore[call-overload]
        through = cv2.add(through, later)
    look_up = cv2.LUT if most == 255 else lambda grey, levels: levels[grey]
    level = look_up(hair.space.grey(own), dye.curve.of_greys)
    if made := dye.curve.made:
        level = cv2.min(level, grid.grow(made.most, hair.step, rows, columns))
        shift = cv2.add(shift, grid.grow(made.depth, made.step, rows, columns))
    level = cv2.add(level, shift)
    at, how = cv2.merge([level, through]), dict(borderMode=cv2.BORDER_REPLICATE)
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
