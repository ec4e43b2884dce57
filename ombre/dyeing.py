"""Pictures -> hair -> dyed pictures and ombre.csv: what the third stage does."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from common.batch import Row, Source, Table, Tally, find_pictures, output_names, shard, work_through
from common.files import replacing
from common.pictures import SUFFIXES, Picture, read_picture, write_picture
from ombre.recolour import dye_hair, prepare

TABLE = "ombre.csv"
COLUMNS = [
    "image",
    "output",
    "color",
    "ombre_height",
    "ombre_grad_height",
    "strength",
    "lightness",
    "hair_share",
    "seconds",
    "status",
    "error",
]
NO_HAIR = "no hair"

MaskOf = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 RGB -> soft hair mask (H, W) uint8


@dataclass(frozen=True)
class Ombre:
    """How the hair is to look; each colour gives a picture. All values 0..1, `lightness` -1..1."""

    colors: Sequence[float]  # places on the hue circle
    height: float  # share of the hair's height that is dyed
    grad_height: float  # share of that over which the dye fades in
    strength: float = 1.0
    lightness: float = 0.0

    def settings(self, color: float) -> Row:
        """One colour's columns of the table."""
        return dict(
            color=color,
            ombre_height=self.height,
            ombre_grad_height=self.grad_height,
            strength=self.strength,
            lightness=self.lightness,
        )


def dye_pictures(
    inputs: Sequence[str | os.PathLike],
    output: Path,
    mask_of: MaskOf,
    ombre: Ombre,
    *,
    threads: int,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
) -> Tally:
    """Write `output`/<a picture's path, the colour in its name> for each picture and colour, and rows in ombre.csv.

    Each thread takes a picture from file to file, so that decoding, network, dye and encoding of several overlap.
    Where no hair is found the picture is copied. Under torchrun this rank does its share of the pictures.

    Args:
        mask_of: what finds the hair, called from `threads` threads.
        suffix: ".png" and the like, the format to write; None: that of each picture.
        overwrite: dye again what was dyed with the same settings.
        max_pixels: larger pictures are refused.

    Raises:
        BatchError: an input is missing, there is no picture, or another run is writing the table.
    """
    sources = find_pictures(inputs, output)
    bases = output_names(sources, suffix) if suffix else {source: own_format(source.name) for source in sources}
    if len(sources) > 1:
        cv2.setNumThreads(1)  # the pictures share out the cores already

    with Table(output / TABLE, COLUMNS, key="output") as table:

        def describe(source: Source) -> list[Row]:
            image = table.relative(source.path)
            return [
                dict(image=image, output=with_color(bases[source], color), **ombre.settings(color))
                for color in ombre.colors
            ]

        def dye(source: Source) -> list[Row]:
            return dye_picture(source.path, output, mask_of, ombre, describe(source), max_pixels)

        def is_done(source: Source) -> bool:
            return not overwrite and all(is_dyed(row) for row in describe(source))

        def is_dyed(row: Row) -> bool:
            same = {name: row[name] for name in ("image", *ombre.settings(0))}
            return table.finished(row["output"], **same) and (output / row["output"]).is_file()

        return work_through(shard(sources), dye, table, workers=threads, describe=describe, skip=is_done)


def dye_picture(path: Path, output: Path, mask_of: MaskOf, ombre: Ombre, rows: list[Row], max_pixels: int) -> list[Row]:
    """Dye one picture in every colour; the rows of the table, complete. Raises PictureError."""
    started = time.perf_counter()
    picture = read_picture(path, max_pixels)
    mask = mask_of(picture.rgb8)
    hair = prepare(picture.rgb, mask, ombre.height, ombre.grad_height)
    found = hair is not None or ombre.height == 0
    for row in rows:
        target = output / row["output"]
        if hair is None:
            copy(path, picture, target)
        else:
            rgb = dye_hair(hair, row["color"], strength=ombre.strength, lightness=ombre.lightness)
            write_picture(target, replace(picture, rgb=rgb))
    seconds = (time.perf_counter() - started) / len(rows)
    result = dict(
        hair_share=round(cv2.mean(mask)[0] / 255, 4), seconds=round(seconds, 4), status="ok" if found else NO_HAIR
    )
    return [row | result for row in rows]


def copy(path: Path, picture: Picture, target: Path) -> None:
    """The picture unchanged: the file itself, or its pixels where another format is asked for."""
    if path.suffix.lower() != target.suffix.lower():
        write_picture(target, picture)
        return
    with replacing(target) as part:
        shutil.copyfile(path, part)


def own_format(name: str) -> str:
    """The name itself; with `.png` added where its suffix is none that can be written."""
    return name if PurePosixPath(name).suffix.lower() in SUFFIXES else f"{name}.png"


def with_color(name: str, color: float) -> str:
    """`a/x.jpg`, 0.9 -> `a/x_0.9.jpg`."""
    path = PurePosixPath(name)
    return str(path.with_stem(f"{path.stem}_{color:g}"))
