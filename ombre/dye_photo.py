"""A picture -> its hair -> the picture in every style."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from common.batch.local import damage_of
from common.batch.table import Row
from common.batch.turns import LARGE, Turns
from common.device import own_cores
from common.files import replacing
from common.image.gain_map import levelled
from common.image.hdr import ready_for_dye
from common.image.icc import in_srgb8
from common.image.opening import is_raw, opened
from common.image.picture import Picture, PictureError, read_picture, write_picture
from common.image.pixels import to8, turned_view
from ombre.api import Detection, hair_of
from ombre.debug import write_debug
from ombre.hair.analysis import Hair
from ombre.render.by_rows import DyedRows
from ombre.render.recolour import dye_hair
from ombre.render.visibility import Likely, is_little, likely, shows_little
from ombre.style import DYED, LITTLE, NO_HAIR, PersonStyle, Style

NO_MEMORY = -4  # OpenCV's number of the error

Detect = Callable[[np.ndarray, np.ndarray], Detection]  # a picture, and the same in sRGB; see Masks.of

IN_16_BITS = (".png", ".tif", ".tiff")

turns = Turns(LARGE * own_cores())


def dye_photo(
    path: Path,
    output: Path,
    detect: Detect,
    rows: list[Row],
    max_pixels: int,
    debug: Path | None = None,
    own: Sequence[PersonStyle] = (),
) -> list[Row]:
    """Dye one picture in every style of its rows; the rows of the table, complete. Raises PictureError.

    Where no hair is found the picture is copied (status NO_HAIR); where much less of it is seen to be dyed than was
    found and asked for the status is LITTLE. Large pictures take turns. Into the folder `debug` pictures are written of
    what was found on the way. Single people may have styles of their `own`, in every result: then little is not told.
    """
    with turns.of(pixels_of(path, max_pixels)):
        try:
            return _dyed(path, output, detect, rows, max_pixels, debug, own)
        except (MemoryError, cv2.error) as error:
            if isinstance(error, cv2.error) and error.code != NO_MEMORY:
                raise
            raise PictureError(f"{path}: is too large for the memory that there is; scale it down") from error


def pixels_of(path: Path, max_pixels: int) -> int:
    """How many pixels a picture has, by its head. Raises PictureError as `read_picture`."""
    if is_raw(path):
        return 2 * LARGE  # as cameras have; only decoding tells
    with opened(path, max_pixels) as image:
        return image.width * image.height


def _dyed(
    path: Path,
    output: Path,
    detect: Detect,
    rows: list[Row],
    max_pixels: int,
    debug: Path | None,
    own: Sequence[PersonStyle],
) -> list[Row]:
    started = time.perf_counter()
    picture = read_picture(path, max_pixels, by_rows=True, hdr=True)
    ready, space, said = ready_for_dye(picture)
    srgb = space.to_srgb8(ready.rgb8)
    detection = detect(ready.rgb, srgb)
    hair = hair_of(ready.rgb, detection, space)
    if debug:
        write_debug(debug, srgb, detection, hair, Style.of(rows[0]))
    del srgb
    common = dict(hair_share=round(cv2.mean(detection.share)[0] / 255, 4), people=len(hair.people.heads) if hair else 0)
    shared = [note for note in (damage_of(picture), said) if note]
    found = likely(hair, detection.mask) if hair else None
    del detection  # of large pictures little more than what the dye needs has room
    results = []
    for row in rows:
        target, status = output / str(row["output"]), DYED if hair else NO_HAIR
        if hair is None or found is None or (row["ombre_height"] == 0 and not own):
            notes = copy(path, picture, target)
        elif picture.rows and target.suffix.lower() in IN_16_BITS:
            rows_dyed = DyedRows(picture.rows, picture.orientation, hair, Style.of(row), own)
            notes = write(target, replace(ready, rows=rows_dyed))
            status = LITTLE if not own and is_little(hair, found, Style.of(row), rows_dyed.seen) else DYED
        else:
            dyed, little = dyed_picture(ready, hair, found, Style.of(row), own)
            status = LITTLE if little else DYED
            if row is rows[-1]:
                del hair, picture, ready  # what the encoder needs is room
            notes = write(target, dyed)
        results.append(dict(result_bytes=target.stat().st_size, status=status, note="; ".join(shared + notes)))
    common["seconds"] = round((time.perf_counter() - started) / len(rows), 4)
    return [row | common | result for row, result in zip(rows, results)]


def dyed_picture(
    ready: Picture, hair: Hair, found: Likely, style: Style, own: Sequence[PersonStyle]
) -> tuple[Picture, bool]:
    """A picture in a style, its gain map level where it was dyed, and whether little of the dye shows."""
    rgb = dye_hair(hair, style, own)
    gain = ready.gain_map
    if gain:
        before, after = (turned_view(to8(each), ready.orientation) for each in (ready.rgb, rgb))
        gain = levelled(gain, np.ascontiguousarray(before), np.ascontiguousarray(after))
    little = not own and shows_little(hair, found, rgb, style)
    return replace(ready, rgb=rgb, gain_map=gain, rows=None), little


def copy(path: Path, picture: Picture, target: Path) -> list[str]:
    """The picture unchanged: the file itself, or its pixels where another format is asked for; what was left out."""
    if path.suffix.lower() != target.suffix.lower():
        return write(target, picture)
    with replacing(target) as part:
        shutil.copyfile(path, part)
    return []


def write(target: Path, picture: Picture) -> list[str]:
    """Write a picture in the target's format; in BMP, which has no room for a profile, its colours become sRGB's. What
    was left out, in words."""
    if picture.icc and target.suffix.lower() == ".bmp":
        picture = replace(picture, rgb=in_srgb8(picture), icc=None)
    return write_picture(target, picture)
