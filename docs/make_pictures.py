"""The pictures of README.md and docs, made of the samples with the shipped student.

    python docs/make_pictures.py

before_after.jpg: what the samples look like, dyed; shades.jpg: every shade on black, brown and blond hair;
natural_and_dyed.jpg: hair that grew blond, and dark hair dyed from root to tip; with_and_without.jpg: four things that
keep dye from looking like paint, each without it and with it; debug.jpg: what `--debug` writes of a
sample; sweep.webp: a colour after the other, then the height.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.image.icc import in_srgb8
from common.image.picture import Picture, read_picture, write_picture
from ombre.api import Ombre, hair_of
from ombre.colour.shades import SHADES
from ombre.debug import write_debug
from ombre.hair.analysis import Hair, prepare
from ombre.hair.people import Head, People
from ombre.render.recolour import dye_hair
from ombre.show.contact_sheet import changed_part, tile
from ombre.style import Style
from segmentation.dataset.augment import relit

DOCS, SAMPLES = ROOT / "docs", ROOT / "data" / "samples"
BEFORE_AFTER = {
    "black_flying": ["platinum", "copper", "sky"],
    "strawberry_straight": ["espresso", "rose gold", "violet"],
    "brown_long": ["honey", "burgundy", "caramel>platinum"],
    "ginger_wavy": ["ash blond", "mint", "plum>pink"],
}
BLACK_BROWN_BLOND = "black_flying", "brown_long", "strawberry_straight"
NATURAL = "blonde_windblown", "strawberry_straight", "lightbrown_wavy"
DYED = ("black_flying", "platinum"), ("brown_long", "honey"), ("ginger_wavy", "beige blond")
# The samples that show the fade along the hair, the scene's light, a fade for each, and strands.
ALONE = "black_flying", "brown_long", "two_women", "blonde_windblown"
LAMP = np.array([1.0, 0.78, 0.45])  # of linear red, green and blue
STRANDS = 0.3, 0.6, 0.05, 0.35  # top, bottom, left and right, shares of the picture
DEBUGGED = "two_women"
STEPS = "crops", "guide", "probability", "matte", "people", "fade"
SHADE_SIDE, SHADES_ACROSS = 150, 4
SWEEP, SWEEP_SIDE = "brown_long", 400
SWEEP_COLORS = ["platinum", "honey", "copper", "burgundy", "rose", "lilac", "blue", "turquoise"]


def main() -> None:
    ombre = Ombre()
    hairs = {}
    for name in (*BEFORE_AFTER, *BLACK_BROWN_BLOND, *NATURAL, SWEEP):
        rgb = in_srgb8(read_picture(SAMPLES / f"{name}.jpg"))
        hairs[name] = hair_of(rgb, ombre.detect(rgb))
    before_after = [strip(hairs[name], colors) for name, colors in BEFORE_AFTER.items()]
    halves = [np.hstack(before_after[start : start + 2]) for start in (0, 2)]
    save("before_after.jpg", np.vstack(halves), quality=85)
    save("shades.jpg", shades([hairs[name] for name in BLACK_BROWN_BLOND]), quality=78)
    grown = np.hstack([tile(hairs[name].rgb, "as it grew") for name in NATURAL])
    dyed = np.hstack([tile(dye_hair(hairs[name], Style(color, 1, 0.1)), color) for name, color in DYED])
    save("natural_and_dyed.jpg", np.vstack([grown, dyed]), quality=85)
    save("with_and_without.jpg", with_and_without(ombre), quality=85)
    save("debug.jpg", debug(ombre), quality=85)
    frames = [Image.fromarray(frame) for frame in sweep(hairs[SWEEP])]
    times = [80] * len(frames)
    frames[0].save(DOCS / "sweep.webp", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=62)


def with_and_without(ombre: Ombre) -> np.ndarray:
    """Pairs of pictures, two pairs in a row: the fade by rows, plain light, one fade for all, the mask as it was found;
    each beside how it is done."""
    pictures = {name: in_srgb8(read_picture(SAMPLES / f"{name}.jpg")) for name in ALONE}
    flying, lit, women, strands = pictures.values()
    lit = relit(lit, LAMP)
    hair, lamp, two, fine = (hair_of(rgb, ombre.detect(rgb)) for rgb in (flying, lit, women, strands))
    by_rows, blue, high = Style("platinum", along="rows"), Style("blue", along="rows"), Style("platinum", 0.8)
    one = two._replace(people=together(two.people))
    plain = lamp._replace(illuminant=np.ones(3, np.float32))
    coarse = prepare(strands, ombre.detect(strands).mask, refine=False)
    pairs = [
        (dye_hair(hair, by_rows), "by rows", dye_hair(hair, Style("platinum")), "along the hair"),
        (dye_hair(plain, high), "plain light", dye_hair(lamp, high), "its own light"),
        (dye_hair(one, blue), "one fade", dye_hair(two, blue), "one each"),
        (near(dye_hair(coarse, Style("pink", 1))), "the mask", near(dye_hair(fine, Style("pink", 1))), "the matte"),
    ]
    shown = [np.hstack([tile(before, was), tile(after, now)]) for before, was, after, now in pairs]
    rows = [np.hstack(shown[:2]), np.hstack(shown[2:])]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])


def together(people: People) -> People:
    """All as one person."""
    head = Head(min(head.top for head in people.heads), max(head.bottom for head in people.heads))
    whole = tuple(slice(0, length) for length in people.labels.shape)
    return People([head], np.zeros_like(people.labels), [(whole[0], whole[1])], [None])


def near(rgb: np.ndarray) -> np.ndarray:
    """Where strands fly, from near."""
    height, width = rgb.shape[:2]
    top, bottom, left, right = STRANDS
    return rgb[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def debug(ombre: Ombre) -> np.ndarray:
    """The pictures that `--debug` writes of a sample, three in a row, with their names."""
    rgb = in_srgb8(read_picture(SAMPLES / f"{DEBUGGED}.jpg"))
    detection = ombre.detect(rgb)
    with TemporaryDirectory() as folder:
        write_debug(Path(folder), rgb, detection, hair_of(rgb, detection), Style("platinum"))
        tiles = [tile(read_picture(Path(folder, f"{name}.png")).rgb8, f"{name}.png") for name in STEPS]
    return np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])


def save(name: str, rgb: np.ndarray, quality: int) -> None:
    write_picture(DOCS / name, Picture(rgb, jpeg={"quality": quality}))


def strip(hair: Hair, colors: list[str]) -> np.ndarray:
    """A picture as it was and in these colours, names below."""
    return np.hstack(
        [tile(hair.rgb, "before"), *(tile(dye_hair(hair, Style(color, 0.7, 0.6)), color) for color in colors)]
    )


def shades(hairs: list[Hair]) -> np.ndarray:
    """All shades in their groups, each on all of the heads."""
    parts = [changed_part(hair.rgb, dye_hair(hair, Style("0.36", 0.9, 0.4))) for hair in hairs]
    cells = []
    for group, known in SHADES.items():
        for shade in known:
            heads = [small(dye_hair(hair, Style(shade.name, 0.9, 0.4))[part]) for hair, part in zip(hairs, parts)]
            cells.append(
                np.vstack([caption(f"{shade.name}  {shade.rgb}  ({group})", 3 * SHADE_SIDE), np.hstack(heads)])
            )
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % SHADES_ACROSS)
    cells = [cv2.copyMakeBorder(cell, 0, 6, 4, 4, cv2.BORDER_CONSTANT, value=(255,) * 3) for cell in cells]
    return np.vstack([np.hstack(cells[at : at + SHADES_ACROSS]) for at in range(0, len(cells), SHADES_ACROSS)])


def small(rgb: np.ndarray) -> np.ndarray:
    """The largest square about the middle, at the page's size."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = height - side, (width - side) // 2
    return cv2.resize(rgb[top:, left : left + side], (SHADE_SIDE, SHADE_SIDE), interpolation=cv2.INTER_AREA)


def caption(text: str, width: int) -> np.ndarray:
    line = Image.new("RGB", (width, 20), "white")
    ImageDraw.Draw(line).text((2, 2), text, "black", ImageFont.load_default(13))
    return np.asarray(line)


def sweep(hair: Hair) -> list[np.ndarray]:
    """Each colour melts into the next; then the last one climbs from nothing to all of the hair, and back."""
    size = (SWEEP_SIDE, round(SWEEP_SIDE * hair.rgb.shape[0] / hair.rgb.shape[1]))

    def frame(color: str, height: float) -> np.ndarray:
        return cv2.resize(dye_hair(hair, Style(color, height, 0.5)), size, interpolation=cv2.INTER_AREA)

    looks = [frame(color, 0.7) for color in SWEEP_COLORS]
    frames = []
    for here, following in zip(looks, looks[1:]):
        frames += [here] * 6 + [cv2.addWeighted(here, 1 - part, following, part, 0) for part in (0.25, 0.5, 0.75)]
    heights = [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 0.9, 0.8]
    frames += [looks[-1]] * 4 + [frame(SWEEP_COLORS[-1], height) for height in heights]
    return frames + [cv2.addWeighted(looks[-1], 1 - part, looks[0], part, 0) for part in (0.25, 0.5, 0.75)]


if __name__ == "__main__":
    main()
