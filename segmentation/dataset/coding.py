"""What labels mean: whether those of a data folder can be shares of hair, and are of their pictures."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from common.errors import UserError
from common.image.opening import opened
from common.image.picture import read_picture
from common.image.pixels import turned
from common.progress import say
from segmentation.dataset.pair import Pair
from segmentation.dataset.scan import Facts
from segmentation.networks.resize import HAIR

FEW_LEVELS = 24  # a label of greys has more values; with fewer, and not 255, they are codes
BORDER, MIDDLE = 8, 4  # the outer part of a label's sides that is its border, and that its middle leaves out: one of n
# Share of hair, by which there is more of it at the border than in the middle of inverted masks: of MANY and of fewer,
# since one portrait in eight is a close-up that has more by a tenth.
MORE, MORE_OF_FEW, MANY = 0.1, 0.5, 10
ALL_AROUND = 0.5  # share of hair at the border, from which that is so
BETTER = 1.15  # how much more contrast lies along a mask's outline where it fits
ORIENTATION = 0x0112  # EXIF's tag


class DataError(UserError):
    """There is nothing to train on, or to measure on; the message says what to do."""


def facts_of_label(label: np.ndarray, width: int, height: int) -> Facts:
    """What a label (h, w) uint8 of a picture (width, height) is."""
    hair = label >= HAIR
    rows, columns = (np.arange(side) * BORDER // side for side in label.shape)
    around = np.isin(rows, (0, BORDER - 1))[:, None] | np.isin(columns, (0, BORDER - 1))
    down, across = (slice(side // MIDDLE, side - side // MIDDLE) for side in label.shape)
    return Facts(
        width=width, height=height, greatest=int(label.max()), hair_share=round(float(hair.mean()), 4),
        levels=len(np.unique(label)), border=round(float(hair[around].mean()), 4),
        middle=round(float(hair[down, across].mean()), 4),
    )  # fmt: skip


def demand_coding(folder: Path, facts: Sequence[Facts], hair_value: int | None, labelled: bool) -> None:
    """Raise DataError where the labels of a folder cannot mean a share of hair x 255; say where some of them may not.

    Args:
        hair_value: the class that is hair in them, as the user says.
        labelled: they come of the labelling stage, which writes shares.
    """
    greatest = max((fact.greatest for fact in facts), default=0)
    if not facts or greatest == 0:
        if facts and hair_value is not None:
            raise DataError(f"{folder}: no mask has the value {hair_value} that --hair-value names")
        if facts:
            say(f"{folder}: all its {len(facts)} masks are empty, as of pictures of nobody")
        return
    coded = [fact for fact in facts if fact.greatest and fact.greatest < 255 and fact.levels <= FEW_LEVELS]
    with_hair = [fact for fact in facts if fact.greatest]
    if greatest < HAIR and (labelled or not coded):
        raise DataError(
            f"{folder}: none of its labels reaches one half, the greatest value is {greatest} of 255: whoever labelled "
            "these pictures was sure of no hair; look at the labels, and label anew"
        )
    if not labelled and (greatest < HAIR or 2 * len(coded) > len(with_hair)):
        raise DataError(f"{folder}: {codes(greatest, coded)}; name the value that is hair by --hair-value")
    if faint := sum(0 < fact.greatest < HAIR for fact in facts):
        say(f"{folder}: {faint} of {len(facts)} masks have no hair, but some value between; `check` names them")
    border, middle = (np.mean([getattr(fact, name) for fact in with_hair]) for name in ("border", "middle"))
    if border > ALL_AROUND and border > middle + (MORE if len(with_hair) >= MANY else MORE_OF_FEW):
        way = "name the value that is hair, --hair-value 0" if not labelled else "label them anew"
        raise DataError(
            f"{folder}: its masks have more hair at the border ({border:.0%}) than in the middle ({middle:.0%}): they "
            f"seem inverted, 255 where there is no hair; {way}"
        )


def demand_hair(facts: Sequence[Facts]) -> None:
    """Raise DataError where no label of a training has hair."""
    if not any(fact.greatest for fact in facts):
        raise DataError(
            f"all {len(facts)} labels are empty, so that there is no hair to learn from; look at them, and label anew"
        )


def codes(greatest: int, coded: Sequence[Facts]) -> str:
    """What masks whose greatest value is not 255 seem to be."""
    meaning = "masks of 0 and 1" if greatest == 1 else "class numbers, or not of hair"
    if greatest > 1 and coded and all(fact.levels <= 2 for fact in coded):
        meaning = f"masks of two values, {greatest} the greater"
    return f"the greatest value of its masks is {greatest}, where 255 means hair: they are {meaning}"


def is_of_stored_pixels(pair: Pair, label: np.ndarray, width: int, height: int) -> bool:
    """Whether a label (h, w) uint8 of a square picture was drawn on its pixels as they are stored, although its EXIF
    turns them: along the label's outline, laid so, there is more contrast.

    Raises PictureError.
    """
    if abs(width - height) > 1 or label.shape[0] != label.shape[1]:
        return False
    orientation = orientation_of(pair)
    if orientation == 1:
        return False
    grey = cv2.cvtColor(read_picture(pair.image).rgb8, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, label.shape[::-1], interpolation=cv2.INTER_AREA)
    return contrast(grey, turned(label, orientation)) > BETTER * contrast(grey, label)


def orientation_of(pair: Pair) -> int:
    """How a picture's pixels lie in its file, 1 to 8, as EXIF says. Raises PictureError."""
    with opened(pair.image) as image:
        if image.format == "PNG" and "exif" not in image.info:  # else all of it would be decoded to look for one
            return 1
        orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def contrast(grey: np.ndarray, label: np.ndarray) -> float:
    """Mean steepness of a picture (h, w) along the outline of a label (h, w), both uint8."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5).astype(np.float32)
    steep = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    outline = cv2.morphologyEx((label >= HAIR).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return float(steep[outline].mean()) if outline.any() else 0.0
