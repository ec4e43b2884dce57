"""The socket between an open page and its visitor: what is done comes in, what is to be seen goes out.

A visitor is there as long as the socket is, and BACK seconds more: a page that is loaded anew says whose it was, and
goes on. What goes out is always the newest state: where a browser is slow, states in between are left out.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.image.opening import PictureError
from ombre.page.complaints import complaint
from ombre.page.jobs import Stopped
from ombre.page.seen import state
from ombre.page.strokes import stroke_from
from ombre.page.visitors import MOST_PICTURES, TooManyPictures, Visitor, Visitors

BACK = 10.0  # seconds

Message = dict[str, Any]
DEEDS: dict[str, Callable[[Visitor, Message], object]] = {
    "change": lambda visitor, data: visitor.change(str(data["name"]), data["value"], bool(data.get("moving"))),
    "choose": lambda visitor, data: visitor.choose(int(data["number"])),
    "person": lambda visitor, data: visitor.choose_person(float(data["x"]), float(data["y"])),
    "everybody": lambda visitor, _: visitor.choose_everybody(),
    "paint": lambda visitor, data: visitor.paint(stroke_from(data)),
    "clear": lambda visitor, _: visitor.paint(None),
    "redo": lambda visitor, _: visitor.redo(),
    "undo": lambda visitor, _: visitor.undo(),
    "remove": lambda visitor, _: visitor.remove(),
    "stop": lambda visitor, _: visitor.jobs.stop(),
}


async def talk(socket: WebSocket, visitors: Visitors, samples: list[Path], texts: dict[str, str]) -> None:
    """Serve one open page until it is closed."""
    await socket.accept()
    loop = asyncio.get_running_loop()
    visitor = visitors.of(socket.query_params.get("session") or token_urlsafe(24))
    talking = _Talk(socket, visitor, texts)
    listener = partial(_from_any_thread, loop, talking.news.set)
    visitor.listeners.append(listener)
    tasks = {asyncio.create_task(talking.tell())}
    try:
        while True:
            message = await socket.receive_json()
            if message.get("do") == "sample":  # it takes long, and may be stopped by the messages after it
                sample = samples[int(message["number"])]
                tasks.add(asyncio.create_task(run_in_threadpool(take, visitors, visitor, sample, texts)))
                tasks = {task for task in tasks if not task.done()}
            else:
                await run_in_threadpool(_do, visitor, message, texts)
            talking.answered = message.get("id", talking.answered)
            talking.news.set()
    except WebSocketDisconnect:
        pass
    except (ValueError, LookupError, TypeError, AttributeError):  # it is no page of ours that speaks
        await socket.close()
    finally:
        for task in tasks:
            task.cancel()
        visitor.listeners.remove(listener)
        loop.call_later(BACK, loop.run_in_executor, None, visitors.leave_unless_back, visitor)


def take(visitors: Visitors, visitor: Visitor, file: Path, texts: dict[str, str], own: bool = False) -> None:
    """Take a picture in for a visitor, who is told where that cannot be."""
    try:
        visitors.add(visitor, file, own)
    except TooManyPictures:
        visitor.tell(texts["too_many"].format(most=MOST_PICTURES))
    except (PictureError, OSError) as error:
        visitor.tell(complaint(error, file.name, texts, visitors.max_pixels))
    except Stopped:
        visitor.tell()


def _do(visitor: Visitor, message: Message, texts: dict[str, str]) -> None:
    try:
        DEEDS[message["do"]](visitor, message)
    except (ValueError, TypeError):
        visitor.tell(texts["bad_value"])


def _from_any_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the server has ended
        loop.call_soon_threadsafe(call)


class _Talk:
    """What goes out: `news` is set when there is some, `answered` is the number of the last message that was done."""

    def __init__(self, socket: WebSocket, visitor: Visitor, texts: dict[str, str]):
        self.socket, self.visitor, self.texts = socket, visitor, texts
        self.news, self.answered = asyncio.Event(), 0
        self.news.set()

    async def tell(self) -> None:
        """Send the newest state whenever there is one, for ever."""
        with suppress(WebSocketDisconnect, RuntimeError):  # closed while it was being sent
            while True:
                await self.news.wait()
                self.news.clear()
                answered = self.answered
                await self.socket.send_json(state(self.visitor, self.texts) | {"answered": answered})
