"""Pictures -> soft hair labels, 224 x 224, and labels.csv: what the first stage does."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore

import numpy as np

from common.batch.discover import Source, find_pictures, result_names
from common.batch.local import Tally, left_to_do, stamp, tidy, work_through
from common.batch.table import Row, Table
from common.image.picture import DEFAULT_MAX_PIXELS, read_picture, write_mask
from segmentation.labelling.face_crop import FindFace, face_finder, into_frame
from segmentation.labelling.teachers import Teacher

TABLE = "labels.csv"
COLUMNS = [
    "image",
    "label",
    "width",
    "height",
    "hair_share",
    "teacher",
    "precision",
    "weights",
    "source",
    "result_bytes",
    "status",
    "error",
]
NUMBERS = {"width", "height", "hair_share", "result_bytes"}
NO_FACE = "no face"

Work = Callable[[Path, Path, list[Row]], list[Row]]  # picture, folder for results, planned rows -> rows
See = Callable[[np.ndarray], np.ndarray]  # as Teacher.see


def label_pictures(
    inputs: Sequence[str | os.PathLike],
    output: Path,
    teacher: Teacher,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    find_face: FindFace | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Tally:
    """Write `output`/<a picture's path>.png, the probability of hair x 255, for each picture, and a row in labels.csv.

    Pictures are read ahead in threads (decoding does not hold Python's lock) and go through the teacher in batches.
    What has a whole label and a row that says the same of the picture's file and of the teacher is not labelled again.
    In the table `image` and `label` are relative to the table's own folder; one picture keeps its label's name for
    good, and never takes another's.

    Args:
        overwrite: label again what is labelled.
        find_face: look at the face it finds alone; None: at the whole picture.
        max_pixels: larger pictures are refused.

    Raises:
        BatchError: an input is missing, there is no picture, or the output cannot be written.
        WeightsError: the teacher's weights are of no use.
    """
    sources, unreadable, left_out = find_pictures(inputs, output)
    made_by = columns_of(teacher, find_face is not None)
    with Table(output / TABLE, COLUMNS, key="image") as table:
        labels = label_names(sources, table)

        def plan(source: Source) -> Row:
            return dict(image=table.relative(source.path), source=stamp(source.path), **made_by)

        def label(source: Source) -> Row:
            return label_one(Path(source.path), output, labels[source.name], plan(source))

        todo, _, skipped = left_to_do(sources, plan, table, "label", overwrite)
        if not todo:
            return Tally(skipped=skipped, unreadable=unreadable, left_out=left_out)
        tidy(output, labels.values())
        with Batches(teacher.load(), batch_size) as find_hair:
            label_one = Labeller(teacher.see, find_hair, find_face, max_pixels)
            tally = work_through(todo, label, table, workers=2 * batch_size, plan=plan)
        return replace(tally, skipped=skipped, unreadable=unreadable, left_out=left_out)


def label_on_cluster(
    given: str | os.PathLike,
    output: str | os.PathLike,
    teacher: Teacher,
    *,
    address: str,
    crop_face: bool,
    batch_size: int,
    overwrite: bool,
    max_pixels: int,
) -> Tally:
    """As `label_pictures`, by a Ray cluster: a folder here or in an object store, rows in labels.parquet.

    Raises BatchError as `run_on_cluster`.
    """
    from common.batch.cluster import Stage, run_on_cluster

    plan = partial(plan_label, columns_of(teacher, crop_face))
    load = partial(label_with, teacher, crop_face, batch_size, max_pixels)
    stage = Stage("labels", COLUMNS, NUMBERS, "label", ".png", plan, teacher.path, load, named_when_failed=False)
    return run_on_cluster(stage, os.fspath(given), os.fspath(output), address, overwrite)


def columns_of(teacher: Teacher, crop_face: bool) -> Row:
    """What a row says of who made the label."""
    name = teacher.name + (", face crop" if crop_face else "")
    return dict(teacher=name, precision=teacher.precision, weights=teacher.weights)


def plan_label(made_by: Row, name: str) -> list[Row]:
    """The row of the picture whose label is called `name`, but for what is known of the picture's own file."""
    return [dict(label=name, **made_by)]


def label_with(teacher: Teacher, crop_face: bool, batch_size: int, max_pixels: int, weights: Path) -> Work:
    """What labels a picture by its planned row, with these weights."""
    find_hair = Batches(teacher.load(weights=weights), batch_size)
    label_one = Labeller(teacher.see, find_hair, face_finder() if crop_face else None, max_pixels)
    return lambda path, output, rows: [label_one(path, output, row["label"], row | dict(label="")) for row in rows]


class Labeller:
    """Labels pictures, one at a call, from many threads; `find_hair` gathers what it is asked."""

    def __init__(self, see: See, find_hair: "Batches", find_face: FindFace | None, max_pixels: int) -> None:
        self.see, self.find_hair, self.find_face, self.max_pixels = see, find_hair, find_face, max_pixels
        self.reading = BoundedSemaphore(os.cpu_count() or 1)  # so many pictures are in memory at their full size

    def __call__(self, path: Path, output: Path, name: str, row: Row) -> Row:
        """Write the label `output`/`name` of a picture; the row with what was found. Raises PictureError."""
        with self.reading:
            rgb = read_picture(path, self.max_pixels).rgb8
            height, width = rgb.shape[:2]
            box = self.find_face(rgb) if self.find_face else (0, 0, width, height)
            seen = None if box is None else self.see(rgb[box[1] : box[3], box[0] : box[2]])
        row = row | dict(width=width, height=height)
        if box is None:
            return row | dict(status=NO_FACE)
        hair = into_frame(self.find_hair(seen), box, width, height)
        mask = np.rint(hair * 255).astype(np.uint8)
        write_mask(output / name, mask)
        size = (output / name).stat().st_size
        return row | dict(label=name, hair_share=round(mask.mean() / 255, 4), result_bytes=size, status="ok")


class Batches:
    """Makes one call for a batch out of calls for one item each, from many threads.

    Whatever has gathered while a batch was computed is the next one, `size` items at most. All are computed in one
    thread. Leave it (it is a context manager) when no more calls come.
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], size: int) -> None:
        self.run, self.size = run, size
        self.waiting: deque[tuple[np.ndarray, Future]] = deque()
        self.thread = ThreadPoolExecutor(1)

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown()

    def __call__(self, item: np.ndarray) -> np.ndarray:
        """What `run` gives for this item, of those it was computed with; raises what it raised."""
        answer: Future = Future()
        self.waiting.append((item, answer))
        self.thread.submit(self._run_waiting)
        return answer.result()

    def _run_waiting(self) -> None:
        batch = [self.waiting.popleft() for _ in range(min(self.size, len(self.waiting)))]
        if not batch:  # an earlier batch has taken what this call was made for
            return
        try:
            for (_, answer), result in zip(batch, self.run(np.stack([item for item, _ in batch]))):
                answer.set_result(result)
        except Exception as error:
            for _, answer in batch:
                answer.set_exception(error)


def label_names(sources: Sequence[Source], table: Table) -> dict[str, str]:
    """A picture's name -> its label's, given by the table where it has one.

    A new picture's is its own name as PNG; where that is another's label, as much of its path is put in front as
    tells them apart.
    """
    names = result_names(sources, ".png")
    owner = {row["label"]: row["image"] for row in table.rows() if row["label"]}
    for source in sources:
        image = table.relative(source.path)
        name = (table.get(image) or {}).get("label") or names[source.name]
        above = list(Path(os.path.abspath(source.path)).parts[1 : -len(PurePosixPath(source.name).parts)])
        while owner.setdefault(name, image) != image:
            name = f"{above.pop()}/{name}"
        names[source.name] = name
    return names
