"""A Ray cluster of several nodes on this machine, started as docs/cluster.md says."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools.processes import kill

SETTINGS = {  # of these clusters: only this job knows their token; their workers are no less than other programs
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_worker_niceness": "0",
}


@contextmanager
def cluster(count: int, log: Path, cores: int = 1) -> Iterator[tuple[list[subprocess.Popen], str]]:
    """Nodes, the first of which holds the cluster together, and its address; all are killed in the end.

    Args:
        log: what the last node that was started says.
        cores: of each.

    SETTINGS belong in the environment of whoever speaks to it. Raises SystemExit: a node does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes: list[subprocess.Popen] = []
    try:
        start(nodes, log, cores, "--head", "--port", str(port), "--include-dashboard=false")
        for _ in range(count - 1):
            start(nodes, log, cores, "--address", f"127.0.0.1:{port}")
        yield nodes, f"127.0.0.1:{port}"
    finally:
        kill(*nodes)


def start(nodes: list[subprocess.Popen], log: Path, cores: int, *arguments: str) -> None:
    """Add a node, when it has started."""
    command = [Path(sys.executable).with_name("ray"), "start", "--block", "--disable-usage-stats"]
    own = ["--num-cpus", str(cores), "--min-worker-port", "0", "--max-worker-port", "0"]  # else all take the same ports
    with open(log, "w") as said:
        process = subprocess.Popen([*command, *own, *arguments], stdout=said, stderr=said, env=os.environ | SETTINGS)
    nodes.append(process)
    wait_until(lambda: "Ray runtime started" in log.read_text(), process, log)


def wait_until(there: Callable[[], bool], process: subprocess.Popen, log: Path) -> None:
    """Raises SystemExit with what is in the log, where the process ends before."""
    while not there():
        if process.poll() is not None:
            raise SystemExit(f"ended too soon. It said: {log.read_text()}")
        time.sleep(0.2)


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """A server that speaks as S3 does; what of the environment says where."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        yield keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    finally:
        server.terminate()
        server.wait()
