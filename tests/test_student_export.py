"""What goes to strangers: a student in other programs' forms, the seed project's own among them, and its card."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import ExifTags, Image
from torch import nn

from common.weights import short_hash
from segmentation import run_seg_model_ohlora_v4 as script
from segmentation.finding import formats
from segmentation.finding.engines import torch_engine
from segmentation.finding.formats import ExportError, Form, demand_alike, probes, write_forms, write_onnx
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS
from segmentation.finding.published import OTHERWISE, published_state, write_published
from segmentation.networks.cost import time_in_turn
from segmentation.networks.effisegnet import EffiSegNet, HairProbability
from segmentation.networks.registry import NETWORKS, load_student, save_weights
from segmentation.networks.resize import squash, to_mask
from segmentation.training.card import write_card
from segmentation.training.manifest import write_manifest
from tests.tools.dot import Dot

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "golden-shared-1.npz"))


@pytest.fixture(scope="module")
def exported(published, made_once) -> Path:
    """The published student in all forms."""
    pytest.importorskip("onnx")

    def export(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            here = lambda package: None if "lite" in package or "core" in package else True  # noqa: E731
            patch.setattr(formats, "find_spec", here)
            patch.setattr(formats, "time_in_turn", lambda calls, runs: time_in_turn(calls, runs=1, warm_up=0))
            assert script.main(["export", "--weights", str(published), "--output", str(folder)]) == 0

    return made_once("exported", export)


def answer(form: Path, rgb: np.ndarray) -> np.ndarray:
    import openvino as ov

    return ov.Core().compile_model(form, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"rgb": rgb})["hair"]


def test_an_export_goes_to_this_machine(published, capsys):
    assert script.main(["export", "--weights", str(published), "--output", "s3://bucket/there"]) == 2
    assert "s3://bucket/there: is not on this machine" in capsys.readouterr().err


def test_every_form_is_there(exported, published):
    name = published.stem
    files = {f"{name}.onnx", f"{name}_1.onnx", f"{name}_float16.onnx", f"{name}.xml", f"{name}.bin", f"{name}.pth"}
    assert {path.name for path in exported.iterdir()} == files | {"hair_scout.onnx", f"{name}.md"}


@pytest.mark.parametrize(("end", "near"), [(".onnx", 1e-4), ("_float16.onnx", 0.05), (".xml", 1e-4)])
def test_forms_answer_like_the_original(exported, published, golden, end, near):
    hair = answer(exported / f"{published.stem}{end}", np.stack([golden["rgb"]] * 2))
    assert hair.shape == (2, 224, 224) and np.abs(hair - golden["ohlora_hair"]).max() < near


def test_a_form_of_a_fixed_batch(exported, published, golden):
    import onnx

    form = exported / f"{published.stem}_1.onnx"
    sides = onnx.load(form).graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in sides] == [1, 224, 224, 3]
    assert np.abs(answer(form, golden["rgb"][None])[0] - golden["ohlora_hair"]).max() < 1e-4


def test_float16_is_half_as_large(exported, published):
    whole, half = ((exported / f"{published.stem}{end}").stat().st_size for end in (".onnx", "_float16.onnx"))
    assert half < 0.6 * whole


def test_the_cards_example_is_what_we_do(exported, published, golden, tmp_path, monkeypatch):
    """Run as it stands, on a photograph that a telephone has stored turned."""
    pytest.importorskip("onnxruntime")
    upright = np.asarray(Image.fromarray(golden["rgb"]).resize((500, 330)))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.rot90(upright)).save(tmp_path / "portrait.jpg", exif=exif, quality=100, subsampling=0)
    card = (exported / f"{published.stem}.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    (tmp_path / f"{published.stem}.onnx").symlink_to(exported / f"{published.stem}.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "the card's example", "exec"), {})
    found = np.asarray(Image.open("hair.png")).astype(int)
    stored = np.asarray(Image.open("portrait.jpg"))
    wanted = torch_engine(published, "cpu")(squash(np.rot90(stored, -1))[None])[0][0]
    assert found.shape == (330, 500)
    assert np.abs(found - to_mask(wanted, 330, 500)).mean() < 1.5


def test_the_seed_project_takes_what_is_trained_here(published, golden, tmp_path):
    """A strict load by names, shapes and kinds, and the same answers."""
    spec = json.loads((GOLDEN / "ohlora_v4_student_state_dict.json").read_text())
    path = tmp_path / "student.pth"
    assert write_published(load_student(published), path) == ""
    state = torch.load(path, weights_only=True)
    told = {name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")] for name, tensor in state.items()}
    assert told == spec
    hair = torch_engine(path, "cpu")(golden["rgb"][None])[0][0]
    assert np.abs(hair - golden["ohlora_hair"]).max() < 1e-4


def test_halves_become_float32_for_the_seed_project():
    state = published_state(EffiSegNet(upsampling="bilinear").half())
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}


def test_what_the_seed_project_does_not_have_is_left_out(tmp_path):
    spec = json.loads((GOLDEN / "ohlora_v4_student_state_dict.json").read_text())
    assert published_state(EffiSegNet(guide=True)).keys() == spec.keys()
    assert "is not written" in write_published(EffiSegNet("efficientnet-b1"), tmp_path / "wide.pth")
    assert not (tmp_path / "wide.pth").exists()


def test_a_bilinear_decoder_is_told_of(tmp_path):
    assert write_published(EffiSegNet(upsampling="bilinear"), tmp_path / "student.pth") == OTHERWISE


def test_a_form_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setitem(NETWORKS, "dot", Dot)
    other = HairProbability(Dot()).eval()
    monkeypatch.setattr(formats, "write_onnx", lambda network, *how: write_onnx(other, *how))
    save_weights(Dot(), tmp_path / "dot.safetensors")
    with pytest.raises(ExportError, match="answers otherwise"):
        write_forms(tmp_path / "dot.safetensors", tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


class Tiny(nn.Module):
    """Bytes in, means of their squares out, as the networks between bytes and probabilities."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_var.fill_(factor)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.norm(rgb.permute(0, 3, 1, 2).float()).mean(1)


def test_answers_that_are_no_numbers_are_refused():
    """Every weight is a number here, the answers are none."""
    network = Tiny(-1.0).eval()
    with pytest.raises(ExportError, match="no numbers, first in 'norm'"), torch.inference_mode():
        demand_alike(Form("ONNX", Path("x.onnx")), network, lambda rgb: network(torch.from_numpy(rgb)).numpy())
    network, form = Tiny(1.0).eval(), Form("ONNX", Path("x.onnx"))
    with torch.inference_mode():
        demand_alike(form, network, lambda rgb: network(torch.from_numpy(rgb)).numpy())
        assert form.difference == 0
        with pytest.raises(ExportError, match="answers otherwise"):
            demand_alike(form, network, lambda rgb: np.full((len(rgb), 224, 224), np.nan))


def test_the_first_probe_is_one_picture_with_hair():
    assert [len(rgb) for rgb in probes(64)] == [1, 3]
    hair = torch_engine(SHIPPED_WEIGHTS, "cpu")(probes(224)[0])[0]
    assert 0.1 < (hair > 0.5).mean() < 0.9


def test_what_is_not_written_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(formats, "find_spec", lambda package: None)
    assert list(formats.further_forms(nn.Identity(), 224, tmp_path / "student")) == []
    said = capsys.readouterr().err
    assert "student.tflite is not written: that needs a package, pip install litert-torch" in said
    assert "student.mlpackage is not written: that needs a package, pip install coremltools" in said


def test_a_converter_that_gives_up_does_not_end_the_export(tmp_path, monkeypatch, capsys):
    def give_up(*_: object) -> None:
        raise RuntimeError("unknown operation\nsplit")

    monkeypatch.setattr(formats, "find_spec", lambda package: True)
    monkeypatch.setattr(formats, "write_tflite", give_up)
    monkeypatch.setattr(formats, "write_coreml", lambda *_: (Form("Core ML", tmp_path), None))
    assert [form.name for form, _ in formats.further_forms(nn.Identity(), 64, tmp_path / "student")] == ["Core ML"]
    assert "student.tflite is not written: litert_torch gives up (unknown operation split)" in capsys.readouterr().err


# ---- the card ----


@pytest.fixture
def run(tmp_path) -> Path:
    """A run's weights, and what it was made of."""
    folder = tmp_path / "run"
    folder.mkdir()
    torch.manual_seed(0)
    save_weights(EffiSegNet(), folder / "best.safetensors")
    write_manifest(folder, {}, {"epochs": 3, "warm_start": "imagenet"}, {"train": [], "val": [], "test": []}, "cpu")
    return folder


def card_of(weights: Path, folder: Path) -> str:
    return write_card(weights, [Form("ONNX", weights, 1e-6, 12.34)], folder).read_text()


def note_labels(run: Path, labels: dict[str, int]) -> None:
    manifest = json.loads((run / "run.json").read_text())
    manifest["data"]["train"]["labels"] = labels
    (run / "run.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("labels", "terms"),
    [
        ({"facexformer": 7}, "FaceXFormer (its code"),
        ({"facexformer": 7, "student": 1}, "student that this project ships"),
        ({"drawn masks": 7}, "the maker has to say"),
    ],
)
def test_a_card_names_who_made_the_labels_and_the_terms(run, tmp_path, labels, terms):
    note_labels(run, labels)
    card = card_of(run / "best.safetensors", tmp_path)
    assert all(f"{count} by {who}" in card for who, count in labels.items())
    assert terms in card and "research and non-commercial use only" in card.lower()
    assert "| ONNX | `best.safetensors` |" in card and "12.3" in card and "EfficientNet-B0" in card


def test_a_card_has_these_weights_figures_alone(run, tmp_path):
    weights = run / "best.safetensors"
    (run / "test").mkdir()
    row = dict(set="all", by="one look", pictures=3, iou=0.8125, precision=np.nan)
    pd.DataFrame([row | dict(weights="sha256:another")]).to_csv(run / "test" / "metrics.csv", index=False)
    assert "0.8125" not in card_of(weights, tmp_path) and "Nobody has measured" in card_of(weights, tmp_path)
    pd.DataFrame([row | dict(weights=short_hash(weights))]).to_csv(run / "test" / "metrics.csv", index=False)
    assert "| all | one look | 3 | 0.8125 |  |" in card_of(weights, tmp_path)


def test_the_shipped_students_card(tmp_path):
    card = card_of(SHIPPED_WEIGHTS, tmp_path)
    assert "**Research and non-commercial use only.**" in card and "CelebAMask-HQ" in card
    assert "drawn masks" in card and "| figaro | 105 |" in card
