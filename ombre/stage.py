"""Pictures and clips -> hair -> the same dyed, and ombre.csv: what the third stage does."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import islice
from pathlib import Path

import cv2

from common.batch.discover import Source, result_names, suffix_of
from common.batch.local import tidy
from common.batch.stage import Item, Stage, Work
from common.batch.table import Row, Table
from common.device import own_cores
from common.image.moving import is_clip, is_named_clip
from common.image.opening import DEFAULT_MAX_PIXELS
from common.image.picture import read_picture
from common.workarounds import keep_freed_memory
from ombre.dye_photo import dye_photo
from ombre.media.mask_files import Masks
from ombre.media.source import opened
from ombre.style import Style, say_strangers
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder

TABLE = "ombre.csv"
COLUMNS = [
    "image",
    "output",
    *(field.name for field in fields(Style)),
    "hair_share",
    "frames",
    "people",
    "seconds",
    "source",
    "weights",
    "quality",
    "mask",
    "saved_mask",
    "result_bytes",
    "note",
    "status",
    "error",
]
NUMBERS = {field.name for field in fields(Style) if field.type is float}
NUMBERS |= {"hair_share", "frames", "people", "seconds", "quality", "result_bytes"}


@dataclass(frozen=True, kw_only=True)
class Dye(Stage):
    """Dyes pictures and clips: `output`/<a picture's path, the style in its name> for each picture and style.

    Each thread takes a picture from file to file, so that decoding, network, dye and encoding of several overlap.
    """

    table, columns, numbers, key, result, clips = "ombre", COLUMNS, NUMBERS, "output", "output", True

    styles: Sequence[Style]  # how the hair is to look; each gives a result
    weights_hash: str  # what the weights are called in the table
    own_styles: Mapping[str, Sequence[Style]] = field(default_factory=dict)  # of single pictures (see `read_styles`)
    masks: Masks = Masks()
    weights: Path = SHIPPED_WEIGHTS
    suffix: str | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS  # larger pictures are refused
    quality: int = 75  # of clips, 0 to 100
    debug: Path | None = None  # a folder, for pictures of what was found on the way
    find_hair: Callable[..., HairFinder] = HairFinder

    def items(self, sources: Sequence[Source], table: Table) -> list[Item]:
        """As Stage.items."""
        say_strangers(sources, self.own_styles)
        items = super().items(sources, table)
        if not self.masks.folder and not self.masks.save:
            return items
        masks = names_of_masks(sources)
        if self.masks.save:
            tidy(self.masks.save, [f"{name}/" if not name.endswith(".png") else name for name in masks.values()])
        return [item._replace(mask=masks[item.source.name]) for item in items]

    def plan(self, item: Item) -> list[Row]:
        """As Stage.plan."""
        source = item.source
        lossy = may_be_lossy(source.name) and (source.clip or not source.here)
        known: Row = dict(weights=self.weights_hash) | self.masks.row(item.mask)
        known["quality"] = self.quality if lossy else ""
        styles = self.own_styles.get(os.path.realpath(source.path)) if self.own_styles else None
        return [dict(output=style.name(item.result)) | known | style.row() for style in styles or self.styles]

    def threads(self) -> int:
        """As Stage.threads."""
        return own_cores() + 1  # one decodes or encodes while the others wait for the network

    def load(self, items: Sequence[Item] | None = None) -> Work:
        """As Stage.load."""
        self.masks.mark()
        at_once = self.threads()
        if items is not None:  # clips come one at a time; no more files are looked into than needed
            at_once = len(list(islice((item for item in items if not item.source.clip), at_once)))
        many = items is None or len(items) > 1
        if many or not at_once:
            cv2.setNumThreads(1)  # the pictures, or the steps of a clip, share out the cores already
        if many:
            keep_freed_memory(but_large=True)  # each picture takes the arrays of the one before
        return partial(self.dye, self.find_hair(self.weights, self.device, max(1, min(at_once, own_cores()))))

    def dye(self, finder: HairFinder, item: Item, output: Path, rows: list[Row]) -> list[Row]:
        """Dye a picture or a clip in every style of its rows; the rows, complete. Raises PictureError.

        Args:
            finder: what finds the hair; where masks are given, faces and which way up heads are.
        """
        path, masks = Path(item.source.path), self.masks
        if item.source.clip:
            from ombre.dye_clip import dye_clip  # FFmpeg takes a while to load

            how = dict(max_pixels=self.max_pixels, quality=self.quality)
            rows = dye_clip(path, output, finder, rows, masks.under(item.mask), **how)
        else:
            detect = partial(masks.of, name=item.mask, finder=finder)
            rows = [row | dict(quality="") for row in rows]
            rows = dye_photo(path, output, detect, rows, self.max_pixels, self.debug and self.debug / item.source.name)
        return [row | masks.saved(item.mask) for row in rows]

    def read(self, path: str) -> object:
        """A picture, or a clip whose first frame can be decoded. Raises PictureError: it is broken."""
        if not is_clip(path):
            return read_picture(path, hdr=True)
        return opened(Path(path), DEFAULT_MAX_PIXELS)


def may_be_lossy(name: str) -> bool:
    """Whether a file of this name is encoded with some loss if it is a clip."""
    return is_named_clip(name) or suffix_of(name) == ".webp"


def names_of_masks(sources: Sequence[Source]) -> dict[str, str]:
    """A picture's name -> that of its mask, as `predict` gives it; a clip's -> that of its folder of masks."""
    names = result_names(sources, ".png")
    for source in sources:
        if source.clip:
            names[source.name] = os.path.splitext(names[source.name])[0]
    return names
