"""Picture-label pairs on disk: the three layouts, what is wrong with a pair, and the split in parts."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common.batch.edited import read_edited
from common.batch.storage import Folder
from common.batch.table import Row, same
from common.device import own_cores
from common.image.opening import SUFFIXES, PictureError, size_seen
from common.image.picture import read_mask, read_picture
from common.image.strange import absence
from common.progress import say
from segmentation.dataset.coding import (
    DataError,
    demand_coding,
    demand_hair,
    facts_of_label,
    is_of_stored_pixels,
    orientation_of,
)
from segmentation.dataset.pair import Pair, read_pair
from segmentation.dataset.scan import Facts, look_through
from segmentation.networks.resize import INPUT_SIZE

FLAT_PICTURE, FLAT_LABEL = "face_", "parsing_hair_label_"  # prefixes in the published flat folder
TABLES = "labels.csv", "labels.parquet"  # of the labelling, the second one by a cluster
FEW = 20  # pictures, below which a part's figures say little


def gather(folders: Sequence[Path], hair_value: int | None = None) -> list[Pair]:
    """All pairs of data folders that can be trained on; what is left out is named on stderr, and counted.

    Args:
        hair_value: the class that is hair in the masks of these folders, but for those with a `labels.csv`.

    Raises:
        DataError: a folder is missing or of no known layout, its labels are in another coding, or nothing is left.
    """
    return [pair for folder in folders for pair in gather_folder(folder, hair_value)]


def gather_folder(folder: Path, hair_value: int | None) -> dict[Pair, Facts]:
    """`gather` of one folder, with what is known of each pair."""
    good, problems = looked_through(folder, hair_value)
    for problem in problems:
        say(f"left out: {problem}")
    if problems:
        say(f"{folder}: {len(good)} pairs, {len(problems)} left out")
    if not good:
        raise DataError(
            f"{folder}: no picture with a hair label; `python segmentation/run_segmentation.py` makes labels"
        )
    return good


def looked_through(folder: Path, hair_value: int | None) -> tuple[dict[Pair, Facts], list[str]]:
    """The pairs of a folder that can be trained on, with what is known of each, and a line for each file left out.

    Raises DataError as `gather`, and where most labels do not fit their pictures: the others cannot be trusted then.
    """
    pairs, problems = find_pairs(folder, hair_value)
    facts = look_through(folder, pairs, facts_of)
    good = {pair: fact for pair, fact in zip(pairs, facts) if not fact.fault}
    wrong = [fact for fact in facts if fact.fault]
    if 2 * sum(fact.misfit for fact in wrong) > len(pairs):
        raise DataError(
            f"{folder}: {sum(fact.misfit for fact in wrong)} of {len(pairs)} labels do not fit their pictures, so that "
            f"none is trained on ({wrong[0].fault}); are pictures or labels turned, or other ones?"
        )
    labelled = any((folder / table).exists() for table in TABLES)
    demand_coding(folder, list(good.values()), None if labelled else hair_value, labelled)
    return good, [*problems, *(fact.fault for fact in wrong)]


def find_pairs(folder: Path, hair_value: int | None = None) -> tuple[list[Pair], list[str]]:
    """Pairs of a data folder in any of the three layouts, sorted by name, and a line for each file left alone.

    The layouts: a `labels.csv` or `labels.parquet` of the labelling stage; two folders `images/` and `masks/` with the
    same names; a flat folder with `face_000123.png` and `parsing_hair_label_000123.png`.

    Raises:
        DataError: the folder is missing or holds none of the three.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `python segmentation/run_segmentation.py` makes labels")
    if (folder / "labels.csv").is_file():
        rows = read_edited(folder / "labels.csv")
        return pairs_of_rows(folder, list({row.get("image"): row for row in rows}.values()))  # the last of each counts
    if (folder / "labels.parquet").is_dir():
        return pairs_of_rows(folder, rows_of_cluster(folder / "labels.parquet"))
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        problems: list[str] = []
        pictures, labels = (by_stem(folder / name, problems) for name in ("images", "masks"))
        pairs, unmatched = match(pictures, labels, hair_value)
        return pairs, problems + unmatched
    pictures, labels = flat_files(folder, FLAT_PICTURE), flat_files(folder, FLAT_LABEL)
    if not pictures and not labels:
        raise DataError(
            f"{folder}: no labels.csv, no images/ and masks/, no {FLAT_PICTURE}*.png; "
            "`python segmentation/run_segmentation.py` labels pictures"
        )
    return match(pictures, labels, hair_value)


def pairs_of_rows(folder: Path, rows: Sequence[Row]) -> tuple[list[Pair], list[str]]:
    """The rows of the labelling whose status is ok and whose files are there; paths are relative to their folder.

    Left out are pictures that have changed since they were labelled, and labels that several rows name. Says so where
    several teachers have made the labels.

    Raises DataError: a column is missing, most pictures have changed, or the labels are not those that the rows say.
    """
    if missing := next((name for name in ("image", "label", "status") if rows and name not in rows[0]), None):
        raise DataError(f"{folder}: its table has no column '{missing}'; take it from a copy, or label anew")
    good: list[Pair] = []
    problems: list[str] = []
    teachers: Counter[str] = Counter()
    uses, stale = Counter(row["label"] for row in rows), 0
    sizes = {str(row.get("result_bytes") or "") for row in rows}  # that labels had when they were made
    mended, swapped = 0, 0
    for row in rows:
        if str(row["status"]).lower() != "ok":
            problems.append(f"{row['image']}: its label has the status '{row['status']}'")
            continue
        if not row["label"]:
            problems.append(f"{row['image']}: its row names no label")
            continue
        name = Path(row["label"]).with_suffix("").as_posix()
        face = folder / row["face"] if row.get("face") else None
        maker = str(row.get("teacher") or "nobody named")
        pair = Pair(name, folder / str(row["image"]), folder / str(row["label"]), face=face, maker=maker)
        if absent := [f"{path}: {why}" for path in (pair.image, pair.label) if (why := absence(path))]:
            problems.append(absent[0])
        elif uses[row["label"]] > 1:
            problems.append(f"{pair.image}: its label {row['label']} is that of {uses[row['label']]} pictures")
        elif said := changed_since(pair, row):
            stale += 1
            problems.append(said)
        else:
            good.append(pair)
            teachers[pair.maker] += 1
            if row.get("result_bytes") and not same(row["result_bytes"], pair.sizes[1]):
                mended += 1
                swapped += str(pair.sizes[1]) in sizes
    if 2 * stale > len(good) + stale:
        raise DataError(
            f"{folder}: {stale} of {len(good) + stale} pictures have changed since they were labelled "
            f"({problems[-1]}); label them anew: `python segmentation/run_segmentation.py`"
        )
    if swapped > 1 and 2 * swapped > len(good):
        raise DataError(
            f"{folder}: {swapped} of {len(good)} labels are as large as its table says of others: are its rows "
            "shuffled, one column sorted without the rest? Take the table from a copy, or label anew"
        )
    if mended:
        say(f"{folder}: {mended} of {len(good)} labels have changed since they were made; taken as mended by hand")
    if len(teachers) > 1:
        shares = ", ".join(f"{count} by {teacher}" for teacher, count in teachers.most_common())
        say(f"{folder}: holds labels of several teachers ({shares}); keep each one's in a folder of its own")
    return sorted(good, key=lambda pair: pair.name), problems


def changed_since(pair: Pair, row: Row) -> str:
    """How a picture has changed since its row was written, by its file's bytes and by its sides; empty where it has
    not. Another time alone is that of a copy."""
    noted = str(row.get("source") or "").split(" ", 1)[0]
    if noted.isdecimal() and int(noted) != pair.image.stat().st_size:
        return f"{pair.image}: has changed since it was labelled ({noted} bytes then, {pair.image.stat().st_size} now)"
    try:
        sides = [int(float(str(row[name]))) for name in ("width", "height")]
        now = size_seen(pair.image)
    except (KeyError, ValueError, PictureError):  # not noted; or broken, which is said later
        return ""
    if now and list(now) != sides:
        return (
            f"{pair.image}: was {sides[0]} x {sides[1]} pixels when it was labelled and is {now[0]} x {now[1]}: turned "
            "or cut since"
        )
    return ""


def rows_of_cluster(folder: Path) -> list[Row]:
    """The last row of each picture in a cluster's table. Raises DataError: it cannot be read."""
    try:
        from common.batch.rows import last_rows

        return last_rows(Folder(folder), "", ["image", "label", "status", "teacher"], "image")
    except ImportError as error:
        raise DataError(f"{folder}: needs pyarrow to be read: pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: cannot be read ({' '.join(str(error).split())})") from error


def by_stem(folder: Path, problems: list[str]) -> dict[str, list[Path]]:
    """Path inside the folder, without suffix -> picture files of that name, at any depth. Folders that cannot be read
    are added to `problems`, a line each."""

    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be read: {error.strerror}")

    files = [Path(place, name) for place, _, names in os.walk(folder, onerror=note) for name in names]
    return grouped(files, lambda path: path.relative_to(folder).with_suffix("").as_posix())


def flat_files(folder: Path, prefix: str) -> dict[str, list[Path]]:
    """Number in the name -> files, of the published flat folder."""
    return grouped(folder.glob(f"{prefix}*"), lambda path: path.stem.removeprefix(prefix))


def grouped(files: Iterable[Path], name_of) -> dict[str, list[Path]]:
    """Name -> picture files of that name, both sorted."""
    groups = defaultdict(list)
    for path in sorted(files):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            groups[name_of(path)].append(path)
    return dict(sorted(groups.items()))


def match(
    pictures: dict[str, list[Path]], labels: dict[str, list[Path]], hair_value: int | None
) -> tuple[list[Pair], list[str]]:
    """Join on the name; a line for each file that has no partner, or more than one."""
    pairs, problems = [], []
    for name in sorted({*pictures, *labels}):
        images, masks = pictures.get(name, []), labels.get(name, [])
        if len(images) == len(masks) == 1:
            pairs.append(Pair(name, images[0], masks[0], hair_value))
        elif not masks:
            problems += [f"{path}: it has no label" for path in images]
        elif not images:
            problems += [f"{path}: it has no picture" for path in masks]
        else:
            several = images if len(images) > 1 else masks
            problems.append(f"{' and '.join(map(str, several))} have one name; keep one of them")
    return pairs, problems


def facts_of(pair: Pair) -> Facts:
    """What a pair is, or why it cannot be trained on; decodes the label, and the picture only where it must."""
    label = read_mask(pair.label, pair.hair_value)
    width, height = size_seen(pair.image) or read_picture(pair.image).rgb.shape[1::-1]
    if not has_shape(label, width, height) and label.shape != (INPUT_SIZE, INPUT_SIZE):  # the size of the labelling's
        as_stored = "; it fits the picture before its EXIF turns it: save that upright, or turn the label"
        return Facts(
            f"{pair.label}: the label is {label.shape[1]} x {label.shape[0]} pixels, its picture {width} x {height}"
            f"{as_stored if has_shape(label, height, width) and orientation_of(pair) != 1 else ''}; a label has its "
            f"picture's shape or is {INPUT_SIZE} x {INPUT_SIZE}",
            misfit=1,
        )
    if is_of_stored_pixels(pair, label, width, height):
        return Facts(
            f"{pair.label}: fits its picture's pixels as they are stored, not as its EXIF turns them: save the picture "
            "upright, or turn the label",
            misfit=1,
        )
    return facts_of_label(label, width, height)


def has_shape(label: np.ndarray, width: int, height: int) -> bool:
    """Whether a label (h, w) has a picture's shape, to a pixel."""
    return abs(label.shape[1] * height - label.shape[0] * width) <= max(height, width)


def readable(pairs: Sequence[Pair]) -> list[Pair]:
    """Those whose files can be decoded to their end, as measuring needs them; the others are named on stderr.

    Raises DataError: there are none.
    """

    def fault(pair: Pair) -> str:
        try:
            read_pair(pair)
        except PictureError as error:
            return f"{error}; nothing is measured on it"
        return ""

    with ThreadPoolExecutor(own_cores()) as pool:
        faults = list(pool.map(fault, pairs))
    for said in filter(None, faults):
        say(said)
    if all(faults):
        raise DataError("of the pictures to measure on none can be read; mend those named above")
    return [pair for pair, said in zip(pairs, faults) if not said]


def split(pairs: Sequence[Pair], seed: int) -> dict[str, list[Pair]]:
    """80 % train, 10 % val, 10 % test, to the picture, in the order of a seeded hash of the names.

    Of a few pictures that come or go hardly another one moves. A line says so where parts are small. Pictures that are
    too few for three parts are not split: each part is all of them, and a line says so.
    """

    def drawn(pair: Pair) -> bytes:
        return hashlib.sha256(f"{seed}:{pair.name}".encode("utf-8", "surrogateescape")).digest()

    order, aside = sorted(pairs, key=drawn), round(len(pairs) / 10)
    cuts = {"train": (0, len(order) - 2 * aside), "val": (-2 * aside, -aside), "test": (-aside, None)}
    if not aside:
        say(
            f"{len(pairs)} pictures are too few to set some aside: all are trained on, and the figures are of these "
            "very pictures; they say nothing of others. --val names other pictures to measure on"
        )
        return {name: list(pairs) for name in cuts}
    if aside < FEW:
        say(
            f"{aside} pictures choose the epoch and {aside} are measured on: with fewer than {FEW} each, figures "
            "depend on which these are. --val names others"
        )
    return {name: sorted(order[slice(*cut)], key=lambda pair: pair.name) for name, cut in cuts.items()}


def parts_of(
    data: Sequence[Path], val: Sequence[Path] | None, hair_value: int | None, seed: int
) -> dict[str, list[Pair]]:
    """The pairs of a training: "train", "val" and "test". With `val` given, nothing of `data` is set aside.

    Pictures that are trained on and measured on are counted on stderr; those measured on are decoded to their end now,
    so that a broken one is known before hours have gone. Raises DataError.
    """
    found = [item for folder in data for item in gather_folder(folder, hair_value).items()]
    demand_hair([fact for _, fact in found])
    pairs = [pair for pair, _ in found]
    if val is None:
        parts = split(pairs, seed)
        return parts | {name: readable(parts[name]) for name in ("val", "test")}
    held_out = readable(gather(val, hair_value))
    trained = {pair.image.resolve() for pair in pairs}
    if shared := sum(pair.image.resolve() in trained for pair in held_out):
        say(f"{shared} of the {len(held_out)} pictures to measure on are trained on as well: the figures flatter")
    return {"train": pairs, "val": held_out, "test": held_out}
