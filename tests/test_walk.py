"""The walk of docs/training.md through the three stages ends with dyed pictures."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from common.image.picture import read_picture

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def clone(tmp_path) -> Path:
    """The project as somebody finds it, with nothing made in it yet."""
    for part in ("common", "segmentation", "ombre", "data/samples"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (tmp_path / "models").mkdir()
    for weights in (ROOT / "models").glob("hair_*.safetensors"):
        shutil.copy(weights, tmp_path / "models")
    return tmp_path


def test_the_walk_ends_with_dyed_pictures(clone):
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "training.md").read_text(), re.S)
    block = next(text for text in blocks if "ombre_own" in text)
    commands = [line.split() for line in block.splitlines()]
    assert [words[0] for words in commands] == ["python"] * 3
    for words in commands:
        done = subprocess.run([sys.executable, *words[1:]], cwd=clone, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
    rows = pd.read_csv(clone / "data" / "ombre_own" / "ombre.csv")
    rows = rows[[Path(name).suffix == ".jpg" for name in rows.output]]
    pictures = sorted((clone / "data" / "samples").glob("*.jpg"))
    assert len(rows) == len(pictures) and (rows.status == "ok").all()
    for picture, name in zip(pictures, sorted(rows.output)):
        before, after = read_picture(picture).rgb, read_picture(clone / "data" / "ombre_own" / name).rgb
        changed = (abs(before.astype(int) - after) > 24).any(axis=2).mean()
        assert changed > 0.01, f"{name} is not dyed"
