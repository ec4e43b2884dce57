"""The walk of docs/training.md through the three stages ends with dyed pictures."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from common.image.picture import read_picture
from ombre import generate_ombre_images
from segmentation import run_seg_model_ohlora_v4, run_segmentation
from tests.tools.scripts import run_script

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {
    "segmentation/run_segmentation.py": run_segmentation.main,
    "segmentation/run_seg_model_ohlora_v4.py": run_seg_model_ohlora_v4.main,
    "ombre/generate_ombre_images.py": generate_ombre_images.main,
}


@pytest.fixture
def clone(tmp_path) -> Path:
    """What the walk's commands name, as somebody finds it: the sample pictures and the shipped weights; no clip."""
    shutil.copytree(ROOT / "data" / "samples", tmp_path / "data" / "samples", ignore=shutil.ignore_patterns("*.mkv"))
    (tmp_path / "models").mkdir()
    for weights in (ROOT / "models").glob("hair_*.safetensors"):
        shutil.copy(weights, tmp_path / "models")
    return tmp_path


def test_the_walk_ends_with_dyed_pictures(clone, monkeypatch):
    # as this process has threads, it shall start no others as its copies
    monkeypatch.setattr(run_seg_model_ohlora_v4, "reading_ahead", lambda *_: 0)
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "training.md").read_text("utf-8"), re.S)
    block = next(text for text in blocks if "ombre_own" in text)
    commands = [line.split() for line in block.splitlines()]
    assert [words[0] for words in commands] == ["python"] * 3
    for _, name, *words in commands:
        done = run_script(SCRIPTS[name], *words, cwd=clone)
        assert done.returncode == 0, done.stderr
    rows = pd.read_csv(clone / "data" / "ombre_own" / "ombre.csv")
    pictures = sorted((clone / "data" / "samples").glob("*.jpg"))
    assert len(rows) == len(pictures) and (rows.status == "ok").all()
    for picture, name in zip(pictures, sorted(rows.output)):
        before, after = read_picture(picture).rgb, read_picture(clone / "data" / "ombre_own" / name).rgb
        changed = (abs(before.astype(int) - after) > 24).any(axis=2).mean()
        assert changed > 0.01, f"{name} is not dyed"
