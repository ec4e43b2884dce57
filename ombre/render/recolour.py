"""A picture and its hair mask in, the picture with an ombre out: fade, lightness, dye_table.

`dye_hair` lays one colour into the hair that `analysis.prepare` has looked at, `ombre` is both. What is worked out at
the picture's size is so in one tile at a time.
"""

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from ombre.colour import dye_table
from ombre.hair import grid
from ombre.hair.analysis import Hair, prepare
from ombre.render import fade
from ombre.render.lightness import Curve, tone_curve
from segmentation.finding.guide import Guide


def ombre(
    rgb: np.ndarray,
    mask: np.ndarray,
    color: str | float,
    ombre_height: float,
    ombre_grad_height: float,
    *,
    refine: bool = True,
    space: Space = SRGB,
    guide: Guide | None = None,
    along: str = "hair",
    reverse: bool = False,
    strength: float = 1.0,
    lightness: float = 0.0,
) -> np.ndarray:
    """The picture with an ombre, a new array; `prepare` and `dye_hair` say what the arguments are."""
    hair = prepare(rgb, mask, refine=refine, space=space, guide=guide)
    style = dict(along=along, reverse=reverse, strength=strength, lightness=lightness)
    if hair is None:
        return rgb.copy()
    return dye_hair(hair, color, ombre_height, ombre_grad_height, **style)


def dye_hair(
    hair: Hair,
    color: str | float,
    ombre_height: float,
    ombre_grad_height: float,
    *,
    along: str = "hair",
    reverse: bool = False,
    strength: float = 1.0,
    lightness: float = 0.0,
) -> np.ndarray:
    """The picture with its hair dyed: a new array like `hair.rgb`.

    Args:
        color: a place on the hue circle, 0..1 (0 and 1 red), or a text as in shades.py.
        ombre_height: share of each person's hair, from below, that is dyed; 0 changes nothing, 1 dyes it all.
        ombre_grad_height: share of the dyed part, from above, over which the dye fades in; 0 is an edge.
        along: what the fade runs along: "hair", from its roots to its ends, or "rows", straight down the picture.
        reverse: dye from the roots, fading downwards; the first of two colours is the upper one still.
        strength: share of the dye that takes, 0..1.
        lightness: -1 (darker) .. 1 (lighter).

    Raises:
        ValueError: a setting outside its range.
    """
    _check(ombre_height=ombre_height, ombre_grad_height=ombre_grad_height)
    _check(strength=strength, lightness=(lightness + 1) / 2)
    if along not in fade.ALONG:
        raise ValueError(f"along is {along!r}, but must be one of {', '.join(fade.ALONG)}")
    mixed = dye_table.mix(color, hair.rgb.dtype, reverse, hair.space)
    result = hair.rgb.copy()
    if ombre_height == 0:
        return result
    tints = len(mixed.tones)
    growth = hair.growth if along == "hair" else None
    fades = fade.plan_fades(
        hair.people, ombre_height, ombre_grad_height, hair.strands, growth=growth, tints=tints, reverse=reverse
    )
    curve = tone_curve(hair, mixed.tones, fades, lightness)
    shaded = all(tone.lit for tone in mixed.tones)  # a place on the hue circle has its hue in any light
    table = dye_table.relit(mixed.table, hair.illuminant, hair.space) if shaded else mixed.table
    part = result[hair.rows, hair.columns]
    wanted = hair.support & fade.dyed_cells(fades[0], hair.step, hair.support.shape)
    for rows, columns in grid.tiles(wanted, hair.step, *hair.alpha.shape):
        _dye_tile(hair, part, rows, columns, fades, curve, table, strength)
    return result


def _check(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is out of its range")


def _dye_tile(
    hair: Hair,
    part: np.ndarray,
    rows: tuple[int, int],
    columns: tuple[int, int],
    fades: list[fade.Fade | fade.Along],
    curve: Curve,
    table: np.ndarray,
    strength: float,
) -> None:
    """Dye these rows and columns (from, to) of `part`, the picture's part with hair, in place: what is hair's own in a
    pixel is taken out, dyed, and laid back."""
    most = np.iinfo(table.dtype).max
    tile, alpha = (plane[slice(*rows), slice(*columns)] for plane in (part, hair.alpha))
    own = hair.own.of(tile, rows, columns)
    share = fade.dye_share(fades[0], hair.step, rows, columns)
    depth = cv2.CV_8U if most == 255 else cv2.CV_16U
    weight = cv2.cvtColor(cv2.multiply(alpha, share, scale=strength * most / 255, dtype=depth), cv2.COLOR_GRAY2RGB)
    shift = grid.grow(curve.shifts[0], hair.step, rows, columns)
    place = np.int16(cv2.convertScaleAbs(share, alpha=dye_table.FADE_STEPS - 1))
    if len(fades) > 1:
        share = fade.dye_share(fades[1], hair.step, rows, columns)
        further = grid.grow(curve.shifts[1], hair.step, rows, columns)
        shift = cv2.add(shift, cv2.multiply(cv2.subtract(further, shift), share, dtype=cv2.CV_16S))
        place = cv2.add(place, cv2.multiply(share, dye_table.FADE_STEPS, dtype=cv2.CV_16S))
    look_up = cv2.LUT if most == 255 else lambda grey, levels: levels[grey]
    level = cv2.add(look_up(hair.space.grey(own), curve.of_greys), shift)
    dyed = cv2.remap(table, cv2.merge([level, place]), None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    tile[...] = _laid_in(tile, own, dyed, weight, hair.space.bend)


def _laid_in(tile: np.ndarray, own: np.ndarray, dyed: np.ndarray, weight: np.ndarray, bend: float) -> np.ndarray:
    """A tile (h, w, 3) in which the share `weight` (the same shape and type, of its greatest value) of hair's own
    colours is exchanged for the dyed ones; `bend` as in icc.py."""
    most = np.iinfo(tile.dtype).max
    # One of the two is 0, so no sign is needed, which would take types that are four times as slow.
    lighter, darker = (cv2.multiply(cv2.subtract(*two), weight, scale=1 / most) for two in ((dyed, own), (own, dyed)))
    if bend:
        apart = cv2.absdiff(dyed, own)
        bent = cv2.multiply(apart, apart, scale=abs(bend) / most, dtype=cv2.CV_32F)
        bent = cv2.multiply(bent, most - weight, scale=1 / most, dtype=cv2.CV_32F)
        bent = cv2.multiply(bent, weight, scale=1 / most, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U)
        lighter, darker = (lighter, cv2.add(darker, bent)) if bend > 0 else (cv2.add(lighter, bent), darker)
    return cv2.subtract(cv2.add(tile, lighter), darker)
