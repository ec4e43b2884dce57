"""How far the dye reaches with masks that were found, against the same dye with drawn ones: four figures.

distance   sum of abs(own - reference) / sum of abs(reference - original), over all pixels
reach      share of the reference's change that is there, in the lowest quarter of the drawn hair's rows: the own change
           projected on the reference's, kept within 0..1, mean over the pixels that the reference changes by over SEEN
short      pictures whose reach is below one half
spill      sum of abs(own - original) outside the drawn hair / sum of abs(reference - original)

The reference takes the drawn masks as they are. The four belong together: less dye has less spill, and less reach.
"""

from pathlib import Path

import cv2
import numpy as np

from common.image.picture import read_mask, read_picture
from ombre.render.recolour import ombre
from ombre.style import Style
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.resize import HAIR

HEIGHT, GRAD_HEIGHT = 0.7, 0.5
SEEN = 12  # grey levels, of the channel that changes the most
FIGURES = ("distance", "reach", "short", "spill")


def reach_table(folder: Path, finder: HairFinder, colors: list[float]) -> list[dict[str, object]]:
    """Rows for a table: each kind of pictures in `folder` (figaro_*, celeba_*), by the own and by the plain way."""
    figures: dict[tuple[str, str], list] = {}
    for path in sorted((folder / "images").glob("*.jpg")):
        rgb, drawn = read_picture(path).rgb8, read_mask(folder / "masks" / f"{path.stem}.png")
        if not (drawn >= HAIR).any():
            continue
        found = finder.mask(rgb)
        cut = cv2.threshold(found, HAIR - 1, 255, cv2.THRESH_BINARY)[1]
        ways = {"here": (found, True), "the mask cut at one half": (cut, False)}
        for color in colors:
            reference = _dyed(rgb, drawn, color, False)
            for way, (mask, refine) in ways.items():
                own = _dyed(rgb, mask, color, refine)
                figures.setdefault((path.stem.split("_")[0], way), []).append(measure(rgb, drawn, reference, own))
    rows = []
    for (kind, way), values in sorted(figures.items(), reverse=True):
        means = np.nanmean(np.float64(values), axis=0)
        count = len(values) // len(colors)
        rows.append({"": f"{kind}, {count}: {way}"} | {name: f"{mean:.4f}" for name, mean in zip(FIGURES, means)})
    return rows


def _dyed(rgb: np.ndarray, mask: np.ndarray, color: float, refine: bool) -> np.ndarray:
    return np.float32(ombre(rgb, mask, Style(color, HEIGHT, GRAD_HEIGHT), refine=refine))


def measure(rgb: np.ndarray, drawn: np.ndarray, reference: np.ndarray, own: np.ndarray) -> list[float]:
    """FIGURES of a picture (H, W, 3), its drawn mask (H, W) and its two dyed copies; NaN where there is no reach."""
    asked, got = reference - rgb, own - rgb
    amount = np.abs(asked).sum()
    rows = np.flatnonzero((drawn >= HAIR).any(axis=1))
    low = np.arange(len(drawn)) >= rows[-1] + 1 - (rows[-1] + 1 - rows[0]) / 4
    part = (np.abs(asked).max(axis=2) > SEEN) & low[:, None]
    along, length = (asked * got).sum(axis=2)[part], (asked * asked).sum(axis=2)[part]
    reach = np.clip(along / length, 0, 1).mean() if part.any() else np.nan
    short = np.nan if np.isnan(reach) else float(reach < 0.5)
    return [np.abs(own - reference).sum() / amount, reach, short, np.abs(got)[drawn < HAIR].sum() / amount]
