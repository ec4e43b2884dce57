"""Data folders, the training loop, resuming after a kill, and two processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from segmentation.training.augment import far_away, warp
from segmentation.training.pairs import DataError, PairDataset, epoch_batches, find_pairs, gather, split

SCRIPT = Path(__file__).resolve().parents[1] / "segmentation" / "run_seg_model_ohlora_v4.py"
FAST = ["--size", "64", "--batch-size", "8", "--workers", "0", "--precision", "float32", "--augmented", "--ema", "0.9"]
FAST += ["--learning-rate", "1e-3", "--patience", "99"]


def draw(seed: int, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise with a dark ellipse for hair, BGR (side, side, 3), and the hair's mask (side, side)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    centre = tuple(int(value) for value in rng.integers(side // 3, side - side // 3, 2))
    cv2.ellipse(mask, centre, (side // 4, side // 3), 0, 0, 360, 255, -1)
    picture = rng.integers(120, 255, (side, side, 3)).astype(np.uint8)
    picture[mask > 0] //= 6
    return picture, mask


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for seed in range(30):
        picture, mask = draw(seed)
        cv2.imwrite(str(folder / "images" / f"p{seed}.png"), picture)
        cv2.imwrite(str(folder / "masks" / f"p{seed}.png"), mask)
    return folder


def run(*arguments: str | Path, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [sys.executable, *launcher, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def test_all_three_layouts_are_found(pairs_folder, tmp_path):
    pairs, problems = find_pairs(pairs_folder)
    assert len(pairs) == 30 and not problems
    flat = tmp_path / "flat"
    flat.mkdir()
    for pair in pairs[:3]:
        shutil.copy(pair.image, flat / f"face_{pair.name}.png")
        shutil.copy(pair.label, flat / f"parsing_hair_label_{pair.name}.png")
    shutil.copy(pairs[3].image, flat / "face_alone.png")
    found, problems = find_pairs(flat)
    assert len(found) == 3 and len(problems) == 1 and "face_alone.png" in problems[0]
    table = tmp_path / "table"
    (table / "a").mkdir(parents=True)
    shutil.copy(pairs[0].label, table / "a" / "x.png")
    rows = [
        dict(image=os.path.relpath(pairs[0].image, table), label="a/x.png", status="ok"),
        dict(image="gone.jpg", label="a/gone.png", status="failed"),
    ]
    pd.DataFrame(rows).to_csv(table / "labels.csv", index=False)
    found, problems = find_pairs(table)
    assert [pair.name for pair in found] == ["a/x"] and found[0].image.samefile(pairs[0].image)
    assert len(problems) == 1 and "gone.jpg" in problems[0]


def test_bad_pairs_are_named_and_left_out(pairs_folder, tmp_path, capsys):
    folder = tmp_path / "pairs"
    shutil.copytree(pairs_folder, folder)
    (folder / "images" / "p0.png").write_text("no picture")
    cv2.imwrite(str(folder / "masks" / "p1.png"), np.zeros((10, 12), np.uint8))
    (folder / "masks" / "p2.png").unlink()
    assert len(gather([folder])) == 27
    said = capsys.readouterr().err
    assert all(name in said for name in ("p0.png", "p1.png", "p2.png")) and "3 left out" in said
    shutil.rmtree(folder / "masks")
    (folder / "masks").mkdir()
    with pytest.raises(DataError, match="run_segmentation.py"):
        gather([folder])


def test_the_split_does_not_move_when_pictures_are_added(pairs_folder):
    pairs, _ = find_pairs(pairs_folder)
    few, many = split(pairs[:20], seed=3), split(pairs, seed=3)
    for name, part in few.items():
        assert set(part) <= set(many[name])
    assert sum(map(len, many.values())) == 30


def test_ranks_share_each_batch_of_an_epoch():
    whole = list(epoch_batches(21, 8, seed=1, epoch=4, rank=0, world=1))
    shares = [list(epoch_batches(21, 8, seed=1, epoch=4, rank=rank, world=2)) for rank in (0, 1)]
    assert len(whole) == 2 and all(len(batch) == 8 for batch in whole)
    for batch, first, second in zip(whole, *shares):
        assert sorted(first + second) == sorted(batch) and len(first) == len(second)
    assert whole != list(epoch_batches(21, 8, seed=1, epoch=5, rank=0, world=1))


def test_labels_follow_the_pictures_through_every_change_of_place():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    rgb, label = warp(np.dstack([noise] * 3), noise, 64, np.random.default_rng(1))
    assert (rgb[..., 0] == label).all() and (label != noise).any()


def test_a_picture_that_goes_far_away_takes_its_hair_along():
    rgb, mask = draw(0)
    far, found = far_away(rgb, mask, np.random.default_rng(2))
    assert far.shape == rgb.shape and found.shape == mask.shape
    assert 0 < np.count_nonzero(found > 127) < 0.6 * np.count_nonzero(mask)
    assert far[found == 255].max() < 43 and np.median(far[found == 0]) > 60  # the hair is the dark part


def test_each_epoch_varies_the_pictures_and_a_repeated_one_does_not(pairs_folder):
    data = PairDataset(gather([pairs_folder]), 64, seed=1)
    first, again = [np.stack([data[index][0] for index in range(8)]) for _ in range(2)]
    data.epoch = 1
    assert (first == again).all() and (first != np.stack([data[index][0] for index in range(8)])).any()


def test_without_labels_it_says_which_command_makes_them(tmp_path):
    result = run("train", "--data", tmp_path / "none", "--output", tmp_path / "run")
    assert result.returncode == 2 and "run_segmentation.py" in result.stderr


def test_a_killed_run_ends_as_if_it_had_not_been(pairs_folder, tmp_path):
    arguments = ["train", "--data", pairs_folder, "--epochs", "4", *FAST, "--output"]
    whole = run(*arguments, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, str(SCRIPT), *map(str, arguments), str(tmp_path / "killed")]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "state.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(pd.read_csv(tmp_path / "killed" / "history.csv")) < 4
    again = run(*arguments, tmp_path / "killed")
    assert again.returncode == 0, again.stderr
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("whole", "killed")]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    weights = [load_file(tmp_path / name / "best.safetensors") for name in ("whole", "killed")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    files = {path.name for path in (tmp_path / "whole" / "test").iterdir()}
    assert files == {"metrics.csv", "pictures.csv", "overlays"}
    assert (tmp_path / "whole" / "history.png").is_file()
    other = run(*arguments, tmp_path / "whole", "--loss", "mse")
    assert other.returncode == 2 and "loss soft-bce" in other.stderr and "--overwrite" in other.stderr


def test_two_processes_give_the_loss_curve_of_one(pairs_folder, tmp_path):
    arguments = ["train", "--data", pairs_folder, "--val", pairs_folder, "--epochs", "3", *FAST]
    one = run(*arguments, "--output", tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    two = run(*arguments, "--output", tmp_path / "two", launcher=launcher)
    assert one.returncode == 0 and two.returncode == 0, one.stderr + two.stderr
    curves = [pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two")]
    # Four pictures a process instead of eight: batch norm's statistics are coarser, everything else is the same.
    assert np.allclose(curves[0].train_loss, curves[1].train_loss, rtol=0.1)
    assert len(curves[1]) == 3
