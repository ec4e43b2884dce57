"""Whether a run on a cluster has left what a plain run leaves: the same files, and the same rows."""

from pathlib import Path

import pandas as pd

from common.files import PART

OWN_TO_A_RUN = ["seconds", "fingerprint", "number", "error"]


def files_of(folder: Path) -> dict[str, bytes]:
    """The results in a folder, at any depth, without tables and what was unfinished when its writer was killed: name ->
    content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix not in (".csv", ".parquet")
        and path.is_file()
        and path.parent.suffix != ".parquet"
        and not PART.fullmatch(path.name)
    }


def rows_of(table: Path) -> list[list]:
    """Rows sorted by the picture, the last of each result; numbers as such, nothing as an empty text."""
    if table.is_dir():
        rows = pd.read_parquet(table).sort_values("number").astype(object).fillna("")
    else:
        rows = pd.read_csv(table, keep_default_na=False, dtype=str)
    key = ["image", "output"] if "output" in rows else ["image"]
    rows = rows.drop_duplicates(key, keep="last").sort_values(key).drop(columns=OWN_TO_A_RUN, errors="ignore")
    return [[_plain(value) for value in row] for row in rows.itertuples(index=False)]


def _plain(value: object) -> object:
    try:
        return float(value)
    except ValueError:
        return str(value)
