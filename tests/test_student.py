"""The student network: golden values, both checkpoint forms, the half-resolution decoder, both engines."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from common.weights import WeightsError
from segmentation.finding.engines import torch_engine
from segmentation.finding.export import exported, sums
from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.effisegnet import EffiSegNet, HairProbability, tap_channels
from segmentation.networks.registry import NETWORKS, load_network, load_student, save_weights
from tests.golden.fill import fill
from tests.tools.dot import Dot
from tests.tools.published_student import as_published

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "golden-shared-1.npz")


def test_published_checkpoint_gives_the_golden_output(published, golden):
    network = HairProbability(load_student(published))
    with torch.inference_mode():
        hair = network(torch.from_numpy(golden["rgb"])[None])[0].numpy()
    assert np.abs(hair - golden["ohlora_hair"]).max() < 1e-4


def test_own_safetensors_give_the_same_student(published, golden, tmp_path):
    student = load_student(published)
    save_file(student.state_dict(), tmp_path / "own.safetensors")
    own = load_student(tmp_path / "own.safetensors")
    assert all(torch.equal(own.state_dict()[name], tensor) for name, tensor in student.state_dict().items())


@pytest.mark.parametrize("change", ["missing", "unexpected", "misshapen"])
def test_a_wrong_tensor_is_named(published, tmp_path, change):
    state = torch.load(published, weights_only=True)
    if change == "missing":
        del state["conv3.weight"]
    elif change == "misshapen":
        state["conv3.weight"] = torch.zeros(64, 41, 3, 3)
    else:
        state["conv7.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError, match="conv7.weight" if change == "unexpected" else "conv3.weight"):
        load_student(tmp_path / "wrong.pth")


def test_half_resolution_decoder_is_the_published_one(published):
    """All branches upsampled to the input's size at once, as published, in double precision."""
    student = load_student(published).double()
    x = torch.randn(2, 3, 96, 64, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(student(x), as_published(student).double()(x), atol=1e-9)


@pytest.mark.parametrize("name", [f"efficientnet-b{number}" for number in range(8)])
def test_every_encoder_fits_the_decoder(name):
    with torch.device("meta"):
        student = EffiSegNet(name)
    assert len(tap_channels(student.encoder)) == 5


def test_weights_say_which_network_they_are_of(tmp_path):
    for made in (EffiSegNet("efficientnet-b1", "bilinear", guide=True), EffiSegNet()):
        save_weights(made, tmp_path / "own.safetensors")
        loaded = load_student(tmp_path / "own.safetensors")
        assert loaded.metadata == made.metadata and loaded.encoder_name == made.encoder_name
        assert (loaded.guide is None) == (made.guide is None)


@pytest.mark.parametrize(
    "said", [dict(network="segformer"), dict(encoder="efficientnet-b9"), dict(upsampling="cubic")], ids=str
)
def test_weights_of_a_later_version_are_told(tmp_path, said):
    save_file({"a": torch.zeros(1)}, tmp_path / "later.safetensors", said)
    with pytest.raises(WeightsError, match=f"later.safetensors: needs .*{next(iter(said.values()))}"):
        load_network(tmp_path / "later.safetensors")


def test_a_network_is_swapped_by_one_line(tmp_path, monkeypatch):
    """Saved, loaded, and asked by what exports and looks."""
    monkeypatch.setitem(NETWORKS, "dot", Dot)
    save_weights(Dot(), tmp_path / "dot.safetensors")
    assert isinstance(load_student(tmp_path / "dot.safetensors"), Dot)
    (hair,) = torch_engine(tmp_path / "dot.safetensors", "cpu")(np.zeros((1, 64, 64, 3), np.uint8))
    assert hair.shape == (1, 64, 64)


def test_what_half_precision_cannot_hold_stays_whole(tmp_path):
    large = Dot()
    large.encoder.weight.data.fill_(1e6)
    save_weights(large, tmp_path / "dot.safetensors")
    kept = load_file(tmp_path / "dot.safetensors")
    assert kept["encoder.weight"].dtype == torch.float32 and (kept["encoder.weight"] == 1e6).all()


def test_sides_that_are_no_multiples_of_32_are_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        EffiSegNet()(torch.zeros(1, 3, 100, 96))


def test_the_processors_engine_agrees_with_pytorch(published, golden, monkeypatch):
    found = HairFinder(published, "cpu", precision="float32").probability(golden["rgb"])
    assert np.abs(found - golden["ohlora_hair"]).max() < 1e-4
    assert (published.parent / ".exported").is_dir()
    monkeypatch.setattr("segmentation.finding.export.export", None)  # it is not made twice
    HairFinder(published, "cpu")


def test_threads_that_ask_at_once_get_what_one_gets(published, golden):
    finder = HairFinder(published, "cpu", streams=2)
    pictures = [golden["rgb"], golden["rgb"][::-1].copy()] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(finder.probability, pictures))
    assert all(np.abs(one - finder.probability(picture)).max() < 1e-6 for one, picture in zip(found, pictures))


def test_the_export_is_made_anew_when_the_weights_change(published, golden, tmp_path):
    first = HairFinder(published, "cpu").probability(golden["rgb"])
    weights = tmp_path / published.name
    export = exported(published).parent
    shutil.copytree(export, tmp_path / ".exported" / export.name)
    torch.save(fill(torch.load(published, weights_only=True), "another"), weights)
    second = HairFinder(weights, "cpu").probability(golden["rgb"])
    assert np.abs(first - second).mean() > 0.05


@pytest.mark.parametrize("part", ["model.xml", "model.bin", "sha256"])
@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_export_is_made_anew(tmp_path, monkeypatch, part, damage):
    made = []

    def export(weights, folder):
        made.append(folder)
        folder.mkdir()
        for name in ("model.xml", "model.bin"):
            (folder / name).write_bytes(b"a network")
        (folder / "sha256").write_text(sums(folder))

    monkeypatch.setattr("segmentation.finding.export.export", export)
    weights = tmp_path / "student.pth"
    weights.write_bytes(b"weights")
    model = exported(weights)
    assert exported(weights) == model and len(made) == 1
    if damage is None:
        (model.parent / part).unlink()
    else:
        (model.parent / part).write_bytes(damage)
    assert exported(weights) == model and len(made) == 2
    assert model.read_bytes() == b"a network" and exported(weights) == model and len(made) == 2


def test_an_export_that_fails_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "student.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="student.safetensors: cannot be read") as caught:
        exported(tmp_path / "student.safetensors")
    assert "\n" not in str(caught.value) and "memory" not in str(caught.value)
    monkeypatch.setattr("segmentation.finding.export.CONVERT", "raise MemoryError('no room')")
    with pytest.raises(WeightsError, match="cannot be prepared for this processor: MemoryError: no room; is there mem"):
        exported(tmp_path / "student.safetensors")


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match="nowhere.safetensors"):
        HairFinder(tmp_path / "nowhere.safetensors")


def test_the_gpus_engine_is_the_network_itself(published, golden):
    """On the processor, where PyTorch is the reference."""
    found = torch_engine(published, "cpu")(golden["rgb"][None])[0]
    assert np.abs(found - golden["ohlora_hair"]).max() < 1e-4


def test_a_driver_without_a_usable_gpu_means_the_processor(published, golden, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("segmentation.finding.hair_finder.torch_engine", None)  # the processor's own is chosen
    found = HairFinder(published, precision="float32").probability(golden["rgb"])
    assert np.abs(found - golden["ohlora_hair"]).max() < 1e-3
