#!/usr/bin/env python
"""Train the shipped student: portraits, scenes and pictures of nobody together, from an earlier student's weights.

    python models/remake_hair_student.py HAIR_MASKS NEGATIVES START PORTRAITS [--further BEFORE] [--output DIR]

HAIR_MASKS holds `train/`, `scenes_train/`, `val/` and `scenes_val/`, each with `images/` and `masks/`, `train/` also
`skin/`, masks of the faces of some; NEGATIVES holds `images/` without anybody's hair and `sources.csv`. START is the
weights file to begin with, PORTRAITS one that does well on portraits (models/README.md says which). Both first say what
they see in the training pictures: the labels are the mean of that and of the drawn masks. Pictures without hair in
which START sees some are trained on twice as often as the others; a seventh of them all is set aside by name, to be
measured on. Interrupted, it goes on where it was. The result is
`DIR/hair_student.safetensors`, the average of the last epoch's weights; it does not replace the shipped weights by
itself. `remake_hair_guide.py` adds its guide.

With `--further` the weights BEFORE are trained on instead of START, for longer and more than once, and the result is a
mean of them all (Wortsman et al., "Model soups", 2022): it finds more people than BEFORE, and knows better what is no
hair than what was trained on alone.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from tqdm import tqdm

from common.batch.table import read_csv
from common.cli import carry_out
from common.image.picture import read_picture, write_mask
from models.remaking import demand_same, is_set_aside, write_labels
from segmentation.dataset.pairs import Pair, find_pairs, read_pair
from segmentation.dataset.scenes import is_scene
from segmentation.finding.box import Part, square_around
from segmentation.finding.crops import CANDIDATE, ROOM, boxes_of_hair, in_pixels, joined
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.registry import load_student, save_weights
from segmentation.networks.resize import resize, squash, to_mask
from segmentation.run_seg_model_ohlora_v4 import main as student
from segmentation.training.state import STATE, averaged

SETTINGS = (
    "--preset strong --upsampling bilinear --ema 0.995 --batch-size 16 --composed 0.25 "
    "--turned 0.25 --covered 0.08 --frozen 3 --workers 1 --checkpoint-every 100"
)


class Training(NamedTuple):
    """How it is trained: further settings, seeds, each of which is a training of its own, and how much of the result is
    the mean of what they end with; the rest are the weights that they began with."""

    settings: str
    seeds: tuple[int, ...]
    share: float


FIRST = Training("--learning-rate 7e-4 --epochs 2", (0,), 1.0)
# Of shares from 0.35 to 1, and of one training and two, the ones that dye the fewest pictures of nobody. All of them
# find people 4 to 9 points more often than before.
FURTHER = Training("--learning-rate 6e-4 --epochs 8", (0, 1), 0.4)
PARTS = "train", "scenes_train", "negatives", "hard"  # folders of labels; the hard ones are among the negatives
AGREE = 0.5  # IoU of a drawn head and what a student sees there, from which the label is the mean of both
WRONG = 0.2  # IoU below which a scene's mask is taken for wrong, and the scene left out
WITH_FACES = ("person_nohair", "statue_doll")  # kinds of pictures without hair in which there may be faces
SEEN = 0.003  # share of a part that is seen as hair, from which the part is trained on


def main() -> int:
    """Label, train, write the weights; the exit code is that of the training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("negatives", type=Path, metavar="NEGATIVES")
    parser.add_argument("start", type=Path, metavar="START")
    parser.add_argument("portraits", type=Path, metavar="PORTRAITS")
    parser.add_argument("--further", type=Path, metavar="BEFORE")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "remade", metavar="DIR")
    options = parser.parse_args()
    before = [options.further] if options.further else []
    demand_same(options.output, options.masks, ["train", "scenes_train"], options.start, options.portraits, *before)
    looks = [HairFinder(path) for path in (options.start, options.portraits)]
    labels = {part: options.output / "labels" / part for part in PARTS}
    for part in ("train", "scenes_train"):
        soften(with_faces(find_pairs(options.masks / part)[0]), looks, labels[part])
    label_negatives(options.negatives, looks[0], labels["negatives"], labels["hard"])
    data = [str(labels[part]) for part in PARTS]
    held_out = [str(options.masks / part) for part in ("val", "scenes_val")]
    begin, training = (options.further, FURTHER) if options.further else (options.start, FIRST)
    runs = [options.output / f"run{seed}" for seed in training.seeds]
    for seed, run in zip(training.seeds, runs):
        where = ["--data", *data, "--val", *held_out, "--output", str(run), "--warm-start", str(begin)]
        code = student(["train", *f"{SETTINGS} {training.settings} --seed {seed}".split(), *where])
        if code:
            return code
    write_mean(begin, [run / STATE for run in runs], options.output / "hair_student.safetensors", training.share)
    return 0


def soften(pairs: list[Pair], students: list[HairFinder], folder: Path) -> None:
    """Write a label for each pair, and `labels.csv`: the drawn mask and what the students see, half and half.

    In a scene the first student looks at each drawn head, and its word counts only where it agrees with the drawn mask:
    those are joined super-pixels, right in the large. A scene in which they hardly overlap is left out.
    """
    if (folder / "labels.csv").is_file():
        return
    rows = []
    for pair in tqdm(pairs, f"labels of {folder.name}"):
        rgb, drawn = read_pair(pair)
        label = of_scene(rgb, drawn, students[0]) if is_scene(drawn) else mean(drawn, seen(rgb, students))
        if label is not None:
            write_mask(folder / f"{pair.name}.png", label)
            rows.append((pair.image.resolve(), f"{pair.name}.png", pair.face.resolve() if pair.face else ""))
    write_labels(folder, rows)
    print(f"{folder}: {len(rows)} labels, {len(pairs) - len(rows)} left out", flush=True)


def with_faces(pairs: list[Pair]) -> list[Pair]:
    """The pairs with the masks of their faces, where there are some, `skin/` beside `masks/`."""
    faces = [pair.label.parents[1] / "skin" / pair.label.name for pair in pairs]
    return [replace(pair, face=face if face.is_file() else None) for pair, face in zip(pairs, faces)]


def label_negatives(negatives: Path, student: HairFinder, folder: Path, hard: Path) -> None:
    """Write labels without hair, and a `labels.csv` in both folders: of all, and of those that the student is wrong
    about. That there is no face either is known of those that show no people."""
    if (hard / "labels.csv").is_file():
        return
    rows, mistaken = [], []
    for source in tqdm(read_csv(negatives / "sources.csv"), "pictures of nobody"):
        if is_set_aside(source["image"]):
            continue
        image = (negatives / "images" / source["image"]).resolve()
        rgb = read_picture(image).rgb8
        wrong = (student.probability(rgb) > CANDIDATE).mean() > SEEN
        name = f"{image.stem}.png"
        face = "" if source["kind"] in WITH_FACES else name
        for place, found in ((folder, rows), (hard, mistaken))[: 1 + wrong]:
            write_mask(place / name, np.zeros(rgb.shape[:2], np.uint8))
            found.append((image, name, face))
    write_labels(folder, rows)
    write_labels(hard, mistaken)
    print(f"{folder}: {len(rows)} labels, {len(mistaken)} of them hard", flush=True)


def of_scene(rgb: np.ndarray, drawn: np.ndarray, student: HairFinder) -> np.ndarray | None:
    """The label (H, W) uint8 of a scene, None where its mask is taken for wrong."""
    height, width = drawn.shape
    label, overlaps = drawn.copy(), []
    for head in joined([in_pixels(box, (1.0, 1.0)) for box in boxes_of_hair(drawn / np.float32(255))]):
        near, far = square_around(head, height, width, ROOM), square_around(head, height, width, 0.9)
        sights = [seen(rgb[part.slices], [student]) for part in (near, far)]
        sights[1] = sights[1][inside(near, far).slices]
        found = mean(*sights)
        own, hair = found > 127, drawn[near.slices] > 127
        overlaps.append((own & hair).sum() / max((own | hair).sum(), 1))
        if overlaps[-1] > AGREE:
            label[near.slices] = mean(drawn[near.slices], found)
    return label if max(overlaps, default=1) >= WRONG else None


def inside(part: Part, outer: Part) -> Part:
    """A part in the coordinates of one that holds it."""
    top, left = outer.top, outer.left
    return Part(part.top - top, part.left - left, part.bottom - top, part.right - left)


def seen(rgb: np.ndarray, students: Sequence[HairFinder]) -> np.ndarray:
    """What students see in a picture (H, W, 3) and in its mirror image, the mean: (H, W) uint8."""
    small = squash(rgb)
    both = np.stack([small, small[:, ::-1]])
    plain, mirrored = sum(student.student.engine(both)[0] for student in students) / len(students)
    return to_mask((plain + mirrored[:, ::-1]) / 2, *rgb.shape[:2])


def mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of two masks (H, W) uint8; the second is brought to the first one's size."""
    return np.uint8((np.uint16(one) + resize(other, *one.shape) + 1) // 2)


def write_mean(before: Path, states: list[Path], weights: Path, share: float) -> None:
    """Write the mean of the averages of the weights after the last epochs, so much of it, and for the rest the weights
    BEFORE, whose network it is; a guide's are left out, since the encoder has changed."""
    ends, network = [averaged(state) for state in states], load_student(before)
    network.guide = None
    mixed = {}
    for name, old in network.state_dict().items():
        new = torch.stack([end[name].float() for end in ends]).mean(dim=0)
        mixed[name] = old.lerp(new, share) if old.is_floating_point() else ends[0][name]
    network.load_state_dict(mixed)
    save_weights(network, weights)


if __name__ == "__main__":
    sys.exit(carry_out(main))
