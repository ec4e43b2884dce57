"""The third stage on a Ray cluster: a folder, here or in an object store -> dyed pictures and ombre.parquet."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2

from common.cluster import run_on_cluster
from common.orders import Stage, Work
from common.pictures import PictureError
from common.table import Row
from common.weights import short_hash
from common.work import Tally
from ombre.dyeing import COLUMNS, dye_picture
from ombre.look import Look
from ombre.masks import Masks
from ombre.moving_pictures import is_moving_picture
from segmentation.finding.hair_finder import HairFinder

NUMBERS = {"ombre_height", "ombre_grad_height", "strength", "lightness", "hair_share", "seconds", "result_bytes"}


def dye_on_cluster(
    given: str | os.PathLike,
    output: str | os.PathLike,
    find_hair: Callable[[Path], HairFinder],
    weights: Path,
    looks: Sequence[Look],
    *,
    address: str,
    suffix: str | None,
    overwrite: bool,
    max_pixels: int,
) -> Tally:
    """As `dye_pictures`, for one folder and without clips and masks.

    Args:
        find_hair: makes what finds the hair with the weights in a file; it and `looks` are sent to other machines.
        address: of the cluster; "local" starts one here.

    Raises BatchError as `run_on_cluster`, WeightsError: there are no such weights.
    """
    plan = partial(plan_looks, looks, short_hash(weights))
    load = partial(dye_with, find_hair, max_pixels)
    stage = Stage("ombre", COLUMNS, NUMBERS, "output", suffix, plan, weights, load)
    return run_on_cluster(stage, os.fspath(given), os.fspath(output), address, overwrite)


def plan_looks(looks: Sequence[Look], weights: str, name: str) -> list[Row]:
    """The rows of the picture whose result is called `name`, but for what is known of the picture's own file."""
    return [dict(output=look.name(name), weights=weights, mask="") | look.row() for look in looks]


def dye_with(find_hair: Callable[[Path], HairFinder], max_pixels: int, weights: Path) -> Work:
    """What dyes a picture by planned rows, the hair found by `find_hair` with these weights."""
    share_of = partial(Masks().of, name="", mask_of=find_hair(weights).mask)
    cv2.setNumThreads(1)  # the pictures share out the cores already

    def dye(path: Path, output: Path, rows: list[Row]) -> list[Row]:
        if is_moving_picture(path):
            raise PictureError(f"{path}: is a clip, which a cluster leaves aside; to dye it, name it without --cluster")
        return dye_picture(path, output, share_of, rows, max_pixels)

    return dye
