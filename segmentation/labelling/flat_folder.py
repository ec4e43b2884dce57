"""The published flat folder: each picture and its label side by side, numbered, as the seed project's programs read
them."""

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path

from common.batch.table import read_csv, read_rows, write_csv
from common.files import replacing
from common.image.opening import PictureError, demand_file
from common.image.picture import Picture, read_picture, write_picture
from common.image.strange import absence
from common.progress import say

PICTURE, LABEL = "face_{:06d}.png", "parsing_hair_label_{:06d}.png"
NUMBERS = ".numbers.csv"  # which picture has which number, so that each keeps its own when others come


def write_flat_folder(labels: Path, folder: Path) -> tuple[int, int]:
    """Write the pictures of a `labels.csv` and their labels as `face_000123.png`, `parsing_hair_label_000123.png`.

    Pictures are written upright, as PNG of 8 bits. A pair that is there and newer than its label is left alone.

    Returns how many pairs the folder has, and how many it lacks, since a picture or label cannot be read any more:
    each is named on stderr. Raises BatchError: `labels` has no such table; OSError.
    """
    rows = [row for row in read_rows(labels / "labels.csv", "image") if row["status"] == "ok"]
    folder.mkdir(parents=True, exist_ok=True)
    numbers = numbered(folder / NUMBERS, sorted(str(row["image"]) for row in rows))
    lacking = 0
    for row in rows:
        number, image, label = numbers[str(row["image"])], labels / str(row["image"]), labels / str(row["label"])
        face, own = folder / PICTURE.format(number), folder / LABEL.format(number)
        if own.is_file() and face.is_file() and (absence(label) or own.stat().st_mtime_ns >= label.stat().st_mtime_ns):
            continue
        try:
            demand_file(label)
            picture = read_picture(image)
        except PictureError as error:
            say(f"{error}; it is not among the published pairs")
            lacking += 1
            continue
        write_picture(face, Picture(picture.rgb8))
        with replacing(own) as part:
            shutil.copyfile(label, part)
    return len(rows) - lacking, lacking


def numbered(table: Path, images: Iterable[str]) -> dict[str, int]:
    """Picture -> its number; those that the table does not know get the next ones, and are noted in it."""
    try:
        known = {row["image"]: int(row["number"]) for row in read_csv(table)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        known = {}
    for image in images:
        known.setdefault(image, max(known.values(), default=0) + 1)
    with replacing(table) as part:
        write_csv(part, ["image", "number"], [(image, str(number)) for image, number in known.items()])
    return known
