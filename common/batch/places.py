"""Which kind of place a path or an address means."""

import os

from common.batch.s3 import S3
from common.batch.storage import Folder, Place
from common.batch.store import Store


def place_at(given: str | os.PathLike) -> Place:
    """The folder at a path or an address. Raises BatchError: an address that nothing here knows."""
    given = os.fspath(given)
    if given.startswith("s3://"):
        return S3(given)
    return Store(given) if "://" in given else Folder(given)
