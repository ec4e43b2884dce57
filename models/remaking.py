"""What the scripts that remake the shipped weights share."""

import hashlib
import zlib
from pathlib import Path

import pandas as pd

from common.errors import UserError
from common.files import replacing
from common.weights import short_hash
from segmentation.dataset.pairs import find_pairs
from segmentation.dataset.scan import pair_stamp

BEGUN = "begun_with.txt"


def demand_same(output: Path, masks: Path, parts: list[str], *weights: Path) -> None:
    """Note in a folder what its labels and its run are made of: weights, and parts of the hair masks.

    Raises UserError: they were begun with others.
    """
    lines = [f"{path.name} {short_hash(path)}" for path in weights]
    lines += [f"{part}/{pair_stamp(pair)}" for part in parts for pair in find_pairs(masks / part)[0]]
    text, path = hashlib.sha256("\n".join(lines).encode()).hexdigest() + "\n", output / BEGUN
    if not path.is_file():
        with replacing(path) as new:
            new.write_text(text)
    elif path.read_text() != text:
        raise UserError(f"{output}: was begun with other weights or pictures; name another --output")


def write_labels(folder: Path, rows: list[tuple[Path, str, Path | str]]) -> None:
    """Write `labels.csv`, once all labels are there: picture, label's name and face of each."""
    with replacing(folder / "labels.csv") as path:
        table = pd.DataFrame(rows, columns=["image", "label", "face"]).assign(status="ok")
        table.to_csv(path, index=False)


def is_set_aside(name: str) -> bool:
    """Whether a picture of nobody is one to measure on: a seventh is, by its file's name."""
    return zlib.crc32(name.encode()) % 7 == 0
