"""The work on a batch of pictures: what is left of it, and that done in threads, a row for each result, resumable."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Generic, TypeVar

from common.batch.discover import find_pictures
from common.batch.stage import Item, Stage, Tally
from common.batch.storage import stamp
from common.batch.table import FAILED, BatchError, Row, Table, same
from common.files import remove_leftovers
from common.image.picture import Picture, PictureError, read_picture
from common.progress import progress, say

Each = TypeVar("Each")
NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # the next picture would meet the same
LOOK_UP = 0.1  # seconds after which it is seen that the run shall end
DAMAGED = "damaged"  # how the note of a row begins whose picture is
PATIENCE = 4.0  # seconds without a word from then on


def run_here(
    stage: Stage,
    inputs: Sequence[str | os.PathLike],
    output: Path,
    *,
    overwrite: bool = False,
    avoid: Sequence[str | os.PathLike] = (),
) -> Tally:
    """Do a stage's work on the pictures of files and folders, in threads: results in `output`, rows in its table.

    What has a whole result and a row that says the same of the picture's file and of all that the result depends on is
    not done again, nor is anything made ready where all is done.

    Args:
        overwrite: do again what is done.
        avoid: further folders whose files are no pictures to work on.

    Raises BatchError: an input is missing, there is no picture, a result would replace another picture's, or the output
    cannot be written. And what `stage.load` raises.
    """
    stage = stage.here()
    sources, unreadable, left_out = find_pictures(inputs, output, *avoid, clips=stage.clips)
    with Table(output / f"{stage.table}.csv", stage.columns, stage.key) as table:
        items = stage.items(sources, table)

        def plan(item: Item) -> list[Row]:
            known = dict(image=table.relative(item.source.path), source=stamp(item.source.path))
            return [row | known for row in stage.plan(item)]

        def left(item: Item) -> list[Row]:
            return [row for row in plan(item) if str(row[stage.key]) not in finished]

        def failed(item: Item) -> list[Row]:
            return [row | stage.unnamed() for row in left(item)]

        finished: set[str] = set()
        todo, finished, skipped = left_to_do(items, plan, table, stage.result, overwrite, stage.read)
        tidy(output, [item.result for item in items])
        if not todo:
            return Tally(skipped=skipped, unreadable=unreadable, left_out=left_out)
        work = stage.load(todo)
        tally = work_through(
            todo, lambda item: work(item, output, left(item)), table, workers=stage.threads(), plan=failed
        )
        return replace(tally, skipped=skipped, unreadable=unreadable, left_out=left_out)


def left_to_do(
    items: Iterable[Each],
    plan: Callable[[Each], Row | list[Row]],
    table: Table,
    result: str,
    overwrite: bool,
    read: Callable[[str], object] = read_picture,
) -> tuple[list[Each], set[str], int]:
    """The items that are not done, the keys of rows of theirs that are, and the number of all rows that are.

    Args:
        plan: gives an item's row or rows as far as they are known before the work: the table's key, `image`, and
            all that the result depends on. What is done has a row with the same values, and a whole result.
        result: the column with the result's file, relative to the table's folder; its size is in `result_bytes`.
        overwrite: do all of them again.
        read: raises PictureError where a result is broken; asked of those whose size has changed.

    Raises BatchError where a result would replace that of another picture.
    """
    todo, finished, skipped, changed = [], set(), 0, 0
    for item in items:
        rows = _listed(plan(item))
        known = [table.get(str(row[table.key])) for row in rows]
        left = [
            (row, before)
            for row, before in zip(rows, known)
            if overwrite or not _is_done(row, before, table, result, read)
        ]
        skipped += len(rows) - len(left)
        if not left:
            continue
        for row, before in left:
            if before and before["image"] != row["image"] and _there(table, before[result]):
                raise BatchError(
                    f"{table.path}: has {row[table.key]} of {before['image']} already, which that of {row['image']} "
                    "would replace; choose another --output, or move the result away"
                )
        changed += any(before and before["status"] != FAILED for _, before in left)
        if len(left) < len(rows):
            finished |= {str(row[table.key]) for row in rows} - {str(row[table.key]) for row, _ in left}
        todo.append(item)
    if changed and not overwrite:
        say(
            f"{changed} of these were done before, and are done again: the picture, its result, the weights or the "
            "settings have changed since"
        )
    return todo, finished, skipped


def tidy(output: str | os.PathLike, names: Iterable[str]) -> None:
    """Remove what runs that were killed have left unfinished beside results of these names. Asks for the table's lock:
    nobody else is at work in the output."""
    for folder in {os.path.dirname(name) for name in names}:
        remove_leftovers(os.path.join(output, folder))


def _is_done(row: Row, before: Row | None, table: Table, result: str, read: Callable[[str], object]) -> bool:
    if before is None or before["status"] == FAILED:
        return False
    name = str(before[result])
    asked = {column: value for column, value in row.items() if name or column != result}
    noted = [*map(before.get, asked)]
    if [*map(str, asked.values())] != noted and not all(map(same, asked.values(), noted)):
        return False
    return not name or _is_whole(os.path.join(table.folder, name), str(before["result_bytes"]), read)


def _is_whole(path: str, size: str, read: Callable[[str], object]) -> bool:
    """Whether a result is as it was written; where somebody has edited it since, whether it can be read."""
    try:
        now = os.stat(path).st_size
        return same(now, size) or (now > 0 and read(path) is not None)
    except (OSError, PictureError):
        return False


def _there(table: Table, name: object) -> bool:
    return bool(name) and os.path.isfile(os.path.join(table.folder, str(name)))


def work_through(
    items: Sequence[Each],
    work: Callable[[Each], Row | list[Row]],
    table: Table,
    *,
    workers: int,
    plan: Callable[[Each], Row | list[Row]],
) -> Tally:
    """Do `work` on each item in `workers` threads and add the row or rows it gives to `table` as they come.

    Where `work` raises, the rows of `plan` (as for `left_to_do`) are noted as failed, with the error; it is said on
    stderr, a line each, and the batch goes on. Few items are in flight at a time, so memory does not grow with their
    number.

    Raises BatchError where the disk is full, at once. On KeyboardInterrupt and SIGTERM the items at work are finished
    and noted, no other is begun, and KeyboardInterrupt is raised.
    """
    tally = Tally()

    def note(item: Each, future: Future) -> None:
        try:
            rows = _listed(future.result())
        except Exception as error:  # one item, whatever befell it, does not end the batch
            demand_room(error)
            planned = _listed(plan(item))
            failure = {"status": FAILED, "error": complaint(error, str(planned[0]["image"]))}
            rows = [row | failure for row in planned]
        for row in rows:
            table.add(row)
        count(rows, tally)
        advance(1)

    with _interruptions_wait() as stop_if_asked, ThreadPoolExecutor(workers) as pool, progress(len(items)) as advance:
        flying = _Flying(note, stop_if_asked)
        try:
            for item in items:
                flying.add(pool.submit(work, item), item)
                flying.land(until=2 * workers)
            flying.land(until=1)
        except BaseException:
            flying.land_patiently()
            raise
    return tally


class _Flying(Generic[Each]):
    """The items at work: few at a time, so that memory does not grow with their number."""

    def __init__(self, note: Callable[[Each, Future], None], stop_if_asked: Callable[[], None]) -> None:
        self.note, self.stop_if_asked = note, stop_if_asked
        self.items: dict[Future, Each] = {}

    def add(self, future: Future, item: Each) -> None:
        self.items[future] = item

    def land(self, until: int) -> None:
        """Note what comes, until fewer than so many are at work. Raises what `stop_if_asked` raises."""
        while len(self.items) >= until:
            self._wait()
            self.stop_if_asked()

    def land_patiently(self) -> None:
        """Note what is at work already; what has not been begun is given up."""
        for future in [future for future in self.items if future.cancel()]:
            del self.items[future]
        patient = time.monotonic() + PATIENCE
        while self.items:
            self._wait()
            if time.monotonic() > patient:
                say("stopping once what is at work is finished; Ctrl-C again stops at once")
                patient = float("inf")

    def _wait(self) -> None:
        """Wait a moment, and note what has come."""
        for future in wait(self.items, LOOK_UP, FIRST_COMPLETED).done:
            self.note(self.items.pop(future), future)


def count(rows: Sequence[Row], tally: Tally) -> None:
    """Add complete rows to a tally, and say what is wrong with them, a line each."""
    failures = [row for row in rows if row["status"] == FAILED]
    damaged = [row for row in rows if str(row.get("note", "")).startswith(DAMAGED)]
    lines = [str(row["error"]) for row in failures] + [f"{row['image']}: {row['note']}" for row in damaged]
    for line in dict.fromkeys(lines):
        say(line)
    tally.damaged += len(damaged)
    tally.failed += len(failures)
    tally.done += len(rows) - len(failures)
    tally.statuses.update(str(row["status"]) for row in rows)


def damage_of(picture: Picture) -> str:
    """How the note of a row begins, as `count` looks for it: with a picture's damage, "" where it has none."""
    return f"{DAMAGED}: {picture.damage}" if picture.damage else ""


def _listed(rows: Row | list[Row]) -> list[Row]:
    return rows if isinstance(rows, list) else [rows]


def demand_room(error: BaseException) -> None:
    """Raise BatchError where what befell one item will befall all."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.errno in NO_MORE:
            place = cause.filename2 or cause.filename or "the output"
            raise BatchError(f"{place}: {cause.strerror}; make room, and the same command goes on from here") from error
        cause = cause.__cause__


def complaint(error: Exception, name: str) -> str:
    """One line that names the picture; ours do so themselves."""
    text = " ".join(str(error).split())
    if isinstance(error, PictureError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: cannot be read or written: {error.strerror}"
    return f"{name}: {type(error).__name__}: {text}"


@contextmanager
def _interruptions_wait() -> Iterator[Callable[[], None]]:
    """Ctrl-C, and SIGTERM, with which machines are shut down, wait until the function that comes is called: it raises
    KeyboardInterrupt then, and no row is lost half way. A second one does what it did before."""
    interrupted = False

    def wait_for_it(sign: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(sign, before[sign])
        with suppress(KeyboardInterrupt):
            before[sign](sign, frame)

    def stop_if_asked() -> None:
        if interrupted:
            raise KeyboardInterrupt

    before: dict[int, Callable] = {}
    if threading.current_thread() is threading.main_thread():
        before[signal.SIGTERM] = signal.default_int_handler
        if callable(handler := signal.getsignal(signal.SIGINT)):
            before[signal.SIGINT] = handler
    kept = {sign: signal.signal(sign, wait_for_it) for sign in before}
    try:
        yield stop_if_asked
    finally:
        for sign, handler in kept.items():
            if sign == signal.SIGTERM or signal.getsignal(sign) is wait_for_it:
                signal.signal(sign, handler)
