"""Whether the dye shows: in how much of the hair that was found and asked for a change can be seen."""

import cv2
import numpy as np

from ombre import fade, grid
from ombre.recolour import Hair

SEEN = 12  # grey levels of some channel from which a change is seen, of a dye that takes in full
MUCH_LESS = 0.4
DOUBT = np.uint8(np.minimum(2 * np.arange(256), 255))  # hair of a probability of one half is hair; less is some hair


def shows_little(
    hair: Hair,
    found: np.ndarray,
    dyed: np.ndarray,
    ombre_height: float,
    ombre_grad_height: float,
    *,
    reverse: bool = False,
    strength: float = 1.0,
) -> bool:
    """Whether the pixels that are seen to be dyed are much fewer than those that should be.

    Args:
        hair: what `prepare` gave.
        found: (H, W) uint8, probability of hair x 255, before any of it was made a matte.
        dyed: (H, W, 3), what `dye_hair` gave with these settings.
    """
    part = np.s_[hair.rows, hair.columns]
    change = cv2.absdiff(dyed[part], hair.rgb[part])
    least = SEEN * strength * np.iinfo(dyed.dtype).max // 255
    unseen = cv2.inRange(change, (0, 0, 0), (least, least, least))  # where no channel changes more
    seen = unseen.size - cv2.countNonZero(unseen)
    found = cv2.LUT(found, DOUBT)
    cells = np.float32(grid.shrink(found[part], hair.step))
    (plan,) = fade.plan_fades(hair.people, ombre_height, ombre_grad_height, hair.strands, reverse=reverse)
    share = fade.dye_share_of_cells(plan, hair.step, cells.shape)
    asked = (cells * share).sum() / (cells.sum() + 1) * cv2.sumElems(found)[0] / 255  # elsewhere as here
    return seen < MUCH_LESS * asked
