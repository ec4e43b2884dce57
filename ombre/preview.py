#!/usr/bin/env python
"""A page in the browser to choose colour and heights with your eyes on the picture. It is served to this machine alone,
unless --lan opens it to the network around.

It needs some more packages: pip install -r requirements-preview.txt
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.cli import add_device_and_limit, add_weights, carry_out, positive
from common.device import own_cores
from common.errors import UserError
from common.image.opening import SUFFIXES
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder

SAMPLES = ROOT / "data" / "samples"
HOST = "127.0.0.1"
LAST_WORDS = 3.0  # seconds after which the process ends, whatever its threads are at
MESSAGE = 2**20  # bytes of the longest message that a page may send
FOLDER = "ombre-page-"  # and the process: where visitors' pictures lie while the page is open


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until Ctrl-C; the exit code is 0, or 2 where it cannot be served."""
    options = parser().parse_args(arguments)
    return carry_out(lambda: serve(options))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=port, default=7860, metavar="N", help="0: any that is free (%(default)s)")
    parser.add_argument(
        "--camera",
        type=int,
        metavar="N",
        help="the mirror shows this machine's camera N, 0 the first",
    )
    parser.add_argument("--no-browser", action="store_true", help="say the address only, and open no browser")
    parser.add_argument(
        "--lan",
        action="store_true",
        help="open the page to a telephone in this network, by a link with a secret, also shown as a QR code; whoever "
        "has the link can use the page",
    )
    add_weights(parser, SHIPPED_WEIGHTS)
    add_device_and_limit(parser)
    parser.add_argument(
        "--max-megabytes", type=positive, default=500, metavar="N", help="larger files are refused (%(default)s)"
    )
    return parser


def serve(options: argparse.Namespace) -> int:
    """Serve the page until the process is asked to stop. Raises UserError."""
    remove_leftovers()
    with TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", ignore_cleanup_errors=True) as folder:

        def end_soon(*_: object) -> None:
            """Whatever is at work, even in a library that cannot be interrupted, the process ends within LAST_WORDS."""
            timer = threading.Timer(LAST_WORDS, end_now, [folder])
            timer.daemon = True
            timer.start()

        def interrupted(*_: object) -> None:
            end_soon()
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, interrupted)
        with suppress(KeyboardInterrupt):
            run(options, Path(folder), end_soon)
    return 0


def run(options: argparse.Namespace, folder: Path, end_soon: Callable[[], None]) -> None:
    """Serve the page, with visitors' pictures in a folder; `end_soon` is called when it is asked to stop."""
    try:
        import uvicorn

        from ombre.page.lan import invitation
        from ombre.page.server import THIS_MACHINE, make_app
    except ImportError as error:
        raise UserError(f"{error}: the page needs pip install -r {ROOT / 'requirements-preview.txt'}") from None
    from ombre.page.visitors import Visitors

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            end_soon()
            super().handle_exit(sig, frame)

    with listening("" if options.lan else HOST, options.port) as opened:
        finder = HairFinder(options.weights, options.device, own_cores())
        visitors = Visitors(folder / "visitors", finder, options.max_megapixels * 10**6)
        samples = sorted(path for path in SAMPLES.iterdir() if path.suffix.lower() in SUFFIXES)
        how: dict[str, Any] = dict(
            log_level="warning",
            timeout_graceful_shutdown=1,
            ws="websockets-sansio",
            ws_max_size=MESSAGE,
            ws_per_message_deflate=False,  # frames are JPEGs: to deflate them takes time and saves nothing
        )
        at = opened.getsockname()[1]
        door, address = THIS_MACHINE, f"http://{HOST}:{at}/"
        if options.lan:
            invited = invitation(folder, at)
            door, address = invited.door, invited.link
            how |= dict(ssl_certfile=invited.certificate, ssl_keyfile=invited.key)
            print(invited.text(), flush=True)
        app = make_app(visitors, samples, options.max_megabytes * 10**6, options.camera, door)
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)  # it waits at the door until the server answers
        Server(uvicorn.Config(app, **how)).run(sockets=[opened])


def end_now(folder: str) -> None:
    """End the process on the spot, with the pictures removed."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens to this machine alone, or to all of its networks where `host` is ""; `port` 0: a free one.
    Raises UserError."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be used: {os.strerror(error.errno or 0)}; say another --port") from None


def remove_leftovers() -> None:
    """Remove pictures that a page left behind which was killed."""
    for folder in Path(gettempdir()).glob(f"{FOLDER}*") if os.name == "posix" else ():
        try:
            os.kill(int(folder.name.removeprefix(FOLDER).partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, PermissionError):
            continue


def port(text: str) -> int:
    """0 to 65535, for argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
