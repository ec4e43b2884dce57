"""Pictures and clips -> hair -> the same dyed, and ombre.csv: what the third stage does."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np

from common.files import replacing
from common.folder import Source, find_pictures, result_names
from common.pictures import Picture, read_picture, write_picture
from common.profiles import colour_ready
from common.table import Row, Table
from common.work import Tally, left_to_do, stamp, work_through
from ombre.look import NO_HAIR, Look, looks_of
from ombre.moving_pictures import is_clip
from ombre.recolour import dye_hair, prepare
from segmentation.finding.hair_finder import HairFinder

TABLE = "ombre.csv"
COLUMNS = [
    "image",
    "output",
    *(field.name for field in fields(Look)),
    "hair_share",
    "frames",
    "people",
    "seconds",
    "source",
    "weights",
    "result_bytes",
    "note",
    "status",
    "error",
]

MaskOf = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 RGB -> soft hair mask (H, W) uint8


def dye_pictures(
    inputs: Sequence[str | os.PathLike],
    output: Path,
    find_hair: Callable[[], HairFinder],
    weights: str,
    looks: Sequence[Look],
    own_looks: dict[str, list[Look]],
    *,
    threads: int,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
    quality: int,
) -> Tally:
    """Write `output`/<a picture's path, the look in its name> for each picture and look, and rows in ombre.csv.

    Each thread takes a picture from file to file, so that decoding, network, dye and encoding of several overlap.
    Where no hair is found the picture is copied. What has a whole result and a row that says the same of the picture's
    file, the weights and the settings is not dyed again.

    Args:
        find_hair: makes what finds the hair, which is called from `threads` threads; not asked where all is done.
        weights: what its weights are called in the table.
        looks: how the hair is to look; each gives a result.
        own_looks: those of single pictures instead, by where the picture really lies (see `read_looks`).
        suffix: ".png" and the like, the format to write; None: that of each picture.
        overwrite: dye again what was dyed with the same settings.
        max_pixels: larger pictures are refused.
        quality: of clips, 0 to 100.

    Raises:
        BatchError: an input is missing, there is no picture, a result would replace another picture's, or the output
            cannot be written.
    """
    sources, unreadable = find_pictures(inputs, output, clips=True)
    names = result_names(sources, suffix, clips=True)
    asked = looks_of(sources, looks, own_looks)

    with Table(output / TABLE, COLUMNS, key="output") as table:

        def plan(source: Source) -> list[Row]:
            known = dict(image=table.relative(source.path), source=stamp(source.path), weights=weights)
            rows = [dict(output=look.name(names[source.name]), **known, **look.row()) for look in asked[source.name]]
            return [row for row in rows if row["output"] not in finished]

        def dye(source: Source) -> list[Row]:
            path, rows = Path(source.path), plan(source)
            if is_clip(path):
                from ombre.dye_clip import dye_clip  # FFmpeg takes a while to load

                return dye_clip(path, output, finder, rows, max_pixels=max_pixels, quality=quality)
            return dye_picture(path, output, finder.mask, rows, max_pixels)

        finished: set[str] = set()
        todo, finished, skipped = left_to_do(sources, plan, table, "output", overwrite)
        if todo:
            finder = find_hair()
        if len(todo) > 1:
            cv2.setNumThreads(1)  # the pictures share out the cores already
        tally = work_through(todo, dye, table, workers=threads, plan=plan)
        return replace(tally, skipped=skipped, unreadable=unreadable)


def dye_picture(path: Path, output: Path, mask_of: MaskOf, rows: list[Row], max_pixels: int) -> list[Row]:
    """Dye one picture in every look of its rows; the rows of the table, complete. Raises PictureError."""
    started = time.perf_counter()
    picture = read_picture(path, max_pixels)
    ready, space, note = colour_ready(picture)
    mask = mask_of(space.to_srgb8(ready.rgb8))
    hair = prepare(ready.rgb, mask, space=space)
    sizes = []
    for row in rows:
        target = output / row["output"]
        if hair is None or row["ombre_height"] == 0:
            copy(path, picture, target)
        else:
            rgb = dye_hair(hair, **{field.name: row[field.name] for field in fields(Look)})
            write_picture(target, replace(ready, rgb=rgb))
        sizes.append(target.stat().st_size)
    seconds = (time.perf_counter() - started) / len(rows)
    result = dict(
        hair_share=round(cv2.mean(mask)[0] / 255, 4),
        seconds=round(seconds, 4),
        note=note,
        status="ok" if hair else NO_HAIR,
    )
    return [row | result | dict(result_bytes=size) for row, size in zip(rows, sizes)]


def copy(path: Path, picture: Picture, target: Path) -> None:
    """The picture unchanged: the file itself, or its pixels where another format is asked for."""
    if path.suffix.lower() != target.suffix.lower():
        write_picture(target, picture)
        return
    with replacing(target) as part:
        shutil.copyfile(path, part)
