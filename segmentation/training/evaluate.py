"""The student against drawn masks: figures, a row a picture, and overlays with the worst pictures first."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from common.files import replacing
from common.image.picture import Picture, write_picture
from common.progress import say
from segmentation.dataset.pairs import Pair, read_pair
from segmentation.networks.resize import to_mask
from segmentation.training.metrics import measure, table_of

# The seed project's legend, RGB.
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (0, 191, 255), (0, 200, 0), (0, 0, 255)
OVERLAY_SHARE = 0.5  # of the legend's colour; the rest is the picture
OVERLAY_SIDE = 512  # pixels, the long side of an overlay at most

MaskOf = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 RGB -> soft hair mask (H, W) uint8
ONE_LOOK, FINDER = "one look", "finder"  # what a row of figures is of
MANY = 0.2  # share of the pictures with hair: where more have none found, something is wrong


def evaluate(
    pairs: Sequence[Pair],
    mask_of: MaskOf,
    output: Path,
    overlays: int = 50,
    one_look: MaskOf | None = None,
    weights: str = "",
) -> pd.DataFrame:
    """Measure masks at the pictures' own size, threshold 0.5.

    Args:
        pairs: pictures with their drawn masks, all readable.
        mask_of: what finds the hair; called from several threads.
        output: folder for `metrics.csv` (pixels pooled), `pictures.csv` (a row a picture, worst IoU first) and
            `overlays/`, its `overlays` worst pictures.
        one_look: the student alone, by one look at the whole picture, to be measured beside `mask_of`.
        weights: what metrics.csv calls the weights that found this, so that it is known later whose figures these are.

    Returns:
        `metrics.csv`: the figures of `metrics.pooled`, a row a group of names and one for all. With `one_look` a row of
        each for it and one for `mask_of`, told apart by the column `by`; pictures.csv then has `iou_one_look` too.
    """

    def rows_of(pair: Pair) -> list[dict]:
        rgb, drawn, found = predict(pair, mask_of)
        masks = [found] if one_look is None else [found, one_look(rgb)]
        return [dict(name=printable(pair.name), **measure(mask, drawn)) for mask in masks]

    with ThreadPoolExecutor(2) as pool:
        measured = list(tqdm(pool.map(rows_of, pairs), "evaluate", total=len(pairs), disable=None))
    rows = pd.DataFrame([own[0] for own in measured])
    metrics = table_of(rows)
    if one_look is not None:
        single = pd.DataFrame([own[1] for own in measured])
        tables = {ONE_LOOK: table_of(single), FINDER: metrics}
        order = [(by, group) for group in metrics.index for by in tables]
        metrics = pd.concat(tables, names=["by"]).loc[order].swaplevel()
        rows["iou_one_look"] = single.iou
        if said := why_empty(rows, single):
            say(said)
    rows = rows.sort_values("iou")
    worst = [pairs[place] for place in rows.index[:overlays]]
    kept = metrics.assign(weights=weights) if weights else metrics
    for table, name in ((kept.reset_index(), "metrics.csv"), (rows, "pictures.csv")):
        with replacing(output / name) as path:
            table.to_csv(path, index=False)
    for left in (output / "overlays").glob("[0-9]*_iou*.jpg"):  # of an earlier measurement
        left.unlink()
    for place, (pair, iou) in enumerate(zip(worst, rows.iou), start=1):
        file = f"{place:04d}_{printable(pair.name).replace('/', '-')}_iou{iou:.3f}.jpg"
        write_picture(output / "overlays" / file, Picture(overlay(*predict(pair, mask_of))))
    return metrics


def why_empty(finder: pd.DataFrame, single: pd.DataFrame) -> str:
    """A line where the finder has found nothing in many of the pictures that have hair; empty elsewhere.

    Args:
        finder, single: rows of `metrics.measure`, of the finder and of one look, picture by picture.
    """
    hair = finder.tp + finder.fn > 0
    none = hair & (finder.tp + finder.fp == 0)
    if none.sum() <= MANY * hair.sum():
        return ""
    seen = int((none & (single.tp + single.fp > 0)).sum())
    why = (
        f"one look shows some in {seen} of these, which is the student's own word; the finder takes it for doubtful"
        if seen
        else "nothing in them reaches one half: the student has not learnt enough yet, or other pictures than these"
    )
    return f"in {none.sum()} of {hair.sum()} pictures with hair none is found: {why}"


def printable(name: str) -> str:
    """A name with question marks for what is no UTF-8."""
    return name.encode("utf-8", "replace").decode()


def predict(pair: Pair, mask_of: MaskOf) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rgb (H, W, 3), the drawn mask (H, W) and the found one (H, W), all uint8. Raises PictureError."""
    rgb, drawn = read_pair(pair)
    if drawn.shape != rgb.shape[:2]:  # a label of the labelling stage
        drawn = to_mask(drawn.astype(np.float32) / 255, *rgb.shape[:2])
    return rgb, drawn, mask_of(rgb)


def overlay(rgb: np.ndarray, drawn: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The picture, with found hair in sky blue, wrongly found in green, missed in blue; at most 512 pixels a side."""
    scale = min(1, OVERLAY_SIDE / max(rgb.shape[:2]))
    rgb, drawn, found = (
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for image in (rgb, drawn, found)
    )
    hit, hair = found > 127, drawn > 127
    tinted = rgb.copy()
    for area, colour in ((hit & hair, TRUE_POSITIVE), (hit & ~hair, FALSE_POSITIVE), (~hit & hair, FALSE_NEGATIVE)):
        tinted[area] = colour
    return cv2.addWeighted(tinted, OVERLAY_SHARE, rgb, 1 - OVERLAY_SHARE, 0)
