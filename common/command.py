"""What the three scripts' command lines share."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

STOPPED = 130  # the exit code of a program that Ctrl-C has ended


def leave_on_ctrl_c() -> None:
    """Ctrl-C ends the script at once with a line: for its start, its end, and for whoever will not wait any longer."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells set it for what runs in the background
        signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os.write(2, b"stopped; the same command goes on from here\n")
    os._exit(STOPPED)


def carry_out(command: Callable[[], int]) -> int:
    """The exit code of a script: what `command` gives, 2 where nothing could be done (said on stderr), or STOPPED."""
    from common.errors import UserError
    from common.progress import say

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))
    before = signal.getsignal(signal.SIGINT)
    if before is _leave:
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        return command()
    except UserError as error:
        say(str(error))
        return 2
    except OSError as error:
        say(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return STOPPED
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def place(text: str) -> Path:
    """A file or folder, for argparse: "" would be the current folder, which hardly anybody means."""
    if not text:
        raise argparse.ArgumentTypeError("a file or folder is named by an empty text; is a variable not set?")
    return Path(text)


def demand_one_process() -> None:
    """Raise BatchError under torchrun, where every process would do the same work."""
    from common.device import rank_and_size
    from common.table import BatchError

    if rank_and_size()[1] > 1:
        raise BatchError("torchrun does not share out pictures; start the script by itself, or with --cluster")


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)
