#!/usr/bin/env python
"""Train the shipped scout, which tells the student where in a scene to look for heads.

    python models/remake_hair_scout.py HAIR_MASKS NEGATIVES [--start SCOUT] [--output DIR]

HAIR_MASKS holds `train/`, `scenes_train/` and `scenes_val/`, each with `images/` and `masks/`. The scout begins with
the shipped student's encoder, or as another scout that is to be trained further. Scenes are labelled with their drawn
masks and with what the student finds in them without a scout, since passers-by are not drawn. NEGATIVES holds `images/`
without anybody's hair and `sources.csv`; a seventh is set aside by name, to be measured on. Interrupted, it goes on
where it was. The result is `DIR/hair_scout.safetensors`; it does not replace the shipped weights by itself.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from common.cli import carry_out
from common.device import choose_device, fast_precision
from common.image.picture import read_picture, write_mask
from common.weights import load_state_dict, load_strict
from common.workarounds import keep_freed_memory
from models.remaking import demand_same, is_set_aside, write_labels
from segmentation.dataset.pairs import Pair, find_pairs, read_pair
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.registry import load_student, save_weights
from segmentation.networks.resize import SCOUT_SIZE
from segmentation.networks.scout import Scout, start_from_student
from segmentation.training.loop import train
from segmentation.training.recipe import STRONG
from segmentation.training.runtime import Runtime
from segmentation.training.state import STATE, averaged, held

RECIPE = replace(
    STRONG, size=SCOUT_SIZE, learning_rate=1.5e-3, batch_size=8, ema=0.998, composed=0.5, turned=0.3, epochs=5
)  # fmt: skip
FURTHER = replace(RECIPE, learning_rate=1e-3, epochs=1)  # of a scout that has been trained
NEW = 0.75  # share of its new weights in the result, the rest are those that it began with


def main() -> int:
    """Label, train, write the weights; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("negatives", type=Path, metavar="NEGATIVES")
    parser.add_argument("--start", type=Path, metavar="SCOUT")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "remade_scout", metavar="DIR")
    options = parser.parse_args()
    labels, run = options.output / "labels", options.output / "run"
    weights = [path for path in (SHIPPED_WEIGHTS, options.start) if path]
    demand_same(options.output, options.masks, ["train", "scenes_train"], *weights)
    label_scenes(find_pairs(options.masks / "scenes_train")[0], labels / "scenes")
    label_negatives(options.negatives, labels / "negatives")
    scenes, negatives = (find_pairs(labels / part)[0] for part in ("scenes", "negatives"))
    pairs = scenes + negatives + find_pairs(options.masks / "train")[0]
    device = choose_device("auto")
    keep_freed_memory()
    runtime = Runtime(device, getattr(torch, fast_precision(device)), workers=1, every=100)
    recipe = replace(FURTHER if options.start else RECIPE, warm_start=str(options.start or SHIPPED_WEIGHTS))
    torch.manual_seed(recipe.seed)
    scout = start_from_student(load_student(SHIPPED_WEIGHTS))
    before = load_state_dict(options.start) if options.start else None
    if before:
        load_strict(scout, before, options.start)
    with held(run):
        train(run, scout, pairs, find_pairs(options.masks / "scenes_val")[0], recipe, runtime, lambda: None)
    write_last(run / STATE, before, options.output / "hair_scout.safetensors")
    return 0


def label_scenes(pairs: list[Pair], folder: Path) -> None:
    """Write a label for each scene, and `labels.csv`: hair that is drawn or found."""
    if (folder / "labels.csv").is_file():
        return
    finder, rows = HairFinder(scout=None), []
    for pair in tqdm(pairs, "labels of scenes"):
        rgb, drawn = read_pair(pair)
        write_mask(folder / f"{pair.name}.png", cv2.max(drawn, finder.mask(rgb)))
        rows.append((pair.image.resolve(), f"{pair.name}.png", ""))
    write_labels(folder, rows)


def label_negatives(negatives: Path, folder: Path) -> None:
    """Write a label without hair for each picture of nobody that is not set aside, and `labels.csv`."""
    if (folder / "labels.csv").is_file():
        return
    rows = []
    for image in sorted(path.resolve() for path in (negatives / "images").iterdir() if not is_set_aside(path.name)):
        write_mask(folder / f"{image.stem}.png", np.zeros(read_picture(image).rgb8.shape[:2], np.uint8))
        rows.append((image, f"{image.stem}.png", ""))
    write_labels(folder, rows)


def write_last(state: Path, before: dict[str, Tensor] | None, weights: Path) -> None:
    """Write the average of the weights after the last epoch, or of these and of those that it began with."""
    scout, last = Scout(), averaged(state)
    if before:
        last = {name: NEW * tensor + (1 - NEW) * before[name] for name, tensor in last.items()}
    scout.load_state_dict(last)
    save_weights(scout, weights)


if __name__ == "__main__":
    sys.exit(carry_out(main))
