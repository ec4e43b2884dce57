"""What is known of the pairs of a data folder: looked through once, and again only where a file has changed."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, cast

from common.batch.table import read_csv, write_csv
from common.device import own_cores
from common.files import replacing
from common.image.picture import PictureError
from common.progress import progress
from segmentation.dataset.pair import Pair

Kind = Callable[[str], Any]  # what makes a value of a text
NAME = ".pairs.csv"  # in the data folder, or in the user's cache where that cannot be written


@dataclass(frozen=True)
class Facts:
    """What decoding a pair tells. Either `fault` says why it cannot be trained on, or the rest is known."""

    fault: str = ""
    misfit: int = 0  # 1: the fault is that label and picture do not belong together
    width: int = 0  # of the picture, pixels
    height: int = 0
    greatest: int = 0  # of the label's values
    hair_share: float = 0.0  # of the label's pixels
    levels: int = 0  # how many different values the label has
    border: float = 0.0  # share of hair in the outer eighth of the label, on all sides
    middle: float = 0.0  # and in its inner half


def look_through(folder: Path, pairs: Sequence[Pair], facts_of: Callable[[Pair], Facts]) -> list[Facts]:
    """The facts of each pair of a folder: what an earlier run noted of unchanged files, else by `facts_of`.

    A change is another size or time of a file. `facts_of` is called from several threads, and may raise PictureError.
    """

    def facts(pair: Pair) -> Facts:
        try:
            return facts_of(pair)
        except PictureError as error:
            return Facts(fault=str(error))

    stamps = [pair_stamp(pair) for pair in pairs]
    places = [folder / NAME, cache_of(folder)]
    known = next((rows for rows in map(read, places) if rows), {})
    new = [place for place, stamp in enumerate(stamps) if stamp not in known]
    if new:
        with ThreadPoolExecutor(own_cores()) as pool, progress(len(new)) as done:
            for place, fact in zip(new, pool.map(lambda place: facts(pairs[place]), new)):
                known[stamps[place]] = fact
                done(1)
    current = {stamp: known[stamp] for stamp in stamps}
    if len(known) > len(current) or new:  # a fault may pass, as that of a disk: it is looked at again
        write(places, {stamp: fact for stamp, fact in current.items() if not fact.fault})
    return [current[stamp] for stamp in stamps]


def pair_stamp(pair: Pair) -> str:
    """What a pair's facts depend on: names, sizes and times of its files, and its coding."""
    parts = [str(pair.name), str(pair.hair_value)]
    for path in (pair.image, pair.label):
        try:
            status = path.stat()
            parts.append(f"{path.suffix} {status.st_size} {status.st_mtime_ns}")
        except OSError:  # a link to nothing, or gone since the folder was listed: whoever reads it says so
            parts.append(f"{path.suffix} unknown")
    return "|".join(parts)


def cache_of(folder: Path) -> Path:
    """Where the listing of a folder lies that cannot be written."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path.home() / ".cache" / "ombre-hair" / f"pairs-{key}.csv"


def read(path: Path) -> dict[str, Facts]:
    """Stamp -> facts; nothing where the file is missing or broken."""
    try:
        return {
            row["stamp"]: Facts(*(cast(Kind, item.type)(row[item.name]) for item in fields(Facts)))
            for row in read_csv(path)
        }
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}


def write(places: Sequence[Path], facts: dict[str, Facts]) -> None:
    """Keep the facts in the first of the places that can be written; without one the next run looks again."""
    rows = [(stamp, *astuple(fact)) for stamp, fact in facts.items()]
    for place in places:
        try:
            with replacing(place) as part:
                write_csv(part, ["stamp", *(item.name for item in fields(Facts))], rows)
            return
        except OSError:
            continue
