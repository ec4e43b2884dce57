"""Who looks at the page: each visitor's pictures in a folder of their own, what was chosen, and the way back."""

import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe

import numpy as np

from ombre.page.choosing import START, changed
from ombre.page.picture import Find, Shown, dyed, jpeg, prepared, take_in
from ombre.page.strokes import Stroke
from ombre.render.recolour import Hair
from ombre.style import Style

MOST_PICTURES = 200  # of a visitor, at a time
MOST_STEPS = 300  # that can be undone
ONE_MOVE = 1.0  # seconds: places of a moving control that follow each other within it are undone together
MANY = 2  # pictures whose hair is looked for at a time: a large one takes memory


class TooManyPictures(Exception):
    """A visitor has MOST_PICTURES pictures already."""


@dataclass(frozen=True)
class Step:
    """What is seen at a time: the style, the picture's number and everything that was painted, by picture."""

    style: Style = START
    number: int = 0
    strokes: tuple[tuple[int, tuple[Stroke, ...]], ...] = ()

    def painted(self, number: int) -> tuple[Stroke, ...]:
        """The strokes on the picture of this number."""
        return dict(self.strokes).get(number, ())

    def paint(self, strokes: tuple[Stroke, ...]) -> "Step":
        """The same with other strokes on the picture seen."""
        others = dict(self.strokes) | {self.number: strokes}
        return replace(self, strokes=tuple(others.items()))


class Visitor:
    """One open page. Its methods may be called from several threads.

    `token` is in the addresses of this visitor's pictures, which nobody else knows."""

    def __init__(self, folder: Path):
        self.token = token_urlsafe(24)
        self.folder = folder / self.token
        self.pictures: dict[int, Shown] = {}
        self.uploads: set[Path] = set()
        self.version = 0
        self.lock = threading.RLock()
        self._steps = [Step()]
        self._last = ("", 0.0)  # what changed last, and when
        self._count = 0
        self._ready: tuple[object, Hair | np.ndarray | None] = (None, None)

    @property
    def step(self) -> Step:
        """The settings as they are now."""
        return self._steps[-1]

    @property
    def shown(self) -> Shown | None:
        """The picture that is seen, if there is one."""
        return self.pictures.get(self.step.number)

    def add(self, source: Path, name: str, find: Find, max_pixels: int) -> Shown:
        """Take a picture file in, a copy of it; it is shown. Raises PictureError, OSError, TooManyPictures."""
        with self.lock:
            if len(self.pictures) >= MOST_PICTURES:
                raise TooManyPictures
            self._count += 1
            number = self._count
        file = self.folder / str(number) / "picture" / name
        file.parent.mkdir(parents=True)
        try:
            shutil.copyfile(source, file)
            shown = take_in(number, file, find, max_pixels)
        except BaseException:
            shutil.rmtree(self.folder / str(number), ignore_errors=True)
            raise
        with self.lock:
            self.pictures[number] = shown
            self.choose(number)
        return shown

    def choose(self, number: int) -> None:
        """Show another picture; no step of its own."""
        with self.lock:
            if number in self.pictures:
                self._steps[-1] = replace(self.step, number=number)
                self._last = ("", 0.0)
                self.version += 1

    def remove(self) -> None:
        """Forget the picture that is shown, and show another one."""
        with self.lock:
            if shown := self.pictures.pop(self.step.number, None):
                shown.remove()
                self._ready = (None, None)
                self.version += 1
                self.choose(next(reversed(self.pictures), 0))

    def change(self, name: str, value: object, moving: bool = False) -> None:
        """Set one thing of the style, by a control that is `moving` maybe. Raises ValueError for a value that it cannot
        have."""
        with self.lock:
            style = changed(self.step.style, name, value)
            before, when = self._last
            now = time.monotonic()
            self._go_to(replace(self.step, style=style), again=moving and before == name and now - when < ONE_MOVE)
            self._last = (name if moving else "", now)

    def paint(self, stroke: Stroke | None) -> None:
        """Lay a stroke over the mask of the picture that is shown; None takes all of them away."""
        with self.lock:
            if self.shown:
                strokes = (*self.step.painted(self.step.number), stroke) if stroke else ()
                self._go_to(self.step.paint(strokes))
                self._last = ("", 0.0)

    def undo(self) -> None:
        """Take back the last change, and show the picture that it was made on."""
        with self.lock:
            if len(self._steps) > 1:
                undone = self._steps.pop()
                repainted = [n for n in self.pictures if undone.painted(n) != self.step.painted(n)]
                self._steps[-1] = replace(self.step, number=(repainted or [undone.number])[0])
                self._last = ("", 0.0)
                self.version += 1

    def _go_to(self, step: Step, again: bool = False) -> None:
        if step != self.step:
            if again:
                self._steps.pop()
            self._steps = [*self._steps[-MOST_STEPS:], step]
            self.version += 1

    def after(self) -> bytes:
        """The picture that is shown, dyed, as a JPEG. What all styles share is kept, so that the next one is fast."""
        with self.lock:
            shown, step = self.shown, self.step
            key = step.number, step.painted(step.number)
            if self._ready[0] != key:
                self._ready = key, prepared(shown, key[1])
            rgb = dyed(self._ready[1], step.style)
        return jpeg(rgb)

    def small(self, number: int) -> bytes:
        """A picture dyed, for the gallery."""
        shown, step = self.pictures[number], self.step
        return jpeg(dyed(prepared(shown, step.painted(number), small=True), step.style))


class Visitors:
    """All open pages, by their browser session and by their token."""

    def __init__(self, folder: Path, find: Find, max_pixels: int):
        self.folder, self.find, self.max_pixels = folder, find, max_pixels
        self._by_session: dict[str, Visitor] = {}
        self._by_token: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._looking = threading.Semaphore(MANY)

    def of(self, session: str) -> Visitor:
        """The visitor of a browser session, new where it is the first time."""
        with self._lock:
            if session not in self._by_session:
                visitor = Visitor(self.folder)
                self._by_session[session] = self._by_token[visitor.token] = visitor
            return self._by_session[session]

    def by_token(self, token: str) -> Visitor | None:
        """Whoever has this token; None where nobody has."""
        return self._by_token.get(token)

    def add(self, visitor: Visitor, source: Path, uploaded: bool) -> Shown:
        """Take a picture in for a visitor; raises as Visitor.add does."""
        if uploaded:
            visitor.uploads.add(source)
        with self._looking:
            shown = visitor.add(source, source.name, self.find, self.max_pixels)
        if self.by_token(visitor.token) is None:  # left meanwhile
            shutil.rmtree(visitor.folder, ignore_errors=True)
        return shown

    def leave(self, session: str) -> None:
        """A page was closed: its pictures go, what was uploaded for it too, unless another visitor sent the same."""
        with self._lock:
            visitor = self._by_session.pop(session, None)
            if visitor is None:
                return
            del self._by_token[visitor.token]
            others = set().union(*(other.uploads for other in self._by_session.values()))
        shutil.rmtree(visitor.folder, ignore_errors=True)
        for upload in visitor.uploads - others:
            upload.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._by_session)
