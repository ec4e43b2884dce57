"""Labels that lie in an object store, or whose pictures do, brought here once to be trained on."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from common.batch.storage import without_secrets
from common.batch.table import Row, write_csv
from common.errors import UserError
from common.files import replacing
from common.paths import DATA
from common.progress import progress, say

if TYPE_CHECKING:
    from common.batch.storage import Place

FETCHED = DATA / "fetched"
AT_ONCE = 16  # files that are fetched at the same time
COLUMNS = ["image", "label", "status", "teacher"]
ROWS = "labels.parquet"


def brought_here(given: Path | str) -> Path:
    """The folder of labels at a path or, of those at an address, a copy in `FETCHED` with the pictures they are of.

    So is a folder here whose rows name pictures by their addresses. What has been fetched before stays as it is.

    Raises UserError: the labels cannot be read, or nothing here reads such addresses.
    """
    if isinstance(given, Path) and not (given / ROWS).is_dir():
        return given
    rows = _rows_at(str(given))
    if isinstance(given, Path) and not any("://" in str(row["image"]) for row in rows):
        return given
    shown = without_secrets(given)
    target = FETCHED / (shown.partition("://")[2] or Path(shown).resolve().name).strip("/")
    say(f"{shown}: its labels and their pictures are fetched to {target}")
    _fetch_all(str(given), rows, target)
    return target


def _rows_at(given: str) -> list[Row]:
    """The last row of each picture whose label is there."""
    try:
        from common.batch.rows import last_rows

        place = _place(given)
        return [row for row in last_rows(place, ROWS, COLUMNS, "image") if row["status"] == "ok"]
    except ImportError as error:
        need = "pip install -r requirements-cluster.txt"
        raise UserError(f"{without_secrets(given)}: needs more to be read ({error}): {need}") from error
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split()).replace(given, without_secrets(given))
        raise UserError(f"{without_secrets(given)}: its {ROWS} cannot be read ({said})") from error


def _fetch_all(given: str, rows: Sequence[Row], target: Path) -> None:
    """Fetch labels and pictures; what cannot be had is said, and has no row in the table of the copy."""
    found = []
    with ThreadPoolExecutor(AT_ONCE) as pool, progress(len(rows)) as advance:
        for row, here in zip(rows, pool.map(lambda row: _fetched(given, row, target), rows)):
            if here:
                found.append([here, row["label"], "ok", row.get("teacher") or "", ""])
            advance(1)
    with replacing(target / "labels.csv") as part:
        write_csv(part, [*COLUMNS, "error"], found)


def _fetched(given: str, row: Row, target: Path) -> str:
    """Where the picture of a row lies now, from the target; empty where it or its label cannot be had."""
    image, label = str(row["image"]), str(row["label"])
    folder, name = os.path.split(image)
    here = f"pictures/{image.partition('://')[2] or image.replace('../', '')}"
    try:
        _copy(_place(given), label, target / label)
        _copy(_place(_known_as(folder, given) if "://" in image else os.path.join(given, folder)), name, target / here)
    except OSError as error:
        said = str(error).replace(given, without_secrets(given))
        say(f"{image}: left out, it or its label cannot be fetched: {said}")
        return ""
    return here


def _known_as(folder: str, given: str) -> str:
    """The address of a folder, which a row has without keys and endpoint, with those of `given` in the same bucket."""
    scheme, _, rest = given.partition("://")
    place, _, query = rest.partition("?")
    keys, at, bucket = place.partition("/")[0].rpartition("@")
    start = f"{scheme}://{bucket}/"
    if not folder.startswith(start):
        return folder
    return f"{scheme}://{keys}{at}{folder.removeprefix(f'{scheme}://')}" + (f"?{query}" if query else "")


def _copy(place: "Place", name: str, path: Path) -> None:
    if path.is_file():
        return
    with place.open(name) as source, replacing(path) as part, open(part, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


@lru_cache(maxsize=64)
def _place(given: str) -> "Place":
    from common.batch.places import place_at  # needs pyarrow

    return place_at(given)
