"""What a visitor takes home: pictures dyed at full size, just as the script makes them, masks, or all in one file."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from common.batch.discover import Source, result_names
from common.image.picture import PictureError, write_mask
from ombre.api import Detection
from ombre.colour.shades import file_name
from ombre.dye_photo import dye_photo
from ombre.hair.matte import refine
from ombre.page import clips
from ombre.page.choosing import command
from ombre.page.clips import dye_short
from ombre.page.complaints import complaint
from ombre.page.jobs import Job
from ombre.page.picture import Shown
from ombre.page.steps import Look
from ombre.page.strokes import Stroke
from ombre.page.visitors import Visitor
from ombre.stage import names_of_masks
from segmentation.finding.hair_finder import HairFinder

FOLDER, MASKS = "PICTURES", "masks"  # what the command calls the folders of pictures and of masks


def write_dyed(
    shown: Shown, look: Look, folder: Path, suffix: str | None, check: Callable[[], None] = lambda: None
) -> Path:
    """The picture dyed at full size, with its metadata, under the name that the script gives it. `suffix`: the format,
    ".png" and the like; None: that of the picture. What `check` raises ends it half-way. Raises PictureError."""

    def detect(rgb: np.ndarray, seen: np.ndarray) -> Detection:
        check()
        found = shown.mask(look.strokes)
        share = refine(rgb, found)
        check()
        return Detection(found, share, shown.guide())

    name = result_names([Source(str(shown.file), shown.name)], suffix)[shown.name]
    row = {"output": name_of(name, look), **look.style.row()}
    dye_photo(shown.file, folder, detect, [row], shown.width * shown.height, own=look.own)
    return folder / row["output"]


def write_dyed_clip(shown: Shown, look: Look, folder: Path, finder: HairFinder, reached: Callable[[int], None]) -> Path:
    """The clip dyed, under the name that the script gives it; `reached` and what is raised as in `dye_short`."""
    target = folder / look.style.name(shown.name)
    dye_short(shown.file, target, look.style, finder, reached)
    return target


def name_of(picture: str, look: Look) -> str:
    """A result's name: as the script's, and the colours that single people have."""
    stem, suffix = os.path.splitext(look.style.name(picture))
    colors = list(dict.fromkeys(file_name(own.style.color) for own in look.own if own.style != look.style))
    return stem + "".join(f"_and_{color}" for color in [*colors[:1], *["more"] * (len(colors) > 1)]) + suffix


def write_used_mask(shown: Shown, strokes: tuple[Stroke, ...], folder: Path, name: str | None = None) -> Path:
    """The mask with what was painted, (H, W) 8 bit, under the name that `--masks` looks for: this one, or that of the
    picture by itself."""
    path = folder / (name or names_of_masks([Source(str(shown.file), shown.name)])[shown.name])
    write_mask(path, shown.mask(strokes))
    return path


def command_of(visitor: Visitor) -> str:
    """The command that makes the visitor's pictures."""
    name = visitor.shown.name if visitor.shown and len(visitor.pictures) == 1 else FOLDER
    words = (f"./{name}" if name.startswith("-") else name,)  # else it would be an option
    return command(visitor.step.style, *words, *(("--masks", MASKS, "--refine-masks") if is_painted(visitor) else ()))


def is_painted(visitor: Visitor) -> bool:
    """Whether a mask of the visitor's was mended: then the command needs the masks."""
    return any(visitor.step.painted(number) for number in visitor.pictures)


def is_apart(visitor: Visitor) -> bool:
    """Whether somebody has a style of their own, which the command cannot give."""
    looks = [visitor.step.look(number) for number in visitor.pictures]
    return any(own.style != look.style for look in looks for own in look.own)


def zipped(visitor: Visitor, job: Job, texts: dict[str, str], finder: HairFinder) -> Iterator[bytes]:
    """A ZIP of all pictures dyed, their masks where one was painted, and the command, piece by piece as it is made.
    Raises Stopped."""
    step, with_masks = visitor.step, is_painted(visitor)
    used: set[str] = set()
    files_by_name = {shown.name: str(shown.file) for shown in visitor.pictures.values()}
    mask_names = names_of_masks([Source(file, name) for name, file in files_by_name.items()])  # as `--masks` looks for
    stream = _Stream()
    with zipfile.ZipFile(stream, "w") as archive, TemporaryDirectory(dir=visitor.folder) as folder:

        def files_of(shown: Shown, done: int) -> dict[str, Path]:
            """A picture's files, by the folders where they go; so many pictures are done."""
            look = step.look(shown.number)
            if shown.frames:
                with clips.turns.taken(job):
                    return {"": write_dyed_clip(shown, look, Path(folder), finder, lambda _: job.reached(done))}
            with visitor.turns.taken(job):
                job.reached(done)
                files = {"": write_dyed(shown, look, Path(folder), None, job.check)}
                masks = Path(folder) / MASKS
                name = mask_names[shown.name]
                return files | ({f"{MASKS}/": write_used_mask(shown, look.strokes, masks, name)} if with_masks else {})

        for done, shown in enumerate(list(visitor.pictures.values())):
            try:
                files = files_of(shown, done)
            except (PictureError, OSError) as error:
                archive.writestr(_unused(f"{shown.name}.failed.txt", used), complaint(error, shown.name, texts) + "\n")
                continue
            for place, file in files.items():
                archive.write(file, _unused(place + file.name, used))
                file.unlink()
                yield stream.taken()
        note = f"# {texts['command_alike']}\n" if is_apart(visitor) else ""
        archive.writestr("command.txt", f"{note}{command_of(visitor)}\n")
    yield stream.taken()


def _unused(name: str, used: set[str]) -> str:
    """The name, or with a number where another file has it."""
    path, count = Path(name), 1
    while name in used:
        count += 1
        name = str(path.with_stem(f"{path.stem}_{count}"))
    used.add(name)
    return name


class _Stream(io.RawIOBase):
    """A file to write to whose contents are taken away as they come."""

    def __init__(self):
        self._buffer = io.BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # bytes
        return self._buffer.write(data)

    def taken(self) -> bytes:
        data = self._buffer.getvalue()
        self._buffer = io.BytesIO()
        return data
