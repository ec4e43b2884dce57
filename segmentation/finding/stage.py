"""Pictures -> soft hair masks and masks.csv: `predict` on a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.batch.local import damage_of
from common.batch.stage import Item, Stage, Work
from common.batch.table import Row
from common.device import own_cores
from common.image.opening import DEFAULT_MAX_PIXELS
from common.image.picture import read_picture, write_mask
from segmentation.finding.hair_finder import HairFinder

COLUMNS = [
    "image",
    "mask",
    "width",
    "height",
    "hair_share",
    "source",
    "weights",
    "result_bytes",
    "note",
    "status",
    "error",
]
HALF = 127  # of a mask's values: up to here it is no hair
EMPTY = "no hair"  # status of a mask without any
NUMBERS = {"width", "height", "hair_share", "result_bytes"}


@dataclass(frozen=True, kw_only=True)
class Predict(Stage):
    """Writes the soft hair mask of each picture as `output`/<its path>.png."""

    table, columns, numbers, key, result = "masks", COLUMNS, NUMBERS, "mask", "mask"

    weights_hash: str  # what the weights are called in the table
    max_pixels: int = DEFAULT_MAX_PIXELS  # larger pictures are refused

    def plan(self, item: Item) -> list[Row]:
        """As Stage.plan."""
        return [dict(mask=item.result, weights=self.weights_hash)]

    def load(self, items: Sequence[Item] | None = None) -> Work:
        """As Stage.load."""
        mask_of = HairFinder(self.weights, self.device, streams=own_cores()).mask

        def predict(item: Item, output: Path, rows: list[Row]) -> list[Row]:
            (row,) = rows
            picture = read_picture(item.source.path, self.max_pixels)
            mask = mask_of(picture.rgb8)
            target = output / str(row["mask"])
            write_mask(target, mask)
            height, width = mask.shape
            seen = dict(width=width, height=height, hair_share=round(mask.mean() / 255, 4), note=damage_of(picture))
            status = "ok" if mask.max() > HALF else EMPTY
            return [row | seen | dict(result_bytes=target.stat().st_size, status=status)]

        return predict
