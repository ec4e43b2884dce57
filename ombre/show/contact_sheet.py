"""Pictures before and after, side by side, for people to choose from."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.batch.table import FAILED, Row, read_rows
from common.image.hdr import shown_in_srgb8
from common.image.picture import Picture, PictureError, read_picture, write_picture
from ombre.stage import TABLE

SIDE = 320  # pixels, the height of a picture on the sheet
GAP, CAPTION = 6, 22
ROWS = 6  # pictures a page
PLAIN = 40  # of 255: a change that JPEG alone does not make
ROOM = 0.35  # of the changed part's size, shown around it
FONTS = "NotoSansCJK-Regular.ttc", "NanumGothic.ttf", "malgun.ttf", "AppleSDGothicNeo.ttc", "DejaVuSans.ttf"
LEAST = 0.5  # of the picture's shorter side is shown


def write_contact_sheets(output: Path, inputs: Iterable[str | os.PathLike], max_pixels: int) -> list[Path]:
    """Pages with a row for each picture of the inputs (files, folders) that ombre.csv has results of: as it was, then
    each result, the hair large, with their names. Gives the pages' files, none where there is no result. Pictures that
    are no longer there, or broken, or larger than `max_pixels`, are passed over, and so are results of another size,
    which were made before the picture was changed."""
    asked = {os.path.realpath(given) for given in inputs}
    results: dict[str, list[Row]] = {}
    for row in sorted(read_rows(output / TABLE, "output"), key=lambda row: (row["image"], row["output"])):
        before = os.path.realpath(output / row["image"])
        if (
            not asked.isdisjoint((before, *map(str, Path(before).parents)))
            and row["status"] != FAILED
            and not row.get("frames")  # of a clip
            and (output / row["output"]).is_file()
        ):
            results.setdefault(before, []).append(row)
    pages: list[Path] = []
    known = list(results.items())
    for number in range(1, -(-len(known) // ROWS) + 1):
        part = known[(number - 1) * ROWS : number * ROWS]
        made = (_strip(Path(before), rows, output, max_pixels) for before, rows in part)
        strips = [strip for strip in made if strip is not None]
        if not strips:
            continue
        width = max(strip.shape[1] for strip in strips)
        page = [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255) for strip in strips]
        pages.append(output / (f"contact_sheet_{len(pages) + 1}.jpg" if pages else "contact_sheet.jpg"))
        write_picture(pages[-1], Picture(np.vstack(page), jpeg={"quality": 88}))
    return pages


def _strip(before: Path, rows: list[Row], output: Path, max_pixels: int) -> np.ndarray | None:
    """(SIDE + CAPTION + gaps, w, 3): a picture and its results, the part that has changed; None where there is none."""
    original = _seen(before, max_pixels)
    if original is None:
        return None
    pictures = [(original, before.name)]
    for row in rows:
        result = _seen(output / row["output"], max_pixels)
        if result is not None and result.shape == original.shape:
            pictures.append((result, Path(row["output"]).stem.removeprefix(f"{before.stem}_")))
    if len(pictures) == 1:
        return None
    part = changed_part(original, pictures[-1][0])
    return np.hstack([tile(rgb[part], name) for rgb, name in pictures])


def _seen(path: Path, max_pixels: int) -> np.ndarray | None:
    """A picture (H, W, 3) uint8 in sRGB; None where it cannot be read."""
    with suppress(PictureError):
        return shown_in_srgb8(read_picture(path, max_pixels, hdr=True))
    return None


def changed_part(before: np.ndarray, after: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of what differs plainly, with room around; of the whole picture where nothing does."""
    changed = cv2.absdiff(before, after).max(axis=2) > PLAIN
    left, top, width, height = cv2.boundingRect(cv2.medianBlur(changed.astype(np.uint8), 5))
    if not width:
        return slice(None), slice(None)
    reach = max((0.5 + ROOM) * max(width, height), LEAST / 2 * min(before.shape[:2]))
    y, x = top + height / 2, left + width / 2
    return slice(max(0, round(y - reach)), round(y + reach)), slice(max(0, round(x - reach)), round(x + reach))


def tile(rgb: np.ndarray, name: str) -> np.ndarray:
    """A picture at the sheet's height, its name below, with a white gap around it."""
    width = max(round(SIDE * rgb.shape[1] / rgb.shape[0]), 1)
    sized = cv2.resize(rgb, (width, SIDE), interpolation=cv2.INTER_AREA if rgb.shape[0] > SIDE else cv2.INTER_CUBIC)
    caption = Image.new("RGB", (width, CAPTION), "white")
    ImageDraw.Draw(caption).text((0, 2), name, "black", font_for(name))
    return np.pad(np.vstack([sized, np.asarray(caption)]), ((GAP, 0), (GAP, GAP), (0, 0)), constant_values=255)


def font_for(name: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, or, for what is not Latin, the first of FONTS that the system has."""
    for font in () if name.isascii() else FONTS:
        with suppress(OSError):
            return ImageFont.truetype(font, 15)
    return ImageFont.load_default(15)
