"""Scripts started within the test's own process: they say and do the same, without a process's start-up."""

import os
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """What a script leaves, named as subprocess.run names it."""

    returncode: int
    stdout: str
    stderr: str


def run_script(main: Callable[[list[str]], int], *arguments: object, cwd: Path | None = None) -> Done:
    """Call a script's `main` with these words of a command line, in the folder `cwd`."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or os.curdir):
        try:
            code = main([str(word) for word in arguments])
        except SystemExit as end:  # argparse, of a wrong word
            code = end.code
    return Done(code, out.getvalue(), err.getvalue())
