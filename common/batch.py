"""A folder worked through: which pictures there are, one row for each in a table, resumable, shared out over ranks."""

import csv
import glob
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TypeVar

from filelock import FileLock, Timeout

from common.files import replacing
from common.pictures import SUFFIXES, PictureError

FAILED = "failed"
HANDOVER = 20  # seconds to wait for a killed run's helper processes, which hold its place until they notice
PATIENCE = 600  # seconds to wait for other ranks that merge into the table, which takes each moments

Item = TypeVar("Item")
Row = dict[str, object]


class BatchError(Exception):
    """There is nothing to do, or it cannot be begun; the message is one line for the user."""


# ---- what there is to do ----

@dataclass(frozen=True)
class Source:
    """A picture of a batch: the file, and the name it goes by, unique in the batch, relative, with forward slashes."""

    path: Path
    name: str


def find_pictures(inputs: Sequence[str | os.PathLike], output: str | os.PathLike | None = None) -> list[Source]:
    """The files given and those in the folders given, at any depth, sorted folder by folder; each file once.

    A file given by name counts whatever its suffix; hidden files, other suffixes and what lies in the folder `output`
    do not. A name is the path below the input; where two are the same, as much of the path above is put in front as
    tells them apart.

    Raises BatchError: an input that is not there, a folder without a picture, an input folder that is `output`.
    """
    avoid = None if output is None else os.path.realpath(output)
    found: dict[str, tuple[Path, int]] = {}  # where it really lies -> file, how many parts of its path make the name
    for given in map(Path, inputs):
        if given.is_dir():
            if os.path.realpath(given) == avoid:
                raise BatchError(f"{given}: is the folder to read and to write; choose another --output")
            root, files = given, list(_pictures_under(given, avoid))
            if not files:
                raise BatchError(f"{given}: there are no pictures in this folder ({' '.join(sorted(SUFFIXES))})")
        elif given.is_file():
            root, files = given.parent, [given]
        else:
            raise BatchError(f"{given}: there is no such file or folder")
        for file in files:
            place = os.path.join(os.path.realpath(file.parent), file.name)
            found.setdefault(place, (file, len(file.relative_to(root).parts)))
    return _named(list(found.values()))


def _pictures_under(folder: Path, avoid: str | None) -> Iterator[Path]:
    def complain(error: OSError) -> None:
        print(f"{error.filename}: is left out: {error.strerror}", file=sys.stderr)

    for parent, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith(".")
                            and (avoid is None or os.path.realpath(os.path.join(parent, name)) != avoid))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _named(files: list[tuple[Path, int]]) -> list[Source]:
    parts = [Path(os.path.abspath(path)).parts[1:] for path, _ in files]
    depths = [depth for _, depth in files]
    while True:
        names = ["/".join(path[-depth:]) for path, depth in zip(parts, depths)]
        uses = Counter(names)
        if len(uses) == len(names):
            return [Source(path, name) for (path, _), name in zip(files, names)]
        depths = [depth + (uses[name] > 1) for depth, name in zip(depths, names)]


def output_names(sources: Iterable[Source], suffix: str) -> dict[Source, str]:
    """What is written for each: its name with `suffix` for its own, or, where two would be one, added to its own."""
    names = {source: str(PurePosixPath(source.name).with_suffix(suffix)) for source in sources}
    while len(names) > len(uses := Counter(names.values())):
        names = {source: name if uses[name] == 1 else source.name + suffix for source, name in names.items()}
    return names


def rank_and_size() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says in the environment; 0 and 1 without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def shard(items: Sequence[Item]) -> Sequence[Item]:
    """This rank's part of the work: every WORLD_SIZE-th item, from RANK on."""
    rank, size = rank_and_size()
    return items[rank::size]


def wait_for_other_ranks() -> None:
    """Come back when every rank is through: torchrun ends the others when one exits with an error."""
    if rank_and_size()[1] > 1 and "MASTER_ADDR" in os.environ:
        import torch.distributed as ranks

        ranks.init_process_group("gloo", timeout=timedelta(days=30))
        ranks.barrier()
        ranks.destroy_process_group()


# ---- the table ----

class Table:
    """The CSV of a batch: a row for each key, whatever was killed when, and however many ranks write.

    A finished row goes at once to a journal, `.NAME.rankN.part` beside the table, a line of JSON each. Closing the
    table, or opening it again after a kill, merges the journals that no living process holds into the CSV, sorted by
    key; of several rows for a key the last counts. Rows that this run does not touch stay, and so do other columns.

    Raises BatchError: another process of the same rank is at work on the table, or the file is some other table.
    """

    def __init__(self, path: str | os.PathLike, columns: Sequence[str], key: str) -> None:
        self.path, self.columns, self.key = Path(path), list(columns), key
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._journal_path = self._beside(f"rank{rank_and_size()[0]}.part")
        with ExitStack() as hold:
            hold.enter_context(self._held(self._journal_path, HANDOVER))
            self._merge()
            self._known = {row[key]: row for row in self.rows()}
            self._journal = hold.enter_context(open(self._journal_path, "ab", buffering=0))
            self._hold = hold.pop_all()

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, row: Row) -> None:
        """Note a row (column -> value; what is left out stays empty), safe from this moment on. From any thread.

        The key and `status` are a must; the status "failed" makes a later run try again.
        """
        if strange := row.keys() - set(self.columns):
            raise ValueError(f"{self.path.name} has no columns {sorted(strange)}")
        self._journal.write(json.dumps(row, default=str).encode() + b"\n")  # unbuffered: one write, whole
        self._known[row[self.key]] = row

    def finished(self, key: str, **same: object) -> bool:
        """Whether a row with this key is there, did not fail, and has these values in these columns."""
        row = self._known.get(key, {"status": FAILED})
        return row["status"] != FAILED and all(str(row.get(name)) == str(value) for name, value in same.items())

    def relative(self, path: str | os.PathLike) -> str:
        """How the table names a file: relative to its own folder, with forward slashes."""
        return Path(os.path.relpath(os.path.abspath(path), os.path.realpath(self.path.parent))).as_posix()

    def demand_own(self, row: Row) -> None:
        """Raise BatchError where the key of `row` is taken by another `image`, which is still there."""
        before, now = self._known.get(row[self.key], {}).get("image"), row.get("image")
        if before and now and before != now and (self.path.parent / str(before)).exists():
            raise BatchError(f"{self.path}: has {row[self.key]} of {before} already, which that of {now} would "
                             "replace; choose another --output")

    def rows(self) -> list[Row]:
        """All rows known so far, of other runs and ranks too, sorted by key; those from the CSV hold strings."""
        with self._locked_table():
            return self._latest(self._csv()[1], *map(_journal_rows, self._journals()))

    def close(self) -> None:
        """Merge into the CSV what this run noted, and let go of it."""
        self._journal.close()
        try:
            self._merge()
        finally:
            self._hold.close()

    def _merge(self) -> None:
        with self._locked_table(), ExitStack() as holds:
            left = [journal for journal in self._journals() if self._is_left(journal, holds)]
            if noted := [row for journal in left for row in _journal_rows(journal)]:
                columns, rows = self._csv()
                self._write(list(dict.fromkeys(self.columns + columns)), self._latest(rows, noted))
            for journal in left:
                journal.unlink()

    def _is_left(self, journal: Path, holds: ExitStack) -> bool:
        """Whether no other process writes the journal; if so none begins to before `holds` ends."""
        if journal == self._journal_path:
            return True
        try:
            holds.enter_context(self._held(journal, 0))
        except BatchError:
            return False
        return True

    def _held(self, journal: Path, patience: float) -> AbstractContextManager:
        return _lock(journal.with_suffix(".lock"), patience,
                     f"{self.path}: another run is writing this table; wait for it or choose another --output")

    def _locked_table(self) -> AbstractContextManager:
        return _lock(self._beside("lock"), PATIENCE, f"{self.path}: another process does not let go of this table")

    def _csv(self) -> tuple[list[str], list[Row]]:
        """Columns and rows of the CSV, as text; none where there is no file yet."""
        if not self.path.exists():
            return [], []
        try:
            with open(self.path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
                reader = csv.DictReader(file)
                columns, rows = list(reader.fieldnames or ()), list(reader)
        except csv.Error:
            columns, rows = [], []
        if name := next((name for name in (self.key, "status") if name not in columns), None):
            raise BatchError(f"{self.path}: is not a table of this command, as it has no column '{name}'; move it away")
        return columns, rows

    def _write(self, columns: list[str], rows: list[Row]) -> None:
        import pandas  # half a second, and only where there is something to write

        with replacing(self.path) as part:
            # As objects whole numbers stay whole in columns with gaps; names of files need not be valid UTF-8.
            pandas.DataFrame(rows, columns=columns, dtype=object).to_csv(part, index=False, errors="surrogateescape")

    def _latest(self, *several: Iterable[Row]) -> list[Row]:
        """One row a key, the last, sorted by key."""
        latest = {row[self.key]: row for rows in several for row in rows}
        return [latest[key] for key in sorted(latest)]

    def _journals(self) -> list[Path]:
        return sorted(self.path.parent.glob(f".{glob.escape(self.path.name)}.rank*.part"))

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{ending}")


def _journal_rows(journal: Path) -> Iterator[Row]:
    """The rows of a journal, but for one torn by a kill or a full disk: that item will be done again."""
    for line in journal.read_bytes().splitlines():
        with suppress(ValueError):
            yield json.loads(line)


@contextmanager
def _lock(path: Path, patience: float, complaint: str) -> Iterator[None]:
    """A lock between processes, on a shared folder too, which ends with the process that holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BatchError(complaint) from None
    try:
        yield
    finally:
        with suppress(PermissionError):  # Windows, where FileLock does this itself
            path.unlink(missing_ok=True)  # while it is held: who waits for it notices, and takes a new one
        lock.release()


# ---- the work ----

@dataclass
class Tally:
    """How many rows a run has done, skipped as done before, and failed at."""

    done: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def exit_code(self) -> int:
        """What a script exits with: 0, or 1 where something failed."""
        return int(self.failed > 0)


def work_through(items: Sequence[Item], work: Callable[[Item], Row | list[Row]], table: Table, *, workers: int,
                 describe: Callable[[Item], Row | list[Row]], skip: Callable[[Item], bool] | None = None) -> Tally:
    """Do `work` on each item in `workers` threads and add the row or rows it gives to `table` as they come.

    `describe` gives the row or rows that an item will have, as far as known before the work, the table's key at least;
    where `work` raises, these are noted as failed, with the error. An item that `skip` knows as done is not touched.
    What fails is said on stderr, a line each, and the batch goes on; on a terminal there is a progress bar. Few items
    are in flight at a time, so memory does not grow with their number.

    Raises BatchError before anything is done where a result would replace that of another picture of the same name.
    On KeyboardInterrupt and SIGTERM the items at work are finished and noted, no other is begun, and
    KeyboardInterrupt is raised.
    """
    from tqdm import tqdm

    tally, todo, expected = Tally(), [], 0
    for item in items:
        rows = _listed(describe(item))
        for row in rows:
            table.demand_own(row)
        if skip and skip(item):
            tally.skipped += len(rows)
        else:
            todo.append(item)
            expected += len(rows)

    def note(item: Item, future: Future) -> None:
        try:
            rows = _listed(future.result())
        except Exception as error:  # one item, whatever befell it, does not end the batch
            planned = _listed(describe(item))
            failure = {"status": FAILED, "error": _complaint(error, str(planned[0][table.key]))}
            rows = [row | failure for row in planned]
        for row in rows:
            table.add(row)
        failures = [row for row in rows if row["status"] == FAILED]
        for complaint in dict.fromkeys(str(row["error"]) for row in failures):
            tqdm.write(complaint, file=sys.stderr)
        tally.failed += len(failures)
        tally.done += len(rows) - len(failures)
        bar.update(len(rows))

    quiet = True if rank_and_size()[0] else None  # None: quiet unless on a terminal
    with _sigterm_interrupts(), ThreadPoolExecutor(workers) as pool, tqdm(total=expected, disable=quiet) as bar:
        flying: dict[Future, Item] = {}
        try:
            for item in todo:
                flying[pool.submit(work, item)] = item
                if len(flying) >= 2 * workers:
                    _land(flying, note)
            while flying:
                _land(flying, note)
        except BaseException:
            for future in [future for future in flying if future.cancel()]:
                del flying[future]
            while flying:
                _land(flying, note)
            raise
    return tally


def _land(flying: dict[Future, Item], note: Callable[[Item, Future], None]) -> None:
    """Wait for one at least, and note what has come."""
    for future in wait(flying, return_when=FIRST_COMPLETED).done:
        note(flying[future], future)
        del flying[future]


def _listed(rows: Row | list[Row]) -> list[Row]:
    return rows if isinstance(rows, list) else [rows]


def _complaint(error: Exception, name: str) -> str:
    """One line that names the picture; ours do so themselves."""
    text = " ".join(str(error).split())
    return text if isinstance(error, PictureError) else f"{name}: {type(error).__name__}: {text}"


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM, which torchrun sends to the other ranks when one dies, counts as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
