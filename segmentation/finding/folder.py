"""Pictures -> soft hair masks and masks.csv: `predict` on a folder."""

import time
from collections.abc import Sequence
from pathlib import Path

from common.batch import Row, Source, Table, find_pictures, output_names, shard, work_through
from common.device import own_cores
from common.pictures import read_picture, write_mask
from segmentation.finding.hair_finder import HairFinder

COLUMNS = ["image", "mask", "width", "height", "hair_share", "status", "error"]


def predict_folder(inputs: Sequence[Path], output: Path, finder: HairFinder, overwrite: bool) -> int:
    """Write the soft hair mask of each picture as `output`/<its path>.png, and a row for each in `masks.csv`.

    Args:
        inputs: pictures and folders of pictures.
        overwrite: do those again whose mask and row are there.

    Returns:
        0, or 1 where a picture failed.

    Raises:
        BatchError: an input is missing, or there is no picture.
    """
    sources = find_pictures(inputs, output)
    names = output_names(sources, ".png")
    started = time.perf_counter()

    def work(source: Source) -> Row:
        rgb = read_picture(source.path).rgb8
        mask = finder.mask(rgb)
        write_mask(output / names[source], mask)
        height, width = mask.shape
        return row_of(source) | dict(width=width, height=height, hair_share=round(mask.mean() / 255, 4), status="ok")

    def row_of(source: Source) -> Row:
        return dict(image=table.relative(source.path), mask=names[source])

    def is_done(source: Source) -> bool:
        mask = names[source]
        known = not overwrite and table.finished(mask, image=table.relative(source.path))
        return known and (output / mask).is_file()

    with Table(output / "masks.csv", COLUMNS, key="mask") as table:
        tally = work_through(shard(sources), work, table, workers=own_cores(), describe=row_of, skip=is_done)
    seconds = (time.perf_counter() - started) / max(tally.done, 1)
    print(
        f"{output}: {tally.done} masks written, {1000 * seconds:.0f} ms a picture, {tally.skipped} there already, "
        f"{tally.failed} failed; masks.csv has a row for each"
    )
    return tally.exit_code
