#!/usr/bin/env python
"""Each person in a crowd by themselves: made class photographs whose people are known, and portraits that stay whole.

    python benchmarks/crowds.py HAIR_MASKS [--pictures 20] [--weights FILE]

A crowd: heads of HAIR_MASKS/train with their skin, on plain shoulders, 2 to 30 in rows, side by side and each row
before the one above it, so that hair touches and shoulders are hidden, and faces are to be seen, as on class
photographs. A person of whom less than a third of the hair or two thirds of the face is to be seen is left out. One is
dyed right whose lowest quarter, of the rows of the hair seen, gets at least 0.8 of the dye and the topmost at most 0.1,
at the default height and fade. The fade runs by rows here: what is measured is who is who (along the hair, short hair
is dyed on top). With the drawn masks and skin as the guide, with the masks alone, and with what the finder finds.

Whole: HAIR_MASKS/val, where one person is in each picture: in how many more are found, with the drawn masks and skin,
or with what the finder finds.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.markdown import markdown
from common.image.picture import read_mask, read_picture
from ombre.render import fade
from ombre.render.recolour import Hair, prepare
from ombre.style import Style
from segmentation.finding.guide import Guide
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.resize import HAIR

WIDTH, HEIGHT = 1280, 960
MOST_HIDDEN = 2 / 3, 1 / 3  # of a person's hair, of the face
ACROSS, DOWN = 0.62, 0.66  # from head to head and from row to row, of a portrait's side
FACES = 100
LOW, TOP = 0.8, 0.1  # least share of the dye in the lowest quarter, most in the topmost
PEOPLE = (2, 3, 4, 6, 8, 12, 16, 20, 25, 30)
BODY = ((60, 60, 90), (120, 40, 40), (40, 90, 60), (200, 200, 195), (30, 30, 35))


class Crowd(NamedTuple):
    """rgb (H, W, 3) uint8; `hair` and `skin` (H, W) uint8, shares x 255; `whose` (H, W) int, the person whose hair it
    is, FACES more: whose face, -1: nobody's; `seen`: of each person the shares of the hair and of the face that are to
    be seen."""

    rgb: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    whose: np.ndarray
    seen: list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--pictures", type=int, default=20, metavar="N")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, metavar="FILE")
    parser.add_argument("--found", action="store_true", help="also with what the finder finds")
    options = parser.parse_args()
    finder = HairFinder(options.weights, "cpu") if options.found else None
    print(markdown(crowd_rows(options.masks, options.pictures, finder)))
    print(markdown(whole_rows(options.masks, finder)))


def crowd_rows(masks: Path, count: int, finder: HairFinder | None) -> list[dict]:
    """A row a way: people, people found, people dyed right."""
    figures: dict[str, list] = {}
    for crowd in crowds(masks, count):
        ways = {
            "drawn masks and skin": (crowd.hair, guide_of(crowd.skin), False),
            "drawn masks alone": (crowd.hair, None, False),
        }
        if finder:
            found = finder.find(crowd.rgb)
            ways["found"] = found.mask(), found.guide(), True
        for way, (mask, guide, refine) in ways.items():
            figures.setdefault(way, []).append(measure(crowd, mask, guide, refine))
    return [
        {
            "": way,
            "people": sum(one[0] for one in values),
            "found": sum(one[1] for one in values),
            "dyed right": f"{100 * sum(one[2] for one in values) / sum(one[0] for one in values):.1f} %",
        }
        for way, values in figures.items()
    ]


def measure(crowd: Crowd, mask: np.ndarray, guide: Guide | None, refine: bool) -> tuple[int, int, int]:
    """People who are to be seen, people found, people dyed right."""
    hair = prepare(crowd.rgb, mask, refine=refine, guide=guide)
    share = np.zeros(mask.shape, np.float32)
    if hair:
        (plan,) = fade.plan_fades(hair.people, Style.ombre_height, Style.ombre_grad_height, None)
        dyed = fade.dye_share(plan, hair.step, (0, hair.alpha.shape[0]), (0, hair.alpha.shape[1]))
        share[hair.rows, hair.columns] = dyed * hair.alpha / 255
    least = 1 - np.array(MOST_HIDDEN)
    there = [person for person, seen in enumerate(crowd.seen) if (seen > least).all()]
    right = sum(is_right(share, crowd.whose == person) for person in there)
    return len(there), len(hair.people.heads) if hair else 0, right


def is_right(share: np.ndarray, own: np.ndarray) -> bool:
    """Whether a person's lowest quarter is dyed and the topmost is not; `own` (H, W) bool, their hair."""
    rows = np.flatnonzero(own.any(axis=1))
    quarter = (rows[-1] + 1 - rows[0]) / 4
    top, low = own.copy(), own.copy()
    top[round(rows[0] + quarter) :] = False
    low[: round(rows[-1] + 1 - quarter)] = False
    return share[low].mean() >= LOW and share[top].mean() <= TOP


def crowds(masks: Path, count: int) -> Iterator[Crowd]:
    """Made class photographs of PEOPLE by turns."""
    rng = np.random.default_rng(3)
    names = sorted(path.stem for path in (masks / "train" / "skin").glob("*.png"))
    for number in range(count):
        people = PEOPLE[number % len(PEOPLE)]
        deep = max(1, round(np.sqrt(people / 3)))
        across = -(-people // deep)
        size = min(0.95 * WIDTH / (ACROSS * (across - 0.5) + 1), 0.95 * HEIGHT / (DOWN * (deep - 1) + 1))
        crowd = Crowd(
            np.full((HEIGHT, WIDTH, 3), (150, 165, 175), np.uint8),
            np.zeros((HEIGHT, WIDTH), np.uint8),
            np.zeros((HEIGHT, WIDTH), np.uint8),
            np.full((HEIGHT, WIDTH), -1),
            [],
        )
        totals = []
        for person, name in enumerate(rng.choice(names, people, replace=False)):
            row, column = divmod(person, across)
            head = portrait(masks, name, round(size * rng.uniform(0.9, 1.1)))
            in_row = min(across, people - row * across)
            left = WIDTH / 2 + ACROSS * size * (column - (in_row - 1) / 2 + 0.5 * (row % 2) * (deep > 1)) - size / 2
            top = DOWN * size * row + (HEIGHT - DOWN * size * (deep - 1) - size) / 2
            totals.append(
                lay(crowd, head, person, round(top + rng.uniform(-6, 6)), round(left + rng.uniform(-6, 6)), rng)
            )
        for person, total in enumerate(totals):
            there = [np.count_nonzero(crowd.whose == who) for who in (person, FACES + person)]
            crowd.seen.append(np.array(there) / np.maximum(total, 1))
        yield crowd


def portrait(masks: Path, name: str, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A portrait (side, side, 3), its hair and its skin."""
    rgb = read_picture(masks / "train" / "images" / f"{name}.jpg").rgb8
    hair, skin = (read_mask(masks / "train" / kind / f"{name}.png") for kind in ("masks", "skin"))
    skin = np.uint8(255) * np.uint8(skin > 0)
    return tuple(cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in (rgb, hair, skin))


def lay(crowd: Crowd, head: tuple, person: int, top: int, left: int, rng: np.random.Generator) -> tuple[int, int]:
    """Lay a head on shoulders before who is there already, in place; the pixels of its hair and of its face, were none
    of it hidden."""
    rgb, hair, skin = head
    side = len(rgb)
    solid = cv2.morphologyEx(np.uint8(skin > 127), cv2.MORPH_CLOSE, np.ones((side // 8 * 2 + 1,) * 2, np.uint8))
    across, chin = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))[-1]
    body = np.zeros_like(solid)
    middle = (across[0] + across[-1]) // 2
    cv2.ellipse(body, (int(middle), int(chin + 0.45 * side)), (int(0.4 * side), int(0.42 * side)), 0, 180, 360, 1, -1)
    body[int(chin + 0.45 * side) :, max(middle - int(0.4 * side), 0) : middle + int(0.4 * side)] = 1
    rgb = np.where((body > 0)[..., None] & (solid == 0)[..., None], np.uint8(BODY[rng.integers(len(BODY))]), rgb)
    alpha = np.maximum(hair, 255 * np.maximum(solid, body))
    bottom, right = min(top + side, HEIGHT), min(left + side, WIDTH)
    here = np.s_[max(top, 0) : bottom, max(left, 0) : right]
    there = np.s_[max(-top, 0) : bottom - top, max(-left, 0) : right - left]
    weight = np.float32(alpha[there])[..., None] / 255
    crowd.rgb[here] = np.uint8(crowd.rgb[here] * (1 - weight) + rgb[there] * weight)
    for plane, own in ((crowd.hair, hair), (crowd.skin, skin)):
        plane[here] = np.maximum(np.uint8(plane[here] * (1 - weight[..., 0])), own[there])
    own = np.select([hair >= HAIR, skin >= HAIR, alpha >= HAIR], [person, FACES + person, -1], -2)[there]
    crowd.whose[here] = np.where(own == -2, crowd.whose[here], own)
    return int(np.count_nonzero(hair >= HAIR)), int(np.count_nonzero((skin >= HAIR) & (hair < HAIR)))


def guide_of(skin: np.ndarray) -> Guide:
    """Skin (H, W) uint8 as a guide whose up is the picture's."""
    face = cv2.resize(skin, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    up = np.zeros((*face.shape, 2), np.float32)
    up[..., 1] = -1
    return Guide(np.float32(face) / 255, up)


def whole_rows(masks: Path, finder: HairFinder | None) -> list[dict]:
    """A row a kind of pictures of one person: how many, in how many more are found, and which."""
    rows = []
    for kind in ("figaro", "celeba"):
        split, names = [], sorted((masks / "val" / "images").glob(f"{kind}*.jpg"))
        for path in names:
            hair = one_person(path, finder)
            if hair and len(hair.people.heads) > 1:
                split.append(path.stem.split("_")[-1])
        rows.append({"": kind, "pictures": len(names), "more than one person": len(split), "which": " ".join(split)})
    return rows


def one_person(path: Path, finder: HairFinder | None) -> Hair | None:
    """The hair of one of HAIR_MASKS/val/images, as it is drawn or found."""
    rgb, folder = read_picture(path).rgb8, path.parents[1]
    if finder:
        found = finder.find(rgb)
        return prepare(rgb, found.mask(), guide=found.guide())
    skin = folder / "skin" / f"{path.stem}.png"
    guide = guide_of(np.uint8(255) * np.uint8(read_mask(skin) > 0)) if skin.is_file() else None
    return prepare(rgb, read_mask(folder / "masks" / f"{path.stem}.png"), refine=False, guide=guide)


if __name__ == "__main__":
    main()
