"""Pictures -> soft hair labels, 224 x 224, and labels.csv: what the first stage does."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore
from typing import Self

import numpy as np

from common.batch.discover import Source, result_names
from common.batch.local import damage_of
from common.batch.stage import Item, Stage, Work
from common.batch.table import Row, Table
from common.device import own_cores
from common.image.picture import DEFAULT_MAX_PIXELS, read_picture, write_mask
from segmentation.labelling.face_crop import FindFace, into_frame
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
    "note",
    "status",
    "error",
]
NUMBERS = {"width", "height", "hair_share", "result_bytes"}
NO_FACE = "no face"

See = Callable[[np.ndarray], np.ndarray]  # as Teacher.see


@dataclass(frozen=True, kw_only=True)
class Label(Stage):
    """Labels pictures: `output`/<a picture's path>.png, the probability of hair x 255, for each.

    Pictures are read ahead in threads (decoding does not hold Python's lock) and go through the teacher in batches.
    One picture keeps its label's name for good, and never takes another's.
    """

    table, columns, numbers, key, result = "labels", COLUMNS, NUMBERS, "image", "label"

    teacher: Teacher
    batch_size: int = 8
    face_finder: Callable[[], FindFace] | None = None  # makes what finds the face to label alone; None: all is labelled
    max_pixels: int = DEFAULT_MAX_PIXELS  # larger pictures are refused

    def here(self, device: str = "") -> Self:
        """As Stage.here."""
        return replace(super().here(device), teacher=self.teacher.on(device or self.device))

    def items(self, sources: Sequence[Source], table: Table) -> list[Item]:
        """As Stage.items."""
        names = label_names(sources, table)
        return [Item(source, names[source.name]) for source in sources]

    def plan(self, item: Item) -> list[Row]:
        """As Stage.plan."""
        name = self.teacher.name + (", face crop" if self.face_finder else "")
        made_by = dict(teacher=name, precision=self.teacher.precision, weights=self.teacher.weights)
        return [dict(label=item.result, **made_by)]

    def threads(self) -> int:
        """As Stage.threads."""
        return 2 * self.batch_size

    def load(self, items: Sequence[Item] | None = None) -> Work:
        """Raises WeightsError: the teacher's weights are of no use; BatchError: nothing here finds faces."""
        find_face = self.face_finder() if self.face_finder else None
        find_hair = self.teacher.load(self.weights, self.device, self.teacher.precision)
        return Labeller(self.teacher.see, Batches(find_hair, self.batch_size), find_face, self.max_pixels)


class Labeller:
    """Labels pictures, one at a call, from many threads; `find_hair` gathers what it is asked."""

    def __init__(self, see: See, find_hair: "Batches", find_face: FindFace | None, max_pixels: int) -> None:
        self.see, self.find_hair, self.find_face, self.max_pixels = see, find_hair, find_face, max_pixels
        self.reading = BoundedSemaphore(own_cores())  # so many pictures are in memory at their full size

    def __call__(self, item: Item, output: Path, rows: list[Row]) -> list[Row]:
        """Write a picture's label; its row with what was found. Raises PictureError."""
        with self.reading:
            picture = read_picture(item.source.path, self.max_pixels)
            rgb, note = picture.rgb8, damage_of(picture)
            del picture
            height, width = rgb.shape[:2]
            box = self.find_face(rgb) if self.find_face else (0, 0, width, height)
            seen = None if box is None else self.see(rgb[box[1] : box[3], box[0] : box[2]])
        (row,) = rows
        row = row | dict(width=width, height=height, note=note)
        if box is None or seen is None:
            return [row | dict(label="", status=NO_FACE)]
        hair = into_frame(self.find_hair(seen), box, width, height)
        mask = np.rint(hair * 255).astype(np.uint8)
        target = output / str(row["label"])
        write_mask(target, mask)
        share = round(mask.mean() / 255, 4)
        return [row | dict(hair_share=share, result_bytes=target.stat().st_size, status="ok")]


class Batches:
    """Makes one call for a batch out of calls for one item each, from many threads.

    Whatever has gathered while a batch was computed is the next one, `size` items at most. All are computed in one
    thread, which ends when nobody holds this any more.
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], size: int) -> None:
        self.run, self.size = run, size
        self.waiting: deque[tuple[np.ndarray, Future]] = deque()
        self.thread = ThreadPoolExecutor(1)

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
