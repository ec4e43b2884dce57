"""The mirror's socket: frames of a camera come in, the same ones dyed go out; the newest alone, and none is kept.

What comes in is a frame's time, four bytes, milliseconds since the mirror was opened, and the frame as a JPEG. Without
a JPEG the newest frame of this machine's own camera is meant, where the page was started with one. What goes out is the
time, four bytes; the length of what the own camera saw, four bytes; that, as a JPEG; the dyed frame as a JPEG.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial

import numpy as np
import simplejpeg
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.progress import say
from ombre.media.live import CameraError, LiveFrame, LiveFrames, camera
from ombre.page.picture import jpeg
from ombre.page.visitors import Visitor
from ombre.render.recolour import dye_hair
from ombre.tracking.mirror import mirrored
from segmentation.finding.hair_finder import HairFinder

NUMBER = 4  # bytes, the first the highest
MOST_PIXELS = 1920 * 1088  # of a frame
PATIENCE = 10.0  # seconds for which a browser may leave a frame untaken
LOST, NO_FRAME = 4404, 1008  # codes with which the socket is closed: this machine's camera cannot be had, or else
GONE = (WebSocketDisconnect, RuntimeError, TimeoutError)  # what sending raises when the browser has left


async def mirror(socket: WebSocket, visitor: Visitor, finder: HairFinder, own: int | None) -> None:
    """Serve a mirror until it is closed; `own` is the number of this machine's camera, where that is to be seen."""
    await socket.accept()
    loop, pool, source = asyncio.get_running_loop(), ThreadPoolExecutor(1), LiveFrames()

    def send(answer: bytes) -> None:
        asyncio.run_coroutine_threadsafe(socket.send_bytes(answer), loop).result(PATIENCE)

    with ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False)
        stack.callback(source.close)
        try:
            seen = None if own is None else await loop.run_in_executor(pool, stack.enter_context, camera(own))
        except CameraError as error:
            say(str(error))
            await socket.close(LOST)
            return
        dyeing = loop.run_in_executor(pool, reflect, source, visitor, finder, send, seen is not None)
        coming = asyncio.create_task(take(socket, source, seen))
        stack.callback(coming.cancel)
        await asyncio.wait({dyeing, coming}, return_when=asyncio.FIRST_COMPLETED)
        source.close()
        await asyncio.wait({dyeing})
    failure = dyeing.exception()
    if failure and not isinstance(failure, GONE):  # a frame that is none, a camera that is lost
        say(f"a mirror ended: {failure}")
        await socket.close(LOST if isinstance(failure, CameraError) else NO_FRAME)


async def take(socket: WebSocket, source: LiveFrames, seen: LiveFrames | None) -> None:
    """Put what comes in into the source, until the browser leaves. `seen`: what this machine's camera sees."""
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive_bytes()
            data = message[NUMBER:]
            read = partial(decoded, data) if data or seen is None else partial(newest, seen)
            source.put(LiveFrame(int.from_bytes(message[:NUMBER]) / 1000, read))


def reflect(
    source: LiveFrames, visitor: Visitor, finder: HairFinder, send: Callable[[bytes], None], both: bool
) -> None:
    """Dye each frame in the style that the visitor has chosen by then. `both`: send the frame itself, too."""
    with closing(mirrored(source, finder)) as frames, closing(source):
        for frame, hair in frames:
            visitor.touched = time.monotonic()
            dyed = frame.rgb if hair is None else dye_hair(hair, visitor.step.style)
            before = jpeg(frame.rgb) if both else b""
            numbers = round(1000 * frame.seconds), len(before)
            send(b"".join(number.to_bytes(NUMBER) for number in numbers) + before + jpeg(dyed))


def decoded(data: bytes) -> np.ndarray:
    """A JPEG's pixels (H, W, 3) uint8. Raises ValueError: it is none, or too large."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    if width * height > MOST_PIXELS:
        raise ValueError(f"a frame of {width} x {height} pixels is too large")
    return simplejpeg.decode_jpeg(data)


def newest(seen: LiveFrames) -> np.ndarray:
    """What this machine's camera sees now, (H, W, 3) uint8. Raises CameraError where it is lost."""
    frame = next(iter(seen), None)
    if frame is None:
        raise CameraError("this machine's camera is lost")
    return frame.rgb
