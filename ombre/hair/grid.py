"""A coarse grid over a picture: what changes slowly is worked out there and brought back to the picture's size.

A cell is `step` x `step` pixels, so the two sizes fit to the pixel and any band of rows can be brought back alone.
"""

from collections.abc import Iterator

import cv2
import numpy as np

MOST_CELLS = 256  # on the longer side of the hair
TILE = (64, 512)  # pixels (down, across) worked on at a time, at most
AT_ONCE = 1 << 24  # pixels of a large picture, of which copies are made
MOST = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # the greatest number of a picture of this dtype
GAP = 32  # pixels that are worked on needlessly rather than in two tiles


def step_for(height: int, width: int) -> int:
    """Pixels a cell for an area of this size."""
    return -(-max(height, width) // MOST_CELLS)


def shrink(plane: np.ndarray, step: int) -> np.ndarray:
    """(h, w) or (h, w, C) -> means over cells, (ceil(h / step), ceil(w / step), ...), same dtype; a last cell that
    juts out is filled with the picture's edge."""
    down = max(AT_ONCE // (step * plane.shape[1]), 1) * step
    if len(plane) <= down:
        return _shrink(plane, step)
    return np.concatenate([_shrink(plane[first : first + down], step) for first in range(0, len(plane), down)])


def _shrink(plane: np.ndarray, step: int) -> np.ndarray:
    height, width = plane.shape[:2]
    below, right = -height % step, -width % step
    if below or right:
        plane = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)
    while step > 1:
        times = 2 if step % 2 == 0 else step  # several halvings are faster than one step
        plane = cv2.resize(plane, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
        step //= times
    return plane


def around(pixels: slice, step: int, length: int) -> slice:
    """Pixels of an axis of this length, and some before and behind, so that whole cells lie there."""
    return slice(pixels.start - pixels.start % step, min(pixels.stop + -pixels.stop % step, length))


def grow(cells: np.ndarray, step: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """The pixels rows[0]..rows[1], columns[0]..columns[1] of the cells at full size, bilinear between the cells'
    centres."""
    above, before = max(rows[0] // step - 1, 0), max(columns[0] // step - 1, 0)
    cells = cells[above : -(-rows[1] // step) + 1, before : -(-columns[1] // step) + 1]
    if step > 1:
        cells = cv2.resize(cells, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    top, left = rows[0] - above * step, columns[0] - before * step
    return cells[top : top + rows[1] - rows[0], left : left + columns[1] - columns[0]]


def colours(rgb: np.ndarray, step: int) -> np.ndarray:
    """(h, w, 3) uint8 or uint16 -> the cells' mean colours (rows, columns, 3) float32 in 0..255."""
    return shrink(rgb, step) * np.float32(255 / MOST[rgb.dtype])


def sample(
    plane: np.ndarray, at: np.ndarray, border: int = cv2.BORDER_CONSTANT, beyond: tuple[float, ...] = ()
) -> np.ndarray:
    """What a plane (h, w) or (h, w, C) has at places (rows, columns, 2) float32, x and y: bilinear; beyond its edges as
    OpenCV's `border` says, of the value `beyond`."""
    how = dict(borderMode=border, borderValue=beyond)
    return cv2.remap(plane, at, None, cv2.INTER_LINEAR, **how)  # type: ignore[call-overload]  # they know no single map


def near(cells: np.ndarray) -> np.ndarray:
    """These (rows, columns) bool and those around them: all whose pixels take part of their values from these."""
    return cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def tiles(wanted: np.ndarray, step: int, height: int, width: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows (from, to) and columns (from, to), in pixels, of tiles that cover the cells `wanted` (rows, columns) bool of
    an area (height, width), and few others."""
    down, across, gap = (max(pixels // step, 1) for pixels in (*TILE, GAP))
    strips = np.maximum.reduceat(wanted.astype(np.uint8), range(0, len(wanted), down))
    strips = cv2.morphologyEx(strips, cv2.MORPH_CLOSE, np.ones((1, gap // 2 * 2 + 1), np.uint8))  # closes gaps
    ends = np.argwhere(np.diff(strips, axis=1, prepend=0, append=0)).tolist()
    for (strip, first), (_, last) in zip(ends[::2], ends[1::2]):
        rows = strip * down * step, min((strip + 1) * down * step, height)
        for left in range(first, last, across):
            yield rows, (left * step, min(min(left + across, last) * step, width))
