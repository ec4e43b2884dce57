"""Whether the dye shows: in how much of the hair that was found and asked for a change can be seen."""

import cv2
import numpy as np

from ombre.hair import grid
from ombre.render import fade
from ombre.render.recolour import Hair

SEEN = 12  # grey levels of some channel from which a change is seen, of a dye that takes in full
MUCH_LESS = 0.4
EVERY = 4  # rows, one of which is counted
# Hair of a probability of one half is hair; less is some hair.
DOUBT = np.minimum(2 * np.arange(256), 255).astype(np.uint8)


def shows_little(
    hair: Hair,
    found: np.ndarray,
    dyed: np.ndarray,
    ombre_height: float,
    ombre_grad_height: float,
    *,
    along: str = "hair",
    reverse: bool = False,
    strength: float = 1.0,
) -> bool:
    """Whether the pixels that are seen to be dyed are much fewer than those that should be.

    Args:
        hair: what `prepare` gave.
        found: (H, W) uint8, probability of hair x 255, before any of it was made a matte.
        dyed: (H, W, 3), what `dye_hair` gave with these settings.
    """
    some = np.s_[hair.rows.start : hair.rows.stop : EVERY, hair.columns]
    change = cv2.absdiff(dyed[some], hair.rgb[some])
    least = SEEN * strength * np.iinfo(dyed.dtype).max // 255
    unseen = cv2.inRange(change, (0, 0, 0), (least, least, least))  # where no channel changes more
    seen = unseen.size - cv2.countNonZero(unseen)
    cells = cv2.LUT(grid.shrink(found[hair.rows, hair.columns], hair.step), DOUBT).astype(np.float32)
    growth = hair.growth if along == "hair" else None
    (plan,) = fade.plan_fades(
        hair.people, ombre_height, ombre_grad_height, hair.strands, growth=growth, reverse=reverse
    )
    share = fade.dye_share_of_cells(plan, hair.step, cells.shape[:2])
    everywhere = cv2.sumElems(cv2.LUT(found[hair.rows.start % EVERY :: EVERY], DOUBT))[0] / 255
    asked = (cells * share).sum() / (cells.sum() + 1) * everywhere  # elsewhere as in the part with hair
    return seen < MUCH_LESS * asked
