"""What a batch of pictures is: the files in the folders given, and what each and its result is called."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import PurePath
from typing import NamedTuple

from common.batch.storage import File, Folder, Page, Place
from common.batch.table import BatchError
from common.image import raw
from common.image.moving import CLIPS, is_clip, is_named_clip
from common.image.opening import SUFFIXES
from common.image.strange import absence
from common.progress import say

PARTS = ".parquet"  # ending of a folder with a cluster's rows
EARLIER = "the results of an earlier run"


@dataclass(frozen=True)
class Source:
    """A picture or clip of a batch: the file, and the name it goes by, unique in the batch, relative, with forward
    slashes."""

    path: str
    name: str
    here: bool = True  # whether the file can be looked into; else its name says what it is

    @cached_property
    def clip(self) -> bool:
        """Whether it is a clip."""
        return is_clip(self.path) if self.here else is_named_clip(self.path)


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
    """Those of the files in a folder that count: of pictures, cameras' raw files where they can be read, and clips."""
    return writable_suffixes(clips) | (raw.SUFFIXES if find_spec("rawpy") else frozenset())


def writable_suffixes(clips: bool) -> frozenset[str]:
    """Those in whose formats results can be: of pictures, and of clips where these count."""
    return SUFFIXES | CLIPS if clips else SUFFIXES


def other_files(others: Counter[str]) -> str:
    """What suffixes files have that are no pictures, in words."""
    kinds = ", ".join(f"{suffix or 'without a suffix'}: {count}" for suffix, count in others.most_common(6))
    return f"other files ({kinds})"


class Listed(NamedTuple):
    """A part of what a folder holds."""

    prefix: str  # the folder's name and a slash; nothing for the first
    pictures: Sequence[File] = ()
    folders: Sequence[str] = ()
    others: Counter[str] = Counter()  # files that are no pictures by their names, by suffix
    fault: str = ""  # why the folder, or the rest of it, cannot be read
    table: str = ""  # of results, that lies here

    @property
    def is_earlier(self) -> bool:
        """Whether the folder is left out as one with results of an earlier run."""
        return bool(self.table and self.prefix)

    @property
    def why_left_out(self) -> str:
        """For the user; empty where the folder is not left out."""
        return f"it holds {EARLIER} ({self.table})" if self.is_earlier else self.fault


class Walk:
    """Goes through places folder by folder, at any depth, each folder once.

    Links to folders are followed. Left out are hidden files, folders below the first that hold results of earlier runs,
    and those that really lie at one of the paths in `avoid`.
    """

    def __init__(self, avoid: set[str], suffixes: frozenset[str]) -> None:
        self.avoid, self.suffixes = avoid, suffixes
        self.met: Counter[str] = Counter()  # where those folders really lie that were come to, how often

    def below(self, place: Place) -> Iterator[Listed]:
        """The files with these suffixes in all folders of a place, in the order of their names, part by part."""
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            folders: list[str] = []
            if self._is_new(place.real(prefix.rstrip("/"))):
                for listed in self._parts(place, prefix):
                    yield listed
                    folders += listed.folders
            waiting += [f"{prefix}{name}/" for name in reversed(folders) if not name.endswith(PARTS)]

    def _is_new(self, real: str) -> bool:
        """Whether a folder that really lies there is to be looked through."""
        if real in self.avoid:
            return False
        self.met[real] += 1
        return self.met[real] == 1

    def _parts(self, place: Place, prefix: str) -> Iterator[Listed]:
        try:
            for page in place.pages(prefix.rstrip("/")):
                yield (listed := self._listed(place, prefix, page))
                if listed.is_earlier:
                    break
        except OSError as error:
            yield Listed(prefix, fault=error.strerror or str(error))

    def _listed(self, place: Place, prefix: str, page: Page) -> Listed:
        tables = [name for name, _ in page.files if name.endswith(".csv") and place.is_table(prefix + name)]
        tables += [name for name in page.folders if name.endswith(PARTS)]
        if tables and prefix:
            return Listed(prefix, table=tables[0])
        pictures = [file for file in page.files if suffix_of(file.name) in self.suffixes]
        known = {file.name for file in pictures}.union(tables)
        others = Counter(suffix_of(name) for name, _ in page.files if name not in known)
        return Listed(prefix, pictures, page.folders, others, table=tables[0] if tables else "")


class _Search:
    """Goes through what was given, and keeps what was left out."""

    def __init__(self, avoid: set[str], suffixes: frozenset[str]) -> None:
        self.walk = Walk(avoid, suffixes)
        self.unreadable = 0
        self.earlier = 0  # folders of an earlier run's results
        self.met_again = 0  # files
        self.others: Counter[str] = Counter()  # files that are no pictures by their names, by suffix
        self.files: set[str] = set()  # where those really lie that were given by name

    def of(self, given: str) -> list[tuple[str, str]]:
        """Path and name of each picture that this input adds to those before."""
        if os.path.isdir(given):
            return self._in_folder(given)
        if not os.path.exists(given):
            raise BatchError(f"{given}: {absence(given).replace('such file', 'such file or folder')}")
        if not os.path.isfile(given):
            raise BatchError(f"{given}: is neither a file nor a folder; name pictures, clips or folders")
        folder, name = os.path.split(given)
        real = os.path.join(os.path.realpath(folder), name)
        known = real in self.files or (os.path.dirname(real) in self.walk.met and self._is_asked(name))
        self.files.add(real)
        return [] if known else [(given, name)]

    def _in_folder(self, given: str) -> list[tuple[str, str]]:
        if os.path.realpath(given) in self.walk.avoid:
            raise BatchError(f"{given}: is the folder to read and to write; choose another --output")
        before = self._again()
        found = list(self._below(Folder(given)))
        if not found and self._again() == before:
            suffixes, left = " ".join(sorted(self.walk.suffixes)), self.left_out()
            raise BatchError(f"{given}: there are no pictures in this folder ({suffixes}){left and '; but ' + left}")
        return found

    def _again(self) -> int:
        """How many folders and files were come to once more."""
        return self.walk.met.total() - len(self.walk.met) + self.met_again

    def _below(self, place: Folder) -> Iterator[tuple[str, str]]:
        for listed in self.walk.below(place):
            folder = os.path.join(place.given, listed.prefix)
            if listed.fault and not listed.prefix:
                raise BatchError(f"{place.given}: cannot be read: {listed.fault}")
            self.unreadable += bool(listed.fault)
            self.earlier += listed.is_earlier
            if listed.why_left_out:
                say(f"{folder.rstrip(os.sep)}: is left out: {listed.why_left_out}")
            self.others.update(listed.others)
            real = place.real(listed.prefix.rstrip("/")) if self.files else ""
            for name, _ in listed.pictures:
                if self.files and os.path.join(real, name) in self.files:
                    self.met_again += 1
                else:
                    yield os.path.join(folder, name), listed.prefix + name

    def left_out(self) -> str:
        """What of the folders is no part of the batch, in words; empty where nothing is."""
        parts = {
            other_files(self.others): self.others.total(),
            "folders with results of an earlier run": self.earlier,
            "folders that cannot be read": self.unreadable,
        }
        return ", ".join(f"{count} {what}" for what, count in parts.items() if count)

    def _is_asked(self, name: str) -> bool:
        return not name.startswith(".") and suffix_of(name) in self.walk.suffixes


def _told_apart(files: list[tuple[str, str]]) -> list[Source]:
    names = [name for _, name in files]
    while len(uses := Counter(names)) < len(names):
        names = [_longer(path, name) if uses[name] > 1 else name for (path, _), name in zip(files, names)]
    return [Source(path, name) for (path, _), name in zip(files, names)]


def _longer(path: str, name: str) -> str:
    """The name with one more folder of the path in front."""
    parts = PurePath(os.path.realpath(os.path.dirname(path)), os.path.basename(path)).parts[1:]
    return "/".join(parts[-name.count("/") - 2 :])


def result_names(sources: Iterable[Source], suffix: str | None, *, clips: bool = False) -> dict[str, str]:
    """A picture's name -> its result's, no two the same: the name with `suffix` for its own.

    Where two would be one, the suffix is added to the own. With None a picture keeps its suffix, and one that has none
    of a picture gets .png added. With `clips` there are such among them, which keep their names.
    """
    sources = list(sources)
    names = [source.name for source in sources]
    if suffix and clips:
        kept = {source.name: source.name for source in sources if source.clip}
        return kept | result_names((source for source in sources if source.name not in kept), suffix)
    if suffix:
        results = [os.path.splitext(name)[0] + suffix for name in names]
        while len(uses := Counter(results)) < len(results):
            results = [name + suffix if uses[result] > 1 else result for name, result in zip(names, results)]
        return dict(zip(names, results))
    writable = {name for name in names if suffix_of(name) in writable_suffixes(clips)}
    taken, given = set(writable), {}
    for name in names:
        result = name
        while name not in writable and (result == name or result in taken):
            result += ".png"
        taken.add(result)
        given[name] = result
    return given


def suffix_of(name: str) -> str:
    """As in the sets of suffixes: with its point, in lower case."""
    return os.path.splitext(name)[1].lower()
