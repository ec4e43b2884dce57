#!/usr/bin/env python
"""Train the guide of the shipped student, which tells beside hair where faces are and which way heads point.

    python models/remake_hair_guide.py RUN STUDENT [--further BEFORE] [--output FILE]

RUN is the folder that `remake_hair_student.py` worked in, with its labels; STUDENT the weights that came of it; BEFORE
those that it was trained on from, whose guide is where this one begins. All of the student stays as it is: the guide
looks at what its encoder sees in pictures turned in every direction. Which way is up need not be drawn: nearly all
heads are upright, and the pictures are turned by known angles. FILE is the student with its new guide.
"""

import argparse
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from common.cli import carry_out
from segmentation.dataset.loader import Batches, Changes, PairDataset, load
from segmentation.dataset.pairs import Pair, find_pairs
from segmentation.networks.effisegnet import EffiSegNet, encode
from segmentation.networks.registry import load_student, save_weights
from segmentation.training.losses import guide_loss

PARTS = "train", "scenes_train", "negatives"  # folders of labels
SAMPLES = 5000
ASIDE = 8  # one in so many samples is measured on
CHANGES = Changes(seed=7, composed=0.15, turned=0.75, covered=0.1)
EPOCHS, BATCH, RATE = 20, 32, 2e-3  # AdamW, its rate falling as a cosine
# Mean probability of hair from which a crop shows a head, chosen on `val`, `scenes_val` and the pictures of nobody that
# are set aside: 1.3 % of those 390 are dyed with it (any_photograph.py).
SURE = "0.8"
GUIDE_STEP, LABEL_STEP = 8, 4  # pixels a cell of the guide; of what `guide_loss` takes labels at

Samples = tuple[list[Tensor], Tensor]  # taps of strides 8, 16, 32 (N, C, h, w); labels (N, 5, H / 8, W / 8), float16


def main() -> int:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("student", type=Path, metavar="STUDENT")
    parser.add_argument("--further", type=Path, metavar="BEFORE")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "hair_student.safetensors")
    options = parser.parse_args()
    torch.manual_seed(0)
    before = load_student(options.student)
    student = EffiSegNet(upsampling=before.upsampling, guide=True).eval()
    guide = load_student(options.further).state_dict() if options.further else {}
    student.load_state_dict(student.state_dict() | guide | strip(before))
    taps, labels = samples_of(student, [*pairs_of(options.run / "labels")])
    train(student.guide, taps, labels)
    save_weights(student, options.output, sure=SURE)
    return 0


def strip(student: EffiSegNet) -> dict[str, Tensor]:
    """A student's tensors but for those of a guide that it may have."""
    return {name: tensor for name, tensor in student.state_dict().items() if not name.startswith("guide.")}


def pairs_of(labels: Path) -> list[Pair]:
    """What is trained on."""
    return [pair for part in PARTS for pair in find_pairs(labels / part)[0]]


@torch.inference_mode()
def samples_of(student: EffiSegNet, pairs: list[Pair]) -> Samples:
    """What the encoder sees in changed pictures, and their labels."""
    order = np.random.default_rng(0).permutation(len(pairs))
    keys = [(number // len(order), int(order[number % len(order)])) for number in range(SAMPLES)]
    batches = Batches()
    batches.keys = [keys[start : start + BATCH] for start in range(0, SAMPLES, BATCH)]
    taps: list[list[Tensor]] = [[], [], []]
    labels = []
    for x, label in tqdm(load(PairDataset(pairs, student.side, CHANGES, guide=True), batches, workers=1), "samples"):
        for kept, tap in zip(taps, encode(student.encoder, x)[2:]):
            kept.append(tap.half())
        labels.append(F.avg_pool2d(label, GUIDE_STEP).half())
    return [torch.cat(kept) for kept in taps], torch.cat(labels)


def train(guide: nn.Module, taps: list[Tensor], labels: Tensor) -> None:
    """Train the guide, in place, and print after each epoch how it does on samples that are set aside."""
    aside = torch.arange(len(labels)) % ASIDE == 0
    trained = torch.nonzero(~aside)[:, 0]
    optimizer = torch.optim.AdamW(guide.parameters(), lr=RATE, weight_decay=1e-3)
    steps = EPOCHS * (len(trained) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / steps))
    for epoch in range(EPOCHS):
        for batch in trained[torch.randperm(len(trained))].split(BATCH)[: len(trained) // BATCH]:
            loss = loss_of(guide, [tap[batch] for tap in taps], labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        right, face = measure(guide, [tap[aside] for tap in taps], labels[aside])
        print(f"epoch {epoch + 1}/{EPOCHS}: up within 45 degrees {right:.3f}, faces' IoU {face:.3f}", flush=True)


def loss_of(guide: nn.Module, taps: list[Tensor], labels: Tensor) -> Tensor:
    """`guide_loss` of a batch; it takes both four times as fine."""
    answers = guide([tap.float() for tap in taps])
    fine = [F.interpolate(plane, scale_factor=LABEL_STEP) for plane in (answers, labels.float())]
    return guide_loss(*fine)


@torch.inference_mode()
def measure(guide: nn.Module, taps: list[Tensor], labels: Tensor) -> tuple[float, float]:
    """Of samples with hair, the share whose mean vector over it points up within 45 degrees; and the IoU of faces where
    they are known, cells pooled."""
    answers, labels = guide([tap.float() for tap in taps]), labels.float()
    right = []
    for answer, label in zip(answers, labels):
        hair = label[0] > 0.5
        if hair.sum() >= 8:
            up = answer[1:, hair].mean(1)
            right.append(F.cosine_similarity(up, label[3:, 0, 0], dim=0) > math.cos(math.pi / 4))
    known = labels[:, 2] > 0.9
    found, face = (answers[:, 0] > 0) & known, (labels[:, 1] > 0.5) & known
    return torch.stack(right).float().mean().item(), ((found & face).sum() / (found | face).sum()).item()


if __name__ == "__main__":
    sys.exit(carry_out(main))
