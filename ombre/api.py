"""Hair found and dyed in pictures that are in memory: what the scripts and the page stand on, and your own program."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.image.icc import SRGB, Space
from common.image.pixels import to8
from ombre.hair.analysis import Hair, prepare
from ombre.hair.matte import refine
from ombre.render.recolour import dye_hair
from ombre.style import Style
from segmentation.finding.guide import Guide
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, Found, HairFinder


class Detection(NamedTuple):
    """What is seen of the hair in a picture (H, W).

    Attributes:
        mask: (H, W) uint8, probability of hair x 255.
        share: (H, W) uint8, share of hair in each pixel x 255: the mask made a matte that follows strands.
        guide: where faces are and heads point, where the student tells.
        found: the crops that the mask is made of, where a network has found it.
    """

    mask: np.ndarray
    share: np.ndarray
    guide: Guide | None = None
    found: Found | None = None


class Ombre:
    """Finds people's hair in pictures and dyes it. May be used from several threads at once.

    Args:
        weights: a student's weights; the shipped ones, if none are named.
        device: "auto" (a CUDA GPU where there is one, else the processor), "cpu", "cuda", "mps".
        threads: how many will ask at once; the processor's cores are shared out among them.

    Raises:
        WeightsError: the weights are missing, broken, or of another network.
    """

    def __init__(self, weights: str | os.PathLike = SHIPPED_WEIGHTS, device: str = "auto", threads: int = 1) -> None:
        self.finder = HairFinder(Path(weights), device, threads)

    def apply(
        self,
        rgb: np.ndarray,
        color: str | float = 0.9,
        ombre_height: float = 0.6,
        ombre_grad_height: float = 0.6,
        *,
        with_mask: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """The picture with an ombre, a new array.

        Args:
            rgb: (H, W, 3) uint8 or uint16, sRGB.
            color: a place on the hue circle, 0..1 (0 red, 0.1 orange, 0.5 cyan, 0.9 fuchsia, 1 red again), a name of a
                shade ("platinum"), "#rrggbb", or two of these with ">" between, upper to lower end.
            ombre_height: share of the hair's length that is dyed, from its lower end; 0 changes nothing, 1 dyes all.
            ombre_grad_height: share of the dyed part, from its upper end, over which the dye fades in.
            with_mask: give the share of hair (H, W) uint8 x 255 beside it.

        Raises:
            ValueError: an array of another shape or kind, a setting outside its range, an unknown colour.
        """
        style = Style(str(color), ombre_height, ombre_grad_height)
        detection = self.detect(rgb)
        hair = hair_of(rgb, detection)
        dyed = rgb.copy() if hair is None else dye_hair(hair, style)
        return (dyed, detection.share) if with_mask else dyed

    def detect(self, rgb: np.ndarray, seen: np.ndarray | None = None) -> Detection:
        """The hair in a picture (H, W, 3) uint8 or uint16; `seen` is the same in sRGB, uint8, as networks look at it,
        where `rgb` is not."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"the picture is {rgb.shape} {rgb.dtype}, but must be (H, W, 3) uint8 or uint16")
        if seen is None:
            seen = to8(rgb)
        return detect(self.finder, rgb, seen)


def detect(finder: HairFinder, rgb: np.ndarray, seen: np.ndarray) -> Detection:
    """What a finder sees in a picture (H, W, 3) uint8 or uint16; `seen` the same in sRGB, uint8."""
    found = finder.find(seen)
    mask = found.mask()
    return Detection(mask, refine(rgb, mask), found.guide(), found)


def hair_of(rgb: np.ndarray, detection: Detection, space: Space = SRGB) -> Hair | None:
    """What all colours and heights of a picture share, to be dyed by `dye_hair`; None where there is no hair."""
    return prepare(rgb, detection.share, refine=False, space=space, guide=detection.guide)
