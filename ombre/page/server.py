"""The page's server: pictures by address, downloads, and Gradio's page, on this machine alone.

A page may fetch nothing beyond this machine: its Content-Security-Policy forbids it to the browser, and requests with
another host's name, as a page from elsewhere could send them here, are refused.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import gradio as gr
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware

from common.image.opening import SUFFIXES, PictureError
from ombre.page.guard import Guard
from ombre.page.layout import THEME, build
from ombre.page.parts import CSS
from ombre.page.picture import Shown, jpeg, overlay
from ombre.page.results import write_dyed, write_used_mask, zipped
from ombre.page.texts import TEXTS, language_of
from ombre.page.visitors import Visitor, Visitors

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><linearGradient id="o" x2="0" y2="1">'
    b'<stop stop-color="#35261f"/><stop offset="1" stop-color="#e4749d"/></linearGradient>'
    b'<circle cx="4" cy="4" r="4" fill="url(#o)"/></svg>'
)
# Gradio's css= reaches only what is within its container; this lets the picture stick to the top of the window
STICKY = "<style>.gradio-container { overflow: clip !important; }</style>"
HOSTS = ["127.0.0.1", "localhost"]


def make_app(visitors: Visitors, samples: list[Path], max_bytes: int) -> FastAPI:
    """The whole application; a page for each language, and / that leads to the browser's own."""
    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    app.add_middleware(_WithHeaders)
    app.add_middleware(Guard, pages=("/", "/favicon.ico", *(f"/{language}/" for language in TEXTS)))

    @app.get("/")
    def start(request: Request) -> Response:
        return RedirectResponse(f"/{language_of(request.headers.get('accept-language', ''))}/")

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(ICON, media_type="image/svg+xml")

    @app.get("/picture/{token}/{number}/{kind}")
    def picture(token: str, number: int, kind: str) -> Response:
        visitor, shown = _found(visitors, token, number)
        if kind == "found":
            return _fresh(overlay(shown, visitor.step.painted(number)), "image/png")
        if kind == "small":
            return _fresh(visitor.small(number), "image/jpeg")
        if kind == "before":
            return _fresh(jpeg(shown.view()[0]), "image/jpeg")
        if kind == "after" and number == visitor.step.number:
            return _fresh(visitor.after(), "image/jpeg")
        raise HTTPException(404)

    @app.get("/download/{token}/all")
    def everything(token: str) -> Response:
        visitor = visitors.by_token(token)
        if visitor is None or not visitor.pictures:
            raise HTTPException(404)
        return StreamingResponse(zipped(visitor), media_type="application/zip", headers=_attachment("ombre.zip"))

    @app.get("/download/{token}/{number}/dyed")
    def dyed(token: str, number: int, suffix: str | None = None) -> Response:
        if suffix not in (None, *SUFFIXES):
            raise HTTPException(404)
        visitor, shown = _found(visitors, token, number)
        step = visitor.step
        return _made(visitor, lambda folder: write_dyed(shown, step.style, step.painted(number), folder, suffix))

    @app.get("/download/{token}/{number}/mask")
    def mask(token: str, number: int) -> Response:
        visitor, shown = _found(visitors, token, number)
        strokes = visitor.step.painted(number)
        return _made(visitor, lambda folder: write_used_mask(shown, strokes, folder))

    for language in TEXTS:
        page = build(TEXTS[language], visitors, samples)
        page.queue(default_concurrency_limit=8)
        gr.mount_gradio_app(
            app,
            page,
            f"/{language}",
            server_name=HOSTS[0],
            footer_links=[],
            run_history=False,
            max_file_size=max_bytes,
            ssr_mode=False,
            mcp_server=False,
            theme=THEME,
            css=CSS,
            head=STICKY,
            js=f"() => {{ document.documentElement.lang = '{language}'; }}",
        )
    return app


def _found(visitors: Visitors, token: str, number: int) -> tuple[Visitor, Shown]:
    visitor = visitors.by_token(token)
    if visitor is None or number not in visitor.pictures:
        raise HTTPException(404)
    return visitor, visitor.pictures[number]


def _fresh(content: bytes, kind: str) -> Response:
    """An answer that the browser keeps nowhere."""
    return Response(content, media_type=kind, headers={"Cache-Control": "no-store"})


def _made(visitor: Visitor, make: Callable[[Path], Path]) -> Response:
    """A file that is made, sent and removed."""
    folder = TemporaryDirectory(dir=visitor.folder)
    try:
        file = make(Path(folder.name))
    except (PictureError, OSError) as error:
        folder.cleanup()
        return Response(f"{error}\n", 500, media_type="text/plain; charset=utf-8")
    return FileResponse(file, headers=_attachment(file.name), background=BackgroundTask(folder.cleanup))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}", "Cache-Control": "no-store"}


class _WithHeaders:
    """Adds HEADERS to every answer."""

    def __init__(self, app: Callable):
        self.app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        async def send_with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)
