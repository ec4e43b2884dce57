"""Picture-label pairs on disk: the three layouts, what is wrong with a pair, and the split in parts."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common.batch.storage import Folder
from common.batch.table import Row, read_rows
from common.device import own_cores
from common.errors import UserError
from common.image.opening import SUFFIXES, PictureError, size_seen
from common.image.picture import read_mask, read_picture
from common.progress import say
from segmentation.dataset.pair import Pair, read_pair
from segmentation.dataset.scan import Facts, look_through
from segmentation.networks.resize import INPUT_SIZE

FLAT_PICTURE, FLAT_LABEL = "face_", "parsing_hair_label_"  # prefixes in the published flat folder
TABLES = "labels.csv", "labels.parquet"  # of the labelling, the second one by a cluster
HAIR = 128  # a label's value from which a pixel counts as hair


class DataError(UserError):
    """There is nothing to train on, or to measure on; the message says what to do."""


def gather(folders: Sequence[Path], hair_value: int | None = None) -> list[Pair]:
    """All pairs of data folders that can be trained on; what is left out is named on stderr, and counted.

    Args:
        hair_value: the class that is hair in the masks of these folders, but for those with a `labels.csv`.

    Raises:
        DataError: a folder is missing or of no known layout, its labels are in another coding, or nothing is left.
    """
    return [pair for folder in folders for pair in gather_folder(folder, hair_value)]


def gather_folder(folder: Path, hair_value: int | None) -> list[Pair]:
    """`gather` of one folder."""
    found, problems = find_pairs(folder, hair_value)
    if any((folder / table).exists() for table in TABLES):  # the labelling has read these, and wrote these labels
        good = found
    else:
        facts = look_through(folder, found, facts_of)
        problems += [f"left out: {fact.fault}" for fact in facts if fact.fault]
        good = [pair for pair, fact in zip(found, facts) if not fact.fault]
        demand_coding(folder, [fact for fact in facts if not fact.fault], hair_value)
    for problem in problems:
        say(problem)
    if problems:
        say(f"{folder}: {len(good)} pairs, {len(problems)} left out")
    if not good:
        raise DataError(
            f"{folder}: no picture with a hair label; `python segmentation/run_segmentation.py` makes labels"
        )
    return good


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
        return pairs_of_rows(folder, read_rows(folder / "labels.csv", "image"))
    if (folder / "labels.parquet").is_dir():
        return pairs_of_rows(folder, rows_of_cluster(folder / "labels.parquet"))
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return match(by_stem(folder / "images"), by_stem(folder / "masks"), hair_value)
    pictures, labels = flat_files(folder, FLAT_PICTURE), flat_files(folder, FLAT_LABEL)
    if not pictures and not labels:
        raise DataError(
            f"{folder}: no labels.csv, no images/ and masks/, no {FLAT_PICTURE}*.png; "
            "`python segmentation/run_segmentation.py` labels pictures"
        )
    return match(pictures, labels, hair_value)


def pairs_of_rows(folder: Path, rows: Iterable[Row]) -> tuple[list[Pair], list[str]]:
    """The rows of the labelling whose status is ok and whose files are there; paths are relative to their folder.

    Says so where several teachers have made the labels.
    """
    good: list[Pair] = []
    problems: list[str] = []
    teachers: Counter[str] = Counter()
    for row in rows:
        if row["status"] != "ok":
            problems.append(f"{row['image']}: left out, its label has the status '{row['status']}'")
            continue
        name = Path(row["label"]).with_suffix("").as_posix()
        face = folder / row["face"] if row.get("face") else None
        pair = Pair(name, folder / row["image"], folder / row["label"], face=face)
        if missing := next((path for path in (pair.image, pair.label) if not path.is_file()), None):
            problems.append(f"{missing}: left out, there is no such file")
            continue
        good.append(pair)
        teachers[row.get("teacher") or ""] += 1
    if len(teachers) > 1:
        shares = ", ".join(f"{count} by {teacher or 'nobody named'}" for teacher, count in teachers.most_common())
        say(f"{folder}: holds labels of several teachers ({shares}); keep each one's in a folder of its own")
    return sorted(good, key=lambda pair: pair.name), problems


def rows_of_cluster(folder: Path) -> list[Row]:
    """The last row of each picture in a cluster's table. Raises DataError: it cannot be read."""
    try:
        from common.batch.rows import last_rows

        return last_rows(Folder(folder), "", ["image", "label", "status", "teacher"], "image")
    except ImportError as error:
        raise DataError(f"{folder}: needs pyarrow to be read: pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: cannot be read ({' '.join(str(error).split())})") from error


def by_stem(folder: Path) -> dict[str, list[Path]]:
    """Path inside the folder, without suffix -> picture files of that name, at any depth."""
    return grouped(folder.rglob("*"), lambda path: path.relative_to(folder).with_suffix("").as_posix())


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
            problems += [f"{path}: left out, it has no label" for path in images]
        elif not images:
            problems += [f"{path}: left out, it has no picture" for path in masks]
        else:
            several = images if len(images) > 1 else masks
            problems.append(f"left out: {' and '.join(map(str, several))} have one name; keep one of them")
    return pairs, problems


def facts_of(pair: Pair) -> Facts:
    """What a pair is, or why it cannot be trained on; decodes the label, and the picture only where it must."""
    label = read_mask(pair.label, pair.hair_value)
    width, height = size_seen(pair.image) or read_picture(pair.image).rgb.shape[1::-1]
    fits = abs(label.shape[1] * height - label.shape[0] * width) <= max(height, width)  # to a pixel
    if not fits and label.shape != (INPUT_SIZE, INPUT_SIZE):  # the size of the labelling's
        return Facts(
            f"{pair.label}: the label is {label.shape[1]} x {label.shape[0]} pixels, its picture {width} x {height}; "
            f"a label has its picture's shape or is {INPUT_SIZE} x {INPUT_SIZE}"
        )
    return Facts("", width, height, int(label.max()), round(float((label >= HAIR).mean()), 4))


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
        raise DataError("of the pictures to measure on none can be read")
    return [pair for pair, said in zip(pairs, faults) if not said]


def demand_coding(folder: Path, facts: Sequence[Facts], hair_value: int | None) -> None:
    """Raise DataError where no label of a folder can mean a share of hair x 255; say where some of them may not."""
    greatest = max((fact.greatest for fact in facts), default=0)
    if hair_value is not None and facts and greatest == 0:
        raise DataError(f"{folder}: no mask has the value {hair_value} that --hair-value names")
    if 0 < greatest < HAIR:
        meaning = "masks of 0 and 1" if greatest == 1 else "class numbers, or not of hair"
        raise DataError(
            f"{folder}: the greatest value of its masks is {greatest}, where 255 means hair: they are {meaning}; "
            "name the value that is hair by --hair-value"
        )
    if faint := sum(0 < fact.greatest < HAIR for fact in facts):
        say(f"{folder}: {faint} of {len(facts)} masks have no hair, but some value between; `check` names them")


def split(pairs: Sequence[Pair], seed: int) -> dict[str, list[Pair]]:
    """80 % train, 10 % val, 10 % test, by a seeded hash of the name: no pair moves when others come or go.

    Pictures that are too few for three parts are not split: each part is all of them, said on stderr.
    """
    parts: dict[str, list[Pair]] = {"train": [], "val": [], "test": []}
    for pair in pairs:
        digest = hashlib.sha256(f"{seed}:{pair.name}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        parts["train" if share < 0.8 else "val" if share < 0.9 else "test"].append(pair)
    if all(parts.values()):
        return parts
    say(
        f"{len(pairs)} pictures are too few to set some aside: all are trained on, and the figures are of these very "
        "pictures; they say nothing of others. --val names other pictures to measure on"
    )
    return {name: list(pairs) for name in parts}


def parts_of(
    data: Sequence[Path], val: Sequence[Path] | None, hair_value: int | None, seed: int
) -> dict[str, list[Pair]]:
    """The pairs of a training: "train", "val" and "test". With `val` given, nothing of `data` is set aside.

    Pictures that are trained on and measured on are counted on stderr; those measured on are decoded to their end now,
    so that a broken one is known before hours have gone. Raises DataError.
    """
    pairs = gather(data, hair_value)
    if val is None:
        parts = split(pairs, seed)
        return parts | {name: readable(parts[name]) for name in ("val", "test")}
    held_out = readable(gather(val, hair_value))
    trained = {pair.image.resolve() for pair in pairs}
    if shared := sum(pair.image.resolve() in trained for pair in held_out):
        say(f"{shared} of the {len(held_out)} pictures to measure on are trained on as well: the figures flatter")
    return {"train": pairs, "val": held_out, "test": held_out}
