"""Data folders, the training loop, resuming after a kill, and two processes."""

import errno
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from efficientnet_pytorch import EfficientNet
from safetensors.torch import load_file

from common.errors import UserError
from common.paths import MODELS
from common.weights import WeightsError
from segmentation import run_seg_model_ohlora_v4 as script
from segmentation.dataset.augment import cover, far_away, warp
from segmentation.dataset.loader import Changes, PairDataset, epoch_batches
from segmentation.dataset.pair import whole_face
from segmentation.dataset.pairs import DataError, find_pairs, gather, parts_of, split
from segmentation.finding.engines import torch_engine
from segmentation.networks.effisegnet import EffiSegNet
from segmentation.networks.registry import load_student, save_weights
from segmentation.training.losses import guide_loss, make_loss
from segmentation.training.ranks import demand_gpus
from segmentation.training.recipe import Recipe
from segmentation.training.runtime import Runtime
from segmentation.training.state import held
from segmentation.training.validate import Validation
from segmentation.training.warm_start import start
from tests.tools import tiny
from tests.tools.scripts import Done, run_script

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "segmentation" / "run_seg_model_ohlora_v4.py"
FAST = ["--size", "64", "--batch-size", "8", "--workers", "0", "--precision", "float32", "--augmented", "--ema", "0.9"]
FAST += ["--learning-rate", "1e-3", "--patience", "99", "--warm-start", "none"]


def draw(seed: int, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise with a dark ellipse for hair, BGR (side, side, 3), and the hair's mask (side, side)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    centre = tuple(int(value) for value in rng.integers(side // 3, side - side // 3, 2))
    cv2.ellipse(mask, centre, (side // 4, side // 3), 0, 0, 360, 255, -1)
    picture = rng.integers(120, 255, (side, side, 3)).astype(np.uint8)
    picture[mask > 0] //= 6
    return picture, mask


def draw_pairs(folder: Path, count: int) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for seed in range(count):
        picture, mask = draw(seed)
        cv2.imwrite(str(folder / "images" / f"p{seed}.png"), picture)
        cv2.imwrite(str(folder / "masks" / f"p{seed}.png"), mask)


@pytest.fixture(scope="module")
def pairs_folder(made_once) -> Path:
    return made_once("pairs", lambda folder: draw_pairs(folder, 30))


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in processes with ONE_THREAD: sums in another order differ in the sixth place."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def words_of(folder: Path, run_folder: Path, *more: object) -> list[str]:
    return ["train", "--data", str(folder), "--output", str(run_folder), *FAST, *map(str, more)]


def train(folder: Path, run_folder: Path, *more: object) -> Done:
    """A training in this process, without its figures in the end, which take longer than it does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "report_figures", lambda *_: 0)
        return run_script(script.main, *words_of(folder, run_folder, *more))


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
        dict(image="gone.jpg", label="", status="failed"),
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


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone():
    whole = epoch_batches(21, 8, seed=1, epoch=4)
    assert [len(batch) for batch in whole] == [8, 8, 5] and sorted(sum(whole, [])) == list(range(21))
    assert whole == epoch_batches(21, 8, seed=1, epoch=4) != epoch_batches(21, 8, seed=1, epoch=5)


def test_no_batch_is_too_small_to_be_trained_on():
    assert [len(batch) for batch in epoch_batches(17, 8, seed=1, epoch=0)] == [8, 9]
    assert [len(batch) for batch in epoch_batches(19, 8, seed=1, epoch=0, least=4)] == [8, 11]
    assert [len(batch) for batch in epoch_batches(3, 8, seed=1, epoch=0, least=4)] == [3]


def test_labels_follow_the_pictures_through_every_change_of_place():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    rgb, label = warp(np.dstack([noise] * 3), noise, 64, np.random.default_rng(1), 0.2)
    assert (rgb[..., 0] == label).all() and (label != noise).any()


def test_a_picture_that_goes_far_away_takes_its_hair_along():
    rgb, mask = draw(0)
    far, found = far_away(rgb, mask, np.random.default_rng(2))
    assert far.shape == rgb.shape and found.shape == mask.shape
    assert 0 < np.count_nonzero(found > 127) < 0.6 * np.count_nonzero(mask)
    assert far[found == 255].max() < 43 and np.median(far[found == 0]) > 60  # the hair is the dark part


def test_a_turned_picture_says_where_its_heads_have_their_top(pairs_folder):
    pairs = [replace(pair, face=pair.label) for pair in gather([pairs_folder])]
    data = PairDataset(pairs, 64, Changes(seed=1, turned=1.0), guide=True)
    ups = []
    for index in range(8):
        label = data[0, index][1]
        assert label.shape == (5, 64, 64) and (label[2] == 1).all()
        up = label[3:, 0, 0]
        assert torch.equal(label[3:], up[:, None, None].expand(2, 64, 64)) and abs(up.norm() - 1) < 1e-5
        ups.append(up[1])
    assert max(ups) > -0.6, "none is upright, by a turn of 12 degrees more or less"
    assert PairDataset(gather([pairs_folder]), 64, Changes(1), guide=True)[0, 0][1][2].max() == 0, "no face is known"


def test_a_face_is_whole_though_eyes_are_no_skin_and_ends_at_its_hair():
    skin, hair = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    cv2.ellipse(skin, (50, 50), (25, 35), 0, 0, 360, 255, -1)
    whole = skin.copy()
    cv2.circle(skin, (40, 45), 6, 0, -1)
    cv2.rectangle(skin, (46, 50), (54, 84), 0, -1)
    hair[:30] = 255
    face = whole_face(skin, hair)
    assert (face[:30] == 0).all() and face[45, 40] == face[84, 50] == 255
    assert np.mean(face[30:] != whole[30:]) < 0.01
    assert whole_face(0 * skin, hair).max() == 0


def test_a_cloth_over_the_hair_is_no_hair():
    rgb, label = np.full((128, 128, 3), 90, np.uint8), np.zeros((128, 128, 3), np.uint8)
    label[20:100, 30:100, 0] = 255
    cloth = np.full((40, 40, 3), (200, 30, 30), np.uint8)
    shares = []
    for seed in range(12):
        covered, left = cover(rgb, label, cloth, np.random.default_rng(seed))
        assert (left[..., 0] <= label[..., 0]).all() and not left[..., 1:].any()
        hidden = (label[..., 0] == 255) & (left[..., 0] == 0)
        assert covered[hidden][:, 0].mean() > 150 and (covered[:5] == 90).all()
        shares.append(left[..., 0].sum() / label[..., 0].sum())
    assert min(shares) == 0 and 0.3 < max(shares) < 0.95, "scarves hide all of it, hats the upper part"


def test_a_guide_is_learnt_only_where_it_is_known():
    labels = torch.zeros(1, 5, 8, 8)
    labels[:, 0, :4], labels[:, 1, 4:], labels[:, 3] = 1, 1, 1  # hair above, a face below, heads lie to the right
    good = torch.zeros(1, 3, 8, 8)
    good[:, 0], good[:, 1] = torch.where(labels[:, 1] > 0, 9.0, -9.0), 1
    wrong_face, turned = good.clone(), good.clone()
    wrong_face[:, 0], turned[:, 1] = -good[:, 0], -1
    assert guide_loss(good, labels) < 0.01 < 3.99 < guide_loss(turned, labels)
    assert guide_loss(wrong_face, labels) == guide_loss(good, labels), "no face is known"
    labels[:, 2] = 1
    assert guide_loss(good, labels) < 0.01 < 8 < guide_loss(wrong_face, labels)


def test_a_guide_that_is_not_trained_along_goes():
    shipped = str(MODELS / "hair_student.safetensors")
    without, _ = start(Recipe(warm_start=shipped, upsampling="auto"))
    along, _ = start(Recipe(warm_start=shipped, upsampling="auto", guide=True))
    before = load_file(shipped)
    assert without.guide is None and torch.equal(along.guide.out.bias, before["guide.out.bias"])
    assert torch.equal(without.conv6.weight, before["conv6.weight"].float())


def test_each_epoch_varies_the_pictures_and_a_repeated_one_does_not(pairs_folder):
    data = PairDataset(gather([pairs_folder]), 64, Changes(seed=1))
    first, again, other = [np.stack([data[epoch, index][0] for index in range(8)]) for epoch in (0, 0, 1)]
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("changes", [None, Changes(seed=1, turned=0.5)])
def test_pictures_that_are_kept_small_give_the_same_samples(pairs_folder, tmp_path, monkeypatch, changes):
    """Decoded once, by one of the processes that read; in place of a new file's content the old one is not taken."""
    for part in ("images", "masks"):
        shutil.copytree(pairs_folder / part, tmp_path / part)
        for seed in range(3):  # larger than they are needed
            large = cv2.resize(cv2.imread(str(tmp_path / part / f"p{seed}.png")), (150, 130 + 30 * seed))
            cv2.imwrite(str(tmp_path / part / f"p{seed}.png"), large)
    pairs = gather([tmp_path])
    plain, kept = PairDataset(pairs, 64, changes), PairDataset(pairs, 64, changes)
    kept.keep_small()
    wanted = [plain[epoch, index] for epoch in range(2) for index in range(30)]
    for number, sample in enumerate(wanted[:30]):
        assert all(map(torch.equal, kept[0, number], sample))
    with monkeypatch.context() as patch:
        patch.setattr("segmentation.dataset.loader.read_pair", None)
        again = pickle.loads(pickle.dumps(kept))
        for number, sample in enumerate(wanted[30:]):
            assert all(map(torch.equal, again[1, number], sample))
    picture, _ = draw(99)
    cv2.imwrite(str(tmp_path / "images" / "p7.png"), picture)
    other = PairDataset(pairs, 64, changes)
    other.keep_small()
    index = [pair.name for pair in pairs].index("p7")
    assert torch.equal(other[0, index][0], plain[0, index][0])


def test_without_room_pictures_are_decoded_each_time(pairs_folder, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    data = PairDataset(gather([pairs_folder]), 64)
    data.keep_small()
    assert data.kept is None and "has no room" in capsys.readouterr().err
    composed = PairDataset(gather([pairs_folder]), 64, Changes(1, composed=0.5))
    composed.keep_small()
    assert composed.kept is None and capsys.readouterr().err == ""


def test_a_gpu_is_fed_by_all_cores():
    assert [script.reading_ahead("cuda", cores) for cores in (1, 12, 64)] == [1, 12, 16]
    assert script.reading_ahead("cpu", 2) == 2


def test_without_labels_it_says_which_command_makes_them(tmp_path):
    result = run_script(script.main, "train", "--data", tmp_path / "none", "--output", tmp_path / "run")
    assert result.returncode == 2 and "run_segmentation.py" in result.stderr


@pytest.fixture(scope="module")
def whole_run(pairs_folder, made_once) -> Path:
    """A run of three epochs, at one go."""
    return made_once("whole", lambda folder: finished(train(pairs_folder, folder, "--epochs", "3")))


def finished(training: Done) -> None:
    assert training.returncode == 0, training.stderr


def test_a_killed_run_ends_as_if_it_had_not_been(whole_run, pairs_folder, tmp_path, monkeypatch):
    """Killed within an epoch: there is a checkpoint at each step. It ends with its figures.

    And however many processes read the pictures."""
    more = ["--epochs", "3", "--checkpoint-every", "1"]
    killed = tmp_path / "killed"
    words = words_of(pairs_folder, killed, *more)
    command = [sys.executable, SCRIPT, *words, "--workers", "2"]
    process = subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL)
    wait_for(lambda: (killed / "state.before.pt").exists(), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = killed / ".state.1-00112233.part.pt"
    left.touch()
    monkeypatch.setattr("segmentation.finding.hair_finder.engine_of", lambda weights, *_: torch_engine(weights, "cpu"))
    again = run_script(script.main, *words)
    assert again.returncode == 0, again.stderr
    assert not left.exists()
    same_runs(whole_run, killed)
    names = {path.name for path in killed.iterdir()} - {"tensorboard"}
    assert names == {
        "best.safetensors", "history.csv", "history.png", "run.json", "split.csv", "state.before.pt", "state.pt",
        "test", ".lock",
    }  # fmt: skip
    assert {path.name for path in (killed / "test").iterdir()} == {"metrics.csv", "pictures.csv", "overlays"}
    manifest = json.loads((killed / "run.json").read_text())
    assert len(manifest["starts"]) == 2 and manifest["recipe"]["epochs"] == 3
    assert sum(part["pictures"] for part in manifest["data"].values()) == 30


def wait_for(there, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not there():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def same_runs(*runs: Path) -> None:
    """To the last bit."""
    histories = [pd.read_csv(folder / "history.csv") for folder in runs]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    first, second = (load_file(folder / "best.safetensors") for folder in runs)
    assert all((first[name] == second[name]).all() for name in first)


@pytest.fixture(scope="module")
def short_run(pairs_folder, made_once) -> Path:
    """A run of two epochs."""
    return made_once("short", lambda folder: finished(train(pairs_folder, folder, "--epochs", "2")))


def test_more_epochs_go_on_as_if_asked_for_at_first(short_run, whole_run, pairs_folder, tmp_path):
    shutil.copytree(short_run, tmp_path / "run")
    assert train(pairs_folder, tmp_path / "run", "--epochs", "3").returncode == 0
    same_runs(tmp_path / "run", whole_run)


def test_an_old_run_stays_until_the_new_one_can_begin(short_run, pairs_folder, tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(short_run, run_folder)
    again = ["--overwrite", "--epochs", "1", "--warm-start"]
    result = train(pairs_folder, run_folder, *again, tmp_path / "typing error.safetensors")
    assert result.returncode == 2 and "typing error" in result.stderr and (run_folder / "best.safetensors").is_file()
    result = train(pairs_folder, run_folder, *again, run_folder / "best.safetensors")
    assert result.returncode == 0, result.stderr


def test_a_run_that_diverges_says_so_and_keeps_no_figures(short_run, pairs_folder, tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(short_run, run_folder)
    (run_folder / "test").mkdir()
    (run_folder / "test" / "metrics.csv").touch()  # of the run before
    wild = ["--overwrite", "--epochs", "3", "--learning-rate", "1", "--weight-decay", "1", "--encoder-rate", "100"]
    result = train(pairs_folder, run_folder, *wild, "--loss", "kl-one-sided", "--dice-weight", "100")
    assert result.returncode == 2 and "diverged" in result.stderr and "learning-rate" in result.stderr
    assert not (run_folder / "best.safetensors").exists() or len(pd.read_csv(run_folder / "history.csv")) >= 1
    assert not (run_folder / "test" / "metrics.csv").exists()


def test_weights_can_be_read_by_others(short_run):
    assert (short_run / "best.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_masks_while_it_trains_are_on_the_board(short_run):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = event_accumulator.EventAccumulator(str(short_run / "tensorboard"))
    board.Reload()
    losses = [event.value for event in board.Scalars("val_loss")]
    assert losses == pytest.approx(pd.read_csv(short_run / "history.csv").val_loss.tolist(), rel=1e-6)
    assert board.Tags()["images"]


def test_a_validation_keeps_its_pictures(pairs_folder, tmp_path):
    few = tmp_path / "few"
    for part in ("images", "masks"):
        (few / part).mkdir(parents=True)
        for seed in range(3):
            shutil.copy(pairs_folder / part / f"p{seed}.png", few / part)
    parts = parts_of([few], [pairs_folder], None, 0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 3, "val": 30, "test": 30}
    assert {name: len(part) for name, part in split(gather([few]), 0).items()} == {"train": 3, "val": 3, "test": 3}


def test_pictures_trained_on_and_measured_on_are_counted(pairs_folder, capsys):
    parts_of([pairs_folder], [pairs_folder], None, 0)
    assert "30 of the 30 pictures to measure on are trained on" in capsys.readouterr().err


# Trainings one after another in the same processes, which start up once: a port, the exit code and the words of each.
# The first is of the student, the others of a tiny one.
IN_TURN = """
import json, os, sys
from segmentation import run_seg_model_ohlora_v4 as script
from segmentation.training import warm_start
from tests.tools import tiny
script.report_figures = lambda *_: 0
os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
for port, wanted, words in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = port
    try:
        code = script.main(words)
    except SystemExit as end:
        code = end.code
    assert code == wanted, (words, code)
    warm_start.start = tiny.start
"""


def train_by_two(tmp_path: Path, *trainings: tuple[int, list[str]]) -> str:
    """Train by two processes under torchrun, again and again, each time to this exit code; what they say on stderr."""
    (tmp_path / "in_turn.py").write_text(IN_TURN)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in trainings]
    free = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    told = json.dumps([(port, *training) for port, training in zip(free, trainings)])
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*launch, tmp_path / "in_turn.py", told], capture_output=True, text=True, timeout=900,
        env=ONE_THREAD | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_two_processes_train_validate_and_resume_like_one(tmp_path, monkeypatch):
    """Batches of 7 over two processes: shares are uneven. One picture cannot be shared out."""
    pairs_folder, student, two, whole, alone = (tmp_path / of for of in ("pairs", "student", "two", "whole", "alone"))
    draw_pairs(pairs_folder, 16)
    more = ["--batch-size", "7", "--val", pairs_folder]
    said = train_by_two(
        tmp_path,
        (0, words_of(pairs_folder, student, *more, "--epochs", "1")),
        (0, words_of(pairs_folder, two, *more, "--epochs", "1")),
        (0, words_of(pairs_folder, two, *more, "--epochs", "2")),
        (0, words_of(pairs_folder, whole, *more, "--epochs", "2")),
        (2, words_of(pairs_folder, tmp_path / "none", "--batch-size", "1", "--epochs", "1")),
    )
    assert said.count("cannot be shared out over 2 processes") == 1 and "IndexError" not in said
    same_runs(two, whole)
    assert len(pd.read_csv(student / "history.csv")) == 1
    history = pd.read_csv(two / "history.csv")
    monkeypatch.setattr("segmentation.training.warm_start.start", tiny.start)
    assert train(pairs_folder, alone, *more, "--epochs", "2").returncode == 0
    # Half of the pictures a process: batch norm's statistics are coarser, everything else is the same.
    curve = pd.read_csv(alone / "history.csv").train_loss
    assert np.allclose(curve, history.train_loss, rtol=0.1)
    state = torch.load(two / "state.pt", weights_only=True)["average"]
    model = tiny.Tiny()
    model.load_state_dict(
        {name.removeprefix("module."): value for name, value in state.items() if name != "n_averaged"}
    )
    recipe, runtime = Recipe(size=64, batch_size=7), Runtime(torch.device("cpu"), torch.float32, 0, 0)
    model = model.to(memory_format=torch.channels_last)
    one = Validation(gather([pairs_folder]), model, make_loss("soft-bce"), recipe, runtime).figures()
    assert one["val_loss"] == pytest.approx(history.val_loss.iloc[-1], abs=1e-6)
    assert one["val_iou"] == pytest.approx(history.val_iou.iloc[-1], abs=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--epochs", "0"], ["train", "--batch-size", "0"], ["train", "--seed", "-1"],
        ["train", "--size", "100"],
        ["train", "--learning-rate", "nan"], ["train", "--workers", "-1"], ["summary", "--runs", "0"],
    ],
)  # fmt: skip
def test_bad_numbers_are_refused(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        script.main(words)
    assert words[1] in capsys.readouterr().err


# ---- what befalls a run, in this process ----


@pytest.fixture
def begun(tmp_path, monkeypatch) -> Path:
    """A tiny student's run after one of two epochs, on the 20 pictures of the folder `pairs` beside it."""
    monkeypatch.setattr(script, "report_figures", lambda *_: 0)
    monkeypatch.setattr("segmentation.training.warm_start.start", tiny.start)
    draw_pairs(tmp_path / "pairs", 20)
    assert goes_on(tmp_path / "run", "1") == 0
    return tmp_path / "run"


def goes_on(run_folder: Path, epochs: str, *more: str) -> int:
    where = ["--data", str(run_folder.parent / "pairs"), "--output", str(run_folder)]
    return script.main(["train", *where, *FAST, "--batch-size", "16", "--epochs", epochs, *more])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--loss", "mse"], "loss soft-bce"),
        (["--precision", "bfloat16"], "precision float32"),
        (["--val", "OTHER"], "training data"),
        (["--epochs", "1"], "epochs 2"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(begun, capsys, change, named):
    assert goes_on(begun, "2") == 0
    other = begun.parent / "other"
    shutil.copytree(begun.parent / "pairs", other)
    before = (begun / "run.json").read_bytes()
    assert goes_on(begun, "2", *[str(other) if word == "OTHER" else word for word in change]) == 2
    said = capsys.readouterr().err
    assert named in said and "--overwrite" in said and (begun / "run.json").read_bytes() == before


def test_a_run_notices_other_pictures(begun, capsys):
    cv2.imwrite(str(begun.parent / "pairs" / "images" / "p7.png"), draw(99)[0])
    assert goes_on(begun, "2") == 2
    assert "data" in capsys.readouterr().err


def test_two_trainings_in_one_folder(begun, capsys):
    with held(begun):
        assert goes_on(begun, "2") == 2
    assert "another training is at work" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_broken_and_hostile_states_are_a_line(begun, tmp_path, capsys):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'pwned'}",)

    assert goes_on(begun, "2") == 0
    shutil.copytree(begun, tmp_path / "whole")
    state = (begun / "state.pt").read_bytes()
    (begun / "state.pt").write_bytes(state[: len(state) // 2])
    assert goes_on(begun, "2") == 0  # from the one before
    assert "state.pt: cannot be read" in capsys.readouterr().err
    same_runs(tmp_path / "whole", begun)
    (begun / "state.before.pt").unlink()
    with open(begun / "state.pt", "wb") as file:
        pickle.dump(Hostile(), file)
    assert goes_on(begun, "2") == 2 and "--overwrite" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()


def test_a_run_goes_on_without_what_has_gone(begun, capsys):
    """Pictures that are trained on, and one that chooses the epoch."""
    parts = pd.read_csv(begun / "split.csv").groupby("part").name.apply(list)
    for name in [*parts["train"][:2], parts["val"][0]]:
        (begun.parent / "pairs" / "images" / f"{name}.png").unlink()
    before = pd.read_csv(begun / "split.csv")
    assert goes_on(begun, "2") == 0
    said = capsys.readouterr().err
    assert "3 pictures have gone since this run began" in said
    assert "the next picture is trained on in its place" in said
    assert len(pd.read_csv(begun / "history.csv")) == 2
    pd.testing.assert_frame_equal(pd.read_csv(begun / "split.csv"), before)


def test_a_state_of_another_version_is_a_line(begun, capsys):
    state = torch.load(begun / "state.pt", weights_only=True)
    (begun / "state.before.pt").unlink(missing_ok=True)
    renamed = {name.replace("conv6", "conv9"): tensor for name, tensor in state["model"].items()}
    for change in (dict(model=renamed), dict(progress=state["progress"] | dict(extra=1))):
        torch.save(state | change, begun / "state.pt")
        assert goes_on(begun, "2") == 2
        said = capsys.readouterr().err
        assert "holds a run of another version" in said and "--overwrite" in said


def test_best_weights_that_are_gone_are_told(begun, capsys):
    (begun / "best.safetensors").unlink()
    for epochs in ("1", "2"):
        assert goes_on(begun, epochs) == 2
        said = capsys.readouterr().err
        assert "best.safetensors: the best weights of this run are gone" in said and "--overwrite" in said


@pytest.mark.parametrize("file", ["state", "best"])
def test_a_full_disk_is_told_and_the_run_goes_on(begun, monkeypatch, capsys, file):
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name.startswith(f".{file}."):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr("segmentation.training.loop.is_best", lambda history: True)
        assert goes_on(begun, "2") == 2
    assert "make room, and the same command goes on from here" in capsys.readouterr().err
    assert goes_on(begun, "2") == 0
    assert len(pd.read_csv(begun / "history.csv")) == 2


def test_more_processes_than_gpus_is_a_line(monkeypatch):
    demand_gpus(2, 2)
    with pytest.raises(UserError, match="3 processes for 2 GPUs.*--nproc-per-node 2"):
        demand_gpus(3, 2)
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        demand_gpus(3, 2)


# ---- what a training starts from ----


def test_the_published_recipe_starts_from_imagenet():
    assert Recipe().warm_start == "imagenet"


def test_without_a_network_lite0_takes_imagenets_place(monkeypatch, capsys):
    def offline(name: str) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(EfficientNet, "from_pretrained", offline)
    model, recipe = start(Recipe())
    assert recipe.warm_start == "lite0"
    assert "could not be downloaded (no route to host): EfficientNet-Lite0's" in capsys.readouterr().err
    wanted, _ = start(Recipe(warm_start="lite0"))
    assert torch.equal(model.encoder._conv_stem.weight, wanted.encoder._conv_stem.weight)
    with pytest.raises(WeightsError, match="efficientnet-b2 could not be downloaded .*; try again with a network"):
        start(Recipe(encoder="efficientnet-b2"))


def test_a_start_from_imagenet_has_its_encoder(monkeypatch, capsys):
    whole = EfficientNet.from_name("efficientnet-b1")
    monkeypatch.setattr(EfficientNet, "from_pretrained", lambda name: print("Loaded") or whole)
    model, recipe = start(Recipe(encoder="efficientnet-b1"))
    assert recipe.warm_start == "imagenet" and model.encoder_name == "efficientnet-b1"
    assert torch.equal(model.encoder._blocks[-1]._bn2.weight, whole._blocks[-1]._bn2.weight)
    assert capsys.readouterr().out == ""


def test_a_start_from_a_student_keeps_its_encoder(tmp_path):
    weights = tmp_path / "wide.safetensors"
    save_weights(EffiSegNet("efficientnet-b1", "bilinear"), weights)
    model, _ = start(Recipe(warm_start=str(weights)))
    assert model.encoder_name == "efficientnet-b1" and model.upsampling == "bilinear"
    with pytest.raises(WeightsError, match="wide.safetensors: its efficientnet-b1 cannot become .*b0.* more"):
        start(Recipe(warm_start=str(weights), encoder="efficientnet-b0"))


def test_a_wider_encoder_begins_with_what_a_narrower_one_knows(tmp_path):
    weights = tmp_path / "narrow.safetensors"
    save_weights(EffiSegNet("efficientnet-b0", "bilinear"), weights)
    wide, _ = start(Recipe(warm_start=str(weights), encoder="efficientnet-b2"))
    assert wide.encoder_name == "efficientnet-b2" and wide.upsampling == "bilinear"
    x = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        wanted, found = load_student(weights)(x), wide.eval()(x)
    assert torch.allclose(found, wanted, rtol=0, atol=0.01 * wanted.std().item())
    wide.train()(x).mean().backward()
    grown = wide.encoder._blocks[-1]._project_conv.weight
    assert grown.grad.abs().max() > 0 or wide.conv5.weight.grad[:, 320:].abs().max() > 0, "what is new can learn"


def test_a_warm_start_that_holds_no_numbers_is_named(tmp_path):
    model = EffiSegNet()
    model.conv6.weight.data[0, 3] = torch.nan
    save_weights(model, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match="no numbers.*conv6.weight"):
        start(Recipe(warm_start=str(tmp_path / "nan.safetensors")))
