"""The student's script: soft masks, figures, layers and times."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from segmentation import run_seg_model_ohlora_v4 as script
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.cost import time_in_turn
from tests.test_labelling import damage
from tests.tools.scripts import Done, run_script

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).parent / "golden"
SAMPLES = ROOT / "data" / "samples"


def run(*arguments: object, cwd: Path) -> Done:
    return run_script(script.main, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "golden-shared-1.npz"))


def test_predict_writes_the_networks_output(published, golden, tmp_path):
    bgr = cv2.cvtColor(golden["rgb"], cv2.COLOR_RGB2BGR)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in" / "deep" / "golden.png"), bgr)
    cv2.imwrite(str(tmp_path / "in" / "wide.png"), cv2.resize(bgr, (500, 300)))
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    result = run("predict", "in", "--output", "out", "--weights", published, cwd=tmp_path)
    assert result.returncode == 1 and "broken.jpg" in result.stderr
    mask = cv2.imread(str(tmp_path / "out" / "deep" / "golden.png"), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint8 and mask.shape == (224, 224)
    finder = HairFinder(published, "cpu")
    assert (mask == finder.mask(golden["rgb"])).all()
    one_look = finder.probability(golden["rgb"])
    assert np.abs(one_look - golden["ohlora_hair"]).mean() < 2 / 255  # in bfloat16 where the processor computes in it
    assert cv2.imread(str(tmp_path / "out" / "wide.png"), cv2.IMREAD_UNCHANGED).shape == (300, 500)
    rows = pd.read_csv(tmp_path / "out" / "masks.csv", keep_default_na=False).set_index("mask")
    assert rows.status.to_dict() == {"broken.png": "failed", "deep/golden.png": "ok", "wide.png": "ok"}
    killed = tmp_path / "out" / "deep" / ".golden.1-00112233.part.png"
    killed.touch()
    again = run("predict", "in", "--output", "out", "--weights", published, cwd=tmp_path)
    assert not killed.exists()
    assert "0 masks written" in again.stdout and "2 were done before" in again.stdout


def test_predict_says_so_where_most_pictures_have_no_hair(tmp_path, monkeypatch, capsys):
    class Blind:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def mask(self, rgb: np.ndarray) -> np.ndarray:
            return np.full(rgb.shape[:2], 127, np.uint8)

    monkeypatch.setattr("segmentation.finding.stage.HairFinder", Blind)
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), 60 * number, np.uint8))
    few = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert script.main(["predict", *few, "--output", str(tmp_path / "few")]) == 0
    assert "no hair" not in capsys.readouterr().err
    assert script.main(["predict", str(tmp_path), "--output", str(tmp_path / "all")]) == 0
    assert "in 4 of 4 pictures there is no hair by hair_student.safetensors" in capsys.readouterr().err


def test_predict_tells_of_a_damaged_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("segmentation.finding.stage.HairFinder", lambda *_, **__: SimpleNamespace(mask=first_channel))
    damage(tmp_path / "in" / "a.jpg")
    assert script.main(["predict", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    assert "a.jpg: damaged: " in capsys.readouterr().err
    (row,) = pd.read_csv(tmp_path / "out" / "masks.csv").itertuples()
    assert row.status == "ok" and row.note.startswith("damaged: ")


def first_channel(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[..., 0])


def test_evaluate_gives_full_marks_to_its_own_masks(tmp_path):
    """The student's masks, made black and white, serve as the drawn ones: each figure is then known."""
    assert run("predict", SAMPLES / "ginger_wavy.jpg", "--output", tmp_path / "masks", cwd=tmp_path).returncode == 0
    path = tmp_path / "masks" / "ginger_wavy.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.where(mask > 127, 255, 0).astype(np.uint8))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ginger_wavy.jpg").write_bytes((SAMPLES / "ginger_wavy.jpg").read_bytes())
    result = run("evaluate", "--data", tmp_path, "--output", tmp_path / "figures", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    figures = pd.read_csv(tmp_path / "figures" / "metrics.csv").set_index("by").loc["finder"]
    assert figures[["iou", "dice", "recall", "precision", "mean_iou", "boundary_f1"]].tolist() == [1.0] * 6
    assert 0 < figures.mse < 0.01
    assert len(list((tmp_path / "figures" / "overlays").iterdir())) == 1


def test_summary_counts_and_times_both_networks(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.finding.summary.time_in_turn", partial(time_in_turn, warm_up=0))
    said = run("summary", "--runs", "1", cwd=tmp_path).stdout
    assert "conv6" in said and "student: 3," in said and "teacher: 9" in said
    assert all(word in said for word in ("median", "deviation", "ratio"))


def test_the_shipped_student_finds_hair_and_leaves_a_wall_alone(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((100, 200, 3), (150, 170, 180), np.uint8))
    assert run("predict", SAMPLES / "astronaut.jpg", "wall.png", "--output", "out", cwd=tmp_path).returncode == 0
    shares = pd.read_csv(tmp_path / "out" / "masks.csv").set_index("mask").hair_share
    assert 0.03 < shares["astronaut.png"] < 0.12 and shares["wall.png"] < 0.02
