"""Pictures -> soft hair labels, 224 x 224, and labels.csv: what the first stage does."""

import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore

import numpy as np

from common.batch import Row, Source, Table, Tally, find_pictures, output_names, shard, work_through
from common.pictures import DEFAULT_MAX_PIXELS, read_picture, write_mask
from segmentation.face_crop import Box, FindFace, into_frame
from segmentation.teachers import Teacher

TABLE = "labels.csv"
COLUMNS = ["image", "label", "width", "height", "hair_share", "teacher", "status", "error"]
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
    Under torchrun this rank does its share of them. In the table `image` and `label` are relative to the table's own
    folder; one picture keeps its label's name for good, and never takes another's.

    Args:
        overwrite: label again what is labelled.
        find_face: look at the face it finds alone; None: at the whole picture.
        max_pixels: larger pictures are refused.

    Raises:
        BatchError: an input is missing, there is no picture, or another run is writing the table.
    """
    sources = find_pictures(inputs, output)
    kind = teacher.name + (", face crop" if find_face else "")
    reading = BoundedSemaphore(os.cpu_count() or 1)  # so many pictures are in memory at their full size

    with Table(output / TABLE, COLUMNS, key="image") as table, Batches(teacher.find_hair, batch_size) as find_hair:
        images = {source: table.relative(source.path) for source in sources}
        known = {row["image"]: row for row in table.rows()}
        labels = label_names(images, known)

        def describe(source: Source) -> Row:
            return dict(image=images[source], teacher=kind)

        def look(source: Source) -> tuple[Row, Box | None, np.ndarray | None]:
            with reading:
                rgb = read_picture(source.path, max_pixels).rgb8
                height, width = rgb.shape[:2]
                box = find_face(rgb) if find_face else (0, 0, width, height)
                seen = None if box is None else teacher.see(rgb[box[1] : box[3], box[0] : box[2]])
                return describe(source) | dict(width=width, height=height), box, seen

        def label(source: Source) -> Row:
            row, box, seen = look(source)
            if box is None:
                return row | dict(status=NO_FACE)
            hair = into_frame(find_hair(seen), box, row["width"], row["height"])
            mask = np.rint(hair * 255).astype(np.uint8)
            write_mask(output / labels[source], mask)
            return row | dict(label=labels[source], hair_share=round(mask.mean() / 255, 4), status="ok")

        def is_done(source: Source) -> bool:
            row = known.get(images[source])
            return not overwrite and row is not None and holds(row, output, face_wanted=find_face is not None)

        share = shard(sources)
        warn_of_other_teachers({known[images[source]]["teacher"] for source in share if is_done(source)} - {kind})
        return work_through(share, label, table, workers=2 * batch_size, describe=describe, skip=is_done)


def holds(row: Row, output: Path, face_wanted: bool) -> bool:
    """Whether a row of the table still says what a new run would find out."""
    if row["status"] == NO_FACE:
        return face_wanted
    return row["status"] == "ok" and (output / str(row["label"])).is_file()


def warn_of_other_teachers(names: set[str]) -> None:
    if names:
        print(
            f"some of these pictures were labelled by another teacher before ({'; '.join(sorted(names))}), and stay "
            "so; --overwrite labels them anew",
            file=sys.stderr,
        )


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


def label_names(images: dict[Source, str], known: dict[str, Row]) -> dict[Source, str]:
    """The label's name for each picture, given by the table's known rows where it has one.

    A new picture's is its own name as PNG; where that is another's label, as much of its path is put in front as
    tells them apart.
    """
    names = output_names(images, ".png")
    owner = {row["label"]: image for image, row in known.items() if row["label"]}
    for source, image in images.items():
        name = known.get(image, {}).get("label") or names[source]
        above = list(Path(os.path.abspath(source.path)).parts[1 : -len(PurePosixPath(source.name).parts)])
        while owner.setdefault(name, image) != image:
            name = f"{above.pop()}/{name}"
        names[source] = name
    return names
