"""Networks by their names: a weights file says what it is of, and here that is made.

To swap the student's network, or its decoder: one file beside this one, with a `Network` as `EffiSegNet` is one, and
one line in `NETWORKS`.
"""

from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from common.files import replacing
from common.weights import WeightsError, load_state_dict, load_strict, safetensors_metadata
from segmentation.networks.effisegnet import EffiSegNet, HairProbability
from segmentation.networks.network import Network
from segmentation.networks.person_detector import PersonBoxes, PersonDetector
from segmentation.networks.scout import Scout

NETWORKS: dict[str, type[Network]] = {
    "effisegnet": EffiSegNet,
    "scout": Scout,
    "person-detector": PersonDetector,
}
STUDENT = "effisegnet"  # what a training makes, and what files are of that name no network


def make_network(said: dict[str, str]) -> Network:
    """A network, untrained, by what weights files say of it; what they leave out is as published.

    Raises WeightsError: this version knows no such network.
    """
    name = said.get("network", STUDENT)
    if name not in NETWORKS:
        raise WeightsError(f"needs a network '{name}' that this version does not know; update it")
    return NETWORKS[name].of(said)


def load_network(path: Path) -> Network:
    """Build the network that a weights file is of and load it, in float32 and evaluation mode.

    Args:
        path: our own safetensors, which say what they are of, or the published `segmentation_model_ohlora_v4.pth`.

    Raises:
        WeightsError: the file is missing or broken, or of a network that this version does not know; or a tensor is
            unexpected, missing, misshapen or holds what is no number.
    """
    state = load_state_dict(path)  # first, since it says what is wrong with a broken file
    try:
        network = make_network(safetensors_metadata(path))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    load_strict(network, network.own_names(state), path)
    return network.eval()


def load_student(path: Path) -> Network:
    """As `load_network`, of a student. Raises WeightsError: it is another network's too."""
    network = load_network(path)
    if isinstance(network, (Scout, PersonDetector)):
        raise WeightsError(f"{path}: is no student but what tells it where to look; name a student's weights")
    return network


def of_bytes(network: Network) -> nn.Module:
    """A network as the engines run it: RGB (N, side, side, 3) uint8 in, probabilities out."""
    return PersonBoxes(network) if isinstance(network, PersonDetector) else HairProbability(network, guided=True)


def save_weights(network: Network, path: Path, **further: str) -> None:
    """Write a network's weights as safetensors, with its `metadata` and what `further` is to be said of it.

    Convolutions are in half precision, which changes no score, unless a value is too large for that; the rest is as it
    is.
    """
    state = {name: compact(tensor).cpu().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, network.metadata | further))  # a full disk is then an OSError


def compact(tensor: Tensor) -> Tensor:
    """A tensor in half precision where it has several dimensions and that is exact enough."""
    half = tensor.half() if tensor.ndim > 1 else tensor
    return half if half.isfinite().all() or not tensor.isfinite().all() else tensor
