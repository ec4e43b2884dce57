"""The CSV of a batch of pictures: a row for each, whatever was killed when, and however many processes write."""

import csv
import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from common.files import replacing

FAILED = "failed"
HANDOVER = 20  # seconds to wait for a killed run's helper processes, which hold its place until they notice
PATIENCE = 600  # seconds to wait for other ranks that merge into the table, which takes each moments

Row = dict[str, object]


class BatchError(Exception):
    """There is nothing to do, or it cannot be begun; the message is one line for the user."""


def rank_and_size() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says in the environment; 0 and 1 without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


class Table:
    """A CSV with a row for each key, in which a finished row is safe at once.

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
        row = dict.fromkeys(self.columns, "") | row  # whole from the start: other ranks may read it before it is merged
        self._journal.write(json.dumps(row, default=str).encode() + b"\n")  # unbuffered: one write, whole
        self._known[row[self.key]] = row

    def finished(self, key: str, **same: object) -> bool:
        """Whether a row with this key is there, did not fail, and has these values in these columns."""
        row = self._known.get(key, {"status": FAILED})
        return row["status"] != FAILED and all(str(row.get(name)) == str(value) for name, value in same.items())

    def relative(self, path: str | os.PathLike) -> str:
        """How the table names a file: relative to its own folder, with forward slashes; whole on another drive."""
        folder, name = os.path.split(os.path.abspath(path))
        place = os.path.join(os.path.realpath(folder), name)
        try:
            return Path(os.path.relpath(place, os.path.realpath(self.path.parent))).as_posix()
        except ValueError:  # Windows
            return Path(place).as_posix()

    def demand_own(self, row: Row) -> None:
        """Raise BatchError where the key of `row` is taken by another `image`, which is still there."""
        before, now = self._known.get(row[self.key], {}).get("image"), row.get("image")
        if before and now and before != now and (self.path.parent / str(before)).exists():
            raise BatchError(
                f"{self.path}: has {row[self.key]} of {before} already, which that of {now} would "
                "replace; choose another --output"
            )

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
        return _lock(
            journal.with_suffix(".lock"),
            patience,
            f"{self.path}: another run is writing this table; wait for it or choose another --output",
        )

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
