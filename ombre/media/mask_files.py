"""Where a picture's share of hair comes from, and where a copy of it goes."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.batch.storage import stamp
from common.batch.table import Row
from common.files import replacing
from common.image.opening import DEFAULT_MAX_PIXELS
from common.image.picture import PictureError, read_mask, write_mask
from ombre.api import Detection, detect
from ombre.hair.matte import refine
from segmentation.finding.hair_finder import HairFinder

GONE = "gone"  # a saved mask that has to be made again
MARK = "masks.csv"  # as `predict` calls its table


@dataclass(frozen=True)
class Masks:
    """Folders of masks, `<a picture's path>.png`: 8 bits, the picture's size, share of hair x 255. Of a clip it is a
    folder of its name with a mask a frame, 000001.png and on.

    Args:
        folder: masks to dye by instead of finding hair.
        refined: whether those are made a matte first, as what a network finds always is.
        save: where the share of hair that is dyed by is written.
    """

    folder: Path | None = None
    refined: bool = False
    save: Path | None = None

    def mark(self) -> None:
        """Write the head of a table beside the masks that are saved, by which later runs know that here are results
        and no pictures to dye."""
        if self.save and not (self.save / MARK).exists():
            with replacing(self.save / MARK) as path:
                path.write_text("image,mask,status,error\n")

    def row(self, name: str) -> Row:
        """What a row of the table says of the picture whose mask has this name, before it is dyed."""
        saved = self.saved(name)
        if self.save and not (self.save / name).exists():
            saved = dict(saved_mask=GONE)
        return dict(mask=self._stamp(name), **saved)

    def _stamp(self, name: str) -> str:
        """By what a row knows the mask again."""
        if not self.folder:
            return ""
        path, refined = self.folder / name, ", refined" * self.refined
        if path.is_dir():
            stamps = [stamp(frame) for frame in sorted(path.glob("*.png"))]
            return f"{len(stamps)} frames, {zlib.crc32(' '.join(stamps).encode()):08x}{refined}"
        return stamp(path) + refined

    def under(self, name: str) -> "Masks":
        """The folders of the clip of this name."""
        folder, save = (given and given / name for given in (self.folder, self.save))
        return Masks(folder, self.refined, save)

    def saved(self, name: str) -> Row:
        """What the row says of the copy that was saved; nothing where none is."""
        return dict(saved_mask=str(self.save.absolute() / name)) if self.save else {}

    def of(self, rgb: np.ndarray, seen: np.ndarray, name: str, finder: HairFinder) -> Detection:
        """What was found and the share of hair to dye by; the latter is saved where that is asked.

        Args:
            rgb: the picture (H, W, 3) uint8 or uint16; `seen` the same in sRGB, uint8, as networks look at it.
            name: the mask's, in its folder.
            finder: what finds hair or, where there is a folder of masks, only faces and which way up heads are,
                if its student tells them.

        Raises PictureError: the picture's mask is not there, broken, or of another size.
        """
        if self.folder:
            mask = self._read(self.folder / name, rgb.shape)
            share = refine(rgb, mask) if self.refined else mask
            found = finder.find(seen) if finder.guided else None
            detection = Detection(mask, share, found and found.guide(), found)
        else:
            detection = detect(finder, rgb, seen)
        if self.save:
            write_mask(self.save / name, detection.share)
        return detection

    def _read(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        if not path.is_file():
            raise PictureError(f"{path}: there is no mask for this picture; --save-masks and `predict` write some")
        mask = read_mask(path, max_pixels=max(DEFAULT_MAX_PIXELS, shape[0] * shape[1]))
        if mask.shape != shape[:2]:
            (height, width), (rows, columns) = mask.shape, shape[:2]
            raise PictureError(
                f"{path}: the mask has {width} x {height} pixels and its picture {columns} x {rows}; make it that size"
            )
        return np.ascontiguousarray(mask)
