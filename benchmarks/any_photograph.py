#!/usr/bin/env python
"""Hair in any photograph: scenes, nobody there, several people, heads far away, and the masks' grid of 16 pixels.

    python benchmarks/any_photograph.py HAIR_MASKS [--weights FILE] [--one-look]

HAIR_MASKS holds `val/`, `scenes_val/` and `lfw/`. Masks are those of the ombre stage, or with --one-look those of a
single look at the whole picture; threshold 0.5.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import made_pictures as made
from segmentation.dataset.pairs import find_pairs, read_pair
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.resize import to_mask
from segmentation.training.metrics import measure

FOUND = 0.5  # IoU from which a head counts as found
DYED = 0.001  # share of the pixels over one half from which a picture counts as dyed
GRID = 16  # pixels of the student's 224: the step of its deepest layers but one

MaskOf = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--one-look", action="store_true", help="instead of a closer look at each head")
    options = parser.parse_args()
    finder = HairFinder(options.weights)
    mask_of = (lambda rgb: to_mask(finder.probability(rgb), *rgb.shape[:2])) if options.one_look else finder.mask
    print(table(options.masks, finder, mask_of).to_string(index=False))


def table(masks: Path, finder: HairFinder, mask_of: MaskOf) -> pd.DataFrame:
    """A row a figure: what, pictures, value."""
    rows = [*scenes(masks, mask_of), nobody(masks, mask_of), nobody(masks, mask_of, larger=3)]
    for count in (2, 4, 8):
        rows.append(heads_found(f"row of {count}: heads found", made.rows(masks, count), mask_of))
    rows.append(heads_found("corners of wide scenes: heads found", made.corners(masks), mask_of))
    rows.append(mean_iou("heads far away: mean IoU", made.far_heads(masks), mask_of))
    rows.append(iou_of_heads("scenes with exact masks: mean IoU of the heads", made.rendered_scenes(masks), mask_of))
    rows.append(grid(masks, finder))
    return pd.DataFrame(rows, columns=["what", "pictures", "value"])


def scenes(masks: Path, mask_of: MaskOf) -> list[tuple]:
    """IoU and precision with pixels pooled, mean IoU and the share below 0.3 over pictures, on `scenes_val`."""
    hits = found = hair = 0
    ious = []
    for rgb, drawn in map(read_pair, find_pairs(masks / "scenes_val")[0]):
        own, drawn = mask_of(rgb) > 127, drawn > 127
        hits, found, hair = hits + (own & drawn).sum(), found + own.sum(), hair + drawn.sum()
        ious.append((own & drawn).sum() / max((own | drawn).sum(), 1))
    figures = dict(IoU=hits / (found + hair - hits), precision=hits / found) | {
        "mean IoU": np.mean(ious),
        "share of pictures below 0.3": np.mean(np.array(ious) < 0.3),
    }
    return [(f"scenes: {name}", len(ious), value) for name, value in figures.items()]


def nobody(masks: Path, mask_of: MaskOf, larger: int = 1) -> tuple:
    """The share of pictures without a head that take dye; `larger` times as large they are searched more finely."""
    pictures = (cv2.resize(rgb, None, fx=larger, fy=larger) for rgb, _, _ in made.nobody(masks))
    dyed = [(mask_of(rgb) > 127).mean() > DYED for rgb in pictures]
    size = f", {larger} times as large" if larger > 1 else ""
    return f"nobody there{size}: share of pictures dyed", len(dyed), np.mean(dyed)


def heads_found(name: str, pictures: Iterable[made.Made], mask_of: MaskOf) -> tuple:
    ious = ious_of_heads(pictures, mask_of)
    return name, len(ious), np.mean(np.concatenate(ious) > FOUND)


def iou_of_heads(name: str, pictures: Iterable[made.Made], mask_of: MaskOf) -> tuple:
    ious = ious_of_heads(pictures, mask_of)
    return name, len(ious), np.mean(np.concatenate(ious))


def ious_of_heads(pictures: Iterable[made.Made], mask_of: MaskOf) -> list[list[float]]:
    """The IoU of each head within its own picture's rectangle."""
    result = []
    for rgb, hair, heads in pictures:
        own = mask_of(rgb)
        result.append([measure(own[box], hair[box])["iou"] for box in heads])
    return result


def mean_iou(name: str, pictures: Iterable[made.Made], mask_of: MaskOf) -> tuple:
    ious = [measure(mask_of(rgb), hair)["iou"] for rgb, hair, _ in pictures]
    return name, len(ious), np.mean(ious)


def grid(masks: Path, finder: HairFinder) -> tuple:
    """The mean step of the probability at the edges of the grid's blocks / the mean step, on `val`."""
    steps = np.zeros(GRID)
    for rgb, _ in map(read_pair, find_pairs(masks / "val")[0]):
        probability = finder.probability(rgb)
        for image in (probability, probability.T):
            between = np.abs(np.diff(image, axis=1)).mean(axis=0)  # place i lies between columns i and i + 1
            steps += [between[place::GRID].mean() for place in range(GRID)]
    return "grid: steps at block edges / mean step", len(find_pairs(masks / "val")[0]), steps[GRID - 1] / steps.mean()


if __name__ == "__main__":
    main()
