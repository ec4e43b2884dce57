"""The scout: what it takes from the student, what its training leaves alone, its engine, and what it saves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from common.image.picture import read_picture
from common.weights import WeightsError
from segmentation.finding.engines import torch_engine
from segmentation.finding.hair_finder import SCOUT, SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.effisegnet import EffiSegNet
from segmentation.networks.registry import load_network, load_student, save_weights
from segmentation.networks.resize import SCOUT_SIZE
from segmentation.networks.scout import Scout, start_from_student


@pytest.fixture(scope="module")
def started() -> Scout:
    return start_from_student(load_student(SHIPPED_WEIGHTS)).eval()


def test_it_sees_as_the_student_does_to_begin_with(started):
    known, own = load_student(SHIPPED_WEIGHTS).encoder.state_dict(), started.encoder.state_dict()
    assert len(own) < len(known) and all(torch.equal(known[name], tensor) for name, tensor in own.items())
    with torch.inference_mode():
        assert started(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 64, 96)


def test_a_step_of_training_leaves_the_first_blocks_alone(started):
    scout = start_from_student(load_student(SHIPPED_WEIGHTS)).train()
    optimizer = torch.optim.AdamW(scout.parameters(), lr=1e-2)
    scout(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).square().mean().backward()
    optimizer.step()
    before = started.state_dict()
    changed = {name for name, tensor in scout.state_dict().items() if not torch.equal(tensor, before[name])}
    first = ("encoder._conv_stem", "encoder._bn0", "encoder._blocks.0.", "encoder._blocks.1.", "encoder._blocks.2.")
    assert changed and not any(name.startswith(first) for name in changed)
    assert any(name.startswith("encoder._blocks.3.") for name in changed)


def test_its_weights_are_told_from_a_students(started, tmp_path):
    save_weights(started, tmp_path / "scout.safetensors")
    assert isinstance(load_network(tmp_path / "scout.safetensors"), Scout)
    assert isinstance(load_network(SHIPPED_WEIGHTS), EffiSegNet)
    with pytest.raises(WeightsError, match="scout.safetensors"):
        load_student(tmp_path / "scout.safetensors")


def test_the_processors_engine_agrees_with_pytorch():
    rgb = np.random.default_rng(0).integers(0, 256, (1, SCOUT_SIZE, SCOUT_SIZE, 3), dtype=np.uint8)
    found = HairFinder(device="cpu", precision="float32").search.scout.engine(rgb)[0]
    assert np.abs(found - torch_engine(SCOUT, "cpu")(rgb)[0]).max() < 1e-4


def test_a_scene_takes_few_looks_with_it_and_many_without(scene_of_a_head):
    assert 2 * looks_at(scene_of_a_head, SCOUT) < looks_at(scene_of_a_head, None)


def looks_at(rgb: np.ndarray, scout: Path | None) -> int:
    """How often the student looks."""
    finder, looks = HairFinder(device="cpu", scout=scout), []
    engine = finder.student.engine
    finder.student.engine = lambda pictures: (looks.extend(pictures), engine(pictures))[1]
    finder.mask(rgb)
    return len(looks)


@pytest.fixture
def scene_of_a_head() -> np.ndarray:
    portrait = read_picture(Path(__file__).resolve().parents[1] / "data" / "samples" / "astronaut.jpg").rgb8
    scene = np.full((900, 1600, 3), (150, 170, 190), np.uint8)
    scene[200:430, 900:1130] = portrait[:230, 100:330]
    return scene


def test_a_missing_scout_is_named_before_any_picture(tmp_path):
    with pytest.raises(WeightsError, match="nowhere.safetensors.*models/README.md"):
        HairFinder(device="cpu", scout=tmp_path / "nowhere.safetensors")
