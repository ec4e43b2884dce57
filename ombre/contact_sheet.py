"""Pictures before and after, side by side."""

from pathlib import Path

import cv2
import numpy as np

from common.pictures import Picture, read_picture, write_picture
from common.table import read_rows
from ombre.dyeing import TABLE

SIDE = 320  # pixels, the height of a picture on the sheet
GAP = 6
PLAIN = 40  # of 255: a change that JPEG alone does not make
ROOM = 0.35  # of the changed part's size, shown around it
LEAST = 0.5  # of the picture's shorter side is shown


def write_contact_sheet(pictures: Path, output: Path) -> Path:
    """A row for each picture of the folder: as it was, then in every colour that ombre.csv has, the head large."""
    import pandas as pd  # half a second that only this needs

    table = pd.DataFrame(read_rows(output / TABLE, "output"))
    table = table[table.status != "failed"].sort_values(["image", "color"])
    strips = []
    for image, dyed in table.groupby("image"):
        before = (output / image).resolve()
        if before.is_relative_to(pictures.resolve()):
            row = [read_picture(path).rgb8 for path in (before, *(output / name for name in dyed.output))]
            part = changed_part(row[0], row[-1])
            strips.append(np.hstack([tile(rgb[part]) for rgb in row]))
    width = max(strip.shape[1] for strip in strips)
    sheet = [
        cv2.copyMakeBorder(strip, 0, 0, 0, width - strip.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for strip in strips
    ]
    path = output / "contact_sheet.jpg"
    write_picture(path, Picture(np.vstack(sheet), jpeg={"quality": 85}))
    return path


def changed_part(before: np.ndarray, after: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of what differs plainly, with room around; of the whole picture where nothing does."""
    changed = cv2.absdiff(before, after).max(axis=2) > PLAIN
    left, top, width, height = cv2.boundingRect(cv2.medianBlur(changed.astype(np.uint8), 5))
    if not width:
        return slice(None), slice(None)
    reach = max((0.5 + ROOM) * max(width, height), LEAST / 2 * min(before.shape[:2]))
    y, x = top + height / 2, left + width / 2
    return slice(max(0, round(y - reach)), round(y + reach)), slice(max(0, round(x - reach)), round(x + reach))


def tile(rgb: np.ndarray) -> np.ndarray:
    """A picture at the sheet's height, with a white gap around it."""
    width = round(SIDE * rgb.shape[1] / rgb.shape[0])
    sized = cv2.resize(rgb, (width, SIDE), interpolation=cv2.INTER_AREA if rgb.shape[0] > SIDE else cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(sized, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3)
