"""The edge of hair measured where it is known: strands and curls drawn over photographs.

    python benchmarks/hair_edges.py HAIR_MASKS       cuts of HAIR_MASKS/val without hair are what is behind

A body of hair with strands, waves, curls or fuzz at its edge is drawn at four times the size, in hair's colours, and
laid over a cut (every sixth time, in black, over a bright wall). Every other picture is a soft one: its edge thins out
in wisps over a wide band, every second time before a background of the hair's own colour, and the picture is blurred;
its coarse mask is not cut, but errs as a network does. Of the others, from the share of hair, cut at one half, reduced
to a quarter and enlarged again, which is what 224 pixels keep of a portrait, the share is to be found: the squared
error in the band around the edge, of that coarse mask and of the matte made of it. Then the colouring, mean over
pictures and colours of the absolute error in grey levels in that band, against dyeing the strands alone and laying
them over what is behind: by the coarse mask as it is, by the matte, and by the true share.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from benchmarks.strands import render, thinned
from common.image.picture import read_mask, read_picture
from ombre.hair.matte import refine
from ombre.render.recolour import ombre
from ombre.style import Style

SIDE = 512  # pixels of a picture
CUTS = (300, 220, 150)  # pixels of a cut, the largest that is found
COARSER = 4
COLORS = (0.0, 0.35, 0.5, 0.9)
BAND = np.ones((9, 9), np.uint8)
ALL_HAIR = np.full((SIDE, SIDE), 255, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with val/images and val/masks")
    parser.add_argument("--pictures", type=int, default=48)
    asked = parser.parse_args()
    cuts = [cut for cut in map(cut_without_hair, sorted((asked.masks / "val" / "images").glob("*.jpg"))) if len(cut)]
    if not cuts:
        parser.error(f"{asked.masks}: no val/images/NAME.jpg with a part without hair in val/masks/NAME.png")
    rows: dict[str, list] = {}
    for style, errors in measure_all(cuts, asked.pictures):
        rows.setdefault(style, []).append(errors)
        rows.setdefault("all", []).append(errors)
    columns = ["alpha, coarse", "alpha, matte", "ratio", "dyed, coarse", "dyed, matte", "dyed, true share"]
    table = []
    for style in sorted(rows, key=lambda style: (style == "all", style)):
        coarse, matte, *dyed = np.mean(rows[style], axis=0)
        values = [coarse, matte, matte / coarse, *dyed]
        table.append({"": f"{style}, {len(rows[style])}"} | dict(zip(columns, map(float, values))))
    print(markdown(table))


def cut_without_hair(path: Path) -> np.ndarray:
    """A square cut of a picture without hair, enlarged to (SIDE, SIDE, 3) uint8; empty where there is none."""
    hair = cv2.dilate(read_mask(path.parents[1] / "masks" / f"{path.stem}.png"), np.ones((15, 15))) > 0
    sums = cv2.integral(np.uint8(hair))
    for side in CUTS:
        if side < min(hair.shape):
            inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
            tops, lefts = np.nonzero(inside == 0)
            if len(tops):
                top, left = tops[len(tops) // 2], lefts[len(tops) // 2]
                cut = read_picture(path).rgb8[top : top + side, left : left + side]
                return cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.empty(0)


def measure_all(cuts: list[np.ndarray], count: int) -> Iterator[tuple[str, list[float]]]:
    """The style of each picture's strands, and its errors."""
    rng = np.random.default_rng(1)
    for number in range(count):
        behind = np.float32(cuts[number * len(cuts) // count])
        wall = number % 6 == 0
        if wall:
            behind = rng.uniform(205, 245) + cv2.GaussianBlur(rng.normal(0, 200, behind.shape), (0, 0), 40)
        colour, share, style = render(rng, SIDE, 0 if wall else number)
        coarse, blur = coarse_of(share), 0.0
        if number % 2:
            style, mean = "soft", colour[share > 0.5].mean(axis=0)
            colour = np.where(share[..., None] > 0.02, colour, mean)
            behind = 0.55 * behind + 0.45 * (mean + (behind - behind.mean((0, 1))) / 2) if number % 4 == 1 else behind
            share, blur = thinned(rng, share), rng.uniform(0.5, 3)
            coarse = erring(rng, share)
        mixed = share[..., None] * colour + (1 - share[..., None]) * behind
        mixed = cv2.GaussianBlur(mixed, (0, 0), blur) if blur else mixed
        rgb = np.uint8(np.rint(np.clip(mixed + rng.normal(0, 2, mixed.shape), 0, 255)))
        yield style, measure(rgb, colour, share, behind, coarse)


def measure(
    rgb: np.ndarray, colour: np.ndarray, share: np.ndarray, behind: np.ndarray, coarse: np.ndarray
) -> list[float]:
    """Squared error of alpha (coarse, matte) and of the colouring (coarse, matte, true share) around the edge."""
    matte = refine(rgb, coarse)
    band = cv2.dilate(np.uint8(((share > 0.02) & (share < 0.98)) | ((coarse > 5) & (coarse < 250))), BAND) > 0
    errors = [float(((alpha / 255 - share)[band] ** 2).mean()) for alpha in (coarse, matte)]
    hair = np.uint8(np.rint(np.where(share[..., None] > 0.02, colour, colour[share > 0.5].mean(axis=0))))
    true = np.uint8(np.rint(255 * share))
    dyed = []
    for color in COLORS:
        layer = np.float32(ombre(hair, ALL_HAIR, Style(color, 1, 0), refine=False))
        wanted = share[..., None] * layer + (1 - share[..., None]) * behind
        found = [ombre(rgb, alpha, Style(color, 1, 0), refine=False) for alpha in (coarse, matte, true)]
        dyed.append([np.abs(result - wanted)[band].mean() for result in found])
    return [*errors, *np.mean(dyed, axis=0)]


def coarse_of(share: np.ndarray) -> np.ndarray:
    """The share of hair (SIDE, SIDE) 0..1 cut at one half, reduced and enlarged again: uint8, x 255."""
    small = (SIDE // COARSER, SIDE // COARSER)
    cut = cv2.resize(np.float32(share >= 0.5), small, interpolation=cv2.INTER_AREA)
    return np.uint8(np.rint(255 * cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)))


def erring(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    """The share of hair (SIDE, SIDE) 0..1 reduced and enlarged again, and surer of itself: uint8, x 255."""
    small = cv2.resize(share, (SIDE // COARSER, SIDE // COARSER), interpolation=cv2.INTER_AREA)
    seen = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    doubt = 20 * cv2.GaussianBlur(rng.normal(0, 1, share.shape), (0, 0), 8)
    sure = 1.8 * np.log((seen + 0.02) / (1.02 - seen)) + doubt
    return np.uint8(np.rint(255 / (1 + np.exp(-sure))))


if __name__ == "__main__":
    main()
