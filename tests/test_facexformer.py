"""The teacher's network: golden values, what of its checkpoint is used, and its setting for a processor."""

from pathlib import Path

import numpy as np
import pytest
import torch

from common.weights import WeightsError
from segmentation.labelling import teachers
from segmentation.networks.facexformer import cpu
from segmentation.networks.facexformer.model import HAIR_CLASS, MEAN, OTHER_HEADS, STD, FaceXFormer
from tests.tools.official_checkpoint import GOLDEN, names, official_state


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "golden-shared-1.npz")


@pytest.fixture(scope="module")
def network(official):
    return teachers.load_facexformer(official)


@pytest.fixture(scope="module")
def logits(network, golden):
    x = torch.from_numpy(golden["rgb"]).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        return network((x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])


def test_hair_agrees_with_the_published_network(logits, golden):
    hair = logits.softmax(dim=1)[0, HAIR_CLASS].numpy()
    assert np.abs(hair - golden["facexformer_hair"]).max() < 1e-4


def test_every_class_agrees_but_at_ties(logits, golden):
    best, second = logits[0].topk(2, dim=0).values.numpy()
    tie = best - second < 1e-3  # of logits up to 600, as the last layer is filled with large weights
    wrong = logits[0].argmax(dim=0).numpy() != golden["facexformer_parsing"]
    assert not (wrong & ~tie).any()
    assert tie.mean() < 0.005
    assert len(np.unique(golden["facexformer_parsing"])) > 5


def test_hair_from_bytes_is_the_same_within_a_batch(network, logits, golden):
    batch = torch.from_numpy(np.stack([golden["rgb"][:, ::-1], golden["rgb"]]).copy())
    with torch.inference_mode():
        hair = network.hair(batch)
    assert hair.shape == (2, 224, 224) and hair.dtype == torch.float32
    assert (hair[1] - logits.softmax(dim=1)[0, HAIR_CLASS]).abs().max() < 1e-4
    assert (hair[0] - hair[1]).abs().max() > 0.1


def test_bfloat16_is_the_backbones_alone_and_close(network, golden):
    rgb = torch.from_numpy(golden["rgb"])[None]
    with torch.inference_mode():
        hair = network.hair(rgb, torch.bfloat16)
    difference = np.abs(hair[0].numpy() - golden["facexformer_hair"])
    assert hair.dtype == torch.float32
    assert 0 < difference.max() < 0.1  # with the decoder in bfloat16 too it is over 0.3 with these weights


def test_which_weights_are_passed_over():
    """The other tasks' heads, three layers with weight and bias each, and nothing else."""
    tasks = ("landmarks", "pose", "attribute", "visibility", "age", "gender", "race")
    passed_over = {name for name in names() if name.startswith(OTHER_HEADS)}
    assert passed_over == {
        f"face_decoder.{task}_prediction_head.layers.{layer}.{kind}"
        for task in tasks
        for layer in range(3)
        for kind in ("weight", "bias")
    }
    with torch.device("meta"):
        own = FaceXFormer().state_dict()
    assert set(own) == set(names()) - passed_over
    assert all(list(value.shape) == names()[name][0] for name, value in own.items())


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"face_decoder.mask_tokens.weight": None}, "missing: face_decoder.mask_tokens.weight"),
        (
            {"face_decoder.hat_prediction_head.layers.0.bias": torch.zeros(1)},
            "unexpected: face_decoder.hat_prediction_head.layers.0.bias",
        ),
        ({"linear_fuse.weight": torch.zeros(256, 512, 1, 1)}, "misshapen: linear_fuse.weight"),
    ],
)
def test_a_checkpoint_that_differs_is_refused_by_name(change, complaint, monkeypatch):
    state = {name: value for name, value in (official_state() | change).items() if value is not None}
    monkeypatch.setattr(teachers, "load_state_dict", lambda path: {"state_dict_backbone": state})
    with pytest.raises(WeightsError, match=complaint) as error:
        teachers.load_facexformer(Path("other.pt"))
    assert "other.pt" in str(error.value)


def test_a_file_without_the_networks_part_is_refused(tmp_path):
    torch.save({"linear_fuse.weight": torch.zeros(1)}, tmp_path / "bare.pt")
    with pytest.raises(WeightsError, match="bare.pt: is no official FaceXFormer checkpoint.*--teacher student"):
        teachers.load_facexformer(tmp_path / "bare.pt")


def test_building_the_network_fetches_nothing(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with torch.device("meta"):
        FaceXFormer()


def test_onednn_multiplies_in_float32_or_is_left_alone():
    x, weight = torch.randn(300, 512), torch.randn(700, 512)
    exact = x.double() @ weight.double().T
    before = torch.backends.mkldnn.matmul.fp32_precision
    with cpu.float32_by_onednn():
        product = torch.nn.functional.linear(x, weight)
    assert (product - exact).norm() < cpu.ROUNDING * exact.norm()
    assert torch.backends.mkldnn.matmul.fp32_precision == before
