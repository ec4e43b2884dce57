"""Folders of object stores: GCS, Azure and whatever else pyarrow and fsspec know; s3.py has a better way for S3."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pyarrow import ArrowInvalid, fs

from common.batch.storage import File, Page, Place, stamp_of, without_secrets
from common.batch.table import BatchError, is_head_of_table


class Store(Place):
    """A folder of an object store, by its address (s3://bucket/folder).

    Raises BatchError: an address that nothing here knows.
    """

    def __init__(self, given: str) -> None:
        given = given.rstrip("/")
        try:
            self.files, root = fs.FileSystem.from_uri(given)
        except ArrowInvalid:
            self.files, root = _by_fsspec(given)
        super().__init__(given, root)

    def is_there(self) -> bool:
        """As Place.is_there."""
        return self.files.get_file_info(self.root).type == fs.FileType.Directory

    def pages(self, folder: str) -> Iterator[Page]:
        """All at once: only `S3` knows a store that is listed in parts."""
        found = self._all(folder)
        files = [
            File(info.base_name, stamp_of(info.size, info.mtime_ns or 0))
            for info in found
            if info.type != fs.FileType.Directory
        ]
        yield Page(files, [info.base_name for info in found if info.type == fs.FileType.Directory])

    def is_table(self, name: str) -> bool:
        """As Place.is_table."""
        with self.files.open_input_stream(self.path(name)) as source:
            return is_head_of_table(source.read(4096).decode("utf-8-sig", "replace"))

    def stamp(self, name: str) -> str:
        """As Place.stamp."""
        info = self.files.get_file_info(self.path(name))
        return "" if info.size is None else stamp_of(info.size, info.mtime_ns or 0)

    def sizes(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """As Place.sizes."""
        asked = set(names)
        return {info.base_name: info.size for info in self._all(folder) if info.base_name in asked}

    def _all(self, folder: str) -> list[fs.FileInfo]:
        found = self.files.get_file_info(fs.FileSelector(self.path(folder), allow_not_found=True))
        seen = [info for info in found if not info.base_name.startswith(".")]
        return sorted(seen, key=lambda info: info.base_name)

    def fetch(self, name: str, path: Path) -> None:
        """Copy the file of this name to `path`. Raises OSError."""
        with self.files.open_input_stream(self.path(name)) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def put(self, path: Path, name: str) -> None:
        """As Place.put."""
        with open(path, "rb") as source, self.files.open_output_stream(self.path(name)) as target:  # there when closed
            shutil.copyfileobj(source, target, 1 << 20)

    def open(self, name: str) -> BinaryIO:
        """As Place.open."""
        return self.files.open_input_file(self.path(name))

    def read(self, name: str) -> bytes | None:
        """As Place.read."""
        if self.files.get_file_info(self.path(name)).type != fs.FileType.File:
            return None
        with self.files.open_input_stream(self.path(name)) as source:
            return source.read()


def _by_fsspec(given: str) -> tuple[fs.FileSystem, str]:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(given)
    except (ImportError, ValueError) as error:
        raise BatchError(f"{without_secrets(given)}: {without_secrets(str(error))}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), root
