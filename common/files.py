"""Files that are whole or absent: every file of this project is written through `replacing`."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.part(\.[^.]+)?", re.DOTALL)  # how `replacing` calls what is unfinished

_unfinished: set[Path] = set()  # temporary paths of files that are being written


def remove_unfinished() -> None:
    """Remove what is being written: for a program that ends on the spot."""
    for part in list(_unfinished):
        part.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str], age: float = 0.0) -> None:
    """Remove what runs that were killed have left unfinished in a folder, if it is there.

    Args:
        age: seconds for which nobody has written to it; where others may be at work in the folder, who write on.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if PART.fullmatch(entry.name) and time.time() - entry.stat().st_mtime >= age:
                os.unlink(entry.path)


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, and put it in the place of `path` when the block ends well.

    A reader sees the old file or the new one, never a part of it: the last step is one `os.replace` within one folder.
    Missing parent folders are made; the suffix is kept, as writers look at it. On any error, an interruption too, the
    temporary file goes and `path` stays as it was.

    Raises OSError where the folder cannot be made or written, and whatever the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The stem is cut so that the longest name a file system allows still leaves room; the token keeps threads,
    # processes and machines on a shared folder apart.
    part = path.with_name(f".{path.stem[:40]}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    _unfinished.add(part)
    try:
        part.touch()
        mode = part.stat().st_mode  # as any new file's; some writers would keep theirs from other users
        yield part
        os.chmod(part, mode)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        _unfinished.discard(part)
