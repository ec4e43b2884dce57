#!/usr/bin/env python
"""Heads far away: portraits shrunk into a scene without hair, found at the first look and at the second.

    python benchmarks/far_heads.py HAIR_MASKS [--weights FILE]

The portraits are HAIR_MASKS/val's, 0.2 to 0.45 of the scene's side; the scenes are parts of HAIR_MASKS/lfw's pictures
that have no hair by their masks, enlarged to 900 x 900. Prints the mean IoU a picture, threshold 0.5.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder  # noqa: E402
from segmentation.training.metrics import measure  # noqa: E402
from segmentation.training.pairs import Pair, find_pairs, read_pair  # noqa: E402

SIDE = 900  # pixels
SHARES = (0.2, 0.45)  # of the scene's side


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    options = parser.parse_args()
    finder, rng = HairFinder(options.weights), np.random.default_rng(0)
    portraits, others = (find_pairs(options.masks / part)[0] for part in ("val", "lfw"))
    looks = {"first look": finder.mask, "second look": finder.closer_mask}
    found = {name: [] for name in looks}
    for pair in portraits:
        rgb, hair = far_away(pair, bare_scene(others, rng), rng)
        for name, look in looks.items():
            found[name].append(measure(look(rgb), hair)["iou"])
    for name, values in found.items():
        print(f"{name}: mean IoU {np.mean(values):.3f}, {len(values)} pictures")


def bare_scene(pairs: list[Pair], rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8, a part without hair of a picture of 250 x 250, enlarged."""
    while True:
        rgb, hair = read_pair(pairs[rng.integers(len(pairs))])
        height, width = rng.integers(60, 140, 2)
        top, left = rng.integers(0, rgb.shape[0] - height), rng.integers(0, rgb.shape[1] - width)
        box = np.s_[top : top + height, left : left + width]
        if hair[box].max() == 0:
            return cv2.resize(rgb[box], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def far_away(pair: Pair, scene: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The portrait somewhere in the scene, and its hair (SIDE, SIDE) uint8 there."""
    rgb, drawn = read_pair(pair)
    scale = SIDE * rng.uniform(*SHARES) / max(drawn.shape)
    height, width = (round(scale * size) for size in drawn.shape)
    top, left = rng.integers(0, SIDE - height), rng.integers(0, SIDE - width)
    box = np.s_[top : top + height, left : left + width]
    hair = np.zeros((SIDE, SIDE), np.uint8)
    scene[box] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    hair[box] = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
    return scene, hair


if __name__ == "__main__":
    main()
