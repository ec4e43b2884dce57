"""A large picture of 16 bits dyed while it is written, some rows at a time: only its 8 bits are ever in memory."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from common.image.pixels import turned, turned_view
from common.image.rows import Rows
from ombre.hair.analysis import Hair
from ombre.render.recolour import Layer, dye_part, layers_of
from ombre.render.visibility import EVERY, seen_of
from ombre.style import PersonStyle, Style

FROM_THE_END = (3, 4, 6, 7)  # EXIF orientations whose first row in the file is the last row or column upright


class DyedRows(Rows):
    """The rows of a picture with its hair dyed; when all are read, `seen` is as `visibility.is_little` takes it.

    Args:
        rows: of the picture, as they lie in the file.
        orientation: how that is, 1 to 8 as in EXIF.
        hair: what `prepare` has found in its 8 bits, upright.
        own: styles of single people.
    """

    def __init__(self, rows: Rows, orientation: int, hair: Hair, style: Style, own: Sequence[PersonStyle] = ()) -> None:
        self.rows, self.orientation, self.style, self.own, self.seen = rows, orientation, style, own, 0
        self.alpha = len(rows.shape) == 3 and rows.shape[2] == 4
        self.shape = (*rows.shape[:2], 4 if self.alpha else 3)
        # the hair of a picture of 16 bits, which takes no memory
        deep = np.broadcast_to(np.uint16(0), hair.rgb.shape)
        self.hair = hair._replace(rgb=deep)

    def strips(self) -> Iterator[np.ndarray]:
        """As Rows.strips."""
        layers, first, self.seen = layers_of(self.hair, self.style, self.own), 0, 0
        for strip in self.rows.strips():
            start = self.rows.shape[0] - first - len(strip) if self.orientation in FROM_THE_END else first
            first += len(strip)
            rgb = cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB) if strip.ndim == 2 else strip[..., :3]
            upright = np.array(turned(np.ascontiguousarray(rgb), self.orientation))
            top, left = (0, start) if self.orientation >= 5 else (start, 0)
            self._dye(upright, top, left, layers)
            dyed = np.ascontiguousarray(turned_view(upright, self.orientation))
            yield np.dstack([dyed, strip[..., 3]]) if self.alpha else dyed

    def _dye(self, upright: np.ndarray, top: int, left: int, layers: Sequence[Layer]) -> None:
        """Dye pixels that lie from this row and column of the picture on, in place, and count them."""
        rows, columns = self.hair.rows, self.hair.columns
        above, before = max(rows.start, top), max(columns.start, left)
        part = upright[above - top : max(rows.stop - top, 0), before - left : max(columns.stop - left, 0)]
        if not part.size:
            return
        counted = slice(-(above - rows.start) % EVERY, None, EVERY)
        natural = part.copy()
        dye_part(self.hair, layers, part, natural, above - rows.start, before - columns.start)
        dyed, before = (np.ascontiguousarray(each[counted]) for each in (part, natural))
        self.seen += seen_of(dyed, before, self.style)
