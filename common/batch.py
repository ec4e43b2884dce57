"""A folder worked through: which pictures there are, what each is called, and the work on them, resumable."""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TypeVar

from common.pictures import SUFFIXES, PictureError
from common.table import FAILED, BatchError, Row, Table, rank_and_size

Item = TypeVar("Item")


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
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (avoid is None or os.path.realpath(os.path.join(parent, name)) != avoid)
        )
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


def shard(items: Sequence[Item]) -> Sequence[Item]:
    """This rank's part of the work: every WORLD_SIZE-th item, from RANK on."""
    rank, size = rank_and_size()
    return items[rank::size]


def wait_for_other_ranks() -> None:
    """Come back when every rank is through: torchrun ends the others when one exits with an error."""
    sys.stdout.flush()  # torchrun may end this process before it does so itself
    if rank_and_size()[1] > 1 and "MASTER_ADDR" in os.environ:
        import torch.distributed as ranks

        ranks.init_process_group("gloo", timeout=timedelta(days=30))
        ranks.barrier()
        ranks.destroy_process_group()


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


def work_through(
    items: Sequence[Item],
    work: Callable[[Item], Row | list[Row]],
    table: Table,
    *,
    workers: int,
    describe: Callable[[Item], Row | list[Row]],
    skip: Callable[[Item], bool] | None = None,
) -> Tally:
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
