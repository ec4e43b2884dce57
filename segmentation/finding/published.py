"""A student as the seed project's own checkpoint, so that its programs take what is trained here."""

import re
from pathlib import Path

import torch
from efficientnet_pytorch.utils import round_filters, round_repeats
from torch import Tensor

from common.files import replacing
from segmentation.networks.effisegnet import EffiSegNet

HEAD = 1280  # channels of the classifier's head that the published encoder carries and never runs, of B0
PUBLISHED = "efficientnet-b0"
OTHERWISE = (
    "the seed project's network enlarges its branches by nearest neighbours, these weights were trained with a "
    "bilinear decoder: its masks will be coarser there; train with --upsampling nearest for it"
)


def write_published(student: EffiSegNet, path: Path) -> str:
    """Write a student as the original's `.pth`: a bare state dict in float32, its names, with its unused head.

    Returns what is to be said of it; empty where it answers there as here. A wider encoder's is not written.
    """
    if student.encoder_name != PUBLISHED:
        return f"is not written: the seed project's network has the encoder {PUBLISHED}, not {student.encoder_name}"
    with replacing(path) as part:
        torch.save(published_state(student), part)
    return OTHERWISE if student.upsampling != "nearest" else ""


def published_state(student: EffiSegNet) -> dict[str, Tensor]:
    """The tensors of a student under the published checkpoint's names, MONAI's `_blocks.<stage>.<block>`."""
    encoder = student.encoder
    repeats = [round_repeats(stage.num_repeat, encoder._global_params) for stage in encoder._blocks_args]
    stages = [stage for stage, count in enumerate(repeats) for _ in range(count)]  # of each block
    own = {
        re.sub(r"_blocks\.(\d+)\.", lambda found: f"_blocks.{stages[int(found[1])]}.{found[1]}.", name): tensor
        for name, tensor in student.state_dict().items()
        if not name.startswith("guide.")  # which the original does not have
    }
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    channels, taken = round_filters(HEAD, encoder._global_params), encoder._blocks[-1]._project_conv.out_channels
    state["encoder._conv_head.weight"] = torch.zeros(channels, taken, 1, 1)
    for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        state[f"encoder._bn1.{name}"] = torch.full((channels,), value)
    state["encoder._bn1.num_batches_tracked"] = torch.tensor(0)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
