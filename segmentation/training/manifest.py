"""What a run was made of: `run.json` for a person, and `split.csv`, from which its pictures are known again."""

import csv
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common.batch.table import read_csv, write_csv
from common.files import replacing
from common.paths import ROOT
from common.progress import say
from segmentation.dataset.pairs import DataError, Pair, split
from segmentation.training.state import MANIFEST, SPLIT, fingerprint

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-python",
    "pillow",
    "efficientnet-pytorch",
    "segmentation-models-pytorch",
)
PARTS = ("train", "val", "test")


def write_manifest(run: Path, arguments: dict, recipe: dict, parts: dict[str, list[Pair]], device: str) -> None:
    """Note this start of a run: what it was asked, its pictures, the code, the machine."""
    path = run / MANIFEST
    try:
        starts = json.loads(path.read_text())["starts"]
    except (OSError, ValueError, KeyError, TypeError):
        starts = []
    now = dict(
        time=datetime.now().astimezone().isoformat(timespec="seconds"),
        arguments={name: str(value) for name, value in arguments.items()},
        git_commit=commit(),
        python=platform.python_version(),
        packages={name: version_of(name) for name in PACKAGES},
        machine=dict(
            system=platform.platform(), processor=processor(), cores=os.cpu_count(), device=device,
            processes=int(os.environ.get("WORLD_SIZE", 1)),
        ),
    )  # fmt: skip
    data = {
        name: dict(pictures=len(part), hash=fingerprint(part), labels=Counter(pair.maker for pair in part))
        for name, part in parts.items()
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(recipe=recipe, data=data, starts=[*starts, now]), indent=2) + "\n")
    rows = [
        (part, pair.name, os.path.realpath(pair.image), pair.sizes[0], os.path.realpath(pair.label), pair.sizes[1],
         "" if pair.hair_value is None else pair.hair_value)
        for part, pairs in parts.items()
        for pair in pairs
    ]  # fmt: skip
    with replacing(run / SPLIT) as temporary:
        write_csv(temporary, ["part", "name", "image", "bytes", "label", "label_bytes", "hair_value"], rows)


def with_gone(run: Path, parts: dict[str, list[Pair]]) -> dict[str, list[Pair]]:
    """The parts with which the run in this folder began, where all that has changed since is that pictures have gone.

    What is gone keeps its place, marked so, and a line counts it: the next picture is trained on instead, as when it
    goes while the run is at work. Parts of a new run, or with other pictures, come back as they are.
    """
    try:
        begun = [(row["part"], begun_with(row)) for row in read_csv(run / SPLIT)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return parts
    here = {(pair.name, *pair.sizes): pair for part in parts.values() for pair in part}
    before = {(pair.name, *pair.sizes) for _, pair in begun}
    if not here or not here.keys() < before:
        return parts
    restored: dict[str, list[Pair]] = {name: [] for name in parts}
    for part, pair in begun:
        restored[part].append(here.get((pair.name, *pair.sizes), pair))
    say(f"{run}: {len(before) - len(here)} pictures have gone since this run began; it goes on with the others")
    return restored


def begun_with(row: dict[str, str]) -> Pair:
    """The pair of a row of split.csv, as if it had gone. Raises KeyError, TypeError, ValueError: an older version's."""
    hair_value = int(row["hair_value"]) if row["hair_value"] else None
    sizes = int(row["bytes"]), int(row["label_bytes"])
    return Pair(row["name"], Path(row["image"]), Path(row["label"]), hair_value, gone=sizes)


def commit() -> str:
    """The commit of this code, with a + where files differ from it; empty where git does not know."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def version_of(package: str) -> str:
    """Of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def part_of(pairs: Sequence[Pair], weights: Path, wanted: str | None, seed: int) -> list[Pair]:
    """Those of `pairs` that a student is to be measured on.

    Args:
        wanted: "all"; "train", "val" or "test": this part of the run that the weights lie in, else of a split by
            `seed`; None: all but what the run has trained on or chosen its weights by, which is said on stderr.

    Raises DataError: there are none.
    """
    if wanted == "all":
        return list(pairs)
    known = split_beside(weights)
    parts = [known.get(os.path.realpath(pair.image), set()) for pair in pairs]
    if known and not any(parts):  # the folder may lie elsewhere now
        parts = [known.get((pair.name, str(os.path.getsize(pair.image))), set()) for pair in pairs]
    if wanted is None:
        chosen = [pair for pair, own in zip(pairs, parts) if not own or "test" in own]
        if left := len(pairs) - len(chosen):
            say(
                f"{left} of {len(pairs)} pictures were trained on or chose these weights, and are left out; "
                "--part all takes them"
            )
        if flattering := sum("test" in own and len(own) > 1 for own in parts):
            say(f"{flattering} of the {len(chosen)} pictures trained or chose these weights too: the figures flatter")
    elif known:
        chosen = [pair for pair, own in zip(pairs, parts) if wanted in own]
    else:
        chosen = split(pairs, seed)[wanted]
    if not chosen:
        raise DataError(f"of these {len(pairs)} pictures none is left to measure on; --part all takes them all")
    return chosen


def split_beside(weights: Path) -> dict[str | tuple[str, str], set[str]]:
    """Picture, by its file and by its name and bytes -> the parts it was in, of the run in whose folder the weights
    lie; nothing where there is none."""
    known: dict[str | tuple[str, str], set[str]] = {}
    try:
        for row in read_csv(weights.parent / SPLIT):
            for key in (row["image"], (row["name"], row.get("bytes") or "")):
                known.setdefault(key, set()).add(row["part"])
    except (OSError, KeyError, csv.Error):
        return {}
    return known
