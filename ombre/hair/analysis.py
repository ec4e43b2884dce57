"""What is known of a picture's hair, whatever the colour and the heights: matte, people, light, strands.

Only the picture and its matte are as large as the picture; the rest lives on a coarse grid (grid.py).
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from common.image.icc import SRGB, Space
from ombre.hair import foreground, grid, matte
from ombre.hair.depth import depths_of_greys
from ombre.hair.faces import Place, find_faces, which_way_up
from ombre.hair.growth import along_hair
from ombre.hair.illuminant import find_light
from ombre.hair.people import People, find_people
from ombre.hair.shadow import Made, made_strands
from segmentation.finding.guide import Guide
from segmentation.networks.resize import HAIR

FAINT = 4  # mask values below this are not hair at all
BESIDE = 5  # cells across, in which the colours of hair and of what is behind it are looked for
# Cells (across, down) of a strand and of the hair beside it; L* that moves a strand's edge most of the way.
STRAND, STRANDS_BESIDE, STRAND_STEP = (3, 17), (41, 17), 5.0


class Hair(NamedTuple):
    """What is known of a picture's hair whatever the colour and the heights.

    Attributes:
        rgb: the whole picture in numbers of `space`.
        rows, columns: the part of it that has hair; all below is of that part.
        step: pixels a cell of the coarse grid.
        alpha: (h, w) uint8, share of hair x 255.
        own: what is hair's own in each pixel.
        people: who is where.
        growth: on the grid, float32: how far along its hair a place is, from 0 at its roots to about 1 at its ends.
        support: on the grid, bool: where there may be hair at all.
        strands: on the grid, float32 in -1..1: how readily they take dye.
        greys: on the grid, uint8: how light hair's own colour is, as a grey of `space`.
        hair_mask: on the grid, float32: 1 where there is hair, else 0.
        illuminant: (3,) float32, the light that the picture was taken in (illuminant.py).
        made: strands for what is in full shadow (shadow.py); None where there are none.
    """

    rgb: np.ndarray
    space: Space
    rows: slice
    columns: slice
    step: int
    alpha: np.ndarray
    own: foreground.Own
    people: People
    growth: np.ndarray
    support: np.ndarray
    strands: np.ndarray
    greys: np.ndarray
    hair_mask: np.ndarray
    illuminant: np.ndarray
    made: Made | None


def prepare(
    rgb: np.ndarray,
    mask: np.ndarray,
    *,
    refine: bool = True,
    space: Space = SRGB,
    guide: Guide | None = None,
    still: bool = True,
) -> Hair | None:
    """What all colours and heights of one picture share; None where there is no hair.

    Args:
        rgb: (H, W, 3) uint8 or uint16.
        mask: (H, W) uint8, share of hair x 255; where it is below FAINT no pixel changes.
        refine: make a matte of the mask that follows strands (matte.py), as a network's mask needs; False takes the
            mask as the share of hair.
        space: of the picture's numbers.
        guide: faces and which way up heads are, where that is known.
        still: whether strands may be made for hair in full shadow; in a clip they would not go with the hair.

    Raises:
        ValueError: arrays of other shapes or kinds.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the picture is {rgb.shape} {rgb.dtype}, but must be (H, W, 3) uint8 or uint16")
    if mask.shape != rgb.shape[:2] or mask.dtype != np.uint8:
        raise ValueError(f"the mask is {mask.shape} {mask.dtype}, but must be {rgb.shape[:2]} uint8")
    alpha = matte.refine(rgb, mask) if refine else mask
    whole = alpha
    left, top, width, height = cv2.boundingRect(cv2.threshold(alpha, FAINT - 1, 255, cv2.THRESH_BINARY)[1])
    if width == 0:
        return None
    step = grid.step_for(height, width)
    rows = grid.around(slice(top, top + height), step, len(rgb))
    columns = grid.around(slice(left, left + width), step, rgb.shape[1])
    alpha = alpha[rows, columns]
    cells = grid.shrink(alpha, step)
    shares = cells.astype(np.float32) / 255
    place = Place(rows.start, columns.start, step, *rgb.shape[:2])
    seen = grid.colours(rgb[rows, columns], step)
    colours = np.rint(seen).astype(np.uint8)
    people = find_people(alpha, cells, step, find_faces(guide, place), colours)
    if not people.heads:
        return None
    growth = along_hair(cells, people, which_way_up(guide, place, cells.shape))
    difference = cv2.merge(foreground.colours_beside(seen, shares, BESIDE).difference())
    unmixed = foreground.unmix(colours, cells, difference)
    greys = space.grey(unmixed)
    lightness = lightness_of_greys(greys.dtype, space)
    strands = strand_signal(np.take(lightness, greys), shares + 1e-4)
    hair_mask = (cells >= min(HAIR, cells.max())).astype(np.float32)
    own = foreground.Own(difference, alpha, grid.near((cells > 0) & (cells < 255)), step)
    illuminant = find_light(rgb, whole, space, None if guide is None else guide.face)
    support = grid.near(cells > 0)
    depths = depths_of_greys(space, illuminant, 256)
    made = made_strands(greys, lightness, depths, hair_mask, growth, step) if still else None
    return Hair(
        rgb,
        space,
        rows,
        columns,
        step,
        alpha,
        own,
        people,
        growth,
        support,
        strands,
        greys,
        hair_mask,
        illuminant,
        made,
    )


def person_at(hair: Hair, x: float, y: float) -> int:
    """The number of the person whose hair is at a place of the picture, or the nearest to it; `x`, `y`: shares of its
    width and height."""
    at = y * hair.rgb.shape[0] - hair.rows.start, x * hair.rgb.shape[1] - hair.columns.start
    row, column = (min(max(int(place // hair.step), 0), most - 1) for place, most in zip(at, hair.people.labels.shape))
    return int(hair.people.labels[row, column])


@lru_cache(maxsize=16)
def lightness_of_greys(dtype: np.dtype, space: Space) -> np.ndarray:
    """L* of every grey of a dtype and space: float32."""
    return space.lightness_of_greys(np.iinfo(dtype).max + 1)


def strand_signal(lightness: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Which strands are lighter (+) or darker (-) than the hair beside them: (rows, columns) float32 in -1..1.

    `lightness` L* and `weight` the share of hair, both on the grid. Hair without strands gives 0: a straight edge."""

    def mean(size: tuple[int, int]) -> np.ndarray:
        return cv2.blur(lightness * weight, size) / cv2.blur(weight, size)

    return np.tanh((mean(STRAND) - mean(STRANDS_BESIDE)) / STRAND_STEP)
