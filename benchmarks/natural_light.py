"""Whether the dye lies in the picture's own light and has the depth that hair has.

    python benchmarks/natural_light.py HAIR_MASKS [--pictures 60] [--only commutes]

Portraits with drawn masks, all of the hair dyed.

Commutes: a picture dyed and put into another light, against the same picture put into that light and dyed: mean dE2000
over the hair, mean over the pictures, those in other than plain light among them. The lights are factors of red, green
and blue of linear sRGB. Faces are where the student sees them in each, as in the script.

Depth: dark-haired portraits of `val` (mean L* below DARK) dyed, beside natural hair of that lightness: medians of the
deviation of L*, of its fine texture (deviation of L* less its Gaussian mean over FINE of the hair's size, the root of
its area), of L* of hair less that of the face's skin where that is drawn, and dE2000 between the shade and the mean of
the lighter half of the hair, whole and with L* left out, of all and of those whose surroundings are in plain light.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.markdown import markdown
from benchmarks.ombre_quality import evenly, lab
from common.image.picture import read_mask, read_picture
from ombre.colour.ramps import encoded, linear, rgb_of
from ombre.colour.shades import parse_color
from ombre.render.recolour import Hair, dye_hair, ombre, prepare
from ombre.style import Style
from segmentation.finding.hair_finder import HairFinder

SHADES = {"platinum": (72, 90), "honey": (58, 64), "caramel": (52, 58)}  # mean L* of natural hair of that colour
LIGHTS = {"a third": (1 / 3, 1 / 3, 1 / 3), "a lamp": (1, 0.78, 0.45), "the blue hour": (0.45, 0.6, 0.85)}
DARK = 30.0  # L*
FINE = 0.012
AWAY = ("dE2000, lighter half", "without L*", "in plain light")
FEWEST = 2000  # pixels of hair
EVERY = 5  # pixels, one of which is compared
PLAIN = 55.0, 75.0, 12.0  # L* of skin or surroundings from and to, and chroma at most, of plain light


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with train and val, images and masks")
    parser.add_argument("--pictures", type=int, default=60, help="of each table (%(default)s)")
    parser.add_argument("--only", choices=["commutes", "depth"])
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(path for path in (asked.masks / "val" / "images").glob("*.jpg"))
    if asked.only != "depth":
        finder = HairFinder(device="cpu")
        print(markdown(commutes([read(path) for path in evenly(paths, asked.pictures)], finder)), "\n")
    if asked.only != "commutes":
        grown = [
            measured(*read(path))
            for path in (*paths, *sorted((asked.masks / "train" / "images").glob("[cf][ei][lg]*.jpg"))[::3])
        ]
        dark = [path for path, figures in zip(paths, grown) if figures and figures["L*"] < DARK]
        print(markdown(depth(evenly(dark, asked.pictures), [figures for figures in grown if figures])))


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A picture, the drawn mask of its hair, and that of the face's skin, bool, where there is one."""
    folder, name = path.parents[1], f"{path.stem}.png"
    skin = folder / "skin" / name
    return (
        read_picture(path).rgb8,
        read_mask(folder / "masks" / name),
        read_mask(skin) > 0 if skin.exists() else None,
    )


def in_light(rgb: np.ndarray, light: tuple[float, ...]) -> np.ndarray:
    """(H, W, 3) uint8 as it were in this light."""
    numbers = [np.rint(255 * encoded(linear(np.arange(256) / 255) * gain)) for gain in light]
    return cv2.LUT(rgb, np.uint8(np.stack(numbers, axis=-1))[None])


def commutes(pictures: list, finder: HairFinder) -> list[dict[str, object]]:
    """A row a shade, a column a light."""
    errors: dict[str, dict[str, list]] = {shade: {name: [] for name in LIGHTS} for shade in SHADES}
    for rgb, mask, _ in pictures:
        part = mask == 255
        if not part.any():
            continue
        own = seen(rgb, mask, finder)
        plain = {shade: dye_hair(own, Style(shade, 1, 0)) for shade in SHADES}
        for name, light in LIGHTS.items():
            there = seen(in_light(rgb, light), mask, finder)
            for shade, found in errors.items():
                dyed = dye_hair(there, Style(shade, 1, 0)), in_light(plain[shade], light)
                found[name].append(deltaE_ciede2000(*(lab(picture[part][None, ::EVERY])[0] for picture in dyed)).mean())
    return [
        {"": shade} | {name: float(np.mean(values)) for name, values in found.items()}
        for shade, found in errors.items()
    ]


def seen(rgb: np.ndarray, mask: np.ndarray, finder: HairFinder) -> Hair:
    """A picture ready to be dyed with the drawn mask, and with what the student tells of faces."""
    hair = prepare(rgb, mask, refine=False, guide=finder.find(rgb).guide())
    assert hair is not None, "there is hair in the mask"
    return hair


def measured(rgb: np.ndarray, mask: np.ndarray, skin: np.ndarray | None) -> dict[str, float]:
    """L* of the hair and its spread; nothing where there is little hair."""
    part = mask == 255
    if np.count_nonzero(part) < FEWEST:
        return {}
    lightness = lab(rgb)[..., 0]
    own = lightness[part]
    fine = lightness - cv2.GaussianBlur(lightness, (0, 0), FINE * np.sqrt(own.size))
    figures = {"L*": float(own.mean()), "deviation": float(own.std()), "fine": float(fine[part].std())}
    if skin is not None and skin.any():
        figures["over skin"] = figures["L*"] - float(np.median(lightness[skin]))
    return figures


def depth(paths: list[Path], grown: list[dict[str, float]]) -> list[dict[str, object]]:
    """Two rows a shade: natural hair of its lightness, and dark hair dyed."""
    pictures = [read(path) for path in paths]
    plain = np.array([is_plain(*picture) for picture in pictures])
    rows = []
    for shade, (darkest, lightest) in SHADES.items():
        natural = [figures for figures in grown if darkest <= figures["L*"] < lightest]
        rows.append(
            {"": f"grown, L* {darkest} to {lightest}, {len(natural)}"} | medians(natural) | dict.fromkeys(AWAY, "")
        )
        dyed = [ombre(rgb, mask, Style(shade, 1, 0), refine=False) for rgb, mask, _ in pictures]
        figures = [measured(after, mask, skin) for after, (_, mask, skin) in zip(dyed, pictures)]
        away = np.array([lighter_half(*pair, shade) for pair in zip(dyed, pictures)])
        rows.append(
            {"": f"dyed {shade}, {len(dyed)}"}
            | medians(figures)
            | dict(zip(AWAY, map(spread, (away[:, 0], away[:, 1], away[plain, 0]))))
        )
    return rows


def medians(figures: list[dict[str, float]]) -> dict[str, object]:
    names = ("L*", "over skin", "deviation", "fine")
    return {name: spread([values[name] for values in figures if name in values]) for name in names}


def spread(values: list[float] | np.ndarray) -> str:
    """The median, and where eight of ten lie."""
    if not len(values):
        return ""
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def lighter_half(dyed: np.ndarray, picture: tuple, shade: str) -> tuple[float, float]:
    """dE2000 between a shade and the mean of the lighter half of the dyed hair, and the same with L* left out."""
    asked = lab(np.float32(rgb_of(parse_color(shade)[1][0]))[None, None] * 255)[0, 0]
    strands = lab(dyed)[picture[1] == 255]
    mean = strands[strands[:, 0] >= np.median(strands[:, 0])].mean(axis=0)
    return float(deltaE_ciede2000(mean, asked)), float(deltaE_ciede2000([asked[0], *mean[1:]], asked))


def is_plain(rgb: np.ndarray, mask: np.ndarray, skin: np.ndarray | None) -> bool:
    """Whether a picture's surroundings, or the skin where that is drawn, look as in plain light."""
    darkest, lightest, chroma = PLAIN
    surroundings = lab(rgb)[mask == 0]
    level = np.median(lab(rgb)[skin][:, 0]) if skin is not None and skin.any() else surroundings[:, 0].mean()
    _, a, b = surroundings.mean(axis=0) - (0, 4, 5)  # a little warm, as rooms and skin are
    return darkest <= level <= lightest and np.hypot(a, b) <= chroma


if __name__ == "__main__":
    main()
