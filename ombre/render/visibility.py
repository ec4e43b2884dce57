"""Whether the dye shows: in how much of the hair that was found and asked for a change can be seen."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair import grid
from ombre.render import fade
from ombre.render.recolour import Hair
from ombre.style import Style

SEEN = 12  # grey levels of some channel from which a change is seen, of a dye that takes in full
MUCH_LESS = 0.4  # of what should be dyed: less than this is little
EVERY, STRIP = 4, 128  # rows, one of which is counted; of those, looked at together
# Hair of a probability of one half is hair; less is some hair.
DOUBT = np.minimum(2 * np.arange(256), 255).astype(np.uint8)


class Likely(NamedTuple):
    """How likely hair is, before any of it was made a matte: on the grid of the part with hair, (rows, columns) float32
    x 255, and the sum over the whole picture, in its rows that are counted."""

    cells: np.ndarray
    everywhere: float


def likely(hair: Hair, found: np.ndarray) -> Likely:
    """By what was found: (H, W) uint8, probability of hair x 255; `hair` is what `prepare` gave."""
    cells = cv2.LUT(grid.shrink(found[hair.rows, hair.columns], hair.step), DOUBT).astype(np.float32)
    return Likely(cells, cv2.sumElems(cv2.LUT(found[hair.rows.start % EVERY :: EVERY], DOUBT))[0] / 255)


def shows_little(hair: Hair, found: Likely, dyed: np.ndarray, style: Style) -> bool:
    """Whether the pixels that are seen to be dyed are much fewer than those that should be.

    Args:
        hair: what `prepare` gave.
        dyed: (H, W, 3), what `dye_hair` gave in this style.
    """
    return is_little(hair, found, style, sum(seen_of(dyed[some], hair.rgb[some], style) for some in _strips(hair)))


def is_little(hair: Hair, found: Likely, style: Style, seen: int) -> bool:
    """The same where so many pixels, of the rows that are counted, are seen to be dyed (`seen_of`)."""
    (plan,) = fade.fades_of(hair, style)
    share = fade.dye_share_of_cells(plan, hair.step, found.cells.shape[:2])
    # elsewhere as in the part with hair
    asked = (found.cells * share).sum() / (found.cells.sum() + 1) * found.everywhere
    return bool(seen < MUCH_LESS * asked)


def _strips(hair: Hair) -> Iterator[tuple[slice, slice]]:
    """The rows and columns that are counted, some at a time."""
    for first in range(hair.rows.start, hair.rows.stop, EVERY * STRIP):
        yield slice(first, min(first + EVERY * STRIP, hair.rows.stop), EVERY), hair.columns


def seen_of(dyed: np.ndarray, before: np.ndarray, style: Style) -> int:
    """How many pixels (h, w, 3) are seen to be dyed."""
    least = SEEN * style.strength * np.iinfo(dyed.dtype).max // 255
    unseen = cv2.inRange(cv2.absdiff(dyed, before), (0, 0, 0), (least, least, least))
    return unseen.size - cv2.countNonZero(unseen)
