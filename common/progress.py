"""What a run says while it works: its complaints, a line each, and how far it is."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

PAUSE = 30  # seconds between two lines where there is no terminal for a bar


def say(text: str, stream: TextIO | None = None) -> None:
    """Print one line, on stderr or on `stream`, above a progress bar; where nobody reads it any more the work goes on.

    Line breaks and what else cannot be printed, as in strange names of files, are written as escapes.
    """
    stream = stream or sys.stderr
    line = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    try:
        if stream.isatty():
            from tqdm import tqdm

            tqdm.write(line, file=stream)
        else:
            print(line, file=stream, flush=True)
    except (OSError, ValueError):  # closed, or a pipe to a program that has ended; Python would try again at its end
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), stream.fileno())


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[int], object]]:
    """Yield what is to be told how many more are done: a bar on a terminal, elsewhere a line every half minute.

    None: nobody knows yet how many there are.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total) as bar:
            yield bar.update
        return
    started = said = time.monotonic()
    done = 0

    def update(more: int) -> None:
        nonlocal done, said
        done += more
        now = time.monotonic()
        if now - said >= PAUSE:
            said = now
            pace = done / (now - started)
            left = f", about {(total - done) / pace / 60:.0f} minutes left" if total and done else ""
            say(f"{done}{f' of {total}' if total else ''} done, {pace:.1f} a second{left}")

    yield update
