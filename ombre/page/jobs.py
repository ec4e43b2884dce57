"""What takes long for a visitor: what it is, how far it is, when its turn comes, and that it can be stopped."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 0.1  # seconds between two looks of who waits for a turn


class Stopped(Exception):
    """The visitor has stopped it, or has left."""


class Job:
    """One such piece of work: its `kind` ("look", "dyed", "frames", "mask" or "all"), the `name` of the picture, and
    how many of `total` steps are `done`. It runs in one thread and is stopped by another."""

    def __init__(self, kind: str, name: str, total: int, changed: Callable[[], None]):
        self.kind, self.name, self.total = kind, name, total
        self.done, self.waits = 0, True
        self.stop = threading.Event()
        self._changed = changed

    def reached(self, done: int) -> None:
        """Say how far it is. Raises Stopped."""
        self.check()
        self.done, self.waits = done, False
        self._changed()

    def check(self) -> None:
        """Raises Stopped where it is to stop."""
        if self.stop.is_set():
            raise Stopped

    def row(self) -> dict:
        """How far it is, for the browser."""
        percent = min(100, round(100 * self.done / self.total))
        told = {"kind": self.kind, "name": self.name, "done": self.done, "total": self.total, "waits": self.waits}
        return told | {"percent": percent}


class Jobs:
    """A visitor's jobs; `changed` is called whenever one has come further, from any thread."""

    def __init__(self, changed: Callable[[], None]):
        self._changed = changed
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._closed = False

    @contextmanager
    def begun(self, kind: str, name: str, total: int) -> Iterator[Job]:
        """A job for the time of the block. Raises Stopped where the visitor has left."""
        job = Job(kind, name, total, self._changed)
        with self._lock:
            if self._closed:
                raise Stopped
            self._jobs.append(job)
        self._changed()
        try:
            yield job
        finally:
            with self._lock:
                self._jobs.remove(job)
            self._changed()

    def stop(self) -> None:
        """Let all of them end at their next step."""
        with self._lock:
            for job in self._jobs:
                job.stop.set()

    def close(self) -> None:
        """The visitor leaves: what runs ends, and nothing begins any more."""
        with self._lock:
            self._closed = True
        self.stop()

    def rows(self) -> list[dict]:
        """How far they are, the oldest first."""
        with self._lock:
            return [job.row() for job in self._jobs]


class Turns:
    """So many at a time, whoever they are for: pictures at full size take memory."""

    def __init__(self, count: int):
        self._free = threading.Semaphore(count)

    @contextmanager
    def taken(self, job: Job) -> Iterator[None]:
        """Wait for a turn and keep it for the time of the block. Raises Stopped, while it waits too."""
        while not self._free.acquire(timeout=PAUSE):
            job.check()
        try:
            job.check()
            yield
        finally:
            self._free.release()
