"""Labelling: pictures in, labels and labels.csv out, whatever is broken, stopped or doubled."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import ExifTags, Image

from common.batch.local import run_here
from common.batch.table import BatchError
from common.weights import WeightsError, sha256
from segmentation import run_segmentation
from segmentation.dataset.pairs import find_pairs
from segmentation.finding.predictor import Answers, Predictor
from segmentation.labelling import face_crop, teachers
from segmentation.labelling.flat_folder import write_flat_folder
from segmentation.labelling.stage import Batches, Label
from segmentation.labelling.teachers import Teacher, resize_as_published
from segmentation.networks.registry import NETWORKS, save_weights
from tests.tools.heads import head_of
from tests.tools.official_checkpoint import GOLDEN
from tests.tools.scripts import run_script

SCRIPT = Path(__file__).resolve().parents[1] / "segmentation" / "run_segmentation.py"
WEIGHTS = Path("weights.safetensors")  # of a made teacher, which has none
# one thread a process leaves the others some of the machine


@pytest.fixture
def calls():
    return []


@pytest.fixture
def teacher(calls):
    """Takes red for hair, and notes how many pictures it was asked about at a time."""

    def find_hair(rgb):
        calls.append(len(rgb))
        return (rgb[..., 0] / 255).astype(np.float32)

    return made_teacher("red", find_hair)


def made_teacher(name, find_hair, weights="w1", precision="float32"):
    return Teacher(name, weights, precision, resize_as_published, lambda *_: find_hair, WEIGHTS)


def label_pictures(inputs, output, teacher, overwrite=False, **settings):
    return run_here(Label(teacher=teacher, weights=teacher.path, **settings), inputs, output, overwrite=overwrite)


def picture(path, size=(60, 40), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def rows(output):
    return pd.read_csv(output / "labels.csv", keep_default_na=False, dtype=str).set_index("image")


def red(path):
    return resize_as_published(np.asarray(Image.open(path).convert("RGB")))[..., 0]


# ---- what is written ----


def test_a_label_and_a_row_for_each_picture(tmp_path, teacher):
    first = picture(tmp_path / "in/a.png")
    second = picture(tmp_path / "in/deep/er/b.jpg", (300, 500), seed=1)
    output = tmp_path / "out"
    tally = label_pictures([tmp_path / "in"], output, teacher)
    assert (tally.done, tally.skipped, tally.failed) == (2, 0, 0)
    for path, label in ((first, "a.png"), (second, "deep/er/b.png")):
        with Image.open(output / label) as image:
            assert (image.size, image.mode) == ((224, 224), "L")
            assert np.array_equal(image, red(path))
    table = rows(output)
    assert list(table.columns) == [
        "label",
        "width",
        "height",
        "hair_share",
        "teacher",
        "precision",
        "weights",
        "source",
        "result_bytes",
        "note",
        "status",
        "error",
    ]
    row = table.loc["../in/deep/er/b.jpg"]
    assert (row.label, row.width, row.height, row.teacher, row.status, row.error) == (
        "deep/er/b.png",
        "300",
        "500",
        "red",
        "ok",
        "",
    )
    assert float(row.hair_share) == pytest.approx(red(second).mean() / 255, abs=1e-4)


def test_the_resizing_is_torchvisions_on_a_pillow_picture():
    from torchvision.transforms import InterpolationMode, Resize

    rgb = np.random.default_rng(0).integers(0, 256, (400, 310, 3), dtype=np.uint8)
    published = Resize((224, 224), interpolation=InterpolationMode.BICUBIC)(Image.fromarray(rgb))
    assert np.array_equal(resize_as_published(rgb), published)


def test_the_student_reads_what_is_written(tmp_path, teacher):
    from segmentation.dataset.pairs import find_pairs

    picture(tmp_path / "in/a.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    (pair,), _ = find_pairs(tmp_path / "out")
    assert pair.image.samefile(tmp_path / "in/a.png") and pair.label.samefile(tmp_path / "out/a.png")


# ---- bad pictures, second starts, one name twice ----


def test_bad_pictures_fail_alone(tmp_path, teacher, capfd):
    good = picture(tmp_path / "in/good.png", (200, 200))
    (tmp_path / "in/text.jpg").write_text("no picture")
    (tmp_path / "in/cut.png").write_bytes(good.read_bytes()[:300])
    picture(tmp_path / "in/huge.png", (300, 300))
    tally = label_pictures([tmp_path / "in"], tmp_path / "out", teacher, max_pixels=250 * 250)
    assert (tally.done, tally.failed, tally.exit_code) == (1, 3, 1)
    table = rows(tmp_path / "out")
    assert dict(table.status) == {
        "../in/good.png": "ok",
        "../in/text.jpg": "failed",
        "../in/cut.png": "failed",
        "../in/huge.png": "failed",
    }
    complaints = capfd.readouterr().err.splitlines()
    assert len(complaints) == 3
    for name in ("text.jpg", "cut.png", "huge.png"):
        assert name in table.error[f"../in/{name}"]
        assert sum(name in line for line in complaints) == 1
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["good.png"]


def damage(path, size=(200, 200)):
    """A JPEG with other bytes near its end."""
    data = bytearray(picture(path, size).read_bytes())
    data[-150:-90] = bytes(range(60))
    path.write_bytes(data)


def test_a_damaged_picture_is_labelled_and_told(tmp_path, teacher, capfd):
    damage(tmp_path / "in/a.jpg")
    picture(tmp_path / "in/b.jpg", seed=1)
    tally = label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    table = rows(tmp_path / "out")
    assert set(table.status) == {"ok"} and tally.exit_code == 1
    assert table.note["../in/a.jpg"].startswith("damaged: ") and table.note["../in/b.jpg"] == ""
    assert capfd.readouterr().err.startswith("../in/a.jpg: damaged: ")


def test_strange_names_come_back_from_the_table(tmp_path, teacher):
    names = ["new\nline", os.fsdecode(b"caf\xe9"), "\x1b[31m", "=cmd()", "back\\x0a"]
    for name in names:
        picture(tmp_path / f"in/{name}.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    pairs, problems = find_pairs(tmp_path / "out")
    assert {pair.name for pair in pairs} == set(names) and problems == []


def test_a_second_start_does_what_is_left(tmp_path, teacher, calls):
    for index in range(3):
        picture(tmp_path / f"in/{index}.png", seed=index)
    (tmp_path / "in/3.png").write_text("no picture yet")
    output = tmp_path / "out"
    label_pictures([tmp_path / "in"], output, teacher)
    assert rows(output).status["../in/3.png"] == "failed"

    calls.clear()
    picture(tmp_path / "in/3.png", seed=3)
    (output / "1.png").unlink()
    tally = label_pictures([tmp_path / "in"], output, teacher)
    assert (tally.done, tally.skipped, sum(calls)) == (2, 2, 2)
    assert list(rows(output).status) == ["ok"] * 4

    calls.clear()
    assert label_pictures([tmp_path / "in"], output, teacher).skipped == 4
    assert not calls
    assert label_pictures([tmp_path / "in"], output, teacher, overwrite=True).done == 4
    assert len(rows(output)) == 4


@pytest.mark.parametrize("other", [dict(name="blue"), dict(weights="w2"), dict(precision="bfloat16")])
def test_labels_of_another_teacher_weights_or_precision_are_made_anew(tmp_path, teacher, calls, capfd, other):
    picture(tmp_path / "in/a.png")
    first = made_teacher(**dict(name="red", find_hair=teacher.load(None, "cpu", "float32")) | other)
    label_pictures([tmp_path / "in"], tmp_path / "out", first)
    calls.clear()
    assert label_pictures([tmp_path / "in"], tmp_path / "out", teacher).done == 1 and calls == [1]
    assert "1 of these were done before, and are done again" in capfd.readouterr().err
    row = rows(tmp_path / "out").iloc[0]
    assert (row.teacher, row.weights, row.precision) == ("red", "w1", "float32")


def test_another_picture_under_the_same_name_is_labelled(tmp_path, teacher):
    picture(tmp_path / "in/a.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    path = picture(tmp_path / "in/a.png", seed=1)
    assert label_pictures([tmp_path / "in"], tmp_path / "out", teacher).done == 1
    assert np.array_equal(Image.open(tmp_path / "out/a.png"), red(path))


def test_the_teacher_is_not_even_loaded_where_all_is_done(tmp_path, teacher):
    picture(tmp_path / "in/a.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)

    def fail(*_):
        raise AssertionError

    again = Teacher("red", "w1", "float32", teacher.see, fail, WEIGHTS)
    assert label_pictures([tmp_path / "in"], tmp_path / "out", again).skipped == 1


def test_one_name_twice_gives_two_labels(tmp_path, teacher):
    one, two = picture(tmp_path / "one/a.png"), picture(tmp_path / "two/a.png", seed=1)
    label_pictures([one, two], tmp_path / "together", teacher)
    label_pictures([one], tmp_path / "apart", teacher)
    label_pictures([two], tmp_path / "apart", teacher)
    label_pictures([one, two], tmp_path / "apart", teacher, overwrite=True)  # the names stay
    for output in (tmp_path / "together", tmp_path / "apart"):
        table = rows(output)
        assert len(set(table.label)) == 2
        for path in (one, two):
            assert np.array_equal(Image.open(output / table.label[f"../{path.parent.name}/a.png"]), red(path))


def test_a_killed_run_goes_on_where_it_was(tmp_path, teacher):
    for index in range(12):
        picture(tmp_path / f"in/{index:02}.png", seed=index)
    program = f"""
import sys, time
sys.path.insert(0, {str(SCRIPT.parents[1])!r})
import numpy as np
from pathlib import Path
from common.batch.local import run_here
from segmentation.labelling.stage import Label
from segmentation.labelling.teachers import Teacher, resize_as_published
turns = iter([0, 0, 0, 600])  # three batches, then it hangs until it is killed
def slow(rgb):
    time.sleep(next(turns))
    return (rgb[..., 0] / 255).astype(np.float32)
teacher = Teacher("red", "w1", "float32", resize_as_published, lambda *_: slow, Path("weights"))
label = Label(teacher=teacher, weights=teacher.path, batch_size=2)
run_here(label, [{str(tmp_path / "in")!r}], Path({str(tmp_path / "out")!r}))
"""
    run = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 300
    written = tmp_path / "out" / "labels.csv"

    def is_under_way() -> bool:
        labels = len(list((tmp_path / "out").glob("[0-9]*.png")))
        return labels >= 3 and written.is_file() and written.read_bytes().count(b"\n") > 1  # a row follows its label

    while not is_under_way() and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = list((tmp_path / "out").glob("[0-9]*.png"))
    assert 3 <= len(done) <= 6
    for label in done:
        assert np.array_equal(Image.open(label), red(tmp_path / "in" / label.name))

    (tmp_path / "out" / ".p07.1-00112233.part.png").touch()  # if it was not killed within a file's writing
    tally = label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    assert tally.done + tally.skipped == 12 and tally.skipped > 0
    table = rows(tmp_path / "out")
    assert len(table) == 12 and table.index.is_unique and set(table.status) == {"ok"}
    assert not list((tmp_path / "out").glob(".*.part*"))
    for label in table.label:
        assert np.array_equal(Image.open(tmp_path / "out" / label), red(tmp_path / "in" / label))


# ---- batches ----


def test_batches_are_filled_and_answers_find_their_questions():
    sizes = []

    def run(items):
        while not sizes and len(batches.waiting) < 20 - len(items):  # the first waits until all have asked
            time.sleep(0.001)
        sizes.append(len(items))
        return items * 10

    batches = Batches(run, 4)
    answers = {}
    threads = [threading.Thread(target=lambda i=i: answers.update({i: batches(np.array(i))})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: 10 * i for i in range(20)}
    assert sum(sizes) == 20 and max(sizes) == 4


def test_a_batch_that_fails_ends_nothing_else(tmp_path, capfd):
    for index in range(6):
        picture(tmp_path / f"in/{index}.png", seed=index)
    turns = iter([RuntimeError("out of memory")])

    def find_hair(rgb):
        for error in turns:
            raise error
        return np.zeros(rgb.shape[:3], np.float32)

    teacher = made_teacher("t", find_hair)
    tally = label_pictures([tmp_path / "in"], tmp_path / "out", teacher, batch_size=2)
    assert 1 <= tally.failed <= 2 and tally.done == 6 - tally.failed
    assert "out of memory" in capfd.readouterr().err


# ---- the face alone ----


def test_the_margin_is_the_published_demos():
    assert face_crop.with_margin(np.array([100.0, 200.0, 200.0, 320.0]), 1000, 1000) == (75, 170, 225, 350)
    assert face_crop.with_margin(np.array([-5.0, 10.0, 395.6, 300.2]), 400, 310) == (0, 0, 400, 310)


def test_a_crops_label_comes_back_to_its_place():
    hair = np.random.default_rng(0).random((224, 224), np.float32)
    assert np.array_equal(face_crop.into_frame(hair, (0, 0, 77, 99), 77, 99), hair)

    frame = face_crop.into_frame(hair, (100, 50, 200, 150), 400, 200)  # a quarter of the width, half of the height
    assert frame.shape == (224, 224) and frame.dtype == np.float32
    assert np.allclose(frame[56:168, 56:112], hair.reshape(112, 2, 56, 4).mean((1, 3)), atol=1e-6)
    outside = np.ones((224, 224), bool)
    outside[56:168, 56:112] = False
    assert not frame[outside].any()

    ones = face_crop.into_frame(np.ones((224, 224), np.float32), (31, 17, 102, 96), 130, 120)  # not on cells' borders
    assert ones.sum() / 224**2 == pytest.approx(71 * 79 / (130 * 120), rel=1e-5) and ones.max() <= 1 + 1e-6


def test_only_the_face_is_labelled_and_no_face_is_said(tmp_path, teacher):
    Image.new("RGB", (200, 100), (255, 0, 0)).save(tmp_path / "face.png")
    Image.new("RGB", (100, 100), (255, 0, 0)).save(tmp_path / "none.png")
    output = tmp_path / "out"
    find_face = {(100, 200): (100, 0, 200, 50), (100, 100): None}
    crop = dict(face_finder=lambda: lambda rgb: find_face[rgb.shape[:2]])
    tally = label_pictures([tmp_path / "face.png", tmp_path / "none.png"], output, teacher, **crop)
    assert tally.exit_code == 0
    label = np.asarray(Image.open(output / "face.png"))
    assert (label[:112, 112:] == 255).all() and label.mean() == pytest.approx(255 / 4)
    table = rows(output)
    assert table.status["../none.png"] == "no face" and table.label["../none.png"] == ""
    assert set(table.teacher) == {"red, face crop"}
    assert not (output / "none.png").exists()
    assert label_pictures([tmp_path / "none.png"], output, teacher, **crop).skipped == 1
    assert label_pictures([tmp_path / "none.png"], output, teacher).done == 1  # the whole picture has an answer


def test_without_the_detectors_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(BatchError, match="pip install --no-deps facenet-pytorch"):
        face_crop.face_finder()


def test_mtcnn_takes_pictures_of_any_size():
    pytest.importorskip("facenet_pytorch")
    find_face = face_crop.face_finder()
    for height, width in ((5, 3), (40, 2000), (3000, 2000)):
        assert find_face(np.full((height, width, 3), 128, np.uint8)) is None


# ---- the weights ----


def test_weights_are_fetched_checked_and_then_kept(tmp_path, monkeypatch):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/model.pt").write_bytes(b"weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path / "hub"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/model.pt"
    place = tmp_path / "models/facexformer.pt"
    monkeypatch.setattr(teachers, "WEIGHTS", place)
    monkeypatch.setattr(teachers, "ADDRESS", address)
    with pytest.raises(WeightsError, match="SHA-256"):  # not the published file
        teachers.fetch_facexformer()
    assert not place.exists()
    monkeypatch.setattr(teachers, "SUM", sha256(tmp_path / "hub/model.pt"))
    teachers.fetch_facexformer()
    server.shutdown()
    server.server_close()
    teachers.fetch_facexformer()
    assert place.read_bytes() == b"weights"


def test_where_fetching_fails_one_message_says_all(tmp_path, monkeypatch, capfd):
    address = "http://127.0.0.1:9/model.pt"
    for module in (teachers, run_segmentation):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path / "facexformer.pt")
    monkeypatch.setattr(teachers, "ADDRESS", address)
    picture(tmp_path / "a.png")
    assert run_segmentation.main([str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    for part in (address, str(tmp_path / "facexformer.pt"), "--teacher student"):
        assert part in message


def test_the_address_is_pinned():
    assert "/resolve/main/" not in teachers.ADDRESS and len(teachers.SUM) == 64


@pytest.mark.parametrize("sound", ["float32", None])
def test_what_half_precision_cannot_hold_is_done_in_float32(sound, monkeypatch):
    asked = []

    class Network:
        def to(self, place):
            return self

        def hair(self, rgb, precision):
            asked.append((len(rgb), str(precision)))
            return torch.full(rgb.shape[:3], 0.5 if sound and sound in str(precision) else float("nan"))

    monkeypatch.setattr(teachers, "load_facexformer", lambda weights: Network())
    if not sound:
        with pytest.raises(WeightsError, match="w.pt: these weights give values that are not numbers"):
            teachers.ready_facexformer(Path("w.pt"), "cpu", "float16")
        return
    find_hair = teachers.ready_facexformer(Path("w.pt"), "cpu", "float16")
    asked.clear()
    assert (find_hair(np.zeros((6, 224, 224, 3), np.uint8)) == 0.5).all()
    assert asked == [(n, f"torch.{precision}") for precision in ("float16", "float32") for n in (4, 2)]


# ---- students as one teacher ----


class Ramp(torch.nn.Module):
    """A student that is surer of hair the farther to the right it looks, from a lowest logit on."""

    side, metadata = 224, {"network": "ramp"}

    def __init__(self, lowest: float = 0.0) -> None:
        super().__init__()
        self.lowest = torch.nn.Parameter(torch.tensor([lowest]))

    @classmethod
    def of(cls, said: dict[str, str]) -> "Ramp":
        return cls()

    own_names = staticmethod(dict)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lowest + torch.linspace(0, 2, x.shape[-1]).expand(len(x), 1, *x.shape[-2:])


@pytest.fixture
def two_students(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.setitem(NETWORKS, "ramp", Ramp)
    for name, lowest in (("first", -2.0), ("second", 0.0)):
        save_weights(Ramp(lowest), tmp_path / f"{name}.safetensors")
    return [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]


def test_several_students_are_one_teacher(two_students):
    ensemble = teachers.students(two_students, ["mirror", "scales"])
    assert ensemble.name == "students first+second, mirror, scales" and not ensemble.is_whole
    assert ensemble.weights == "+".join(map(teachers.short_hash, two_students))
    seen = ensemble.see(np.zeros((300, 500, 3), np.uint8))
    hair = ensemble.load(None, "cpu", "")(np.stack([seen] * 2))
    assert seen.shape == (288, 288, 3) and hair.shape == (2, 224, 224)
    across = torch.linspace(0, 2, 224)
    one_way = ((across - 2).sigmoid() + across.sigmoid()) / 2
    assert np.allclose(hair[1, 7], (one_way + one_way.flip(0)) / 2, atol=0.01), "turned back before the mean is taken"
    plain = teachers.students(two_students).load(None, "cpu", "")(seen[None])
    assert np.allclose(plain[0, 0], one_way, atol=0.01)


def test_a_student_that_gives_no_numbers_is_no_teacher(two_students, monkeypatch):
    monkeypatch.setattr(Ramp, "forward", lambda self, x: x[:, :1] * torch.nan)
    with pytest.raises(WeightsError, match="values that are not numbers"):
        teachers.students(two_students).load(None, "cpu", "")


def test_students_label_by_the_script(two_students, tmp_path, capfd):
    picture(tmp_path / "a.png")
    more = [word for weights in two_students for word in ("--teacher", str(weights))]
    where = [str(tmp_path / "a.png"), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert run_segmentation.main([*where, *more, "--mirror"]) == 0
    assert list(rows(tmp_path / "out").teacher) == ["students first+second, mirror"]
    assert "NOT THE TEACHER" not in capfd.readouterr().err
    for words, said in (
        (["--mirror"], "--mirror is for students"),
        (["--teacher", "nobody"], "--teacher nobody: is not"),
        ([*more, "--cluster"], "--cluster takes one teacher's weights"),
    ):
        assert run_segmentation.main([*where, *words]) == 2
        assert said in capfd.readouterr().err


# ---- the published flat folder ----


def test_the_published_layout_is_what_the_published_programs_read(tmp_path, teacher):
    """Turned pictures are upright in it, numbers stay when others come, and the student reads the pairs."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(tmp_path / "in" / "b.png")
    Image.new("RGB", (30, 20), (200, 0, 0)).save(tmp_path / "in" / "turned.jpg", exif=exif)
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    flat = tmp_path / "out" / "published"
    assert write_flat_folder(tmp_path / "out", flat) == (2, 0)
    names = {"face_000001.png", "parsing_hair_label_000001.png", "face_000002.png", "parsing_hair_label_000002.png"}
    assert {path.name for path in flat.iterdir()} == names | {".numbers.csv"}
    assert head_of(flat / "face_000002.png").size == (20, 30)
    label = (tmp_path / "out" / "b.png").read_bytes()
    assert (flat / "parsing_hair_label_000001.png").read_bytes() == label
    assert [pair.name for pair in find_pairs(flat)[0]] == ["000001", "000002"]
    picture(tmp_path / "in" / "a.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    before = (flat / "face_000001.png").stat().st_mtime_ns
    assert write_flat_folder(tmp_path / "out", flat) == (3, 0)
    assert (flat / "face_000001.png").stat().st_mtime_ns == before
    assert (flat / "parsing_hair_label_000001.png").read_bytes() == label
    assert (flat / "face_000003.png").is_file()


def test_what_has_gone_since_is_not_among_the_published_pairs(tmp_path, teacher, capfd):
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / "in" / f"{name}.png")
    label_pictures([tmp_path / "in"], tmp_path / "out", teacher)
    (tmp_path / "in" / "a.png").unlink()
    (tmp_path / "out" / "b.png").unlink()
    (tmp_path / "in" / "c.png").write_bytes(b"broken")
    flat = tmp_path / "out" / "published"
    assert write_flat_folder(tmp_path / "out", flat) == (1, 3)
    assert [path.name for path in sorted(flat.glob("face*"))] == ["face_000004.png"]
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 3 and all(line.endswith("; it is not among the published pairs") for line in said)


# ---- the script ----


def test_the_golden_label_from_another_directory(tmp_path, official):
    golden = np.load(GOLDEN / "golden-shared-1.npz")
    (tmp_path / "in").mkdir()
    Image.fromarray(golden["rgb"]).save(tmp_path / "in/golden.png")
    run = run_script(run_segmentation.main, "in", "--output", "out", "--weights", official, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    label = np.asarray(Image.open(tmp_path / "out/golden.png")).astype(int)
    assert np.abs(label - np.rint(golden["facexformer_hair"] * 255)).max() <= 1
    last = run.stdout.splitlines()[-1]
    assert last.startswith("out: 1 pictures done by facexformer,") and "ms each" in last and "labels.csv" in last
    assert run.stderr == ""  # quiet off a terminal


def test_the_student_in_its_place_is_said_loudly(tmp_path, monkeypatch, capfd):
    class Finder:
        def __init__(self, weights, device):
            self.student = Predictor(lambda rgb: Answers(np.full(rgb.shape[:3], 0.5, np.float32)))

    monkeypatch.setattr("segmentation.finding.hair_finder.HairFinder", Finder)
    picture(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.png"), "--output", str(tmp_path / "out"), "--teacher", "student"]
    assert run_segmentation.main(arguments) == 0
    assert "NOT THE TEACHER" in capfd.readouterr().err
    assert list(rows(tmp_path / "out").teacher) == ["student"]


def test_without_pictures_to_label_it_says_where_they_go(tmp_path, monkeypatch, capfd):
    for_pictures = tmp_path / "data/faces"
    monkeypatch.setattr(run_segmentation, "FACES", for_pictures)
    assert run_segmentation.main(["--output", str(tmp_path / "out")]) == 2
    assert f"{for_pictures}: there is no such folder" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["not-there"], "not-there: there is no such file or folder"),
        (["empty"], "no pictures in this folder"),
        (["a.png", "--weights", "none.pt"], "none.pt: there is no such weights file"),
        (["a.png", "--device", "quantum"], "is not a device"),
    ],
)
def test_where_nothing_can_be_done_one_line_says_why(arguments, complaint, tmp_path, monkeypatch, capfd):
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_segmentation, "facexformer", partial(facexformer_or_stub, complaint))
    assert run_segmentation.main([*arguments, "--output", "out"]) == 2
    assert complaint in capfd.readouterr().err.splitlines()[-1]


def facexformer_or_stub(complaint, *arguments):
    """The real one where it is what complains; loading it is too much where the pictures are at fault."""
    if "folder" in complaint:
        return made_teacher("t", lambda rgb: rgb[..., 0] / 255)
    return teachers.facexformer(*arguments)


def test_the_precision_is_settled_where_the_work_is(monkeypatch):
    """A machine without a GPU starts a job for machines with one."""
    teacher = made_teacher("red", None, precision="auto")
    assert Label(teacher=teacher, weights=WEIGHTS).here("cpu").teacher.precision == "float32"
    monkeypatch.setattr(teachers, "choose_device", torch.device)
    assert Label(teacher=teacher, weights=WEIGHTS).here("cuda").teacher.precision == "float16"
    assert (
        Label(teacher=made_teacher("red", None, precision="bfloat16"), weights=WEIGHTS).here("cuda").teacher.precision
        == "bfloat16"
    )


# ---- the teacher's weights as they lie ----


def test_a_checkpoint_put_there_by_hand_is_checked_once(tmp_path, monkeypatch):
    place = tmp_path / "facexformer.pt"
    monkeypatch.setattr(teachers, "WEIGHTS", place)
    place.write_bytes(b"cut short")
    with pytest.raises(WeightsError, match="is not the official checkpoint"):
        teachers.fetch_facexformer()
    monkeypatch.setattr(teachers, "SUM", sha256(place))
    teachers.fetch_facexformer()
    monkeypatch.setattr(teachers, "sha256", lambda path: pytest.fail("it is read again"))
    teachers.fetch_facexformer()
    place.write_bytes(b"changed since")
    monkeypatch.undo()
    monkeypatch.setattr(teachers, "WEIGHTS", place)
    with pytest.raises(WeightsError, match="is not the official checkpoint"):
        teachers.fetch_facexformer()


def test_the_checkpoint_is_fetched_however_its_place_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "WEIGHTS", tmp_path / "models" / "facexformer.pt")
    monkeypatch.setattr(teachers, "fetch_facexformer", lambda: pytest.fail("fetched"))
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pytest.fail.Exception, match="fetched"):
        teachers.facexformer(Path("models/../models/facexformer.pt"))


def test_weights_that_give_no_numbers_end_the_run_before_the_first_picture(tmp_path, monkeypatch):
    class Nan:
        def to(self, place):
            return self

        def hair(self, x, dtype):
            return torch.full(x.shape[:3], float("nan"))

    monkeypatch.setattr(teachers, "load_facexformer", lambda weights: Nan())
    with pytest.raises(WeightsError, match="not numbers"):
        teachers.ready_facexformer(tmp_path / "bad.pt", "cpu", "float32")
