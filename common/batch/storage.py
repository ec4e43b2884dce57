"""Folders here and in object stores (S3, GCS, Azure, whatever fsspec knows), listed folder by folder."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from pyarrow import ArrowInvalid, fs

from common.batch.discover import suffix_of
from common.batch.table import BatchError, is_head_of_table
from common.files import replacing

PARTS = ".parquet"  # ending of a folder of rows
EARLIER = "the results of an earlier run"


class Place:
    """A folder, by its path or its address (s3://bucket/folder). Can be sent to other processes.

    Raises BatchError: an address that nothing here knows.
    """

    def __init__(self, given: str | os.PathLike) -> None:
        self.given = os.fspath(given).rstrip("/") or "/"
        self.local = "://" not in self.given
        if self.local:
            self.files, self.root = fs.LocalFileSystem(), os.path.abspath(self.given)
            return
        try:
            self.files, self.root = fs.FileSystem.from_uri(self.given)
        except ArrowInvalid:
            import fsspec

            try:
                files, self.root = fsspec.core.url_to_fs(self.given)
            except (ImportError, ValueError) as error:
                raise BatchError(f"{self.given}: {error}") from error
            self.files = fs.PyFileSystem(fs.FSSpecHandler(files))

    def path(self, name: str) -> str:
        """The address of the file of this name."""
        return f"{self.root}/{name}" if name else self.root

    def names(self, folder: str) -> tuple[list[fs.FileInfo], list[str]]:
        """Files and folders of the folder of this name, sorted; none where there is none. Raises OSError."""
        files, folders = [], []
        for name, info in sorted(self._all(folder), key=itemgetter(0)):
            if info.type == fs.FileType.Directory:
                folders.append(name)
            else:
                files.append(info)
        return files, folders

    def sizes(self, folder: str) -> dict[str, int | None]:
        """Names and bytes of what is in the folder of this name; nothing where there is none. Raises OSError."""
        return {name: info.size for name, info in self._all(folder)}

    def _all(self, folder: str) -> list[tuple[str, fs.FileInfo]]:
        found = self.files.get_file_info(fs.FileSelector(self.path(folder), allow_not_found=True))
        return [(name, info) for info in found if not (name := info.base_name).startswith(".")]

    def at_hand(self, name: str, folder: Path) -> Path:
        """Where the file of this name is worked on: where it is or, of a place elsewhere, in `folder` by a copy."""
        return Path(self.path(name)) if self.local else folder / os.path.basename(name)

    def fetch(self, name: str, path: Path) -> None:
        """Copy the file of this name to `path`. Raises OSError."""
        with self.files.open_input_stream(self.path(name)) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def put(self, path: Path, name: str) -> None:
        """Copy `path` to the file of this name, whole or not at all. Raises OSError."""
        if self.local:
            with replacing(self.path(name)) as part:
                shutil.copyfile(path, part)
            return
        with open(path, "rb") as source, self.files.open_output_stream(self.path(name)) as target:  # there when closed
            shutil.copyfileobj(source, target, 1 << 20)

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None where there is none."""
        if self.files.get_file_info(self.path(name)).type != fs.FileType.File:
            return None
        with self.files.open_input_stream(self.path(name)) as source:
            return source.read()


class Listed(NamedTuple):
    """What a folder holds."""

    prefix: str  # its name and a slash; nothing for the first
    pictures: list[fs.FileInfo] = []
    others: Counter[str] = Counter()  # files that are no pictures by their names, by suffix
    complaint: str = ""


def listed_below(place: Place, avoid: str, suffixes: frozenset[str]) -> Iterator[Listed]:
    """Folder by folder, at any depth, the files with these suffixes.

    As `find_pictures`: hidden files, results of earlier runs and the folder whose path is `avoid` are left out, links
    to folders are followed, each folder comes once.
    """
    waiting, seen = [""], set()
    while waiting:
        prefix = waiting.pop()
        path = place.path(prefix.rstrip("/"))
        real = os.path.realpath(path) if place.local else path
        if real in seen or real == avoid:
            continue
        seen.add(real)
        try:
            files, folders = place.names(prefix.rstrip("/"))
            tables = [name for name in folders if name.endswith(PARTS)]
            tables += [info.base_name for info in files if info.extension == "csv" and _is_table(place, info)]
        except OSError as error:
            yield Listed(prefix, complaint=f"{place.given}/{prefix}: is left out: {error.strerror or error}")
            continue
        if prefix and tables:
            why = f"it holds {EARLIER} ({tables[0]})"
            yield Listed(prefix, complaint=f"{place.given}/{prefix}: is left out: {why}")
            continue
        pictures = [info for info in files if suffix_of(info.base_name) in suffixes]
        known = {info.base_name for info in pictures}.union(tables)
        others = Counter(suffix_of(info.base_name) for info in files if info.base_name not in known)
        yield Listed(prefix, pictures, others)
        waiting += [f"{prefix}{name}/" for name in reversed(folders) if not name.endswith(PARTS)]


def _is_table(place: Place, info: fs.FileInfo) -> bool:
    with place.files.open_input_stream(info.path) as source:
        return is_head_of_table(source.read(4096).decode("utf-8-sig", "replace"))
