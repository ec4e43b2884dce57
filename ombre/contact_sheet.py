"""Pictures before and after, side by side."""

from pathlib import Path

import cv2
import numpy as np

from common.pictures import Picture, read_picture, write_picture
from ombre.dyeing import TABLE

SIDE = 320  # pixels, the height of a picture on the sheet
GAP = 6


def write_contact_sheet(pictures: Path, output: Path) -> Path:
    """A row for each picture of the folder: as it was, then in every colour that ombre.csv has of it."""
    import pandas as pd  # half a second that only this needs

    table = pd.read_csv(output / TABLE)
    table = table[table.status != "failed"].sort_values(["image", "color"])
    rows = []
    for image, dyed in table.groupby("image"):
        before = (output / image).resolve()
        if before.is_relative_to(pictures.resolve()):
            rows.append([before, *(output / name for name in dyed.output)])
    strips = [np.hstack([tile(path) for path in row]) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    sheet = [cv2.copyMakeBorder(strip, 0, 0, 0, width - strip.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
             for strip in strips]
    path = output / "contact_sheet.jpg"
    write_picture(path, Picture(np.vstack(sheet)))
    return path


def tile(path: Path) -> np.ndarray:
    """A picture at the sheet's height, with a white gap around it."""
    rgb = read_picture(path).rgb8
    width = round(SIDE * rgb.shape[1] / rgb.shape[0])
    small = cv2.resize(rgb, (width, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3)
