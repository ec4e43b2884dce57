"""Tables that a person has had in a spreadsheet: other separators, codings and ends of lines than ours."""

import csv
import io
import os
from pathlib import Path

from common.batch.table import BatchError, unescaped

SEPARATORS = ",;\t"  # of the English, the European, and the plain way to save a table
QUOTE = "'"  # before a cell that a spreadsheet would run


def read_edited(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a table, by the names in its head in lower case; no blanks around cells, no empty rows.

    A last line without an end counts, as editors leave it; one with too few cells, as a full disk leaves it, does not.

    Raises BatchError: it is no table; OSError.
    """
    data = Path(path).read_bytes()
    coding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(coding, "strict" if coding == "utf-16" else "surrogateescape")
        head = text.partition("\n")[0]
        separator = max(SEPARATORS, key=head.count)
        lines = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=separator)]
    except (UnicodeError, csv.Error) as error:
        raise BatchError(f"{path}: cannot be read as a table ({error}); save it as CSV") from None
    names = [name.lower() for name in lines[0]] if lines else []
    while names and not names[-1]:  # columns that are empty
        names.pop()
    rows = [dict(zip(names, map(_value, cells))) for cells in lines[1:] if len(cells) >= len(names)]
    return [row for row in rows if any(row.values())]


def _value(cell: str) -> str:
    return unescaped(cell.removeprefix(QUOTE))
