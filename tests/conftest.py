"""Tests import the project from the repository's root, wherever pytest is started."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="write pictures of the page in the browser there")


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """The published student checkpoint's names and shapes, filled as the golden values were."""
    import torch

    from tests.golden.fill import fill

    spec = json.loads((ROOT / "tests" / "golden" / "ohlora_v4_student_state_dict.json").read_text())
    state = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in spec.items()}
    path = tmp_path_factory.mktemp("published") / "segmentation_model_ohlora_v4.pth"
    torch.save(fill(state, "shared-1"), path)
    return path
