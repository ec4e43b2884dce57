"""Where dye begins and how it fades in, for each person's hair and from strand to strand.

The fade runs along the hair, from its roots to its ends, or along the picture's rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair import grid
from ombre.hair.analysis import Hair
from ombre.hair.people import People
from ombre.style import Style

STRAND_SWING = 0.22  # of the fade: how far strands move it (below 0.25 the fade keeps its order)
EDGE_SWING = 0.02  # of the hair's height: how far dye climbs a strand where there is hardly a fade
EVERYWHERE = -1e6  # a row before any picture's first


class Along(NamedTuple):
    """A fade along the hair. `through`: on the grid, (rows, columns) float32, how far through it the cells are, below 0
    before it begins and above 1 after its end."""

    through: np.ndarray


class Fade(NamedTuple):
    """A fade from row to row: where dye begins, on the grid, each (rows, columns) float32 or one number for the whole
    picture. `start`: the row (pixels) where the fade begins; `length`: its height in pixels (at least 1); `climb`: the
    pixels by which an edge may move on; `strands` (rows, columns) in -1..1 or None: how readily a strand takes dye
    against its neighbours. With `roots` the fade runs upwards, and `start` is minus that row."""

    start: np.ndarray | float
    length: np.ndarray | float
    climb: np.ndarray | float
    strands: np.ndarray | None
    roots: bool = False


def fades_of(hair: Hair, style: Style, tints: int = 1) -> list["Fade | Along"]:
    """A fade for each of a style's tints, the one that meets the natural hair first."""
    return plan_fades(
        hair.people,
        style.ombre_height,
        style.ombre_grad_height,
        hair.strands,
        growth=hair.growth if style.along == "hair" else None,
        tints=tints,
        reverse=style.reverse,
    )


def plan_fades(
    people: People,
    ombre_height: float,
    ombre_grad_height: float,
    strands: np.ndarray | None,
    *,
    growth: np.ndarray | None = None,
    tints: int = 1,
    reverse: bool = False,
) -> list[Fade | Along]:
    """A fade for each of one or two tints, the one that meets the natural hair first.

    The last `ombre_height` of each head's hair is dyed (the first with `reverse`), and the `ombre_grad_height` of
    that where the dye begins fades in (both 0..1). Of two tints each has half of the dyed part, and fades in over that
    share of its half. `growth` (rows, columns) says on the grid how far along the hair is; without it the rows do."""
    heights = [(ombre_height, ombre_grad_height)]
    if tints == 2:
        heights = [(ombre_height, ombre_grad_height / 2), (ombre_height / 2, ombre_grad_height)]
    if growth is None:
        return [_plan(people, *height, strands, reverse) for height in heights]
    longest = max(head.bottom - head.top for head in people.heads)
    return [_along(growth, *height, strands, longest, reverse) for height in heights]


def _along(
    growth: np.ndarray, height: float, grad_height: float, strands: np.ndarray | None, longest: float, roots: bool
) -> Along:
    """A fade along the hair, of which the longest is so many pixels high."""
    if height == 1 and grad_height == 0:
        return Along(np.ones_like(growth))
    length = max(grad_height * height, 1 / longest)
    climb = 0.0 if height == 1 else min(max(EDGE_SWING - STRAND_SWING * length, 0), height / 4)
    through = height - growth if roots else growth + np.float32(height - 1)
    if strands is None:
        return Along((through / length).astype(np.float32))
    if climb:
        through = through + np.float32(climb) * np.maximum(strands, 0)
    through = through * np.float32(1 / length)
    share: np.ndarray = np.clip(through, 0, 1)
    return Along((through + 4 * STRAND_SWING * share * (1 - share) * strands).astype(np.float32))


def _plan(people: People, height: float, grad_height: float, strands: np.ndarray | None, roots: bool) -> Fade:
    top, bottom = np.array(people.heads, np.float32).T
    dyed = height * (bottom - top)
    start, length = -(top + dyed) if roots else bottom - dyed, np.maximum(grad_height * dyed, 1)
    climb = np.minimum(np.maximum(EDGE_SWING * (bottom - top) - STRAND_SWING * length, 0), dyed / 4)
    if height == 1:
        climb[:] = 0
        if grad_height == 0:
            start[:] = EVERYWHERE  # all the hair, also wisps beyond the head's first row
    if len(people.heads) == 1:
        return Fade(float(start[0]), float(length[0]), float(climb[0]), strands, roots)
    cells = (values[people.labels].astype(np.float32) for values in (start, length, climb))
    start, length, climb = (cv2.GaussianBlur(values, (0, 0), 1.5) for values in cells)
    return Fade(start, length, climb, strands, roots)


def dyed_cells(fade: Fade | Along, step: int, shape: tuple[int, int]) -> np.ndarray:
    """The grid's cells in which some of the pixels are dyed: `shape` bool."""
    if isinstance(fade, Along):
        return grid.near(fade.through > 0)
    first, last = dyed_rows(fade, shape[0] * step)
    cells = np.zeros(shape, bool)
    cells[first // step : -(-last // step)] = True
    return cells


def dyed_rows(fade: Fade, count: int) -> tuple[int, int]:
    """Of `count` rows the first that is dyed, and the one after the last."""
    beginning = int(np.floor(np.min(fade.start - fade.climb))) - 1
    return (0, min(-beginning, count)) if fade.roots else (max(beginning, 0), count)


def dye_share(fade: Fade | Along, step: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """How far through the fade each pixel is: (rows, columns) float32, 0 untouched, 1 fully dyed."""
    if isinstance(fade, Along):
        return np.clip(grid.grow(fade.through, step, rows, columns), 0, 1)

    def full(value: np.ndarray | float) -> np.ndarray | float:
        return grid.grow(value, step, rows, columns) if isinstance(value, np.ndarray) else value

    place = -np.arange(rows[0], rows[1]) if fade.roots else np.arange(rows[0] + 1, rows[1] + 1)
    return _share(fade, place, columns[1] - columns[0], full)


def dye_share_of_cells(fade: Fade | Along, step: int, shape: tuple[int, int]) -> np.ndarray:
    """The same of the grid's cells, at their centres: `shape` float32."""
    if isinstance(fade, Along):
        return np.clip(fade.through, 0, 1)
    place = (np.arange(shape[0]) + 0.5) * (-step if fade.roots else step)
    return _share(fade, place, shape[1], lambda value: value)


def _share(fade: Fade, place: np.ndarray, width: int, full: Callable) -> np.ndarray:
    """How far through the fade the rows `place` are; `full` makes what the fade says of the grid that large."""
    start = full(fade.start)
    if fade.strands is not None and np.any(fade.climb):
        start = start - full(fade.climb) * np.maximum(full(fade.strands), 0)
    share = np.clip((place.astype(np.float32)[:, None] - start) / full(fade.length), 0, 1)
    between = share * (1 - share)
    if fade.strands is None or not between.any():
        return np.array(np.broadcast_to(share, (len(place), width)))
    return share + 4 * STRAND_SWING * between * full(fade.strands)
