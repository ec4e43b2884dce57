"""What a batch of pictures is: the files in the folders given, and what each and its result is called."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from common.batch.table import BatchError, is_table
from common.image.opening import SUFFIXES
from common.progress import say

CLIPS = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".apng"))  # suffixes


@dataclass(frozen=True, slots=True)
class Source:
    """A picture of a batch: the file, and the name it goes by, unique in the batch, relative, with forward slashes."""

    path: str
    name: str


class Found(NamedTuple):
    """A batch of pictures; `unreadable` folders, and in words what else of the folders is `left_out`."""

    sources: list[Source]
    unreadable: int
    left_out: str


def find_pictures(inputs: Sequence[str | os.PathLike], *outputs: str | os.PathLike, clips: bool = False) -> Found:
    """The files given and those in the folders given, at any depth.

    They are sorted folder by folder, and each comes once. A file given by name counts whatever its suffix; hidden
    files, other suffixes, and what lies in `outputs` or beside a table of results do not. Links to folders are
    followed, to each folder once. A name is the path below the input; where two are the same, as much of the path above
    is put in front as tells them apart. With `clips` those count as pictures do.

    Raises BatchError: an input is not there, cannot be read, is one of `outputs`, or holds no picture.
    """
    search = _Search({os.path.realpath(output) for output in outputs}, suffixes_taken(clips))
    found = [file for given in inputs for file in search.of(os.fspath(given))]
    return Found(_told_apart(found), search.unreadable, search.left_out())


def suffixes_taken(clips: bool) -> frozenset[str]:
    """Those of the files in a folder that count: of pictures, and of clips where these do."""
    return SUFFIXES | CLIPS if clips else SUFFIXES


def is_named_clip(path: str) -> bool:
    """Whether a file is a clip by its name alone."""
    return suffix_of(path) in CLIPS


def other_files(others: Counter[str]) -> str:
    """What suffixes files have that are no pictures, in words."""
    kinds = ", ".join(f"{suffix or 'without a suffix'}: {count}" for suffix, count in others.most_common(6))
    return f"other files ({kinds})"


class _Search:
    def __init__(self, avoid: set[str], suffixes: frozenset[str]) -> None:
        self.avoid, self.suffixes = avoid, suffixes
        self.unreadable = 0
        self.earlier = 0  # folders of an earlier run's results
        self.met_again = 0
        self.others: Counter[str] = Counter()  # files that are no pictures by their names, by suffix
        self.folders: set[str] = set()  # where those really lie that were looked through
        self.files: set[str] = set()  # where those really lie that were given by name

    def of(self, given: str) -> list[tuple[str, str]]:
        """Path and name of each picture that this input adds to those before."""
        if os.path.isdir(given):
            if os.path.realpath(given) in self.avoid:
                raise BatchError(f"{given}: is the folder to read and to write; choose another --output")
            before = self.met_again
            found = list(self._below(given))
            if not found and self.met_again == before:
                raise BatchError(f"{given}: there are no pictures in this folder ({' '.join(sorted(self.suffixes))})")
            return found
        if not os.path.exists(given):
            raise BatchError(f"{given}: there is no such file or folder")
        if not os.path.isfile(given):
            raise BatchError(f"{given}: is neither a file nor a folder")
        folder, name = os.path.split(given)
        real = os.path.join(os.path.realpath(folder), name)
        known = real in self.files or (os.path.dirname(real) in self.folders and self._is_asked(name))
        self.files.add(real)
        return [] if known else [(given, name)]

    def _below(self, root: str) -> Iterator[tuple[str, str]]:
        waiting = [(root, "")]
        while waiting:
            folder, prefix = waiting.pop()
            real = os.path.realpath(folder)
            self.met_again += real in self.folders
            if real in self.folders or real in self.avoid:
                continue
            self.folders.add(real)
            try:
                names, folders = _listed_folder(folder)
            except OSError as error:
                if folder == root:
                    raise BatchError(f"{folder}: cannot be read: {error.strerror}") from error
                self.unreadable += 1
                say(f"{folder}: is left out: {error.strerror}")
                continue
            tables = [name for name in names if name.endswith(".csv") and is_table(os.path.join(folder, name))]
            tables += [name for name in folders if name.endswith(".parquet")]  # of a cluster
            if tables and prefix:
                say(f"{folder}: is left out: it holds the results of an earlier run ({tables[0]})")
                self.earlier += 1
                continue
            asked = list(filter(self._is_asked, names))
            known = {*asked, *tables}
            self.others.update(suffix_of(name) for name in names if name not in known)
            inside = os.path.join(folder, "")
            for name in asked:
                if self.files and os.path.join(real, name) in self.files:
                    self.met_again += 1
                else:
                    yield inside + name, prefix + name
            waiting += [(os.path.join(folder, name), f"{prefix}{name}/") for name in reversed(folders)]

    def left_out(self) -> str:
        """What of the folders is no part of the batch, in words; empty where nothing is."""
        parts = {
            other_files(self.others): self.others.total(),
            "folders with results of an earlier run": self.earlier,
            "folders that cannot be read": self.unreadable,
        }
        return ", ".join(f"{count} {what}" for what, count in parts.items() if count)

    def _is_asked(self, name: str) -> bool:
        return not name.startswith(".") and suffix_of(name) in self.suffixes


def _listed_folder(folder: str) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted, but for the hidden."""
    names, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if _is_folder(entry) else names).append(entry.name)
    return sorted(names), sorted(folders)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or round in a circle
        return False


def _told_apart(files: list[tuple[str, str]]) -> list[Source]:
    names = [name for _, name in files]
    while len(uses := Counter(names)) < len(names):
        names = [_longer(path, name) if uses[name] > 1 else name for (path, _), name in zip(files, names)]
    return [Source(path, name) for (path, _), name in zip(files, names)]


def _longer(path: str, name: str) -> str:
    """The name with one more folder of the path in front."""
    parts = PurePath(os.path.realpath(os.path.dirname(path)), os.path.basename(path)).parts[1:]
    return "/".join(parts[-name.count("/") - 2 :])


def result_names(
    sources: Iterable[Source], suffix: str | None, *, is_clip: Callable[[str], bool] | None = None
) -> dict[str, str]:
    """A picture's name -> its result's, no two the same: the name with `suffix` for its own.

    Where two would be one, the suffix is added to the own. With None a picture keeps its suffix, and one that has none
    of a picture gets .png added. Where there are clips, which `is_clip` tells of a file, they keep their names.
    """
    sources = list(sources)
    names = [source.name for source in sources]
    if suffix and is_clip:
        kept = {source.name: source.name for source in sources if is_clip(source.path)}
        return kept | result_names((source for source in sources if source.name not in kept), suffix)
    if suffix:
        results = [os.path.splitext(name)[0] + suffix for name in names]
        while len(uses := Counter(results)) < len(results):
            results = [name + suffix if uses[result] > 1 else result for name, result in zip(names, results)]
        return dict(zip(names, results))
    kept = {name for name in names if suffix_of(name) in suffixes_taken(clips=bool(is_clip))}
    taken, given = set(kept), {}
    for name in names:
        result = name
        while name not in kept and (result == name or result in taken):
            result += ".png"
        taken.add(result)
        given[name] = result
    return given


def suffix_of(name: str) -> str:
    """As in the sets of suffixes: with its point, in lower case."""
    return os.path.splitext(name)[1].lower()
