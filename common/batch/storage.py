"""Folders of pictures and results, wherever they lie, and those of this machine: listed in parts, read and written."""

import os
import re
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from common.batch.table import is_table
from common.files import replacing

TABLES = (".csv",)  # endings of files that may be tables of results
PAGE = 1000  # files of a folder that are known at a time; object stores give as many at a call
EPOCH = datetime(1970, 1, 1)
# scheme, user and password, the rest, the query; a secret may have been written with its slashes
ADDRESS = re.compile(r"(\w+://)(?:[^/@:\s]*:(?!\d+/)[^@\s]*@|[^/@\s]*@)?([^?\s]*)(?:\?\S*)?")


class File(NamedTuple):
    """A file of a folder; its stamp where it came with the listing, else empty."""

    name: str
    stamp: str = ""


class Page(NamedTuple):
    """A part of what a folder holds, without what is hidden; parts and their files come in the order of the names."""

    files: list[File]
    folders: Sequence[str] = ()


def stamp(path: str | os.PathLike) -> str:
    """A file's size and time, by which a row knows it again; empty where there is none. Spreadsheets leave it alone."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return stamp_of(status.st_size, status.st_mtime_ns)


def stamp_of(size: int, modified: int) -> str:
    """The same of what is known already: bytes, and nanoseconds since 1970."""
    time = EPOCH + timedelta(microseconds=modified // 1000)
    return f"{size} bytes of {time.isoformat(timespec='microseconds')}"


def without_secrets(text: str | os.PathLike) -> str:
    """A path, an address or a line, its addresses without user, password and query, which may hold keys."""
    return ADDRESS.sub(r"\1\2", os.fspath(text))


class Place(ABC):
    """A folder, here or in a store, whose files are called by their names below it. Can be sent to other processes.

    `shown` is how it is called in rows, logs and lines.
    """

    def __init__(self, given: str, root: str) -> None:
        self.given, self.root = given, root
        self.shown = without_secrets(given)

    def without_secrets(self, text: str) -> str:
        """A text that may name this place, such as a library's error, fit to be shown."""
        return text.replace(self.given, self.shown)

    @property
    def local(self) -> bool:
        """Whether its files are opened where they lie."""
        return False

    def path(self, name: str) -> str:
        """Where the file or folder of this name lies; the place itself without one."""
        return os.path.join(self.root, name) if name else self.root

    def real(self, name: str) -> str:
        """The same with all links followed: one folder has one such path."""
        return self.path(name)

    @abstractmethod
    def is_there(self) -> bool:
        """Whether there is such a folder. Raises OSError."""

    @abstractmethod
    def pages(self, folder: str) -> Iterator[Page]:
        """What the folder of this name holds; its folders, and files that may be tables of results, come first.

        Raises OSError.
        """

    @abstractmethod
    def is_table(self, name: str) -> bool:
        """Whether the CSV of this name is a table of results."""

    @abstractmethod
    def stamp(self, name: str) -> str:
        """As `stamp`, of the file of this name."""

    @abstractmethod
    def sizes(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """Bytes of those of these files of a folder that are there. Raises OSError."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Copy `path` to the file of this name, whole or not at all. Raises OSError."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a small file; None where there is none. Raises OSError."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """The file of this name, to be read. Raises OSError."""


class Folder(Place):
    """A folder of this machine."""

    @property
    def local(self) -> bool:
        """As Place.local."""
        return True

    def __init__(self, given: str | os.PathLike) -> None:
        super().__init__(os.fspath(given), os.path.abspath(given))

    def real(self, name: str) -> str:
        """As Place.real."""
        return os.path.realpath(self.path(name))

    def is_there(self) -> bool:
        """As Place.is_there."""
        return os.path.isdir(self.root)

    def pages(self, folder: str) -> Iterator[Page]:
        """As Place.pages."""
        names: list[str] = []
        folders: list[str] = []
        with os.scandir(self.path(folder)) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else names).append(entry.name)
        names.sort()
        tables = [name for name in names if name.endswith(TABLES)]
        yield Page([File(name) for name in tables], sorted(folders))
        names = [name for name in names if not name.endswith(TABLES)]
        for start in range(0, len(names), PAGE):
            yield Page([File(name) for name in names[start : start + PAGE]])

    def is_table(self, name: str) -> bool:
        """As Place.is_table."""
        return is_table(self.path(name))

    def stamp(self, name: str) -> str:
        """As Place.stamp."""
        return stamp(self.path(name))

    def sizes(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """As Place.sizes."""
        found = {}
        for name in names:
            with suppress(FileNotFoundError, NotADirectoryError):
                status = os.stat(os.path.join(self.root, folder, name))
                if stat.S_ISREG(status.st_mode):
                    found[name] = status.st_size
        return found

    def put(self, path: Path, name: str) -> None:
        """As Place.put."""
        with replacing(self.path(name)) as part:
            shutil.copyfile(path, part)

    def read(self, name: str) -> bytes | None:
        """As Place.read."""
        path = Path(self.path(name))
        return path.read_bytes() if path.is_file() else None

    def open(self, name: str) -> BinaryIO:
        """As Place.open."""
        return open(self.path(name), "rb")


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or round in a circle
        return False
