"""Lists of pictures' names, so that nobody has to list a store: text, a name a line, or Parquet."""

import calendar
import io
import os
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

import pyarrow
import pyarrow.parquet

from common.batch.discover import suffix_of, suffixes_taken
from common.batch.places import place_at
from common.batch.storage import Place, stamp_of, without_secrets
from common.batch.table import BatchError
from common.progress import say

NAMES = ("image", "key", "name", "address")  # columns of a Parquet file; else its first one
SIZES, TIMES = ("size", "bytes"), ("last_modified_date", "last_modified", "modified")


def names_in(path: str, source: Place, clips: bool) -> Iterator[tuple[str, str]]:
    """The names below a place that a list has, and their stamps where it says sizes and times, else empty.

    A line, or a cell of the first column or of one of NAMES, is a name below the place, the whole address of a file
    there or, as inventories of stores have it, its key. What lies elsewhere, or is no picture, is counted and said.

    Raises BatchError: there is no such list, or it is not sorted.
    """
    taken, strangers, before = suffixes_taken(clips), 0, ""
    for entry, stamp in _parquet(path) if path.endswith(".parquet") else _lines(path):
        name = _below(entry, source)
        if name is None or suffix_of(name) not in taken:
            strangers += 1
            continue
        if name <= before:
            raise BatchError(
                f"{without_secrets(path)}: '{name}' stands behind '{before}'; sort the list, each name once, by the "
                "bytes of the names: LC_ALL=C sort -u"
            )
        before = name
        yield name, stamp
    if strangers:
        say(f"{without_secrets(path)}: {strangers} names in it are no pictures below {source.shown}")


def _below(entry: str, source: Place) -> str | None:
    """A name below the place; None where it is not there."""
    for root in (source.given, source.shown, source.root, source.root.partition("/")[2]):
        if root and entry.startswith(f"{root.rstrip('/')}/"):
            return entry[len(root.rstrip("/")) + 1 :]
    return None if "://" in entry or entry.startswith("/") else entry


def _lines(path: str) -> Iterator[tuple[str, str]]:
    with io.TextIOWrapper(_opened(path), "utf-8", "surrogateescape") as lines:
        for line in lines:
            if line := line.rstrip("\r\n"):
                yield line, ""


def _parquet(path: str) -> Iterator[tuple[str, str]]:
    with _opened(path) as file:
        try:
            yield from _rows(pyarrow.parquet.ParquetFile(file))
        except (pyarrow.ArrowException, OSError) as error:  # where it ends too soon, and where its pages are damaged
            raise BatchError(f"{without_secrets(path)}: is no whole Parquet file ({error}); write it again") from None


def _rows(table: pyarrow.parquet.ParquetFile) -> Iterator[tuple[str, str]]:
    columns = table.schema_arrow.names
    name = next((column for column in NAMES if column in columns), columns[0])
    size = next((column for column in SIZES if column in columns), None)
    modified = next((column for column in TIMES if column in columns), None)
    for batch in table.iter_batches(columns=[each for each in (name, size, modified) if each]):
        for row in batch.to_pylist():
            known = size and modified and row[size] is not None and row[modified] is not None
            yield row[name], stamp_of(int(row[size]), _nanoseconds(row[modified])) if known else ""


def _nanoseconds(time: datetime) -> int:
    """Since 1970, of a time that says its zone, or is in UTC."""
    return calendar.timegm(time.utctimetuple()) * 10**9 + time.microsecond * 1000


def _opened(path: str) -> BinaryIO:
    folder, name = os.path.split(path)
    try:
        return place_at(folder or ".").open(name)
    except OSError as error:
        raise BatchError(f"{without_secrets(path)}: cannot be read: {error.strerror or error}") from error
