"""A coarse grid over a picture: what changes slowly is worked out there and brought back to the picture's size.

A cell is `step` x `step` pixels, so the two sizes fit to the pixel and any band of rows can be brought back alone.
"""

from collections.abc import Iterator

import cv2
import numpy as np

MOST_CELLS = 256  # on the longer side of the hair
TILE = (96, 256)  # pixels (down, across) worked on at a time


def step_for(height: int, width: int) -> int:
    """Pixels a cell for an area of this size."""
    return -(-max(height, width) // MOST_CELLS)


def shrink(plane: np.ndarray, step: int) -> np.ndarray:
    """(h, w) or (h, w, C) -> means over cells, (ceil(h / step), ceil(w / step), ...), same dtype; a last cell that
    juts out is filled with the picture's edge."""
    height, width = plane.shape[:2]
    if step == 1:
        return plane
    below, right = -height % step, -width % step
    if below or right:
        plane = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(plane, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)


def grow(cells: np.ndarray, step: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """The pixels rows[0]..rows[1], columns[0]..columns[1] of the cells at full size, bilinear between the cells'
    centres."""
    first = [max(pixels[0] // step - 1, 0) for pixels in (rows, columns)]
    last = [-(-pixels[1] // step) + 1 for pixels in (rows, columns)]
    cells = cells[first[0] : last[0], first[1] : last[1]]
    if step > 1:
        cells = cv2.resize(cells, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    top, left = rows[0] - first[0] * step, columns[0] - first[1] * step
    return cells[top : top + rows[1] - rows[0], left : left + columns[1] - columns[0]]


def colours(rgb: np.ndarray, step: int) -> np.ndarray:
    """(h, w, 3) uint8 or uint16 -> the cells' mean colours (rows, columns, 3) float32 in 0..255."""
    return shrink(rgb, step) * np.float32(255 / np.iinfo(rgb.dtype).max)


def tiles(rows: tuple[int, int], width: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows (from, to) and columns (from, to) of the tiles that cover these rows of an area of this width."""
    for top in range(*rows, TILE[0]):
        for left in range(0, width, TILE[1]):
            yield (top, min(top + TILE[0], rows[1])), (left, min(left + TILE[1], width))
