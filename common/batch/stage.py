"""What a stage does to a batch of pictures: what a row says before the work, and how an item is done.

A run on this machine (local.py) and one on a cluster (cluster.py) carry out the same `Stage`.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from common.batch.discover import Source, result_names
from common.batch.table import Row, Table
from common.device import own_cores
from common.image.picture import read_picture


class Item(NamedTuple):
    """A picture or clip of a batch, and what its result is called before the stage adds to the name."""

    source: Source
    result: str
    mask: str = ""  # what its mask is called, where the stage reads or writes masks


# A picture that can be opened, the folder for results, its planned rows -> the rows, complete. Raises PictureError.
Work = Callable[[Item, Path, list[Row]], list[Row]]


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """What a stage does, in a form that can be sent to other machines: its settings are a frozen dataclass's fields."""

    table: ClassVar[str]  # its rows lie in TABLE.csv, a cluster's in TABLE.parquet
    columns: ClassVar[Sequence[str]]
    numbers: ClassVar[AbstractSet[str]]  # the columns that hold numbers; the others hold text
    key: ClassVar[str]  # a row's own column: no two have the same there
    result: ClassVar[str]  # the column with the result's name; its size is in `result_bytes`
    clips: ClassVar[bool] = False  # whether it takes clips as well
    suffix: str | None = ".png"  # of the results; None: each picture's own
    weights: Path
    device: str = "auto"  # that its networks run on

    def here(self, device: str = "") -> Self:
        """The same, what it leaves open of the device and all that depends on it settled for the machine that asks.

        Raises UserError: the machine has no such device.
        """
        return replace(self, device=device or self.device)

    @abstractmethod
    def plan(self, item: Item) -> list[Row]:
        """An item's rows as far as known before the work, all that a result depends on, less `image` and `source`."""

    @abstractmethod
    def load(self, items: Sequence[Item] | None = None) -> Work:
        """What does these items, from several threads at once; None: nobody knows yet how many will come."""

    def unnamed(self) -> Row:
        """What the row of a failure says of the result's name: none, but where rows are known by it."""
        return {} if self.result == self.key else {self.result: ""}

    def threads(self) -> int:
        """How many items are done at once, on the machine where this is asked."""
        return own_cores()

    def items(self, sources: Sequence[Source], table: Table) -> list[Item]:
        """The items of a batch, no two results of one name."""
        names = result_names(sources, self.suffix, clips=self.clips)
        return [Item(source, names[source.name]) for source in sources]

    def read(self, path: str) -> object:
        """Read a result. Raises PictureError: it is broken."""
        return read_picture(path)


@dataclass
class Tally:
    """How many rows a run has done, skipped as done before, and failed at, how many folders it could not read, what of
    the folders it left out, in words, how many of its rows have which status, and of those done how many are of a file
    that is damaged."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    unreadable: int = 0
    left_out: str = ""
    statuses: Counter = field(default_factory=Counter, compare=False)
    damaged: int = 0

    @property
    def exit_code(self) -> int:
        """What a script exits with: 0, or 1 where something failed or is damaged."""
        return int(self.failed + self.unreadable + self.damaged > 0)

    def pace(self, started: float) -> str:
        """How long each took, since this time of `time.perf_counter()`, for a script's last line."""
        return f", {1000 * (time.perf_counter() - started) / self.done:.0f} ms each" if self.done else ""

    def rest(self, table: str) -> str:
        """How a script's last line ends, after what was done."""
        left = f"; left out: {self.left_out}" if self.left_out else ""
        return f"{self.skipped} were done before, {self.failed} failed; {table} has a row for each{left}"
