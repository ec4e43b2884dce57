#!/usr/bin/env python
"""Write test_result.md: the shipped student measured and timed on this machine.

python benchmarks/report.py HAIR_MASKS
"""

import argparse
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import any_photograph
from benchmarks.markdown import of_frame as markdown
from common.files import replacing
from common.image.picture import Picture, read_picture, write_picture
from common.workarounds import openvino_alone
from segmentation.dataset.pairs import gather
from segmentation.finding.engines import computes_in_bfloat16, torch_engine
from segmentation.finding.hair_finder import SCOUT, SHIPPED_WEIGHTS, HairFinder
from segmentation.finding.summary import time_table
from segmentation.networks.facexformer.model import FaceXFormer
from segmentation.networks.registry import load_student
from segmentation.networks.resize import INPUT_SIZE, to_mask
from segmentation.training.evaluate import evaluate, overlay

TEXT = """# Test results

Written by `python benchmarks/report.py HAIR_MASKS`, on a machine with {machine}. `models/README.md` says what HAIR_MASKS
holds. The published figures that are quoted were measured by others. On this machine the scripts compute in {precision}: they
take bfloat16 where the processor computes in it.

## The shipped student

Masks at the pictures' own size, threshold 0.5; mse, iou, dice, recall and precision with pixels pooled, mean_iou and
boundary_f1 (tolerance 1 % of the diagonal) as means over pictures. As the scripts use it: a look at the whole picture;
where heads are small in it the scout's, and one at each head that it may have seen.

On the 205 portraits set aside (`val`):

{portraits}

On the 175 pictures of whole people in streets and rooms set aside (`scenes_val`), whose drawn masks are joined super-pixels,
right in the large and rough at the edge; passers-by are not marked, and count as mistakes where they are found:

{scenes}

Neither is a test set: both chose among trainings, and settings of the search for heads were chosen on them.

One look at the whole picture alone, portraits:

{plain}

The same in PyTorch, float32, portraits and scenes:

{reference}

{reference_scenes}

## Any photograph

`python benchmarks/any_photograph.py HAIR_MASKS`: pictures made of the sets above, always the same ones (the docstrings of
`benchmarks/made_pictures.py` say how), pictures without anybody's hair that were set aside by their names, and everyday
photographs. A head is found where its IoU is over 0.5; a picture without a head is dyed where over 0.1 % of its pixels are over
one half; a person of an everyday photograph is found where over 2 % of the upper third of the box are. The grid: how much larger
steps of the probability are every 16 pixels of the student's 224, where the published decoder's blocks meet.

{anywhere}

Beside it, as published: MediaPipe's hair segmentation of 2019 reaches on these pictures IoU 0.8321 (figaro), 0.8499 (celeba)
and F1 0.9084, 0.9189; FaceXFormer's paper gives the teacher an F1 of 0.957 on CelebAMask-HQ.

What it finds on the shipped samples (sky blue; there are no drawn masks of these):

![hair found on the samples](docs/found_hair.jpg)

`python segmentation/run_seg_model_ohlora_v4.py evaluate --data DIR` writes overlays of the worst pictures of a set. Those of
the research pictures are not ours to publish.

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
        "masks", type=Path, metavar="HAIR_MASKS", help="folder with val/ and scenes_val/, each images/ and masks/"
    )
    options = parser.parse_args()
    network, finder, exact = load_student(SHIPPED_WEIGHTS), HairFinder(streams=2), in_float32()
    pairs = gather([options.masks / "val"])
    output = ROOT / "data" / "runs" / "report"
    scenes = gather([options.masks / "scenes_val"])
    figures = dict(
        portraits=evaluate(pairs, finder.mask, output / "portraits"),
        scenes=evaluate(scenes, finder.mask, output / "scenes"),
        plain=evaluate(pairs, lambda rgb: one_look(finder, rgb), output / "plain", overlays=0),
        reference=evaluate(pairs, exact.mask, output / "float32", overlays=0),
        reference_scenes=evaluate(scenes, exact.mask, output / "float32_scenes", overlays=0),
    )
    anywhere = any_photograph.table(options.masks, finder, finder.mask).set_index("what")
    x = torch.randn(1, 3, INPUT_SIZE, INPUT_SIZE)
    times = time_table(network, FaceXFormer().eval(), HairFinder(), x, RUNS)
    write_picture(FOUND, Picture(found_on_samples(finder)))
    text = TEXT.format(
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        precision="bfloat16" if computes_in_bfloat16(openvino_alone().Core()) else "float32",
        runs=RUNS, times=markdown(times, digits=1), anywhere=markdown(anywhere),
        **{name: markdown(table) for name, table in figures.items()},
    )  # fmt: skip
    with replacing(ROOT / "test_result.md") as path:
        path.write_text(text, encoding="utf-8")


def one_look(finder: HairFinder, rgb: np.ndarray) -> np.ndarray:
    """Soft mask (H, W) uint8 by one look at the whole picture."""
    return to_mask(finder.probability(rgb), *rgb.shape[:2])


def in_float32() -> HairFinder:
    """The finder with the networks in PyTorch, float32: the reference."""
    finder = HairFinder()
    finder.student.engine, finder.search.scout.engine = (torch_engine(path, "cpu") for path in (SHIPPED_WEIGHTS, SCOUT))
    return finder


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


if __name__ == "__main__":
    main()
