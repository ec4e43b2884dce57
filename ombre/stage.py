"""Pictures and clips -> hair -> the same dyed, and ombre.csv: what the third stage does."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from common.batch.discover import Source, find_pictures, is_named_clip, result_names, suffix_of
from common.batch.local import Tally, left_to_do, stamp, tidy, work_through
from common.batch.table import Row, Table
from common.files import replacing
from common.image.icc import colour_ready, in_srgb8
from common.image.opening import DEFAULT_MAX_PIXELS
from common.image.picture import Picture, read_picture, write_picture
from common.workarounds import keep_freed_memory
from ombre.media.mask_files import Masks
from ombre.media.source import is_clip, opened
from ombre.render.recolour import dye_hair, prepare
from ombre.render.visibility import shows_little
from ombre.style import DYED, LITTLE, NO_HAIR, Style, styles_of
from segmentation.finding.hair_finder import HairFinder

TABLE = "ombre.csv"
COLUMNS = [
    "image",
    "output",
    *(field.name for field in fields(Style)),
    "hair_share",
    "frames",
    "people",
    "seconds",
    "source",
    "weights",
    "quality",
    "mask",
    "saved_mask",
    "result_bytes",
    "note",
    "status",
    "error",
]
SHOWN_BY = ("ombre_height", "ombre_grad_height", "along", "reverse", "strength")

ShareOf = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # see Masks.of


def dye_pictures(
    inputs: Sequence[str | os.PathLike],
    output: Path,
    find_hair: Callable[[int], HairFinder],
    weights: str,
    styles: Sequence[Style],
    own_styles: dict[str, list[Style]],
    masks: Masks,
    *,
    threads: int,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
    quality: int,
) -> Tally:
    """Write `output`/<a picture's path, the style in its name> for each picture and style, and rows in ombre.csv.

    Each thread takes a picture from file to file, so that decoding, network, dye and encoding of several overlap.
    Where no hair is found the picture is copied (status NO_HAIR); where much less of it is seen to be dyed than was
    found and asked for the status is LITTLE. What has a whole result and a row that says the same of the picture's
    file, the weights or the mask, and the settings is not dyed again.

    Args:
        find_hair: makes what finds the hair, to be asked by so many threads at once; not called where all is done.
        weights: what its weights are called in the table.
        styles: how the hair is to look; each gives a result.
        own_styles: those of single pictures instead, by where the picture really lies (see `read_styles`).
        masks: folders of masks to dye by instead of finding hair, and to save those in that were dyed by.
        suffix: ".png" and the like, the format to write; None: that of each picture.
        overwrite: dye again what was dyed with the same settings.
        max_pixels: larger pictures are refused.
        quality: of clips, 0 to 100.

    Raises:
        BatchError: an input is missing, there is no picture, a result would replace another picture's, or the output
            cannot be written.
    """
    places = filter(None, (output, masks.folder, masks.save))
    sources, unreadable, left_out = find_pictures(inputs, *places, clips=True)
    names = result_names(sources, suffix, is_clip=is_clip)
    mask_names = names_of_masks(sources) if masks.folder or masks.save else dict.fromkeys(names, "")
    asked = styles_of(sources, styles, own_styles)

    with Table(output / TABLE, COLUMNS, key="output") as table:

        def plan(source: Source) -> list[Row]:
            asks = not masks.folder or is_clip(Path(source.path))  # masks may be there for some of a clip's frames
            known = dict(image=table.relative(source.path), source=stamp(source.path), weights=weights if asks else "")
            known |= masks.row(mask_names[source.name]) | dict(quality=quality_of(source, quality))
            rows = [dict(output=style.name(names[source.name]), **known, **style.row()) for style in asked[source.name]]
            return [row for row in rows if row["output"] not in finished]

        def dye(source: Source) -> list[Row]:
            name, how = mask_names[source.name], dict(max_pixels=max_pixels, quality=quality)
            rows = dye_file(Path(source.path), output, plan(source), finder, masks, name, **how)
            return [row | masks.saved(name) for row in rows]

        finished: set[str] = set()
        todo, finished, skipped = left_to_do(sources, plan, table, "output", overwrite, read_result)
        if todo:
            tidy(output, names.values())
        masks.mark()
        pictures = (source for source in todo if not is_clip(Path(source.path)))
        at_once = len(list(islice(pictures, threads)))  # clips come one at a time; no more files are opened than needed
        asks = not masks.folder or any(is_clip(Path(source.path)) for source in todo)
        finder = find_hair(max(1, at_once)) if todo and asks else None
        if len(todo) > 1 or not at_once:
            cv2.setNumThreads(1)  # the pictures, or the steps of a clip, share out the cores already
        if len(todo) > 1:
            keep_freed_memory()  # each picture takes the arrays of the one before
        tally = work_through(todo, dye, table, workers=threads, plan=plan)
        return replace(tally, skipped=skipped, unreadable=unreadable, left_out=left_out)


def quality_of(source: Source, quality: int) -> int | str:
    """How fine a clip is encoded; "" for what is no clip, or is encoded without loss."""
    return quality if may_be_lossy(source.name) and is_clip(source.path) else ""


def may_be_lossy(name: str) -> bool:
    """Whether a file of this name is encoded with some loss if it is a clip."""
    return is_named_clip(name) or suffix_of(name) == ".webp"


def read_result(path: str) -> object:
    """A picture, or a clip whose first frame can be decoded. Raises PictureError: it is broken."""
    if not is_clip(path):
        return read_picture(path)
    return opened(Path(path), DEFAULT_MAX_PIXELS)


def names_of_masks(sources: list[Source]) -> dict[str, str]:
    """A picture's name -> that of its mask, as `predict` gives it; a clip's -> that of its folder of masks."""
    names = result_names(sources, ".png")
    for source in sources:
        if is_clip(Path(source.path)):
            names[source.name] = os.path.splitext(names[source.name])[0]
    return names


def dye_file(
    path: Path,
    output: Path,
    rows: list[Row],
    finder: HairFinder | None,
    masks: Masks,
    name: str,
    *,
    max_pixels: int,
    quality: int,
) -> list[Row]:
    """Dye a picture or a clip in every style of its rows; the rows of the table, complete. Raises PictureError.

    Args:
        finder: what finds the hair; not needed where all masks are given.
        name: of the picture's mask, or of the clip's folder of masks.
    """
    if is_clip(path):
        from ombre.dye_clip import dye_clip  # FFmpeg takes a while to load

        return dye_clip(path, output, finder, rows, masks.under(name), max_pixels=max_pixels, quality=quality)
    share_of = partial(masks.of, name=name, mask_of=finder and finder.mask)
    return dye_picture(path, output, share_of, [row | dict(quality="") for row in rows], max_pixels)


def dye_picture(path: Path, output: Path, share_of: ShareOf, rows: list[Row], max_pixels: int) -> list[Row]:
    """Dye one picture in every style of its rows; the rows of the table, complete. Raises PictureError."""
    started = time.perf_counter()
    picture = read_picture(path, max_pixels)
    ready, space, note = colour_ready(picture)
    found, share = share_of(ready.rgb, space.to_srgb8(ready.rgb8))
    hair = prepare(ready.rgb, share, refine=False, space=space)
    results = []
    for row in rows:
        target, status = output / row["output"], DYED if hair else NO_HAIR
        if hair is None or row["ombre_height"] == 0:
            copy(path, picture, target)
        else:
            style = {field.name: row[field.name] for field in fields(Style)}
            rgb = dye_hair(hair, **style)
            write(target, replace(ready, rgb=rgb))
            if shows_little(hair, found, rgb, **{name: style[name] for name in SHOWN_BY}):
                status = LITTLE
        results.append(dict(result_bytes=target.stat().st_size, status=status))
    seconds = (time.perf_counter() - started) / len(rows)
    common = dict(hair_share=round(cv2.mean(share)[0] / 255, 4), seconds=round(seconds, 4), note=note)
    return [row | common | result for row, result in zip(rows, results)]


def copy(path: Path, picture: Picture, target: Path) -> None:
    """The picture unchanged: the file itself, or its pixels where another format is asked for."""
    if path.suffix.lower() != target.suffix.lower():
        write(target, picture)
        return
    with replacing(target) as part:
        shutil.copyfile(path, part)


def write(target: Path, picture: Picture) -> None:
    """Write a picture in the target's format; in BMP, which has no room for a profile, its colours become sRGB's."""
    if picture.icc and target.suffix.lower() == ".bmp":
        picture = replace(picture, rgb=in_srgb8(picture), icc=None)
    write_picture(target, picture)
