"""Every shade on hair of every colour, measured with drawn masks.

    python benchmarks/shades.py HAIR_MASKS          HAIR_MASKS/val/images/NAME.jpg with HAIR_MASKS/val/masks/NAME.png

In the fully dyed part, over the pictures: dE2000 between the shade and the mean colour of the lighter half of the
hair, since a shade is that of hair in the light, and the share of pictures where it is at most CLOSE; the same with L*
left out; then strand detail, contrast and clipping as in ombre_quality.py, and the mean lightness L* of that half on
dark, middling and light hair beside the shade's own. Pictures in dim or coloured light are among them, and their dye
is, too.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skimage.color import deltaE_ciede2000

from benchmarks.markdown import markdown
from benchmarks.ombre_quality import fully_dyed, lab, measure, read_drawn
from ombre.colour.ramps import rgb_of
from ombre.colour.shades import SHADES, Shade
from ombre.render.recolour import dye_hair, prepare
from ombre.style import Style

CLOSE, CLOSE_WITHOUT = 7.0, 5.0  # dE2000, with and without L*
DARK, LIGHT = 22.0, 50.0  # L* of hair before, as in ombre_quality.py


def measure_shade(shade: Shade, pictures: list, height: float, grad: float) -> np.ndarray:
    """(pictures, 7): L* before, of the lighter half after, dE2000, the same without L*, detail, contrast, clipped %."""
    asked = lab(np.float32(rgb_of(shade.rgb))[None, None] * 255)[0, 0]
    rows = []
    for rgb, part, hair in pictures:
        after = dye_hair(hair, Style(shade.name, height, grad, along="rows"))
        colours = lab(after)[part]
        lighter = colours[colours[:, 0] >= np.median(colours[:, 0])].mean(axis=0)
        away = deltaE_ciede2000([lighter, [asked[0], *lighter[1:]]], [asked, asked])
        *_, detail, contrast, clipped = measure(rgb, after, part, 0.0)
        rows.append([lab(rgb)[part][:, 0].mean(), lighter[0], *away, detail, contrast, clipped])
    return np.array(rows)


def summary(group: str, shade: Shade, figures: np.ndarray) -> dict[str, object]:
    before, after, away, without, detail, contrast, clipped = figures.T
    kinds = {"dark": before < DARK, "middling": (before >= DARK) & (before < LIGHT), "light": before >= LIGHT}
    return {
        "": f"{shade.name} ({group})",
        "dE2000": float(np.median(away)),
        "close": f"{100 * (away <= CLOSE).mean():.0f} %",
        "without L*": float(np.median(without)),
        "close without": f"{100 * (without <= CLOSE_WITHOUT).mean():.0f} %",
        "detail": detail.mean(),
        "contrast": contrast.mean(),
        "clipped, %": clipped.mean(),
        "L* asked": float(lab(np.float32(rgb_of(shade.rgb))[None, None] * 255)[0, 0, 0]),
    } | {f"L* on {kind}": after[chosen].mean() for kind, chosen in kinds.items() if chosen.any()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with val/images and val/masks")
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--ombre-height", type=float, default=0.8)
    parser.add_argument("--ombre-grad-height", type=float, default=0.3)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    height, grad = asked.ombre_height, asked.ombre_grad_height
    pictures = [
        (rgb, fully_dyed(drawn, height, grad), prepare(rgb, drawn, refine=False))
        for rgb, drawn in read_drawn(asked.masks / "val", asked.pictures)
    ]
    pictures = [picture for picture in pictures if picture[1].sum() >= 200 and picture[2] is not None]
    print(f"{len(pictures)} pictures, height {height}, fade {grad}\n")
    print(
        markdown(
            [
                summary(group, shade, measure_shade(shade, pictures, height, grad))
                for group, shades in SHADES.items()
                for shade in shades
            ]
        )
    )


if __name__ == "__main__":
    main()
