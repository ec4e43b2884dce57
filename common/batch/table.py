"""The CSV of a batch of pictures: a row for each, appended as it comes, whatever is killed when."""

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from common.errors import UserError
from common.files import replacing
from common.progress import say

FAILED = "failed"
TRUTHS = ("True", "False")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # a spreadsheet would run a cell that begins so
# What tears rows, or is no text.
UNPRINTED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")
ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")
BETWEEN = "\0"  # the cells of a row that is kept in memory

Row = dict[str, Any]


class BatchError(UserError):
    """There is nothing to do, or it cannot be begun; the message is one line for the user."""


class Table:
    """A CSV with a row for each key, safe on disk as soon as it is added; of several rows for a key the last counts.

    One run at a time: another waits, and says so. Opening the table drops a row that was torn by a kill or a full disk;
    closing it leaves one row a key, sorted. Rows that this run does not touch stay, and so do columns that it does not
    know. Use it from one thread.

    Raises BatchError: the file is some other table, or it or its folder cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike, columns: Sequence[str], key: str) -> None:
        self.path, self.key, self.folder = Path(path), key, os.path.dirname(os.path.abspath(path))
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                if self.path.exists() and not self.path.is_file():
                    raise BatchError(f"{path}: is no file; move it away")
                if (cluster := self.path.with_suffix(".parquet")).exists():
                    raise BatchError(f"{cluster}: here lie the results of a run by a cluster; choose another --output")
                self._file = self._open()
                self.columns, self._known, whole = _read(self.path, columns, key)
                if not whole:
                    os.close(self._file)
                    self._write()
                    self._file = self._open()
            except BaseException:
                self._let_go()
                raise
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            reason = getattr(error, "strerror", None) or str(error)
            raise BatchError(f"{path}: cannot be written: {reason}; choose another --output") from error
        self._noted = 0
        self._folders: dict[str, str] = {}  # what `relative` calls them

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: str) -> Row | None:
        """The last row of this key, its values as text; None where there is none."""
        return _unpacked(self.columns, self._known[key]) if key in self._known else None

    def rows(self) -> Iterator[Row]:
        """The last row of each key, its values as text."""
        return (_unpacked(self.columns, packed) for packed in self._known.values())

    def add(self, row: Row) -> None:
        """Note a row (column -> value; what is left out stays empty), on disk when this returns.

        The key and `status` are a must; the status "failed" makes a later run try again. Raises OSError where it cannot
        be written, as on a full disk; the table is then as it was.
        """
        if strange := row.keys() - set(self.columns):
            raise ValueError(f"{self.path.name} has no columns {sorted(strange)}")
        cells = [_cell(row.get(column, "")) for column in self.columns]
        end = os.fstat(self._file).st_size
        data = _lines([cells] if end else [self.columns, cells])
        try:
            while data:  # a disk that is nearly full takes a part
                data = data[os.write(self._file, data) :]
        except OSError:
            os.ftruncate(self._file, end)
            raise
        self._known[str(row[self.key])] = BETWEEN.join(cells)
        self._noted += 1

    def relative(self, path: str | os.PathLike) -> str:
        """How the table names a file: relative to its own folder, with forward slashes; whole on another drive."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = relative_folder(folder, self.folder)
        return self._folders[folder] + name

    def close(self) -> None:
        """Put what was noted in order, and let the next run in."""
        try:
            if os.fstat(self._file).st_size == 0:
                self.path.unlink()
            elif self._noted:
                with suppress(OSError):  # the rows are there, in the order in which they came
                    self._write()
            os.close(self._file)
        finally:
            self._let_go()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            say(f"{self.path}: another run is at work in this folder; waiting until it ends (Ctrl-C to give up)")
            self._lock.acquire()

    def _let_go(self) -> None:
        with suppress(OSError):
            os.unlink(self._lock.lock_file)  # while it is held: who waits for it notices, and takes a new one
        self._lock.release()

    def _write(self) -> None:
        with replacing(self.path) as part, open(part, "wb") as file:
            file.write(_lines([self.columns]))
            for key in sorted(self._known):
                file.write(_lines([self._known[key].split(BETWEEN)]))


def read_rows(path: str | os.PathLike, key: str) -> list[Row]:
    """The rows of a table, the last of each key, their values as text. Raises BatchError: it is some other table."""
    columns, known, _ = _read(Path(path), [key, "status"], key)
    return [_unpacked(columns, packed) for packed in known.values()]


def write_csv(path: str | os.PathLike, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain CSV; file names that are no UTF-8 are escaped, and come back by `read_csv`."""
    with open(path, "wb") as file:
        file.write(_lines([columns, *([escaped(str(cell)) for cell in row] for row in rows)]))


def read_csv(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a plain CSV. Raises OSError, UnicodeError or csv.Error."""
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [{name: unescaped(cell or "") for name, cell in row.items()} for row in csv.DictReader(file)]


def is_table(path: str | os.PathLike) -> bool:
    """Whether a CSV is one of this project's: its folder holds results."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            return is_head_of_table(file.readline(4096))
    except OSError:
        return False


def is_head_of_table(text: str) -> bool:
    """Whether a CSV that begins so is one of this project's."""
    return {"image", "status", "error"} <= set(text.partition("\n")[0].strip().split(","))


def same(one: object, other: object) -> bool:
    """Whether two values of a table are the same; spreadsheets write 1.0 as 1, False as FALSE, and 15 digits of a
    number."""
    if (one := str(one)) == (other := str(other)) or (one in TRUTHS and one.upper() == other):
        return True
    try:
        return math.isclose(float(one), float(other))
    except ValueError:
        return False


def _read(path: Path, columns: Sequence[str], key: str) -> tuple[list[str], dict[str, str], bool]:
    """All columns, the packed rows by key, and whether the file may be added to as it is."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        if ",".join(columns).startswith(file.readline()):  # nothing but a torn first line
            return list(columns), {}, path.stat().st_size == 0
        file.seek(0)
        try:
            return _packed_rows(csv.reader(_whole_lines(file)), columns, key)
        except csv.Error as error:
            raise BatchError(f"{path}: is not a table of this command ({error}); move it away") from None


def _packed_rows(
    reader: Iterator[list[str]], columns: Sequence[str], key: str
) -> tuple[list[str], dict[str, str], bool]:
    """As `_read`, of a table's lines. Raises csv.Error: it is some other table."""
    known: dict[str, str] = {}
    torn = False
    found = next(reader)
    if name := next((name for name in (key, "status") if name not in found), None):
        raise csv.Error(f"it has no column '{name}'")
    everything = list(columns) + [name for name in found if name not in columns]
    in_order = found == everything
    places = [found.index(name) if name in found else -1 for name in everything]
    at = found.index(key)
    for cells in reader:
        if len(cells) != len(found):
            torn = True
            continue
        kept = cells if in_order else [cells[place] if place >= 0 else "" for place in places]
        torn |= _value(cells[at]) in known  # of a run that was killed before it put its rows in order
        known[_value(cells[at])] = BETWEEN.join(kept)
    return everything, known, in_order and not torn


def _whole_lines(file: Iterable[str]) -> Iterator[str]:
    """The lines of a table; for one that was torn, which can be the last alone, an empty one."""
    return (line if line.endswith(("\n", "\r")) else "" for line in file)


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _cell(value: object) -> str:
    """A value as it stands in the table; text that a spreadsheet would run gets the apostrophe that stops it."""
    text = escaped(str(value))
    return "'" + text if isinstance(value, str) and text.startswith(FORMULA) else text


def _value(cell: str) -> str:
    return unescaped(cell[1:] if cell.startswith("'") else cell)


def escaped(text: str) -> str:
    """Text in which a control character, or a byte of a file's name that is no UTF-8, stands as \\x0d: any reader of
    CSV has one row of it, in UTF-8."""

    def escape(found: re.Match) -> str:
        code = ord(found[0])
        byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # as Python holds such bytes
        return f"\\x{byte:02x}" if byte < 0x100 else f"\\u{code:04x}"

    return UNPRINTED.sub(escape, text)


def unescaped(text: str) -> str:
    """What `escaped` was given."""

    def letter(found: re.Match) -> str:
        code = int(found[1] or found[2], 16)
        return chr(code + 0xDC00 if found[1] and code >= 0x80 else code)

    return ESCAPED.sub(letter, text)


def _unpacked(columns: Sequence[str], packed: str) -> Row:
    cells = packed.split(BETWEEN)
    return dict(zip(columns, map(_value, cells) if "'" in packed or "\\" in packed else cells))


def relative_folder(folder: str, base: str) -> str:
    """With a slash at its end; links are followed, so that the table may be read from wherever it is reached."""
    real = os.path.realpath(folder)
    try:
        relative = os.path.relpath(real, os.path.realpath(base))
    except ValueError:  # another drive of Windows
        relative = real
    return "" if relative == "." else Path(relative).as_posix() + "/"
