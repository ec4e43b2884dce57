"""Pictures -> soft hair labels, 224 x 224, and labels.csv: what the first stage does."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore

import numpy as np

from common.folder import Source, find_pictures, result_names
from common.pictures import DEFAULT_MAX_PIXELS, read_picture, write_mask
from common.table import Row, Table
from common.work import Tally, left_to_do, stamp, work_through
from segmentation.face_crop import Box, FindFace, into_frame
from segmentation.teachers import Teacher

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
NO_FACE = "no face"


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
    sources, unreadable = find_pictures(inputs, output)
    made_by = dict(
        teacher=teacher.name + (", face crop" if find_face else ""),
        precision=teacher.precision,
        weights=teacher.weights,
    )
    reading = BoundedSemaphore(os.cpu_count() or 1)  # so many pictures are in memory at their full size

    with Table(output / TABLE, COLUMNS, key="image") as table:
        labels = label_names(sources, table)

        def plan(source: Source) -> Row:
            return dict(image=table.relative(source.path), source=stamp(source.path), **made_by)

        def look(source: Source) -> tuple[Row, Box | None, np.ndarray | None]:
            with reading:
                row = plan(source)
                rgb = read_picture(source.path, max_pixels).rgb8
                height, width = rgb.shape[:2]
                box = find_face(rgb) if find_face else (0, 0, width, height)
                seen = None if box is None else teacher.see(rgb[box[1] : box[3], box[0] : box[2]])
                return row | dict(width=width, height=height), box, seen

        def label(source: Source) -> Row:
            row, box, seen = look(source)
            if box is None:
                return row | dict(status=NO_FACE)
            hair = into_frame(find_hair(seen), box, row["width"], row["height"])
            mask = np.rint(hair * 255).astype(np.uint8)
            path = output / labels[source.name]
            write_mask(path, mask)
            share = round(mask.mean() / 255, 4)
            size = path.stat().st_size
            return row | dict(label=labels[source.name], hair_share=share, result_bytes=size, status="ok")

        todo, _, skipped = left_to_do(sources, plan, table, "label", overwrite)
        if not todo:
            return Tally(skipped=skipped, unreadable=unreadable)
        with Batches(teacher.load(), batch_size) as find_hair:
            tally = work_through(todo, label, table, workers=2 * batch_size, plan=plan)
        return replace(tally, skipped=skipped, unreadable=unreadable)


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
