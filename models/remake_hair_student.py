#!/usr/bin/env python
"""Train the shipped student anew: drawn masks first, then together with pictures that it labels itself, three times.

    python models/remake_hair_student.py HAIR_MASKS [--output DIR]

HAIR_MASKS holds `train/`, `val/` and `lfw/`, each with `images/` and `masks/`. Interrupted, it goes on where it was.
The result is `DIR/best.safetensors`; it does not replace the shipped weights by itself.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.pictures import write_mask  # noqa: E402
from segmentation.run_seg_model_ohlora_v4 import main as student  # noqa: E402
from segmentation.seg_model_ohlora_v4.data import Pair, gather, read_pair, to_input  # noqa: E402
from segmentation.seg_model_ohlora_v4.metrics import measure  # noqa: E402
from segmentation.seg_model_ohlora_v4.model import EffiSegNet, load_student  # noqa: E402
from segmentation.seg_model_ohlora_v4.train import BEST, save_weights  # noqa: E402

LAST_SHARE = 0.6  # of the last round's weights in the result; the rest is the round's before it
LOOKS = (192, 224)  # input sizes whose answers are averaged, each also with the picture mirrored


class Round(NamedTuple):
    """A training, which starts from the one before it."""

    settings: str  # of `train`
    chosen: int  # pictures, drawn at random, with labels by the student so far ...
    agreeing: int  # ... from the so many whose labels agree best with the coarse masks that came with them


ROUNDS = (
    Round("--size 160 --epochs 20", 0, 0),
    Round("--epochs 16 --learning-rate 1e-3", 500, 1200),
    Round("--epochs 24 --learning-rate 1e-3 --ema 0.998 --batch-size 8", 200, 1400),
    Round("--epochs 36 --learning-rate 1e-3 --ema 0.998 --batch-size 8", 200, 1400),
)


def main() -> None:
    """The trainings, and the labelling before all but the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "shipped", metavar="DIR")
    options = parser.parse_args()
    best = before = None
    for number, (settings, chosen, agreeing) in enumerate(ROUNDS, start=1):
        run, own = options.output / f"round{number}", options.output / f"own_labels{number}"
        data, start = [str(options.masks / "train")], []
        if best:
            if not own.is_dir():
                label(load_student(best), gather([options.masks / "lfw"]), own, chosen, agreeing)
            data, start = [*data, str(own)], ["--warm-start", str(best)]
        where = ["--data", *data, "--val", str(options.masks / "val"), "--output", str(run)]
        if code := student(["train", "--preset", "strong", *where, *start, *settings.split()]):
            sys.exit(code)
        before, best = best, run / BEST
    average(before, best, options.output / BEST)


@torch.inference_mode()
def label(network: EffiSegNet, pairs: list[Pair], output: Path, chosen: int, agreeing: int) -> None:
    """Write `images/` and `masks/` of `chosen` pictures, the masks the network's own, where these look trustworthy."""
    labels, agreement = [], []
    for pair in tqdm(pairs, "own labels", disable=None):
        rgb, coarse = read_pair(pair)
        labels.append(np.rint(255 * probability(network, rgb)).astype(np.uint8))
        agreement.append(measure(labels[-1], coarse)["iou"])
    best = np.argsort(agreement)[::-1][:agreeing]
    part = output.with_name(f".{output.name}.part")
    for index in np.random.default_rng(0).permutation(best)[:chosen]:
        pair = pairs[index]
        write_mask(part / "masks" / f"{pair.name}.png", labels[index])
        (part / "images").mkdir(exist_ok=True)
        shutil.copy(pair.image, part / "images")
    part.rename(output)  # whole or absent


def average(first: Path, second: Path, output: Path) -> None:
    """Write weights between two students', `LAST_SHARE` of the way (Wortsman et al., arXiv 2109.01903): where the
    second was trained on from the first, what lies between fitted LFW's pictures better than either."""
    network = load_student(second)
    start, end = load_student(first).state_dict(), network.state_dict()
    network.load_state_dict(
        {
            name: torch.lerp(start[name], end[name], LAST_SHARE) if end[name].is_floating_point() else end[name]
            for name in end
        }
    )
    save_weights(output, network)


def probability(network: EffiSegNet, rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> probability of hair (H, W) float32, the mean over `LOOKS` and their mirrored ones."""
    found = []
    for size in LOOKS:
        x = to_input(rgb, size)[None]
        both = network(torch.cat([x, x.flip(3)])).sigmoid()
        found += [both[:1], both[1:].flip(3)]
    return torch.stack([F.interpolate(one, rgb.shape[:2], mode="bilinear")[0, 0] for one in found]).mean(0).numpy()


if __name__ == "__main__":
    main()
