"""Hair's own colour where a pixel holds hair and what is behind it.

At an edge a photograph mixes the two: I = share H + (1 - share) B. H and B change slowly, so their difference is known
from the hair and the surroundings near by, and H = I + (1 - share) (H - B). The means weighted by the share of hair are
those of Forte, "Approximate Fast Foreground Colour Estimation" (2021), taken once and on a coarse grid (grid.py).
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair import grid


class Beside(NamedTuple):
    """On the grid, float32, in grey levels: `hair` and `behind`, the colours of surely hair and of surely none near by,
    each three planes (rows, columns); `spread` (rows, columns), the sum of their variances, where that is asked."""

    hair: list[np.ndarray]
    behind: list[np.ndarray]
    spread: np.ndarray | None

    def difference(self) -> list[np.ndarray]:
        """Hair's colour less that of what is behind it: three planes."""
        return [hair - behind for hair, behind in zip(self.hair, self.behind)]


def colours_beside(cells: np.ndarray, share: np.ndarray, window: int, *, spread: bool = False) -> Beside:
    """What hair and its surroundings look like around each cell.

    Args:
        cells: (rows, columns, 3) float32, colours in grey levels.
        share: (rows, columns) float32, share of hair in 0..1.
        window: cells across, from which the colours are taken.
        spread: whether to say how far they spread.
    """
    planes, size = cv2.split(cells), (window, window)
    power = squares(planes) if spread else None
    colours: list[list[np.ndarray]] = []
    variances: list[np.ndarray] = []
    for part in (share, 1 - share):
        weight = part * part * part + 1e-4  # what is surely one of the two counts the most
        scale = 1 / cv2.blur(weight, size)
        colours.append([cv2.blur(plane * weight, size) * scale for plane in planes])
        if power is not None:
            variances.append(np.maximum(cv2.blur(power * weight, size) * scale - squares(colours[-1]), 0))
    hair, behind = colours
    return Beside(hair, behind, variances[0] + variances[1] if spread else None)


def squares(planes: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of their squares."""
    return np.sum([plane * plane for plane in planes], axis=0)


class Own(NamedTuple):
    """Hair's own colours in any part of a picture, worked out when they are asked for: no copy of a large picture is
    needed, and nothing is done where nobody dyes.

    Attributes:
        difference: (rows, columns, 3) float32 on the grid, as in `unmix`.
        share: (h, w) uint8, share of hair x 255.
        mixed: (rows, columns) bool on the grid, where pixels may hold hair and something else.
        step: pixels a cell.
    """

    difference: np.ndarray
    share: np.ndarray
    mixed: np.ndarray
    step: int

    def of(self, tile: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Hair's own colours in these rows and columns (from, to), of which the picture's are `tile` (h, w, 3): `tile`
        itself where nothing is mixed."""
        down, across = (slice(pixels[0] // self.step, -(-pixels[1] // self.step)) for pixels in (rows, columns))
        if not self.mixed[down, across].any():
            return tile
        here = self.share[slice(*rows), slice(*columns)]
        return unmix(tile, here, grid.grow(self.difference, self.step, rows, columns))


def unmix(rgb: np.ndarray, share: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Hair's own colour in each pixel, as `rgb`: that itself where all of the pixel is hair.

    Args:
        rgb: (h, w, 3) uint8 or uint16.
        share: (h, w) uint8, share of hair x 255.
        difference: (h, w, 3) float32, hair's colour less that of what is behind it, in grey levels of 8 bits.
    """
    most = grid.MOST[rgb.dtype]
    rest = cv2.cvtColor(255 - share, cv2.COLOR_GRAY2RGB)
    shift = cv2.multiply(difference, rest, scale=most / 255**2, dtype=cv2.CV_32F)
    return cv2.add(rgb, shift, dtype=cv2.CV_8U if most == 255 else cv2.CV_16U)
