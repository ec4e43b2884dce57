#!/usr/bin/env python
"""Hair in any photograph: scenes, nobody there, several people, crowds, heads far away, turned and in little light.

    python benchmarks/any_photograph.py HAIR_MASKS [--weights FILE] [--one-look]

HAIR_MASKS holds `val/` and `scenes_val/`; beside it may lie `negatives/`, pictures without anybody's hair with their
`sources.csv`, and `everyday/`, pictures with their people's boxes in `people.csv`. Masks are those of the ombre stage,
or with --one-look those of a single look at the whole picture; threshold 0.5.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import made_pictures as made
from common.batch.table import read_csv
from common.device import own_cores
from common.image.picture import read_picture
from models.remaking import is_set_aside
from segmentation.dataset.augment import relit
from segmentation.dataset.pairs import find_pairs, read_pair
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.resize import to_mask
from segmentation.training.metrics import measure

FOUND = 0.5  # IoU from which a head counts as found
DYED = 0.001  # share of the pixels over one half from which a picture counts as dyed
UPPER = 0.02  # share of the upper third of a person's box over one half, from which the person counts as found
GRID = 16  # pixels of the student's 224: the step of its deepest layers but one

MaskOf = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--one-look", action="store_true", help="instead of a closer look at each head")
    options = parser.parse_args()
    finder = HairFinder(options.weights, streams=own_cores())
    mask_of = (lambda rgb: to_mask(finder.probability(rgb), *rgb.shape[:2])) if options.one_look else finder.mask
    print(table(options.masks, finder, mask_of).to_string(index=False))


def table(masks: Path, finder: HairFinder, mask_of: MaskOf) -> pd.DataFrame:
    """A row a figure: what, pictures, value. Several are worked out at once."""
    todo: list[Callable[[], list[tuple]]] = [lambda: scenes(masks, mask_of)]
    todo.append(lambda: [nobody(masks, mask_of), nobody(masks, mask_of, larger=3)])
    for count in (2, 4, 8):
        todo.append(lambda count=count: [heads_found(f"row of {count}: heads found", made.rows(masks, count), mask_of)])
    todo.append(lambda: [heads_found("corners of wide scenes: heads found", made.corners(masks), mask_of)])
    todo.append(lambda: [mean_iou("heads far away: mean IoU", made.far_heads(masks), mask_of)])
    exact = "scenes with exact masks: mean IoU of the heads"
    todo.append(lambda: [iou_of_heads(exact, made.rendered_scenes(masks), mask_of)])
    todo.append(lambda: [heads_found("class photographs: heads found", made.class_photographs(masks), mask_of)])
    todo.append(lambda: changed(masks, mask_of))
    if (masks.parent / "negatives").is_dir():
        todo.append(lambda: negatives(masks.parent / "negatives", mask_of))
    if (masks.parent / "everyday").is_dir():
        todo.append(lambda: everyday(masks.parent / "everyday", mask_of))
    todo.append(lambda: [grid(masks, finder)])
    with ThreadPoolExecutor(own_cores()) as pool:
        rows = [row for found in pool.map(lambda work: work(), todo) for row in found]
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


def negatives(folder: Path, mask_of: MaskOf) -> list[tuple]:
    """The share of pictures dyed of those that are set aside by their names: all, covered heads, animals with fur."""
    kinds: dict[str, list[bool]] = {}
    for source in read_csv(folder / "sources.csv"):
        if is_set_aside(source["image"]):
            dyed = (mask_of(read_picture(folder / "images" / source["image"]).rgb8) > 127).mean() > DYED
            kinds.setdefault(source["kind"], []).append(dyed)
    every = sum(kinds.values(), [])
    shown = {"": every, ": covered heads": kinds["person_nohair"], ": furry animals": kinds["furry_animal"]}
    return [(f"negatives{name}: share dyed", len(dyed), np.mean(dyed)) for name, dyed in shown.items()]


def everyday(folder: Path, mask_of: MaskOf) -> list[tuple]:
    """The share of pictures without people that are dyed, and of people whose hair is to be seen those with dye in the
    upper third of their box."""
    rows = pd.read_csv(folder / "people.csv")
    dyed, found = [], []
    for name, people in rows.groupby("image"):
        hair = mask_of(read_picture(folder / "images" / str(name)).rgb8) > 127
        if people["left"].isna().all():
            dyed.append(hair.mean() > DYED)
        for person in people[people["hair"] == 1].itertuples():
            top, bottom = int(person.top), int(person.bottom)
            upper = hair[top : top + max((bottom - top) // 3, 1), int(person.left) : int(person.right)]
            found.append(upper.mean() > UPPER)
    return [
        ("everyday, nobody there: share dyed", len(dyed), np.mean(dyed)),
        ("everyday: people found", len(found), np.mean(found)),
    ]


def changed(masks: Path, mask_of: MaskOf) -> list[tuple]:
    """Mean IoU of a picture of `val` and `scenes_val` as it is, turned, in a third of the light, and in sepia: every
    third one."""
    changes = {"as they are": lambda image: image} | {
        f"turned by {90 * turns} degrees": lambda image, turns=turns: np.ascontiguousarray(np.rot90(image, turns))
        for turns in (1, 2, 3)
    }
    lights = {"in a third of the light": lambda rgb: relit(rgb, np.full(3, 1 / 3)), "in sepia": sepia}
    rows = []
    for part in ("val", "scenes_val"):
        pairs = [read_pair(pair) for pair in find_pairs(masks / part)[0][::3]]
        for name, change in changes.items():
            ious = [measure(mask_of(change(rgb)), change(drawn))["iou"] for rgb, drawn in pairs]
            rows.append((f"{part}, {name}: mean IoU", len(ious), np.mean(ious)))
        for name, change in lights.items() if part == "val" else ():
            ious = [measure(mask_of(change(rgb)), drawn)["iou"] for rgb, drawn in pairs]
            rows.append((f"{part}, {name}: mean IoU", len(ious), np.mean(ious)))
    return rows


def sepia(rgb: np.ndarray) -> np.ndarray:
    """A picture in browns, by the matrix that photo editors use."""
    browns = np.float32([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    return cv2.transform(rgb, browns)


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
