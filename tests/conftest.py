"""Tests import the project from the repository's root, wherever pytest is started."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.device import allowed_cores  # noqa: E402  (its place is known only now)

# Several processes test at once: threads that wait shall sleep, and each process have its share of the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
share = allowed_cores() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="write pictures of the page in the browser there")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Gives the folder of a name, filled once for all processes of a test run, which may only read it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = shared / name, shared / f"{name}.filled"
        with FileLock(shared / f"{name}.lock"):
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session", autouse=True)
def shipped_networks_once() -> Iterator[None]:
    """Each process readies the shipped networks once, which takes half a second; it calls scripts a hundred times."""
    from segmentation.finding import hair_finder

    ready = hair_finder.engine_of
    shipped = hair_finder.SHIPPED_WEIGHTS, hair_finder.SCOUT, hair_finder.PERSONS
    ready_once = cache(ready)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            hair_finder, "engine_of", lambda weights, *how: (ready_once if weights in shipped else ready)(weights, *how)
        )
        yield


@pytest.fixture(scope="session")
def published(made_once) -> Path:
    """The published student checkpoint's names and shapes, filled as the golden values were."""
    name = "segmentation_model_ohlora_v4.pth"
    return made_once("published", lambda folder: write_published(folder / name)) / name


@pytest.fixture(scope="session")
def official(made_once) -> Path:
    """The official FaceXFormer checkpoint, filled as the golden values were."""
    from tests.tools.official_checkpoint import official_checkpoint

    return made_once("official", official_checkpoint) / "official.pt"


def write_published(path: Path) -> None:
    import torch

    from tests.golden.fill import fill

    spec = json.loads((ROOT / "tests" / "golden" / "ohlora_v4_student_state_dict.json").read_text())
    state = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in spec.items()}
    torch.save(fill(state, "shared-1"), path)
