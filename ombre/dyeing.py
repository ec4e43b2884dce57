"""Pictures -> hair -> dyed pictures and ombre.csv: what the third stage does."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from common.files import replacing
from common.folder import Source, find_pictures, result_names
from common.pictures import Picture, read_picture, write_picture
from common.table import Row, Table
from common.work import Tally, left_to_do, stamp, work_through
from ombre.recolour import dye_hair, prepare
from ombre.shades import file_name

TABLE = "ombre.csv"
COLUMNS = [
    "image",
    "output",
    "color",
    "ombre_height",
    "ombre_grad_height",
    "strength",
    "lightness",
    "reverse",
    "hair_share",
    "seconds",
    "source",
    "weights",
    "result_bytes",
    "status",
    "error",
]
NO_HAIR = "no hair"

MaskOf = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 RGB -> soft hair mask (H, W) uint8


@dataclass(frozen=True)
class Ombre:
    """How the hair is to look; each colour gives a picture. All values 0..1, `lightness` -1..1."""

    colors: Sequence[str]  # as shades.parse_color calls them
    height: float  # share of the hair's height that is dyed
    grad_height: float  # share of that over which the dye fades in
    strength: float = 1.0
    lightness: float = 0.0
    reverse: bool = False  # from the roots

    def settings(self, color: str) -> Row:
        """One colour's columns of the table."""
        return dict(
            color=color,
            ombre_height=self.height,
            ombre_grad_height=self.grad_height,
            strength=self.strength,
            lightness=self.lightness,
            reverse=self.reverse,
        )


def dye_pictures(
    inputs: Sequence[str | os.PathLike],
    output: Path,
    find_hair: Callable[[], MaskOf],
    weights: str,
    ombre: Ombre,
    *,
    threads: int,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
) -> Tally:
    """Write `output`/<a picture's path, the colour in its name> for each picture and colour, and rows in ombre.csv.

    Each thread takes a picture from file to file, so that decoding, network, dye and encoding of several overlap.
    Where no hair is found the picture is copied. What has a whole result and a row that says the same of the picture's
    file, the weights and the settings is not dyed again.

    Args:
        find_hair: makes what finds the hair, which is called from `threads` threads; not asked where all is done.
        weights: what its weights are called in the table.
        suffix: ".png" and the like, the format to write; None: that of each picture.
        overwrite: dye again what was dyed with the same settings.
        max_pixels: larger pictures are refused.

    Raises:
        BatchError: an input is missing, there is no picture, a result would replace another picture's, or the output
            cannot be written.
    """
    sources, unreadable = find_pictures(inputs, output)
    names = result_names(sources, suffix)

    with Table(output / TABLE, COLUMNS, key="output") as table:

        def plan(source: Source) -> list[Row]:
            known = dict(image=table.relative(source.path), source=stamp(source.path), weights=weights)
            return [
                dict(output=with_color(names[source.name], color), **known, **ombre.settings(color))
                for color in ombre.colors
            ]

        def dye(source: Source) -> list[Row]:
            return dye_picture(Path(source.path), output, mask_of, ombre, plan(source), max_pixels)

        todo, skipped = left_to_do(sources, plan, table, "output", overwrite)
        if todo:
            mask_of = find_hair()
        if len(todo) > 1:
            cv2.setNumThreads(1)  # the pictures share out the cores already
        tally = work_through(todo, dye, table, workers=threads, plan=plan)
        return replace(tally, skipped=skipped, unreadable=unreadable)


def dye_picture(path: Path, output: Path, mask_of: MaskOf, ombre: Ombre, rows: list[Row], max_pixels: int) -> list[Row]:
    """Dye one picture in every colour; the rows of the table, complete. Raises PictureError."""
    started = time.perf_counter()
    picture = read_picture(path, max_pixels)
    mask = mask_of(picture.rgb8)
    hair = prepare(picture.rgb, mask)
    sizes = []
    for row in rows:
        target = output / row["output"]
        if hair is None or ombre.height == 0:
            copy(path, picture, target)
        else:
            look = dict(reverse=ombre.reverse, strength=ombre.strength, lightness=ombre.lightness)
            rgb = dye_hair(hair, row["color"], ombre.height, ombre.grad_height, **look)
            write_picture(target, replace(picture, rgb=rgb))
        sizes.append(target.stat().st_size)
    seconds = (time.perf_counter() - started) / len(rows)
    result = dict(
        hair_share=round(cv2.mean(mask)[0] / 255, 4), seconds=round(seconds, 4), status="ok" if hair else NO_HAIR
    )
    return [row | result | dict(result_bytes=size) for row, size in zip(rows, sizes)]


def copy(path: Path, picture: Picture, target: Path) -> None:
    """The picture unchanged: the file itself, or its pixels where another format is asked for."""
    if path.suffix.lower() != target.suffix.lower():
        write_picture(target, picture)
        return
    with replacing(target) as part:
        shutil.copyfile(path, part)


def with_color(name: str, color: str) -> str:
    """`a/x.jpg`, "0.9" -> `a/x_0.9.jpg`."""
    stem, suffix = os.path.splitext(name)
    return f"{stem}_{file_name(color)}{suffix}"
