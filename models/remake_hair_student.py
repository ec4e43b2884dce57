#!/usr/bin/env python
"""Train the shipped student anew: drawn masks first, then together with pictures that it labels itself, five times.

    python models/remake_hair_student.py HAIR_MASKS [--output DIR]

HAIR_MASKS holds `train/`, `val/` and `lfw/`, each with `images/` and `masks/`. Interrupted, it goes on where it was.
The result is `DIR/best.safetensors`; it does not replace the shipped weights by itself.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
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
from segmentation.student.network import EffiSegNet, load_student  # noqa: E402
from segmentation.training.loop import BEST, STATE, save_weights  # noqa: E402
from segmentation.training.metrics import measure  # noqa: E402
from segmentation.training.pairs import Pair, gather, read_pair, to_input  # noqa: E402


class Round(NamedTuple):
    """A training, which starts from the result of the one before it."""

    settings: str  # of `train`
    chosen: int = 0  # LFW's pictures, drawn at random, with labels by the student so far ...
    agreeing: int = 0  # ... from the so many whose labels agree best with the coarse masks that came with them
    looks: tuple[int, ...] = (192, 224)  # input sizes whose answers make a label, each also with the picture mirrored
    own_share: float = 0.0  # of such answers in the labels of the pictures whose masks are drawn
    to_the_end: bool = False  # take the last epoch, not the one with the best validation loss
    step: float = 1.0  # how far the result lies from the weights before the training to those after it


LONG = "--learning-rate 1e-3 --ema 0.998 --batch-size 8 --epochs"
ROUNDS = (
    Round("--size 160 --epochs 20"),
    Round("--epochs 16 --learning-rate 1e-3", 500, 1200),
    Round(f"{LONG} 24", 200, 1400),
    Round(f"{LONG} 36", 200, 1400, step=0.6),
    Round(f"{LONG} 18", 490, 1400, looks=(224, 256, 320), own_share=0.5, to_the_end=True, step=0.5),
    Round("--learning-rate 3e-4 --ema 0.998 --batch-size 8 --epochs 3", 200, 1400),
)


def main() -> None:
    """The trainings, and the labelling before all but the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "shipped", metavar="DIR")
    options = parser.parse_args()
    result = None
    for number, part in enumerate(ROUNDS, start=1):
        result = train(part, options.masks, options.output / f"round{number}", result)
    shutil.copyfile(result, options.output / BEST)


def train(part: Round, masks: Path, folder: Path, before: Path | None) -> Path:
    """Label and train; the weights that come of it."""
    data, start = [masks / "train"], []
    if before:
        start = ["--warm-start", str(before)]
        data = [folder / "drawn" if part.own_share else masks / "train", folder / "own"]
        network = load_student(before)
        if part.own_share and not data[0].is_dir():
            soften(network, gather([masks / "train"]), data[0], part)
        if not data[1].is_dir():
            label(network, gather([masks / "lfw"]), data[1], part)
    run = folder / "run"
    where = ["--data", *map(str, data), "--val", str(masks / "val"), "--output", str(run)]
    if code := student(["train", "--preset", "strong", *where, *start, *part.settings.split()]):
        sys.exit(code)
    return average(before, run, part) if part.step < 1 else run / BEST


@torch.inference_mode()
def label(network: EffiSegNet, pairs: list[Pair], output: Path, part: Round) -> None:
    """Write `images/` and `masks/` of some pictures, the masks the network's own, where these look trustworthy."""
    labels, agreement = [], []
    for pair in tqdm(pairs, "own labels", disable=None):
        rgb, coarse = read_pair(pair)
        labels.append(np.rint(255 * probability(network, rgb, part.looks)).astype(np.uint8))
        agreement.append(measure(labels[-1], coarse)["iou"])
    best = np.argsort(agreement)[::-1][: part.agreeing]
    kept = np.random.default_rng(0).permutation(best)[: part.chosen]
    write_pairs(output, ((pairs[index], labels[index]) for index in kept))


@torch.inference_mode()
def soften(network: EffiSegNet, pairs: list[Pair], output: Path, part: Round) -> None:
    """Write `images/` and `masks/` of all pictures, the masks the drawn ones mixed with the network's own: where the
    network doubts what was drawn, the next one shall not be made to be sure of it."""

    def softened(pair: Pair) -> np.ndarray:
        rgb, drawn = read_pair(pair)
        mixed = part.own_share * 255 * probability(network, rgb, part.looks) + (1 - part.own_share) * drawn
        return np.rint(mixed).astype(np.uint8)

    write_pairs(output, ((pair, softened(pair)) for pair in tqdm(pairs, "softer labels", disable=None)))


def write_pairs(output: Path, labelled: Iterable[tuple[Pair, np.ndarray]]) -> None:
    """A data folder of pictures and their new masks; whole or absent."""
    part = output.with_name(f".{output.name}.part")
    (part / "images").mkdir(parents=True, exist_ok=True)
    for pair, mask in labelled:
        write_mask(part / "masks" / f"{pair.name}.png", mask)
        shutil.copy(pair.image, part / "images")
    part.rename(output)


def average(before: Path, run: Path, part: Round) -> Path:
    """Weights between those before and after a training, `part.step` of the way: they fit pictures unlike the trained
    ones better than either (Wortsman et al., arXiv 2109.01903)."""
    network = load_student(before)
    start = network.state_dict()
    if part.to_the_end:
        state = torch.load(run / STATE, map_location="cpu", weights_only=True)["average"]
        end = {name.removeprefix("module."): value for name, value in state.items()}
    else:
        end = load_student(run / BEST).state_dict()
    network.load_state_dict(
        {
            name: torch.lerp(start[name], end[name], part.step) if start[name].is_floating_point() else start[name]
            for name in start
        }
    )
    save_weights(run.parent / BEST, network)
    return run.parent / BEST


def probability(network: EffiSegNet, rgb: np.ndarray, looks: Sequence[int]) -> np.ndarray:
    """(H, W, 3) uint8 -> probability of hair (H, W) float32, the mean over input sizes and their mirrored ones."""
    found = []
    for size in looks:
        x = to_input(rgb, size)[None]
        both = network(torch.cat([x, x.flip(3)])).sigmoid()
        found += [both[:1], both[1:].flip(3)]
    return torch.stack([F.interpolate(one, rgb.shape[:2], mode="bilinear")[0, 0] for one in found]).mean(0).numpy()


if __name__ == "__main__":
    main()
