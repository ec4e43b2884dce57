"""A process and all that it started: how much processor time they had, and how to end them at once. For Linux."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def below(pid: int) -> dict[int, float]:
    """That process and those that it and they started, whatever their sessions: their processor time, seconds."""
    parents, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            times[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    found = new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in found} - found
        found = found | new
    return {process: times[process] for process in found if process in times}


def kill(*processes: subprocess.Popen) -> None:
    """End processes and all that they started, as a power cut would: Ray's live on for a while else."""
    for pid in {pid for process in processes if process.poll() is None for pid in below(process.pid)}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.wait()
