"""A picture -> its hair -> the picture in every style."""

import shutil
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np

from common.batch.table import Row
from common.files import replacing
from common.image.icc import colour_ready, in_srgb8
from common.image.picture import Picture, read_picture, write_picture
from ombre.api import Sight, hair_of
from ombre.debug import write_debug
from ombre.render.recolour import dye_hair
from ombre.render.visibility import shows_little
from ombre.style import DYED, LITTLE, NO_HAIR, Style

SHOWN_BY = ("ombre_height", "ombre_grad_height", "along", "reverse", "strength")

SightOf = Callable[[np.ndarray, np.ndarray], Sight]  # a picture, and the same in sRGB; see Masks.of


def dye_photo(
    path: Path, output: Path, sight_of: SightOf, rows: list[Row], max_pixels: int, debug: Path | None = None
) -> list[Row]:
    """Dye one picture in every style of its rows; the rows of the table, complete. Raises PictureError.

    Where no hair is found the picture is copied (status NO_HAIR); where much less of it is seen to be dyed than was
    found and asked for the status is LITTLE. Into the folder `debug` pictures are written of what was found on the way.
    """
    started = time.perf_counter()
    picture = read_picture(path, max_pixels)
    ready, space, note = colour_ready(picture)
    srgb = space.to_srgb8(ready.rgb8)
    sight = sight_of(ready.rgb, srgb)
    hair = hair_of(ready.rgb, sight, space)
    if debug:
        write_debug(debug, srgb, sight, hair, style_of(rows[0]))
    results = []
    for row in rows:
        target, status = output / str(row["output"]), DYED if hair else NO_HAIR
        if hair is None or row["ombre_height"] == 0:
            copy(path, picture, target)
        else:
            style = style_of(row).row()
            rgb = dye_hair(hair, **style)
            write(target, replace(ready, rgb=rgb))
            if shows_little(hair, sight.mask, rgb, **{name: style[name] for name in SHOWN_BY}):
                status = LITTLE
        results.append(dict(result_bytes=target.stat().st_size, status=status))
    seconds = (time.perf_counter() - started) / len(rows)
    common = dict(
        hair_share=round(cv2.mean(sight.share)[0] / 255, 4),
        people=len(hair.people.heads) if hair else 0,
        seconds=round(seconds, 4),
        note=note,
    )
    return [row | common | result for row, result in zip(rows, results)]


def style_of(row: Row) -> Style:
    """The style that a row of the table is of."""
    return Style(**{field.name: row[field.name] for field in fields(Style)})


def copy(path: Path, picture: Picture, target: Path) -> None:
    """The picture unchanged: the file itself, or its pixels where another format is asked for."""
    if path.suffix.lower() != target.suffix.lower():
        write(target, picture)
        return
    with replacing(target) as part:
        shutil.copyfile(path, part)


def write(target: Path, picture: Picture) -> None:
    """Write a picture in the target's format; in BMP, which has no room for a profile, its colours become sRGB's."""
    if picture.icc and target.suffix.lower() == ".bmp":
        picture = replace(picture, rgb=in_srgb8(picture), icc=None)
    write_picture(target, picture)
