"""The ombre measured: how far the dye reaches with the student's own masks, and the colouring beside two rivals.

    python benchmarks/ombre_quality.py HAIR_MASKS      HAIR_MASKS/val/images/NAME.jpg with HAIR_MASKS/val/masks/NAME.png

Reach (reach.py says what the figures are): all pictures, by the script's own way and by the student's mask cut at one
half, against the same dye with the drawn masks.

Colouring, with the drawn masks, in the fully dyed part, mean over pictures and colours: hue error (degrees from the
asked hue, weighted by LAB chroma), visibly dyed (% of pixels over LAB chroma 20), detail (correlation of L* less its
blur of sigma 3 px, before and after), contrast (ratio of that detail's deviations), clipped (% of pixels with a channel
newly at 0 or 255); in brackets the worst single picture and colour. Detail and contrast leave out a rim of RIM pixels,
where the blur would reach outside the dyed part. Then the time for a picture of 1024 x 1024.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.markdown import markdown
from benchmarks.reach import reach_table
from common.image.picture import read_mask, read_picture
from ombre.colour import ramps
from ombre.hair.people import find_people
from ombre.render import fade
from ombre.render.recolour import ombre
from ombre.style import Style
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.resize import HAIR

RIM = 6  # pixels
CONTRAST_AIM = 1.0
FIGURES = {"hue error": max, "visibly dyed": min, "detail": min, "contrast": None, "clipped": max}
GROUPS = {"all": (0, 101), "black (L* < 22)": (0, 22), "between": (22, 50), "blond, grey (L* > 50)": (50, 101)}


def seed_tint(rgb: np.ndarray, mask: np.ndarray, color: float, height: float, grad: float) -> np.ndarray:
    """The seed project's rule: contrast raised, a tint added in RGB, only where the mask is above 3/4."""
    tint = 255 * ramps.hsv_to_rgb(np.float32(color), np.float32(1), np.float32(1))
    tinted = np.clip(1.35 * rgb + 0.25 * tint - 0.15 * 255, 0, 255)
    return blended(rgb, tinted, np.clip(4 * (mask / 255 - 0.75), 0, 1), mask, height, grad)


def hue_replaced(rgb: np.ndarray, mask: np.ndarray, color: float, height: float, grad: float) -> np.ndarray:
    """What most programs do: H set, S raised by 0.35, V left alone."""
    hsv = cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = 360 * color
    hsv[..., 1] = np.minimum(hsv[..., 1] + 0.35, 1)
    return blended(rgb, 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), mask / 255, mask, height, grad)


def blended(
    rgb: np.ndarray, dyed: np.ndarray, alpha: np.ndarray, mask: np.ndarray, height: float, grad: float
) -> np.ndarray:
    """The rivals' fade, straight down from row to row."""
    rows = np.flatnonzero((mask >= HAIR).any(axis=1))
    deep = height * (rows[-1] + 1 - rows[0])
    share = np.clip((np.arange(len(mask)) - rows[-1] + deep) / max(grad * deep, 1), 0, 1)
    weight = (alpha * share[:, None])[..., None]
    return np.uint8(np.rint(rgb + weight * (dyed - rgb)))


def ours(rgb: np.ndarray, mask: np.ndarray, color: float, height: float, grad: float) -> np.ndarray:
    return ombre(rgb, mask, Style(str(color), height, grad, along="rows"))  # as the rivals' fade, and `fully_dyed`'s


RULES = {"ours": ours, "seed (tint in RGB)": seed_tint, "H replaced, S raised": hue_replaced}


def fully_dyed(mask: np.ndarray, height: float, grad: float) -> np.ndarray:
    """(H, W) bool: sure hair that is below the fade, whoever's it is."""
    people = find_people(mask, mask, 1)
    (plan,) = fade.plan_fades(people, height, grad, None)
    share = fade.dye_share(plan, 1, (0, len(mask)), (0, mask.shape[1]))
    return (mask == 255) & (share == 1)


def lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)


def detail(lightness: np.ndarray, part: np.ndarray) -> np.ndarray:
    return (lightness - cv2.GaussianBlur(lightness, (0, 0), 3))[part]


def measure(before: np.ndarray, after: np.ndarray, part: np.ndarray, color: float) -> list[float]:
    """FIGURES of a picture before and after in the boolean `part`."""
    old, new = lab(before), lab(after)
    chroma = np.hypot(new[..., 1], new[..., 2])[part]
    hue = cv2.cvtColor(np.float32(after) / 255, cv2.COLOR_RGB2HSV)[..., 0][part]
    away = np.abs((hue - 360 * color + 180) % 360 - 180)
    inside = cv2.erode(np.uint8(part), np.ones((2 * RIM + 1, 2 * RIM + 1)), borderValue=0) > 0
    inside = inside if inside.sum() > 100 else part
    strands, dyed_strands = detail(old[..., 0], inside), detail(new[..., 0], inside)
    at_end = [np.isin(picture[part], (0, 255)) for picture in (before, after)]
    return [
        (away * chroma).sum() / chroma.sum(),
        100 * (chroma > 20).mean(),
        np.corrcoef(strands, dyed_strands)[0, 1],
        dyed_strands.std() / strands.std(),
        100 * (at_end[1] & ~at_end[0]).any(axis=1).mean(),
    ]


def measure_rule(rule: Callable, pictures: list, colors: list[float], height: float, grad: float) -> str:
    """A rule's rows of the table."""
    figures, shades = [], []
    for rgb, mask in pictures:
        part = fully_dyed(mask, height, grad)
        for color in colors if part.sum() >= 200 else ():
            figures.append(measure(rgb, rule(rgb, mask, color, height, grad), part, color))
            shades.append(lab(rgb)[..., 0][part].mean())
    figures, shades = np.array(figures), np.array(shades)
    lines = []
    for group, (low, high) in GROUPS.items():
        chosen = figures[(shades >= low) & (shades < high)]
        if len(chosen):
            cells = [f"{values.mean():.3f} ({worst(name, values):.3f})" for name, values in zip(FIGURES, chosen.T)]
            lines.append(f"| {group}, {len(chosen)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def worst(name: str, values: np.ndarray) -> float:
    pick = FIGURES[name]
    return pick(values) if pick else values[np.abs(np.log(values / CONTRAST_AIM)).argmax()]


def milliseconds(rule: Callable, rgb: np.ndarray, mask: np.ndarray, rounds: int = 9) -> float:
    """Median time for the picture enlarged to 1024 x 1024, OpenCV on one thread, the whole hair dyed."""
    rgb, mask = (cv2.resize(array, (1024, 1024), interpolation=cv2.INTER_LINEAR) for array in (rgb, mask))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        rule(rgb, mask, 0.6, 1.0, 0.5)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[1:]))


def evenly(paths: list[Path], count: int) -> list[Path]:
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]


def read_drawn(folder: Path, count: int) -> list:
    """(picture, drawn mask) of evenly chosen pictures with hair."""
    paths = evenly(sorted((folder / "images").glob("*.jpg")), count)
    read = [(read_picture(path).rgb8, read_mask(folder / "masks" / f"{path.stem}.png")) for path in paths]
    return [(rgb, drawn) for rgb, drawn in read if (drawn >= HAIR).any()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with val/images and val/masks")
    parser.add_argument("--pictures", type=int, default=50, help="to measure the colouring on (%(default)s)")
    parser.add_argument("--colors", type=float, nargs="+", default=[0.0, 0.1, 0.35, 0.5, 0.9])
    parser.add_argument("--ombre-height", type=float, default=0.8, help="of the colouring (%(default)s)")
    parser.add_argument("--ombre-grad-height", type=float, default=0.3, help="of the colouring (%(default)s)")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, help="the student's")
    parser.add_argument("--only", choices=["reach", "colouring"])
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = read_drawn(asked.masks / "val", asked.pictures)
    if not pictures:
        parser.error(f"{asked.masks}: no val/images/NAME.jpg with hair in val/masks/NAME.png")
    if asked.only != "colouring":
        print(markdown(reach_table(asked.masks / "val", HairFinder(asked.weights), asked.colors)), flush=True)
    if asked.only == "reach":
        return
    print(f"{len(pictures)} pictures, {len(asked.colors)} colours, drawn masks\n")
    for name, rule in RULES.items():
        print(f"| {name} | " + " | ".join(FIGURES) + " |\n" + "| --- " * (len(FIGURES) + 1) + "|")
        print(measure_rule(rule, pictures, asked.colors, asked.ombre_height, asked.ombre_grad_height))
        print(f"Time, 1024 x 1024: {milliseconds(rule, *pictures[0]):.1f} ms\n", flush=True)


if __name__ == "__main__":
    main()
