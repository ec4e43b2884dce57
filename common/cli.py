"""What the three scripts' command lines share."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from glob import glob, has_magic
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import TYPE_CHECKING

from common.paths import ROOT

if TYPE_CHECKING:
    from common.batch.stage import Stage, Tally

STOPPED = 130  # the exit code of a program that Ctrl-C has ended
_interrupted = Event()  # by Ctrl-C


def leave_on_ctrl_c() -> None:
    """Ctrl-C ends the script at once with a line: for its start, its end, and for whoever will not wait any longer."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells set it for what runs in the background
        signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os.write(2, b"stopped; the same command goes on from here\n")
    # nothing can be imported here, in the middle of whatever else is
    getattr(sys.modules.get("common.files"), "remove_unfinished", lambda: None)()
    os._exit(STOPPED)


def carry_out(command: Callable[[], int]) -> int:
    """The exit code of a script: what `command` gives, 2 where nothing could be done (said on stderr), or STOPPED."""
    from common.errors import UserError
    from common.progress import say

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))
    _interrupted.clear()
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
    except BaseException as error:
        # a library that is interrupted while it starts up fails as it likes
        if not isinstance(error, KeyboardInterrupt) and not _interrupted.is_set():
            raise
        say("stopped; the same command goes on from here")
        return STOPPED
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_once(*_: object) -> None:
    _interrupted.set()
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def place(text: str) -> Path | str:
    """A file or folder, or an address as it is, for argparse: "" would be the current folder, which nobody means."""
    if not text:
        raise argparse.ArgumentTypeError("a file or folder is named by an empty text; is a variable not set?")
    return text if "://" in text else Path(text)


class Named(argparse.Action):
    """Files and folders; "-" stands for those whose paths come by the standard input, and wildcards that the shell has
    left for what they fit."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values, option=None) -> None:
        """As argparse asks for."""
        setattr(namespace, self.dest, [each for value in values for each in self._meant(value)])

    def _meant(self, value: Path | str) -> list[Path | str]:
        if isinstance(value, str):
            return [value]
        if str(value) == "-":
            data = sys.stdin.buffer.read()
            lines = data.split(b"\0") if b"\0" in data else data.splitlines()
            return [Path(os.fsdecode(line)) for line in lines if line]
        if not os.path.lexists(value) and has_magic(str(value)):
            return [Path(found) for found in sorted(glob(str(value)))] or [value]
        return [value]


def add_batch(
    parser: argparse.ArgumentParser, pictures: Path, output: Path, results: str, what: str = "pictures"
) -> None:
    """What the commands share that work through pictures: which (a list, empty where none is named and `pictures` is
    meant), where to, whether anew, and as `add_device_and_limit`."""
    parser.add_argument(
        "pictures",
        type=place,
        nargs="*",
        action=Named,
        metavar="PICTURE_OR_FOLDER",
        help=f"{what}, and folders of them at any depth; - reads their paths, a line each, from the standard input "
        f"({_shown(pictures)})",
    )
    add_output(parser, output, results)
    add_overwrite(parser)
    add_device_and_limit(parser)


def add_output(parser: argparse.ArgumentParser, default: Path, what: str) -> None:
    """The option --output."""
    parser.add_argument(
        "--output", type=place, default=default, metavar="DIR", help=f"folder for {what} ({_shown(default)})"
    )


def add_weights(parser: argparse.ArgumentParser, default: Path, what: str = "the student's weights") -> None:
    """The option --weights."""
    parser.add_argument("--weights", type=place, default=default, metavar="FILE", help=f"{what} ({_shown(default)})")


def add_overwrite(parser: argparse.ArgumentParser, what: str = "do again what is done") -> None:
    """The option --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help=what)


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """The option --cluster of the stages that work through pictures."""
    parser.add_argument(
        "--cluster",
        type=cluster_address,
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="share out the pictures of one folder, here or in an object store (s3://bucket/folder), over a Ray "
        "cluster; without an address one is started on this machine (docs/cluster.md)",
    )
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="with --cluster: the names or addresses of the folder's pictures, sorted, a line each or as Parquet, so "
        "that the folder is not listed",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option --device."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")


def add_device_and_limit(parser: argparse.ArgumentParser) -> None:
    """The options --device and --max-megapixels of whatever runs a network on pictures."""
    from common.image.opening import DEFAULT_MAX_PIXELS

    add_device(parser)
    parser.add_argument(
        "--max-megapixels",
        type=positive,
        default=DEFAULT_MAX_PIXELS // 10**6,
        metavar="N",
        help="larger pictures are refused (%(default)s)",
    )


def cluster_address(text: str) -> str:
    """The address of a Ray cluster, for argparse, which takes what follows --cluster for one."""
    if text not in ("auto", "local") and not re.fullmatch(r"(ray://)?[\w.-]+:\d+", text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no address such as 'auto' or 'host:6379'; put the folder before --cluster, or write "
            "--cluster=local"
        )
    return text


def run_stage(
    stage: "Stage",
    given: Sequence[Path | str],
    options: argparse.Namespace,
    *,
    avoid: Sequence[Path] = (),
    apart: Mapping[str, object] = MappingProxyType({}),
) -> tuple["Tally", str]:
    """Do a stage's work as the options of `add_batch` and `add_cluster` say; what was done, and how the last line ends.

    Args:
        given: pictures and folders; one folder for a cluster.
        avoid: further folders that are not to be read.
        apart: options that a cluster does not know, by name; each may be unset.

    Raises BatchError: there is nothing to do, or it cannot be begun.
    """
    from common.batch.table import BatchError

    if not options.cluster:
        demand_here(*given, options.output)
        if options.list:
            raise BatchError("--list goes with --cluster; here name the pictures themselves")
        from common.batch.local import run_here

        tally = run_here(stage, given, options.output, overwrite=options.overwrite, avoid=avoid)
        return tally, tally.rest(f"{stage.table}.csv")
    folder = demand_one_folder(given, **apart)
    from common.batch.cluster import run_on_cluster  # needs Ray

    how = dict(overwrite=options.overwrite, names=options.list)
    tally = run_on_cluster(stage, os.fspath(folder), os.fspath(options.output), options.cluster, **how)
    return tally, tally.rest(f"{stage.table}.parquet")


def demand_one_folder(given: Sequence[Path | str], **others: object) -> Path | str:
    """The one folder that a cluster works through. Raises BatchError: there are several, Ray is missing, or one of the
    other options is given, which a cluster does not know."""
    from common.batch.table import BatchError

    if name := next((name for name, value in others.items() if value), None):
        raise BatchError(f"--{name.replace('_', '-')} does not go together with --cluster")
    if len(given) != 1:
        raise BatchError("--cluster takes one folder of pictures; put them together, or start once for each")
    if not find_spec("ray"):
        raise BatchError("--cluster needs Ray: pip install -r requirements-cluster.txt")
    return given[0]


def demand_here(*places: Path | str) -> None:
    """Raise BatchError where a place is an address."""
    from common.batch.storage import without_secrets
    from common.batch.table import BatchError

    if address := next((place for place in places if isinstance(place, str)), None):
        raise BatchError(
            f"{without_secrets(address)}: is not on this machine; only --cluster reads and writes "
            "elsewhere, and only pictures and results"
        )


def demand_one_process() -> None:
    """Raise BatchError under torchrun, where every process would do the same work."""
    from common.batch.table import BatchError
    from common.device import rank_and_size

    if rank_and_size()[1] > 1:
        raise BatchError("torchrun does not share out pictures; start the script by itself, or with --cluster")


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 on")
    return int(text)
