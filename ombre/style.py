"""How the hair is to look in one result: from the command line, or for each picture by itself from a table."""

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from common.batch.discover import Source
from common.batch.table import BatchError, Row, unescaped
from common.progress import say
from ombre.colour.shades import file_name, parse_color

DYED, LITTLE, NO_HAIR = "ok", "little dyed", "no hair"  # statuses of results
ALONG = ("hair", "rows")  # what a fade runs along: from the roots of hair to its ends, or straight down the picture


@dataclass(frozen=True)
class Style:
    """One result's settings, named as in ombre.csv. Raises ValueError where one is out of its range."""

    color: str = "0.9"  # a place on the hue circle, 0..1 (0 and 1 red), or a text as in shades.py
    ombre_height: float = 0.6  # share of each person's hair, from below, that is dyed; 0 changes nothing, 1 dyes it all
    ombre_grad_height: float = 0.6  # share of the dyed part, from above, over which the dye fades in; 0 is an edge
    strength: float = 1.0  # share of the dye that takes
    lightness: float = 0.0  # -1 darker .. 1 lighter
    reverse: bool = False  # from the roots, fading downwards; the first of two colours is the upper one still
    along: str = "hair"  # what the fade runs along, of ALONG

    def __post_init__(self) -> None:
        object.__setattr__(self, "color", parse_color(self.color)[0])
        for name in ("ombre_height", "ombre_grad_height", "strength", "lightness"):
            low = -1 if name == "lightness" else 0
            if not low <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} is not a number from {low} to 1")
        if self.along not in ALONG:
            raise ValueError(f"along {self.along!r} is none of {', '.join(ALONG)}")

    @classmethod
    def of(cls, row: Row) -> "Style":
        """The style that a row of the table is of."""
        return cls(**{name: row[name] for name in SETTINGS})

    def row(self) -> Row:
        """Its columns of the table."""
        return {name: getattr(self, name) for name in SETTINGS}

    def name(self, picture: str) -> str:
        """A result's name: `a/x.jpg` -> `a/x_platinum_h0.4.jpg`, the colour and whatever is not the default."""
        folder, name = os.path.split(picture)
        stem, suffix = os.path.splitext(name)
        end = self._mark + suffix
        if len(os.fsencode(stem + end)) > LONGEST_NAME:  # cut, and told apart from others that begin so
            end = f"-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}{end}"
            stem = os.fsencode(stem)[: LONGEST_NAME - len(os.fsencode(end))].decode(errors="ignore")
        return os.path.join(folder, stem + end)

    @cached_property
    def _mark(self) -> str:
        parts = ["", file_name(self.color)]
        for field, short in (("ombre_height", "h"), ("ombre_grad_height", "g"), ("strength", "s"), ("lightness", "l")):
            if (value := getattr(self, field)) != getattr(Style, field):
                parts.append(f"{short}{value:g}")
        return "_".join(parts + ["roots"] * self.reverse + ["rows"] * (self.along == "rows"))


class PersonStyle(NamedTuple):
    """The style of one person in a picture, whose hair is the one at `x`, `y`, or the nearest to it: shares of the
    picture's width and height, so that it is the same person at any size."""

    x: float
    y: float
    style: Style


LONGEST_NAME = 255  # bytes, of a file
SETTINGS = [field.name for field in fields(Style)]
NUMBERS = {field.name for field in fields(Style) if field.type is float}
PARTED_BY = (",", ";", "\t")
OLDER = ("cp949", "cp932", "gb18030", "cp1252")  # encodings of spreadsheets' plain CSV


def read_styles(path: Path, usual: Sequence[Style]) -> dict[str, list[Style]]:
    """The styles of each picture in a table with the columns of ombre.csv: where the file really lies -> its styles.

    `image` is a path from the table's folder. A column that is not there, or an empty cell, means what each of the
    `usual` styles says; columns of other names are passed over, and so are styles of a picture that are there already.

    Raises BatchError: there is no such table, it has no column `image`, or a value is none.
    """
    styles: dict[str, list[Style]] = {}
    try:
        rows = spreadsheet_rows(path.read_bytes(), path)
    except (OSError, csv.Error) as error:
        raise BatchError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    for number, row in rows:
        if not row.get("image"):
            raise BatchError(f"{path}: line {number} has no 'image', the picture's path from this table's folder")
        try:
            settings = _settings(row)
            meant = [replace(style, **settings) for style in usual]
        except ValueError as error:
            raise BatchError(f"{path}: line {number}: {error}") from None
        own = styles.setdefault(os.path.realpath(path.parent / image_of(row)), [])
        own += [style for style in dict.fromkeys(meant) if style not in own]
    return styles


def image_of(row: dict[str, str]) -> str:
    """The picture's path as a row has it."""
    return unescaped(row["image"].removeprefix("'"))


def spreadsheet_rows(data: bytes, path: Path) -> list[tuple[int, dict[str, str]]]:
    """Lines' numbers and their cells by column, in lower case, of a table as spreadsheets write it: parted by commas,
    semicolons or tabs, in UTF-8, UTF-16, or an older encoding in which its pictures are found.

    Raises BatchError where that cannot be told.
    """
    tables = [table for text in _texts(data) if (table := _parted(text)) is not None]
    if not tables:
        head = next(_texts(data), "").partition("\n")[0].strip()[:80]
        raise BatchError(f"{path}: has no column 'image' in its first line ({head}); save it as 'CSV UTF-8'")
    for table in tables:
        rows = [row for _, row in table if row.get("image")]
        if len(tables) == 1 or all((path.parent / image_of(row)).exists() for row in rows):
            return table
    if all(table == tables[0] for table in tables):
        return tables[0]
    raise BatchError(
        f"{path}: is not in UTF-8, and its pictures are found in no other encoding; save it as 'CSV UTF-8'"
    )


def _texts(data: bytes) -> Iterator[str]:
    """What the bytes of a table may mean."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield data.decode("utf-16", "replace")
        return
    try:
        yield data.decode("utf-8-sig")
    except UnicodeDecodeError:
        for encoding in OLDER:
            with suppress(UnicodeDecodeError):
                yield data.decode(encoding)


def _parted(text: str) -> list[tuple[int, dict[str, str]]] | None:
    """The rows of a table; None where no way to part its first line gives a column 'image'."""
    lines = io.StringIO(text, newline="")
    skipped = 0
    if text[:4].lower() == "sep=":  # Excel's own first line
        lines.readline()
        skipped = 1
    start = lines.tell()
    head = lines.readline()
    for mark in PARTED_BY:
        if "image" not in [cell.strip().lower() for cell in next(csv.reader([head], delimiter=mark), [])]:
            continue
        lines.seek(start)
        reader = csv.DictReader(lines, delimiter=mark)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
        rows = []
        for number, row in enumerate(reader, 2 + skipped):
            cells = {name: cell for name, cell in row.items() if isinstance(name, str) and isinstance(cell, str)}
            if mark != ",":  # where numbers have a comma instead of a point
                numbers = cells.keys() & NUMBERS
                cells |= {name: cells[name].replace(",", ".") for name in numbers}
            rows.append((number, cells))
        return rows
    return None


def _settings(row: dict[str, str]) -> dict[str, Any]:
    given = {field: (row.get(field.name) or "").strip() for field in fields(Style)}
    return {field.name: _setting(field.name, field.type, text) for field, text in given.items() if text}


def _setting(name: str, kind: Any, text: str) -> Any:
    """A setting out of a table: `kind` is a class, as no annotation above is a text. Raises ValueError: it is none."""
    if kind is not bool:
        try:
            return kind(text.removeprefix("'"))
        except ValueError:
            raise ValueError(f"{name} {text!r} is not a number") from None
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(f"{name} {text!r} is neither yes nor no")
    return text.lower() in ("true", "1", "yes")


def say_strangers(sources: Sequence[Source], own: Mapping[str, Sequence[Style]]) -> None:
    """Say which pictures with styles of their own are not among these."""
    found = {os.path.realpath(source.path) for source in sources} if own else set()
    if strangers := sorted(own.keys() - found):
        say(f"the table of settings has {len(strangers)} pictures that are not among these, as {strangers[0]}")
