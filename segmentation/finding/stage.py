"""Pictures -> soft hair masks and masks.csv: `predict` on a folder."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.batch.discover import Source, find_pictures, result_names
from common.batch.local import left_to_do, stamp, tidy, work_through
from common.batch.table import Row, Table
from common.device import own_cores
from common.image.picture import read_picture, write_mask
from common.progress import say

COLUMNS = [
    "image",
    "mask",
    "width",
    "height",
    "hair_share",
    "source",
    "weights",
    "result_bytes",
    "status",
    "error",
]


def predict_folder(
    inputs: Sequence[Path],
    output: Path,
    find_hair: Callable[[], Callable[[np.ndarray], np.ndarray]],
    weights: str,
    *,
    overwrite: bool,
    max_pixels: int,
) -> int:
    """Write the soft hair mask of each picture as `output`/<its path>.png, and a row for each in `masks.csv`.

    Args:
        inputs: pictures and folders of pictures.
        find_hair: makes what finds the hair, (H, W, 3) uint8 -> (H, W) uint8; not asked where all is done.
        weights: what its weights are called in the table.
        overwrite: do those again whose mask and row are there.
        max_pixels: larger pictures are refused.

    Returns:
        0, or 1 where a picture failed.

    Raises:
        BatchError: an input is missing, there is no picture, a mask would replace another picture's, or the output
            cannot be written.
    """
    sources, unreadable, left_out = find_pictures(inputs, output)
    names = result_names(sources, ".png")
    started = time.perf_counter()

    def work(source: Source) -> Row:
        row = plan(source)
        mask = mask_of(read_picture(source.path, max_pixels).rgb8)
        write_mask(output / row["mask"], mask)
        height, width = mask.shape
        share = round(mask.mean() / 255, 4)
        size = (output / row["mask"]).stat().st_size
        return row | dict(width=width, height=height, hair_share=share, result_bytes=size, status="ok")

    def plan(source: Source) -> Row:
        image = table.relative(source.path)
        return dict(image=image, mask=names[source.name], source=stamp(source.path), weights=weights)

    with Table(output / "masks.csv", COLUMNS, key="mask") as table:
        todo, _, skipped = left_to_do(sources, plan, table, "mask", overwrite)
        if todo:
            tidy(output, names.values())
            mask_of = find_hair()
        tally = work_through(todo, work, table, workers=own_cores(), plan=plan)
    tally = replace(tally, skipped=skipped, unreadable=unreadable, left_out=left_out)
    say(f"{output}: {tally.done} masks written{tally.pace(started)}; {tally.rest('masks.csv')}", sys.stdout)
    return tally.exit_code
