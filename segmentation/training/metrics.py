"""How well a hair mask fits the drawn one."""

import math

import cv2
import numpy as np
import pandas as pd

COUNTS = ["tp", "fp", "fn", "tn"]  # pixels: hair found, wrongly found, missed, rightly left alone
BOUNDARY_TOLERANCE = 0.01  # of the picture's diagonal


def measure(found: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """One picture's figures at the threshold 0.5.

    Args:
        found, drawn: (H, W) uint8, probability of hair x 255.

    Returns:
        the pixels of `COUNTS`, `mse` of the probabilities, `iou`, and `boundary_f1`.
    """
    hit, hair = found > 127, drawn > 127
    tp, fp, fn = (int(np.count_nonzero(area)) for area in (hit & hair, hit & ~hair, ~hit & hair))
    return dict(
        tp=tp, fp=fp, fn=fn, tn=hit.size - tp - fp - fn,
        mse=float(np.mean((found.astype(np.float32) - drawn) ** 2) / 255**2),
        iou=share(tp, tp + fp + fn),
        boundary_f1=boundary_f1(hit, hair),
    )  # fmt: skip


def boundary_f1(found: np.ndarray, drawn: np.ndarray) -> float:
    """F1 of the outlines of two areas (H, W) bool: a point counts where the other outline is within the tolerance.

    Source: Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013; the tolerance is
    1 % of the diagonal. Two empty outlines agree (1), an empty and another one do not (0).
    """
    outlines = outline(found), outline(drawn)
    if not all(edge.any() for edge in outlines):
        return float(not any(edge.any() for edge in outlines))
    radius = BOUNDARY_TOLERANCE * np.hypot(*found.shape)
    near = [cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5) <= radius for edge in outlines]
    precise, recalled = near[1][outlines[0]].mean(), near[0][outlines[1]].mean()
    return float(2 * precise * recalled / max(precise + recalled, 1e-9))


def outline(area: np.ndarray) -> np.ndarray:
    """The area's pixels (H, W) bool that touch the rest; the picture's own border is no outline."""
    inner = cv2.erode(area.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return area & (inner == 0)


def pooled(rows: pd.DataFrame) -> dict[str, float]:
    """Figures of a set: MSE, IoU, Dice, recall, precision with pixels pooled; means over pictures for the last two.

    Where there is nothing to find and nothing was found, IoU and Dice are 1. A share of nothing is no figure: recall
    where there is nothing to find, precision where nothing was found are NaN, which a CSV leaves empty.
    """
    tp, fp, fn, tn = (int(rows[name].sum()) for name in COUNTS)
    pixels = sum(rows[name] for name in COUNTS)
    return dict(
        pictures=len(rows),
        mse=float((rows.mse * pixels).sum() / pixels.sum()),
        iou=share(tp, tp + fp + fn),
        dice=share(2 * tp, 2 * tp + fp + fn),
        recall=share(tp, tp + fn, of_nothing=math.nan),
        precision=share(tp, tp + fp, of_nothing=math.nan),
        mean_iou=float(rows.iou.mean()),
        boundary_f1=float(rows.boundary_f1.mean()),
    )


def share(part: int, whole: int, of_nothing: float = 1.0) -> float:
    """part / whole."""
    return part / whole if whole else of_nothing


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """`pooled` of all pictures, and of each group where names begin with a few different words (`figaro_12.jpg`)."""
    groups = rows.groupby(rows.name.str.extract(r"^([A-Za-z]+)_", expand=False).fillna("other"))
    parts = {group: pooled(part) for group, part in groups} if 2 <= groups.ngroups <= 8 else {}
    return pd.DataFrame({**parts, "all": pooled(rows)}).T.rename_axis("set").astype({"pictures": int})
