"""Who may ask the page's server for what: its own page in this machine's browser, and nobody's page from elsewhere.

Any website that is open in the same browser can send requests here, and so can a page of another port of this machine.
Browsers say so: in `Origin` where something is written or a socket is opened, in `Sec-Fetch-Site` with every request.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

HOSTS = ("127.0.0.1", "localhost")
OWN = ("same-origin", "none")  # "none": typed by the person, or from a bookmark
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
REFUSED = 4403  # the code with which a socket is closed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """The application behind a door: requests of others are refused, and every answer has HEADERS.

    `pages` are paths that a link from anywhere may lead to."""

    def __init__(self, app: App, pages: tuple[str, ...]):
        self.app, self.pages = app, pages

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        status = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if status is None:
            await self.app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            answer = PlainTextResponse("This page answers to itself alone.\n", status)
            await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Message) -> int | None:
        """The status with which a request is refused; None where it is let in."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host.partition(":")[0] not in HOSTS:
            return 400
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return 403
        by_a_link = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in self.pages
        if headers.get("sec-fetch-site", OWN[0]) not in OWN and not by_a_link:
            return 403
        return None
