"""Ways around what others' programs do: each says what it is about, and what would let it go."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from types import ModuleType
from typing import Any

CONVERTER = "openvino.tools.ovc"
# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
LARGE = 32 << 20  # bytes: the most that M_MMAP_THRESHOLD takes


@contextmanager
def without_telemetry() -> Iterator[None]:
    """OpenVINO tells its makers whenever it is imported or converts a network, but not from tests: this looks so.

    May go when OpenVINO asks before it tells, or has a setting that keeps it quiet for one process.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        del os.environ["CI"]
        if before is not None:
            os.environ["CI"] = before


def openvino_alone() -> ModuleType:
    """OpenVINO without its converter, which takes longer to load than the rest of it and which few need.

    May go when `import openvino` leaves its converter until it is asked for.
    """
    missing = CONVERTER not in sys.modules
    if missing:
        sys.modules[CONVERTER] = None  # type: ignore[assignment]  # None makes its import fail, which OpenVINO allows
    try:
        import openvino
    finally:
        if missing:
            del sys.modules[CONVERTER]
    return openvino


@lru_cache(maxsize=1)
def quiet_libtiff() -> None:
    """Let Pillow's libtiff say nothing on stderr of a broken file: it names no file, and Pillow raises anyway.

    May go when Pillow silences libtiff's errors as it does its warnings (12.3 does not).
    """
    from PIL import Image

    with suppress(OSError, AttributeError):  # where it is a part of Pillow, out of reach
        set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
        set_handler.restype = ctypes.c_void_p
        set_handler(None)


def open_encoder(codec: Any) -> None:
    """Open an encoder (av.CodecContext), and leave its threads and this one the priority that they had.

    SVT-AV1, where root runs it, gives all of them the highest real-time priority, and its caller keeps it: whatever
    that thread begins later has it too, and as long as they work no other program of the machine gets a core.

    May go when SVT-AV1 (4.1 does not) leaves its caller's priority alone, or FFmpeg can tell it to.
    """
    fair = sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER
    try:
        codec.open()
    finally:
        for thread in os.listdir("/proc/self/task") if fair else ():
            with suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(int(thread)) == os.SCHED_FIFO:
                    os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))


def right_times(packet: Any, frames: int) -> None:
    """Give an encoded packet (av.Packet) of a clip of so many frames in all the time at which it is decoded, in place.

    x265 leaves that unset for clips of one or two frames, which then cannot be written, or not always. In so few, all
    are decoded as they are shown.

    May go when x265 (4.2 does not) sets it for `python -m pytest -k shortest_clips`.
    """
    if frames < 3:
        packet.dts = packet.pts


def keep_freed_memory(*, but_large: bool = False) -> None:
    """Let this process keep large arrays' memory for the next ones.

    glibc gives it back to the system after each use, and gets it anew for the next one, page by page, which takes up to
    half of a training step in PyTorch, and a tenth of the dyeing of a batch. It costs memory that lies idle in between.
    With `but_large` arrays of more than LARGE, as of large pictures, go back at once: between them most would lie idle.
    Other C libraries are left as they are.

    May go when PyTorch and OpenCV keep their large arrays' memory themselves, or take an allocator that does.
    """
    if sys.platform != "linux":
        return
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(*((M_MMAP_THRESHOLD, LARGE) if but_large else (M_MMAP_MAX, 0)))
        mallopt(M_TRIM_THRESHOLD, -1)  # never


def give_back_memory() -> None:
    """Give the system back what this process has freed, for a program that waits for somebody.

    glibc keeps what lies below anything that is still in use, for each thread by itself: gigabytes after a large
    picture. Pillow keeps blocks of its own. Other C libraries are left as they are.

    May go when glibc gives such memory back by itself.
    """
    gc.collect()
    if pillow := sys.modules.get("PIL.Image"):
        pillow.core.clear_cache(0)
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        malloc_trim(0)
