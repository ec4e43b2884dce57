#!/usr/bin/env python
"""Whether the fade runs along the hair: at points drawn by hand, where hair hangs straight, and in turned pictures.

    python benchmarks/growth.py HAIR_MASKS [--weights FILE] [--every 4]

Points: HAIR_MASKS/val/growth.csv, at height 0.5 and fade 0.5, with drawn masks: the dye's mean share in a disc around
each point, as far as drawn hair goes; at tips it should be 1 and at roots 0. By rows, along the hair of the mask alone,
and, with --weights of a student that tells faces and heads' up, along the hair with these.

Straight: STRAIGHT of val, upright and from behind: the mean difference of the share by rows and along the hair.

Turned: pictures of val turned by 90, 180 and 270 degrees, with their drawn masks and skin and the turned up: mean
difference of the share, turned back, over the hair; portraits with a face (celeba), and all kinds (figaro).
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.markdown import markdown
from common.image.picture import read_mask, read_picture
from ombre.render import fade
from ombre.render.recolour import prepare
from segmentation.finding.guide import Guide
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.resize import HAIR

HEIGHT, GRAD_HEIGHT = 0.5, 0.5
DISC = 0.022  # radius around a point, of the picture's longer side
STRAIGHT = ("00001", "00009", "00020", "00029", "00047", "00152", "00162")  # figaro_Frame*
UPS = ((0, -1), (-1, 0), (0, 1), (1, 0))  # after so many quarter turns against the clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("--weights", type=Path, metavar="FILE")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="which pictures are turned")
    options = parser.parse_args()
    folder = options.masks / "val"
    print(markdown(points(folder, HairFinder(options.weights, "cpu") if options.weights else None)), flush=True)
    print(markdown([straight(folder)]), flush=True)
    print(markdown(turned(folder, options.every)))


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its drawn mask."""
    return read_picture(folder / "images" / f"{name}.jpg").rgb8, read_mask(folder / "masks" / f"{name}.png")


def share_of(rgb: np.ndarray, mask: np.ndarray, guide: Guide | None = None, *, along: str = "hair") -> np.ndarray:
    """The dye's share (H, W) float32, without strands."""
    hair = prepare(rgb, mask, refine=False, guide=guide)
    share = np.zeros(mask.shape, np.float32)
    if hair is not None:
        growth = hair.growth if along == "hair" else None
        (plan,) = fade.plan_fades(hair.people, HEIGHT, GRAD_HEIGHT, None, growth=growth)
        height, width = hair.alpha.shape
        share[hair.rows, hair.columns] = fade.dye_share(plan, hair.step, (0, height), (0, width))
    return share


def points(folder: Path, finder: HairFinder | None) -> list[dict]:
    """A row a way: the share at tips and at roots."""
    marks = defaultdict(list)
    with open(folder / "growth.csv", newline="") as file:
        for row in csv.DictReader(file):
            marks[row["image"]].append((row["kind"], float(row["x"]), float(row["y"])))
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: dict(tip=[], root=[]))
    for name, drawn in marks.items():
        rgb, mask = read(folder, name)
        ways = {"by rows": share_of(rgb, mask, along="rows"), "along the hair, mask alone": share_of(rgb, mask)}
        if finder:
            ways["along the hair, faces and up"] = share_of(rgb, mask, finder.find(rgb).guide())
        for kind, x, y in drawn:
            disc = np.zeros(mask.shape, np.uint8)
            place = round(x * mask.shape[1]), round(y * mask.shape[0])
            cv2.circle(disc, place, round(DISC * max(mask.shape)), 1, -1)
            there = (disc > 0) & (mask >= HAIR)
            if there.any():
                for way, share in ways.items():
                    found[way][kind].append(float(share[there].mean()))
    return [
        {
            "": way,
            "tips": np.mean(values["tip"]),
            "tips below one half": f"{100 * np.mean(np.float64(values['tip']) < 0.5):.1f} %",
            "roots": np.mean(values["root"]),
        }
        for way, values in found.items()
    ]


def straight(folder: Path) -> dict:
    """How far the two rules are apart on straight hair that hangs."""
    apart = []
    for name in STRAIGHT:
        rgb, mask = read(folder, f"figaro_Frame{name}")
        apart.append(difference(share_of(rgb, mask), share_of(rgb, mask, along="rows"), mask))
    return {"": f"straight hair, {len(apart)} pictures", "mean difference": np.mean(apart), "most": max(apart)}


def difference(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference of two shares over the hair."""
    return float((np.abs(one - other) * mask).sum() / mask.sum())


def turned(folder: Path, every: int) -> list[dict]:
    """A row a kind of pictures: how far shares of turned pictures are from those of the upright ones."""
    rows = []
    for kind in ("celeba", "figaro"):
        own, by_rows = [], []
        for path in sorted((folder / "images").glob(f"{kind}*.jpg"))[::every]:
            rgb, mask = read(folder, path.stem)
            if (mask < HAIR).all():
                continue
            skin = folder / "skin" / f"{path.stem}.png"
            face = np.float32(read_mask(skin) > 0) if skin.is_file() else np.zeros(mask.shape, np.float32)
            shares = [quarter(rgb, mask, face, turns, "hair") for turns in range(4)]
            rows_shares = [quarter(rgb, mask, face, turns, "rows") for turns in range(4)]
            own += [difference(shares[0], share, mask) for share in shares[1:]]
            by_rows += [difference(rows_shares[0], share, mask) for share in rows_shares[1:]]
        rows.append({"": f"{kind}, {len(own) // 3} turned", "along": np.mean(own), "by rows": np.mean(by_rows)})
    return rows


def quarter(rgb: np.ndarray, mask: np.ndarray, face: np.ndarray, turns: int, along: str) -> np.ndarray:
    """The share of a picture that is turned so many quarters, turned back."""
    rgb, mask, face = (np.ascontiguousarray(np.rot90(plane, turns)) for plane in (rgb, mask, face))
    up = np.broadcast_to(np.float32(UPS[turns]), (*face.shape, 2)).copy()
    return np.rot90(share_of(rgb, mask, Guide(face, up), along=along), -turns)


if __name__ == "__main__":
    main()
