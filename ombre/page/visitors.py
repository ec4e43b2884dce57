"""Who looks at the page: each visitor's pictures in a folder of their own, what was chosen, and the way back."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

import numpy as np

from ombre.hair.analysis import person_at
from ombre.page.choosing import changed
from ombre.page.jobs import Jobs, Stopped, Turns
from ombre.page.people import Person, people_in
from ombre.page.picture import STEPS, Find, Shown, dyed, jpeg, prepared, take_in
from ombre.page.steps import Place, Step
from ombre.page.strokes import Stroke
from ombre.render.recolour import Hair
from segmentation.finding.hair_finder import HairFinder

MOST_PICTURES = 200  # of a visitor, at a time
MOST_STEPS = 300  # that can be undone
ONE_MOVE = 1.0  # seconds: places of a moving control that follow each other within it are undone together
MANY = 2  # pictures at full size that are worked on at a time, whoever they are for
IDLE = 20.0  # seconds without anybody's touch, after which memory is given back


class TooManyPictures(Exception):
    """A visitor has MOST_PICTURES pictures already."""


class Visitor:
    """Somebody's open page, or several of one session. Its methods may be called from several threads.

    `token` is in the addresses of this visitor's pictures, which nobody else knows; `turns` are shared by all visitors.
    """

    def __init__(self, session: str, folder: Path, turns: Turns):
        self.session, self.token = session, token_urlsafe(24)
        self.folder = folder / self.token
        self.turns = turns
        self.pictures: dict[int, Shown] = {}
        self.version = 0
        self.touched = time.monotonic()
        self.jobs = Jobs(self.tell)
        self.lock = threading.RLock()
        self.listeners: list[Callable[[], None]] = []  # open pages: called, from any thread, when there is news
        self._notices: list[str] = []
        self._steps = [Step()]
        self._undone: list[Step] = []
        self._last = ("", 0.0)  # what changed last, and when
        self._count = 0
        self._rendering = threading.Lock()
        self._ready: tuple[object, Hair | np.ndarray] | None = None

    @property
    def step(self) -> Step:
        """The settings as they are now."""
        return self._steps[-1]

    @property
    def shown(self) -> Shown | None:
        """The picture that is seen, if there is one."""
        return self.pictures.get(self.step.number)

    @property
    def undoable(self) -> bool:
        """Whether there is a change to take back."""
        return len(self._steps) > 1

    @property
    def redoable(self) -> bool:
        """Whether a change was taken back, and nothing was changed since."""
        return bool(self._undone)

    def tell(self, notice: str = "") -> None:
        """There is something new to show, and maybe a sentence to say."""
        self.touched = time.monotonic()
        if notice:
            self._notices.append(notice)
        for listener in list(self.listeners):
            listener()

    def notices(self) -> list[str]:
        """The sentences that were not said yet."""
        said, self._notices = self._notices, []
        return said

    def incoming(self, name: str) -> Path:
        """Where an upload of this name may be written, a folder of its own."""
        path = self.folder / "incoming" / token_urlsafe(8) / name
        path.parent.mkdir(parents=True)
        return path

    def add(self, source: Path, find: Find, max_pixels: int, own: bool) -> Shown:
        """Take a picture file in, a copy of it, or itself where it is the page's `own`; it is shown. Raises
        PictureError, OSError, TooManyPictures, Stopped."""
        with self.lock:
            if len(self.pictures) >= MOST_PICTURES:
                raise TooManyPictures
            self._count += 1
            number = self._count
        file = self.folder / str(number) / "picture" / source.name
        try:
            with self.jobs.begun("look", source.name, STEPS) as job, self.turns.taken(job):
                file.parent.mkdir(parents=True)
                (os.replace if own else shutil.copyfile)(source, file)
                shown = take_in(number, file, find, max_pixels, job.reached)
                job.check()
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
                self._show(number, None)

    def choose_person(self, x: float, y: float) -> None:
        """Let changes be for the person whose hair is at a place of the picture, or the nearest to it; no step of its
        own. Raises ValueError: it is no place."""
        number, hair = self.step.number, self._hair()
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError("a place outside the picture")
        if isinstance(hair, Hair):
            chosen = person_at(hair, x, y)
            places = [(person.x, person.y) for person in self.people()]
            places += [own[:2] for own in self.step.look(number).own]  # one who has a style is called by its place
            same = [place for place in places if person_at(hair, *place) == chosen]
            with self.lock:
                if same and number == self.step.number:
                    self._show(number, same[-1])

    def choose_everybody(self) -> None:
        """Let changes be for everybody; no step of its own."""
        with self.lock:
            self._show(self.step.number, None)

    def _show(self, number: int, person: Place | None) -> None:
        self._steps[-1] = replace(self.step, number=number, person=person)
        self._last = ("", 0.0)
        self._renew()

    def people(self) -> list[Person]:
        """Who is in the picture that is shown, from the left to the right; in a clip nobody is told apart."""
        hair = self._hair()
        return people_in(hair) if isinstance(hair, Hair) and self.shown and not self.shown.frames else []

    def remove(self) -> None:
        """Forget the picture that is shown, and show another one."""
        with self.lock:
            if shown := self.pictures.pop(self.step.number, None):
                shown.remove()
                self.rest()
                self._show(next(reversed(self.pictures), 0), None)

    def change(self, name: str, value: object, moving: bool = False) -> None:
        """Set one thing of the style, by a control that is `moving` maybe, for whom it is chosen. Raises ValueError for
        a value that it cannot have."""
        with self.lock:
            step = self.step.changed(lambda style: changed(style, name, value))
            before, when = self._last
            now = time.monotonic()
            self._go_to(step, again=moving and before == name and now - when < ONE_MOVE)
            self._last = (name if moving else "", now)

    def paint(self, stroke: Stroke | None) -> None:
        """Lay a stroke over the mask of the picture that is shown; None takes all of them away."""
        with self.lock:
            if self.shown and not self.shown.frames:
                strokes = (*self.step.painted(self.step.number), stroke) if stroke else ()
                self._go_to(self.step.paint(strokes))
                self._last = ("", 0.0)

    def undo(self) -> None:
        """Take back the last change, and show the picture that it was made on."""
        with self.lock:
            if self.undoable:
                undone = self._steps.pop()
                self._undone.append(undone)
                number, changed = undone.number, [n for n in self.pictures if undone.changes(self.step, n)]
                if changed and number not in changed and undone.style == self.step.style:
                    number = changed[0]
                self._show(number, undone.person if number == undone.number else None)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        with self.lock:
            if self.redoable:
                step = self._undone.pop()
                self._steps.append(step)
                if step.number not in self.pictures:
                    step = replace(step, number=self._steps[-2].number, person=None)
                self._show(step.number, step.person)

    def _go_to(self, step: Step, again: bool = False) -> None:
        if step != self.step:
            self._undone.clear()
            if again:
                self._steps.pop()
            self._steps = [*self._steps[-MOST_STEPS:], step]
            self._renew()

    def _renew(self) -> None:
        self.version += 1
        self.tell()

    def after(self) -> bytes:
        """The picture that is shown, dyed, as a JPEG. What all styles share is kept, so that the next one is fast."""
        self.touched = time.monotonic()
        with self._rendering:
            shown, step = self.shown, self.step
            assert shown is not None, "as it is asked for by its number"
            return jpeg(dyed(shown, self._prepared(shown, step), step.look(shown.number)))

    def _hair(self) -> Hair | np.ndarray | None:
        """What is known of the hair of the picture that is shown, which is kept; None where none is shown."""
        with self._rendering:
            shown = self.shown
            return self._prepared(shown, self.step) if shown else None

    def _prepared(self, shown: Shown, step: Step) -> Hair | np.ndarray:
        key = shown.number, step.painted(shown.number)
        if self._ready is None or self._ready[0] != key:
            self._ready = key, prepared(shown, key[1])
        return self._ready[1]

    def small(self, number: int, color: str | None = None) -> bytes:
        """A picture dyed, for the gallery; in another colour maybe, of whom changes are for. Raises ValueError: there
        is no such colour."""
        shown, step = self.pictures[number], self.step
        if color:
            step = step.changed(lambda style: changed(style, "color", color))
        look = step.look(number)
        return jpeg(dyed(shown, prepared(shown, look.strokes, small=True), look, small=True))

    def rest(self) -> None:
        """Forget what only makes the next look fast."""
        self._ready = None


class Visitors:
    """All open pages, by their session and by their token."""

    def __init__(self, folder: Path, finder: HairFinder, max_pixels: int):
        self.folder, self.finder, self.max_pixels = folder, finder, max_pixels
        self.turns = Turns(MANY)
        self._by_session: dict[str, Visitor] = {}
        self._by_token: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._touched = time.monotonic()
        self._rested = 0.0  # the last touch before memory was given back

    def of(self, session: str) -> Visitor:
        """The visitor of a session, new where it is the first time."""
        with self._lock:
            if session not in self._by_session:
                visitor = Visitor(session, self.folder, self.turns)
                self._by_session[session] = self._by_token[visitor.token] = visitor
            return self._by_session[session]

    def by_token(self, token: str) -> Visitor | None:
        """Whoever has this token; None where nobody has."""
        return self._by_token.get(token)

    def add(self, visitor: Visitor, source: Path, own: bool = False) -> Shown:
        """Take a picture in for a visitor; raises as Visitor.add does."""
        try:
            shown = visitor.add(source, self.finder.find, self.max_pixels, own)
        finally:
            gone = self.by_token(visitor.token) is None
            if gone:  # left meanwhile
                shutil.rmtree(visitor.folder, ignore_errors=True)
        if gone:
            raise Stopped
        return shown

    def leave_unless_back(self, visitor: Visitor) -> None:
        """The time is over within which a page that was closed may be opened anew."""
        if not visitor.listeners:
            self.leave(visitor.session)

    def leave(self, session: str) -> None:
        """A page was closed: what is at work for it ends, and its pictures go."""
        with self._lock:
            visitor = self._by_session.pop(session, None)
            if visitor is None:
                return
            del self._by_token[visitor.token]
            self._touched = time.monotonic()
        visitor.jobs.close()
        shutil.rmtree(visitor.folder, ignore_errors=True)

    def close(self) -> None:
        """The server ends: everybody leaves."""
        for session in list(self._by_session):
            self.leave(session)

    def go_idle(self) -> bool:
        """Whether all have been still for IDLE seconds, for the first time since the last touch; then they forget what
        only makes the next look fast."""
        with self._lock:
            visitors = list(self._by_session.values())
        touched = max([self._touched, *(visitor.touched for visitor in visitors)])
        still = time.monotonic() - touched >= IDLE and not any(visitor.jobs.rows() for visitor in visitors)
        begins = still and touched != self._rested
        if begins:
            self._rested = touched
            for visitor in visitors:
                visitor.rest()
        return begins

    def __len__(self) -> int:
        return len(self._by_session)
