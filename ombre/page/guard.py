"""Who may ask the page's server for what: its own page in this machine's browser, and nobody's page from elsewhere.

Any website that is open in the same browser can send requests here, and so can a page of another port of this machine.
Browsers say so: in `Origin` where something is written or a socket is opened, in `Sec-Fetch-Site` with every request.
Where the page is open to the local network, one must know a secret besides.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from secrets import compare_digest
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

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
COOKIE = "key"
REFUSED = 4403  # the code with which a socket is closed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Door:
    """Where requests come in: how addresses begin, what the machine is called in them, and the secret that one must
    know, "" where there is none."""

    scheme: str = "http"
    hosts: tuple[str, ...] = HOSTS
    secret: str = ""

    def knows(self, word: str) -> bool:
        """Whether this is the secret."""
        return compare_digest(word.encode(), self.secret.encode())


class Guard:
    """The application behind a door: requests of others are refused, and every answer has HEADERS.

    `pages` are paths that a link from anywhere may lead to. Who comes with the secret in the link to the first of them
    gets it as a cookie."""

    def __init__(self, app: App, pages: tuple[str, ...], door: Door):
        self.app, self.pages, self.door = app, pages, door

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        status = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if status is None:
            await self.app(scope, receive, send_with_headers)
        elif status == 303:
            entered = RedirectResponse(self.pages[0], 303)
            entered.set_cookie(COOKIE, self.door.secret, secure=True, httponly=True, samesite="lax")
            await entered(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            refused = PlainTextResponse("This page answers to itself alone.\n", status)
            await refused(scope, receive, send_with_headers)

    def _refusal(self, scope: Message) -> int | None:
        """The status with which a request is refused, 303 where it brings the secret; None where it is let in."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host.partition(":")[0] not in self.door.hosts:
            return 400
        if headers.get("origin", f"{self.door.scheme}://{host}") != f"{self.door.scheme}://{host}":
            return 403
        if self.door.secret and not self.door.knows(cookie_parser(headers.get("cookie", "")).get(COOKIE, "")):
            brought = QueryParams(scope["query_string"]).get("key", "")
            return 303 if self.door.knows(brought) and scope["path"] == self.pages[0] else 403
        by_a_link = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in self.pages
        if headers.get("sec-fetch-site", OWN[0]) not in OWN and not by_a_link:
            return 403
        return None
