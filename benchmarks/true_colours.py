"""The same picture in four colour profiles, dyed, and brought back to sRGB: how far are they apart?

    python benchmarks/true_colours.py HAIR_MASKS        HAIR_MASKS/val/images/NAME.jpg, HAIR_MASKS/val/masks/NAME.png

dE2000 against the picture dyed in sRGB, in the dyed hair, over pictures and shades: the mean, the 95th percentile of
the pixels, and the mean colour of the dyed part, in 8 bits and in 16 (so that one sees what 8 bits of a wide space
cost); beside it the same where the numbers are taken for those of sRGB. And the time for a picture of 1024 x 1024.
"""

import argparse
import sys
import time
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skimage.color import deltaE_ciede2000

from benchmarks.markdown import markdown
from benchmarks.ombre_quality import lab, read_drawn
from common.image.icc import SRGB, Space, space_of
from common.image.pixels import to8
from ombre.render.recolour import ombre
from ombre.style import Style
from tests.tools.icc import SPACES, converted, rgb_profile

COLORS = ["0.36", "platinum", "copper", "burgundy", "turquoise", "lilac"]
HEIGHT, GRAD_HEIGHT = 0.8, 0.3  # shares, as in Style


def in_space(rgb: np.ndarray, source: str, target: str) -> np.ndarray:
    """A picture in another of SPACES: of 8 bits by LittleCMS, of 16, which Pillow does not give it, by the formulas."""
    if rgb.dtype == np.uint16:
        return np.uint16(np.rint(65535 * converted(rgb / 65535, source, target)))
    profiles = (ImageCms.ImageCmsProfile(BytesIO(rgb_profile(name))) for name in (source, target))
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(rgb), *profiles))


def apart(rgb: np.ndarray, mask: np.ndarray, color: str, name: str, space: Space) -> list[float]:
    """Mean, 95th percentile, and that of the mean colour: dE2000 of the dyed hair in the space from that in sRGB."""
    own = in_space(rgb, "sRGB", name)
    fair = in_space(own, name, "sRGB")  # what the bits of the space leave of the picture
    style = Style(color, HEIGHT, GRAD_HEIGHT)
    here, there = ombre(fair, mask, style, refine=False), ombre(own, mask, style, refine=False, space=space)
    part = (here != fair).any(axis=-1) & (mask == 255)
    most = np.iinfo(rgb.dtype).max
    first, second = (lab(255 / most * picture)[part] for picture in (here, in_space(there, name, "sRGB")))
    away = deltaE_ciede2000(first, second)
    return [away.mean(), np.percentile(away, 95), float(deltaE_ciede2000(first.mean(axis=0), second.mean(axis=0)))]


def milliseconds(rgb: np.ndarray, mask: np.ndarray, space: Space) -> float:
    rgb, mask = (cv2.resize(plane, (1024, 1024)) for plane in (rgb, mask))
    times = []
    for _ in range(8):
        started = time.perf_counter()
        space.to_srgb8(to8(rgb))  # for the network
        ombre(rgb, mask, Style("copper", HEIGHT, GRAD_HEIGHT), refine=False, space=space)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with val/images and val/masks")
    parser.add_argument("--pictures", type=int, default=20)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = read_drawn(asked.masks / "val", asked.pictures)
    deep = [(np.uint16(rgb) * 257, mask) for rgb, mask in pictures]
    rows = []
    for name in SPACES:
        own = space_of(rgb_profile(name))
        ways = [("", own, pictures), (", 16 bits", own, deep), (", taken for sRGB", SRGB, pictures)]
        for way, used, given in ways[: 1 if own is SRGB else 3]:
            figures = np.array([apart(rgb, mask, color, name, used) for rgb, mask in given for color in COLORS])
            rows.append(
                {"": name + way}
                | dict(zip(("mean", "95 % of pixels", "mean colour"), figures.mean(axis=0)))
                | {"worst picture's mean": figures[:, 0].max(), "ms": milliseconds(*given[0], used)}
            )
    print(f"{len(pictures)} pictures, {len(COLORS)} colours, dE2000\n\n" + markdown(rows))


if __name__ == "__main__":
    main()
