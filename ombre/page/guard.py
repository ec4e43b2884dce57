"""Who may ask the page's server for what: its own page in this machine's browser, and nothing from elsewhere.

Any website that is open in the same browser can send requests here, and so can a page of another port of this machine.
Browsers say so: in `Origin` where something is written or a socket is opened, in `Sec-Fetch-Site` with every request.
Gradio would also fetch addresses that it is handed as files; such requests are refused before it sees them.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

OWN = ("same-origin", "none")  # of Sec-Fetch-Site; "none": typed by the person, or from a bookmark
REFUSED = 4403  # the code with which a socket is closed
ADDRESS_IN_PATH = re.compile(r"(file|proxy)=\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
ADDRESS_OF_FILE = re.compile(rb'"(path|url)"\s*:\s*"\s*([a-z][a-z0-9+.-]*:)?//([^/"]*)', re.IGNORECASE)
MOST = 32 << 20  # bytes of a request that calls a function: it holds settings, strokes, at most a picture of a camera
UPLOAD = "/gradio_api/upload"  # the route that takes pictures

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """An ASGI application behind a door: what does not come from its own page, or names an address, is refused.

    Args:
        app: what stands behind it.
        pages: paths that a link from anywhere may lead to.
    """

    def __init__(self, app: App, pages: tuple[str, ...]):
        self.app, self.pages = app, pages

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = self.is_foreign(scope) or ADDRESS_IN_PATH.search(unquote(scope["path"])) is not None
        if not refused and scope["type"] == "http" and scope["method"] == "POST" and UPLOAD not in scope["path"]:
            body = await whole(receive)
            refused = body is None or names_address(body, Headers(scope=scope).get("host", ""))
            receive = again(body or b"", receive)
        if not refused:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            await PlainTextResponse("This page answers to itself alone.\n", 403)(scope, receive, send)

    def is_foreign(self, scope: Message) -> bool:
        """Whether a request comes from another page than this server's own."""
        headers = Headers(scope=scope)
        host = f"http://{headers.get('host', '')}"
        by_a_link = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in self.pages
        elsewhere = headers.get("sec-fetch-site", OWN[0]) not in OWN and not by_a_link
        return elsewhere or headers.get("origin", host) != host


def names_address(body: bytes, host: str) -> bool:
    """Whether a file in a call of a function is to be fetched from elsewhere than this server."""
    return any(found[3] != host.encode() for found in ADDRESS_OF_FILE.finditer(body))


async def whole(receive: Receive) -> bytes | None:
    """The body of a request; None where it is larger than MOST."""
    body, more = b"", True
    while more and len(body) <= MOST:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body if len(body) <= MOST else None


def again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already once more, and then what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
