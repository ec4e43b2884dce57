"""A folder of S3, or of what speaks as S3 does, listed a thousand names at a call: the first are there at once."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from common.batch.storage import PAGE, TABLES, File, Page, stamp_of
from common.batch.store import Store
from common.batch.table import BatchError

if TYPE_CHECKING:
    from botocore.client import BaseClient

RESULTS = ("labels", "masks", "ombre")  # what stages call their tables
SPARE = 4  # calls more than a folder of such results alone would need, after which each is asked for by itself


class S3(Store):
    """A folder of S3, s3://bucket/folder; keys and endpoint from the address or, better, from where AWS's tools look.

    Raises BatchError as `Store`, and where boto3 is not installed.
    """

    def pages(self, folder: str) -> Iterator[Page]:
        """As Place.pages."""
        first, prefix = True, self._prefix(folder)
        for answer in self._answers(prefix):
            if first and answer["IsTruncated"]:  # a table, by which results are known, may stand far behind
                yield from (self._page(part, prefix, TABLES) for name in RESULTS
                            for part in self._answers(f"{prefix}{name}."))  # fmt: skip
            yield self._page(answer, prefix)
            first = False

    def _page(self, answer: dict, prefix: str, endings: tuple[str, ...] | str = "") -> Page:
        files = [
            File(entry["Key"][len(prefix) :], stamp_of(entry["Size"], _nanoseconds(entry)))
            for entry in answer.get("Contents", [])
            if entry["Key"].endswith(endings) and entry["Key"] != prefix
        ]
        folders = [entry["Prefix"][len(prefix) : -1] for entry in answer.get("CommonPrefixes", [])]
        return Page([file for file in files if not file.name.startswith(".")], [f for f in folders if f[:1] != "."])

    def sizes(self, folder: str, names: Iterable[str]) -> dict[str, int]:
        """By the part of the folder's listing in which these names are; each by itself where that is long."""
        asked, prefix = sorted(set(names)), self._prefix(folder)
        found: dict[str, int] = {}
        reached = asked[-1]
        for calls, answer in enumerate(self._answers(prefix, StartAfter=prefix + asked[0][:-1])):
            found |= {entry["Key"][len(prefix) :]: entry["Size"] for entry in answer.get("Contents", [])}
            last = max(found, default="")
            if last >= asked[-1]:
                break
            if calls > len(asked) // PAGE + SPARE:
                reached = last
                break
        known = {name: found[name] for name in asked if name in found}
        return known | self._sizes_each(folder, [name for name in asked if name > reached])

    def _sizes_each(self, folder: str, names: list[str]) -> dict[str, int]:
        infos = self.files.get_file_info([self.path(f"{folder}/{name}" if folder else name) for name in names])
        return {name: info.size for name, info in zip(names, infos) if info.size is not None}

    def _answers(self, prefix: str, **more: str) -> Iterator[dict]:
        """The store's answers to what begins so, folders summed up, in the order of the names. Raises OSError."""
        from botocore.exceptions import BotoCoreError, ClientError

        bucket = self.root.partition("/")[0]
        pages = _client(self.given).get_paginator("list_objects_v2")
        try:
            yield from pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/", **more)
        except (BotoCoreError, ClientError) as error:
            raise OSError(self.without_secrets(str(error))) from error

    def _prefix(self, folder: str) -> str:
        """How the keys of what lies in the folder of this name begin."""
        return "".join(f"{part}/" for part in (self.root.partition("/")[2], folder) if part)


@lru_cache(maxsize=8)
def _client(given: str) -> "BaseClient":
    """What asks the store at an address, made once in a process: it does not travel."""
    try:
        import boto3
    except ImportError as error:
        raise BatchError("s3:// needs boto3: pip install -r requirements-cluster.txt") from error

    parts = urlsplit(given)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    how = {}
    if parts.username:
        how = dict(aws_access_key_id=unquote(parts.username), aws_secret_access_key=unquote(parts.password or ""))
    if endpoint := query.get("endpoint_override"):
        how["endpoint_url"] = endpoint if "://" in endpoint else f"{query.get('scheme', 'https')}://{endpoint}"
    if region := query.get("region"):
        how["region_name"] = region
    return boto3.client("s3", **how)


def _nanoseconds(entry: dict) -> int:
    return round(entry["LastModified"].timestamp() * 1000) * 10**6  # the store tells milliseconds
