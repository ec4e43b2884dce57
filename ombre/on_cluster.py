"""The third stage on a Ray cluster: a folder, here or in an object store -> dyed pictures and ombre.parquet."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2

from common.batch.cluster import run_on_cluster
from common.batch.local import Tally
from common.batch.orders import Stage, Work
from common.batch.table import Row
from common.weights import short_hash
from ombre.media.mask_files import Masks
from ombre.stage import COLUMNS, dye_file, may_be_lossy
from ombre.style import Style
from segmentation.finding.hair_finder import HairFinder

NUMBERS = {"ombre_height", "ombre_grad_height", "strength", "lightness"}
NUMBERS |= {"hair_share", "frames", "people", "seconds", "quality", "result_bytes"}


def dye_on_cluster(
    given: str | os.PathLike,
    output: str | os.PathLike,
    find_hair: Callable[[Path], HairFinder],
    weights: Path,
    styles: Sequence[Style],
    *,
    address: str,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
    quality: int,
) -> Tally:
    """As `dye_pictures`, for one folder and without masks.

    Args:
        find_hair: makes what finds the hair with the weights in a file; it and `styles` are sent to other machines.
        address: of the cluster; "local" starts one here.

    Raises BatchError as `run_on_cluster`, WeightsError: there are no such weights.
    """
    plan = partial(plan_styles, styles, short_hash(weights), quality)
    load = partial(dye_with, find_hair, max_pixels, quality)
    stage = Stage("ombre", COLUMNS, NUMBERS, "output", suffix, plan, weights, load, clips=True)
    return run_on_cluster(stage, os.fspath(given), os.fspath(output), address, overwrite)


def plan_styles(styles: Sequence[Style], weights: str, quality: int, name: str) -> list[Row]:
    """The rows of the picture whose result is called `name`, but for what is known of the picture's own file.

    The quality stands in those of every WebP, which may move.
    """
    known = dict(weights=weights, mask="", quality=quality if may_be_lossy(name) else "")
    return [dict(output=style.name(name)) | known | style.row() for style in styles]


def dye_with(find_hair: Callable[[Path], HairFinder], max_pixels: int, quality: int, weights: Path) -> Work:
    """What dyes a picture or clip by planned rows, the hair found by `find_hair` with these weights."""
    cv2.setNumThreads(1)  # the pictures share out the cores already
    how = dict(finder=find_hair(weights), masks=Masks(), name="", max_pixels=max_pixels, quality=quality)
    return partial(dye_file, **how)
