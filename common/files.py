"""Files that are whole or absent: every file of this project is written through `replacing`."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_unfinished: set[Path] = set()  # temporary paths of files that are being written


def remove_unfinished() -> None:
    """Remove what is being written: for a program that ends on the spot."""
    for part in list(_unfinished):
        part.unlink(missing_ok=True)


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
