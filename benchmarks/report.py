#!/usr/bin/env python
"""Write test_result.md: the shipped student measured and timed on this machine.

python benchmarks/losses.py --data HAIR_MASKS/train --val HAIR_MASKS/val
python benchmarks/report.py HAIR_MASKS
"""

import argparse
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.losses import OUTPUT as LOSSES  # noqa: E402
from common.files import replacing  # noqa: E402
from common.pictures import Picture, read_picture, write_picture  # noqa: E402
from ombre.matte import refine  # noqa: E402
from segmentation.facexformer.model import FaceXFormer  # noqa: E402
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder  # noqa: E402
from segmentation.student.frame import INPUT_SIZE, to_mask  # noqa: E402
from segmentation.student.network import EffiSegNet, load_student  # noqa: E402
from segmentation.summary import time_table  # noqa: E402
from segmentation.training.dataset import to_input  # noqa: E402
from segmentation.training.evaluate import evaluate, overlay  # noqa: E402
from segmentation.training.pairs import gather  # noqa: E402

TEXT = """# Test results

Written by `python benchmarks/losses.py --data HAIR_MASKS/train --val HAIR_MASKS/val` and then
`python benchmarks/report.py HAIR_MASKS`, on a machine with {machine}. HAIR_MASKS holds 1,435 drawn masks to train on and
205 set aside: 105 of Figaro1k, 100 of CelebAMask-HQ (`models/README.md` says more). The published figures that are quoted
were measured by others.

## The shipped student

On the 205 pictures set aside, at their own size, threshold 0.5; mse, iou, dice, recall and precision with pixels pooled,
mean_iou and boundary_f1 (tolerance 1 % of the diagonal) as means over pictures. As the scripts use it:

{plain}

The same in PyTorch, float32:

{reference}

With the mean of each picture's and its mirror image's answer, for twice the network's time; no script does this:

{mirrored}

What the ombre stage uses: the mask with a second look where the part with hair is small, which takes the network's time once
more there, by which it plans,

{closer}

and the alpha matte in which it lays the dye, counted as hair from one half on:

{matte}

On 2,000 faces of a third kind, LFW's, whose masks are coarse super-pixels and count beards as hair: to compare students by,
not to be reached. Some of these pictures were trained on, with labels of the student's own:

{other}

Beside it, as published: MediaPipe's hair segmentation of 2019 reaches on these pictures IoU 0.8321 (figaro), 0.8499 (celeba)
and F1 0.9084, 0.9189; FaceXFormer's paper gives the teacher an F1 of 0.957 on CelebAMask-HQ.

What it finds on the shipped samples (sky blue; there are no drawn masks of these):

![hair found on the samples](docs/found_hair.jpg)

`python segmentation/run_seg_model_ohlora_v4.py evaluate --data DIR` writes overlays of the worst pictures of a set. Those of
the research pictures are not ours to publish.

## Losses compared

Four students, trained alike on the 1,435 drawn masks but for the loss: 4 epochs of 96 x 96 pictures, AdamW 1e-3 falling by
0.7 an epoch, from EfficientNet-Lite0's weights. That is short and small, so read the rows against each other and not against
the table above. `kl-one-sided` is the published comparison's KL, `kl` has both Bernoulli terms.

{losses}

## Time

Milliseconds for one 224 x 224 picture, batch 1, {runs} runs in turn after a warm-up; ratio: times faster than the teacher.
The teacher's network runs with random weights, which does not change its time.

{times}

## Not measured here

| what | how to measure it |
| --- | --- |
| anything with the real teacher's weights, which have to be downloaded | `python segmentation/run_segmentation.py`, then `python segmentation/run_seg_model_ohlora_v4.py` trains on its labels and measures the student against them |
| GPUs | the same commands on a machine with one |
"""

SAMPLES = ROOT / "data" / "samples"
FOUND = ROOT / "docs" / "found_hair.jpg"
RUNS = 100


def main() -> None:
    """Measure everything, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "masks", type=Path, metavar="HAIR_MASKS", help="folder with val/ and lfw/, each with images/ and masks/"
    )
    options = parser.parse_args()
    network, finder = load_student(SHIPPED_WEIGHTS), HairFinder(streams=2)
    pairs = gather([options.masks / "val"])
    output = ROOT / "data" / "runs" / "report"
    plain = evaluate(pairs, finder.mask, output / "plain")
    mirrored = evaluate(pairs, lambda rgb: mirrored_mask(finder, rgb), output / "mirrored", overlays=0)
    closer = evaluate(pairs, finder.mask, output / "closer", overlays=0)
    matte = evaluate(pairs, lambda rgb: refine(rgb, finder.mask(rgb)), output / "matte", overlays=0)
    reference = evaluate(pairs, lambda rgb: torch_mask(network, rgb), output / "float32", overlays=0)
    other = evaluate(gather([options.masks / "lfw"]), finder.mask, output / "lfw", overlays=0)
    x = torch.randn(1, 3, INPUT_SIZE, INPUT_SIZE)
    times = time_table(network, FaceXFormer().eval(), HairFinder(), x, RUNS)
    write_picture(FOUND, Picture(found_on_samples(finder)))
    text = TEXT.format(
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        plain=markdown(plain), mirrored=markdown(mirrored), closer=markdown(closer), matte=markdown(matte),
        other=markdown(other), reference=markdown(reference), runs=RUNS, times=markdown(times, digits=1),
        losses=markdown(pd.read_csv(LOSSES / "losses.csv", index_col="loss")),
    )  # fmt: skip
    with replacing(ROOT / "test_result.md") as path:
        path.write_text(text, encoding="utf-8")


def mirrored_mask(finder: HairFinder, rgb: np.ndarray) -> np.ndarray:
    """Soft mask (H, W) uint8, the mean of the picture's and its mirror image's."""
    mirror = finder.probability(np.ascontiguousarray(rgb[:, ::-1]))[:, ::-1]
    return to_mask((finder.probability(rgb) + mirror) / 2, *rgb.shape[:2])


@torch.inference_mode()
def torch_mask(network: EffiSegNet, rgb: np.ndarray) -> np.ndarray:
    """Soft mask (H, W) uint8 by PyTorch in float32, the reference."""
    return to_mask(network(to_input(rgb)[None]).sigmoid()[0, 0].numpy(), *rgb.shape[:2])


def found_on_samples(finder: HairFinder, height: int = 400) -> np.ndarray:
    """The shipped samples side by side, found hair in sky blue."""
    tiles = []
    for path in sorted(SAMPLES.glob("*.jpg")):
        rgb = read_picture(path).rgb8
        mask = finder.mask(rgb)
        tile = overlay(rgb, mask, mask)
        tiles.append(
            cv2.resize(tile, (round(height * tile.shape[1] / tile.shape[0]), height), interpolation=cv2.INTER_AREA)
        )
    return np.hstack(tiles)


def markdown(table: pd.DataFrame, digits: int = 4) -> str:
    """A table with its index, as Markdown."""
    head = [table.index.name, *table.columns]
    rows = [[index, *row] for index, row in zip(table.index, table.astype(object).itertuples(index=False))]
    lines = [[f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [head, ["---"] * len(head), *lines])


if __name__ == "__main__":
    main()
