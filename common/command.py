"""What the three scripts' command lines share."""

import argparse
import sys
from collections.abc import Callable

from common.batch import BatchError
from common.weights import WeightsError

STOPPED = 130  # the exit code of a program that Ctrl-C has ended


def carry_out(command: Callable[[], int]) -> int:
    """The exit code of a script: what `command` gives, 2 where nothing could be done (said on stderr), or STOPPED."""
    try:
        return command()
    except (BatchError, WeightsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)
