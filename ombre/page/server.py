"""The page's server: the page in two languages, uploads, pictures by address, downloads. It is for this machine
alone, or with --lan for who has the secret link.

It fetches nothing from anywhere: it opens no connection of its own. guard.py says who may ask it for what.
"""

import asyncio
import html
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from common.image.opening import SUFFIXES, PictureError
from common.workarounds import give_back_memory
from ombre.page import clips
from ombre.page.complaints import complaint
from ombre.page.guard import Door, Guard
from ombre.page.jobs import Job, Stopped
from ombre.page.mirror import mirror
from ombre.page.picture import Shown, jpeg, overlay
from ombre.page.results import write_dyed, write_dyed_clip, write_used_mask, zipped
from ombre.page.seen import setup
from ombre.page.talk import take, talk
from ombre.page.texts import TEXTS, language_of
from ombre.page.visitors import Visitor, Visitors

HERE = Path(__file__).parent
ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><linearGradient id="o" x2="0" y2="1">'
    b'<stop stop-color="#35261f"/><stop offset="1" stop-color="#e4749d"/></linearGradient>'
    b'<circle cx="4" cy="4" r="4" fill="url(#o)"/></svg>'
)
THIS_MACHINE = Door()  # alone
LOOK_ROUND = 5.0  # seconds between two looks whether anybody is at work
LONGEST_NAME = 120  # bytes of an upload's name that are kept: file systems allow 255, with the style

Make = Callable[[Path, Job], Path]  # makes a file in a folder; may raise PictureError, OSError, Stopped


class Page:
    """What the routes answer with."""

    def __init__(self, visitors: Visitors, samples: list[Path], max_bytes: int, camera: int | None, shared: bool):
        self.visitors, self.samples, self.max_bytes = visitors, samples, max_bytes
        self.camera, self.shared = camera, shared
        self.template = (HERE / "page.html").read_text(encoding="utf-8")

    def start(self, request: Request) -> Response:
        """To the page in the browser's language."""
        return RedirectResponse(f"/{language_of(request.headers.get('accept-language', ''))}/")

    def icon(self, request: Request) -> Response:
        """The page's icon."""
        return Response(ICON, media_type="image/svg+xml")

    def page(self, request: Request) -> Response:
        """The page in one language."""
        texts = _texts(request)
        values = {name: html.escape(text) for name, text in texts.items()}
        if self.shared:
            values["privacy"] = values["privacy_shared"]
        told = setup(texts, self.samples, self.visitors.max_pixels) | {"own_camera": self.camera is not None}
        values["setup"] = json.dumps(told).replace("<", "\\u003c")
        filled = re.sub(r"{{(\w+)}}", lambda match: values[match[1]], self.template)
        return HTMLResponse(filled, headers={"Cache-Control": "no-store"})

    async def live(self, socket: WebSocket) -> None:
        """The socket of an open page."""
        await talk(socket, self.visitors, self.samples, _texts(socket))

    async def mirror(self, socket: WebSocket) -> None:
        """The socket of a visitor's mirror."""
        await mirror(socket, self._visitor(socket), self.visitors.finder, self.camera)

    async def upload(self, request: Request) -> Response:
        """A picture's file as the body; answered when its hair was found. What went wrong is told by the socket."""
        texts, visitor = _texts(request), self._visitor(request)
        name = safe_name(request.query_params.get("name", ""))
        try:
            file = await self._received(request, visitor, name)
        except ClientDisconnect:
            return Response(status_code=400)
        except OSError as error:
            return self._told(visitor, complaint(error, name, texts), 507)
        if file is None:
            most = f"{self.max_bytes / 10**6:g}"
            return self._told(visitor, texts["heavy"].format(name=name, most=most), 413)
        await run_in_threadpool(take, self.visitors, visitor, file, texts, True)
        return Response(status_code=204)

    async def _received(self, request: Request, visitor: Visitor, name: str) -> Path | None:
        """The body in a file; None where it is too large. What is not whole is removed."""
        if int(request.headers.get("content-length", 0)) > self.max_bytes:
            return None
        path = visitor.incoming(name)
        try:
            with open(path, "wb") as file:
                size = await self._poured(request, file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if size > self.max_bytes:
            path.unlink()
        return path if size <= self.max_bytes else None

    async def _poured(self, request: Request, file: BinaryIO) -> int:
        """Write the body into a file, up to where it is too large; how many bytes have come."""
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > self.max_bytes:
                break
            await run_in_threadpool(file.write, piece)
        return size

    def _told(self, visitor: Visitor, sentence: str, status: int) -> Response:
        visitor.tell(sentence)
        return _sentence(sentence, status)

    def picture(self, request: Request) -> Response:
        """A picture to look at: before, after, small (after, for the gallery), found (the hair, to lay over); or the
        people in it."""
        visitor, shown, kind = *self._found(request), request.path_params["kind"]
        if kind == "found":
            return _fresh(overlay(shown, visitor.step.painted(shown.number)), "image/png")
        if kind == "small":
            return self._small(visitor, shown.number, request.query_params.get("color"))
        if kind == "before":
            return _fresh(jpeg(shown.on_white(shown.view()[0])), "image/jpeg")
        if shown.number != visitor.step.number:
            raise HTTPException(404)
        if kind == "after":
            return _fresh(visitor.after(), "image/jpeg")
        if kind == "people":
            people = [person._asdict() | {"outline": person.outline.tolist()} for person in visitor.people()]
            return _fresh(json.dumps(people).encode(), "application/json")
        raise HTTPException(404)

    def _small(self, visitor: Visitor, number: int, color: str | None) -> Response:
        try:
            return _fresh(visitor.small(number, color), "image/jpeg")
        except ValueError:
            raise HTTPException(404) from None

    def dyed(self, request: Request) -> Response:
        """A picture dyed at full size, to take home."""
        suffix = request.query_params.get("suffix")
        if suffix not in (None, *SUFFIXES):
            raise HTTPException(404)
        visitor, shown = self._found(request)
        look, finder = visitor.step.look(shown.number), self.visitors.finder
        if shown.frames:
            make: Make = lambda folder, job: write_dyed_clip(shown, look, folder, finder, job.reached)  # noqa: E731
            return self._made(request, "frames", make)
        return self._made(request, "dyed", lambda folder, job: write_dyed(shown, look, folder, suffix, job.check))

    def mask(self, request: Request) -> Response:
        """A picture's mask, to take home."""
        visitor, shown = self._found(request)
        strokes = visitor.step.painted(shown.number)
        return self._made(request, "mask", lambda folder, job: write_used_mask(shown, strokes, folder))

    def _made(self, request: Request, kind: str, make: Make) -> Response:
        """A file that is made when its turn comes, sent and removed."""
        texts, (visitor, shown) = _texts(request), self._found(request)
        folder = None
        turns, total = (clips.turns, shown.frames) if kind == "frames" else (visitor.turns, 1)
        try:
            with visitor.jobs.begun(kind, shown.name, total) as job, turns.taken(job):
                job.reached(0)
                folder = TemporaryDirectory(dir=visitor.folder, ignore_cleanup_errors=True)
                file = make(Path(folder.name), job)
                job.check()
        except (PictureError, OSError, Stopped) as error:
            if folder:
                folder.cleanup()
            if isinstance(error, Stopped):
                return _sentence(texts["stopped"], 409)
            return self._told(visitor, complaint(error, shown.name, texts), 500)
        return FileResponse(file, headers=_attachment(file.name), background=BackgroundTask(folder.cleanup))

    def everything(self, request: Request) -> Response:
        """All of a visitor's pictures in a ZIP, sent as they are made."""
        visitor, texts = self._visitor(request), _texts(request)
        if not visitor.pictures:
            raise HTTPException(404)

        def pieces() -> Iterator[bytes]:
            with visitor.jobs.begun("all", "", len(visitor.pictures)) as job:
                yield from zipped(visitor, job, texts, self.visitors.finder)

        return StreamingResponse(pieces(), media_type="application/zip", headers=_attachment("ombre.zip"))

    def _visitor(self, request: Request | WebSocket) -> Visitor:
        visitor = self.visitors.by_token(request.path_params["token"])
        if visitor is None:
            raise HTTPException(404)
        return visitor

    def _found(self, request: Request) -> tuple[Visitor, Shown]:
        visitor = self._visitor(request)
        shown = visitor.pictures.get(request.path_params["number"])
        if shown is None:
            raise HTTPException(404)
        return visitor, shown


def make_app(
    visitors: Visitors, samples: list[Path], max_bytes: int, camera: int | None = None, door: Door = THIS_MACHINE
) -> Starlette:
    """The whole application; a page for each language, and / that leads to the browser's own. `camera`: the number of
    this machine's camera, where the mirror shows that instead of the browser's. `door`: where requests come in."""
    page = Page(visitors, samples, max_bytes, camera, bool(door.secret))
    pages = tuple(f"/{language}/" for language in TEXTS)
    routes = [
        Route("/", page.start),
        Route("/favicon.ico", page.icon),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        Route("/picture/{token}/{number:int}/{kind}", page.picture),
        Route("/{language}/download/{token}/all", page.everything),
        Route("/{language}/download/{token}/{number:int}/dyed", page.dyed),
        Route("/{language}/download/{token}/{number:int}/mask", page.mask),
        Route("/{language}/upload/{token}", page.upload, methods=["POST"]),
        WebSocketRoute("/{language}/live", page.live),
        WebSocketRoute("/mirror/{token}", page.mirror),
        Route("/{language}/", page.page),
    ]
    middleware = [Middleware(Guard, pages=("/", *pages), door=door)]
    return Starlette(routes=routes, middleware=middleware, lifespan=lambda app: _open(visitors))


@asynccontextmanager
async def _open(visitors: Visitors) -> AsyncIterator[None]:
    """While the server runs, memory is given back whenever nobody is at work; in the end everybody leaves."""

    async def look_round() -> None:
        while True:
            await asyncio.sleep(LOOK_ROUND)
            if visitors.go_idle():
                await run_in_threadpool(give_back_memory)

    task = asyncio.create_task(look_round())
    try:
        yield
    finally:
        task.cancel()
        visitors.close()


def safe_name(name: str) -> str:
    """An upload's name that a file may have: no folders, nothing that cannot be printed, not too long."""
    name = "".join(c if c.isprintable() else "_" for c in re.split(r"[/\\]", name)[-1]).strip().rstrip(".")
    if not name or name.startswith("."):
        name = f"picture{name}"
    stem, suffix = os.path.splitext(name)
    if len(suffix.encode()) > LONGEST_NAME // 2:  # no suffix at all
        stem, suffix = name, ""
    return stem.encode()[: LONGEST_NAME - len(suffix.encode())].decode(errors="ignore") + suffix


def _texts(connection: Request | WebSocket) -> dict[str, str]:
    if (language := connection.path_params["language"]) not in TEXTS:
        raise HTTPException(404)
    return TEXTS[language]


def _fresh(content: bytes, kind: str) -> Response:
    """An answer that the browser keeps nowhere."""
    return Response(content, media_type=kind, headers={"Cache-Control": "no-store"})


def _sentence(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, media_type="text/plain; charset=utf-8")


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}", "Cache-Control": "no-store"}
