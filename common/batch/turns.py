"""Large pictures take turns, so that the memory of a run does not grow with its threads."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

LARGE = 16_000_000  # pixels: so many for each core are worked on at once


class Turns:
    """Lets pictures in until they have `most` pixels together, and a larger one when no other is in."""

    def __init__(self, most: int) -> None:
        self.most, self.inside = most, 0
        self._changed = Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """The turn of a picture of so many pixels."""
        with self._changed:
            self._changed.wait_for(lambda: not self.inside or self.inside + pixels <= self.most)
            self.inside += pixels
        try:
            yield
        finally:
            if pixels > LARGE:
                give_back()
            with self._changed:
                self.inside -= pixels
                self._changed.notify_all()


def give_back() -> None:
    """Give memory that lies idle back to the system, where the C library keeps it for later (`keep_freed_memory`)."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
