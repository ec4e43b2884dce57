"""Frames as they are made, now: the newest alone, since a mirror that lags shows what was."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np

from common.errors import UserError


class CameraError(UserError):
    """There is no such camera, it is in use, or it gives no more pictures."""


@dataclass
class LiveFrame:
    """A frame of a mirror: `seconds` since it began; `read` gives its pixels, (H, W, 3) uint8, and is called once."""

    seconds: float
    read: Callable[[], np.ndarray]

    @cached_property
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8"""
        return self.read()

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, upright."""
        return self.rgb

    def grey8(self) -> np.ndarray:
        """(H, W) uint8, upright."""
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)


class LiveFrames:
    """A place for one frame: who puts one in never waits, who goes through them gets the newest, each once, until it is
    closed. Two threads share it."""

    def __init__(self) -> None:
        self._frame: LiveFrame | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, frame: LiveFrame) -> None:
        """A newer frame is there; one that nobody took is forgotten."""
        with self._changed:
            self._frame = frame
            self._changed.notify()

    def close(self) -> None:
        """No more frames."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def __iter__(self) -> Iterator[LiveFrame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._frame is not None)
                if self._closed:
                    return
                frame, self._frame = self._frame, None
            if frame is not None:
                yield frame


@contextmanager
def camera(number: int) -> Iterator[LiveFrames]:
    """What a camera of this machine sees, for the time of the block; closed from within when it is lost. A thread reads
    all of its frames, so that none waits in the driver. Raises CameraError."""
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise CameraError(f"camera {number} cannot be opened: plug it in, close other programs, or say another number")
    source, began, over = LiveFrames(), time.monotonic(), threading.Event()

    def read() -> None:
        while not over.is_set():
            there, bgr = capture.read()
            if not there:
                break
            source.put(LiveFrame(time.monotonic() - began, partial(cv2.cvtColor, bgr, cv2.COLOR_BGR2RGB)))
        source.close()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        over.set()
        thread.join()
        capture.release()
