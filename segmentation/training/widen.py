"""A student with a wider encoder that begins with what a narrower one knows.

Source: Chen, Goodfellow, Shlens, "Net2Net", arXiv 1511.05641: what the wider network adds changes no answer at first,
and is trained from there. Unlike there, new channels are no copies: they begin at random, and nothing reads them yet.
"""

import re
from itertools import accumulate

import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor

from common.weights import WeightsError
from segmentation.networks.effisegnet import EffiSegNet, halves
from segmentation.networks.network import Network

BLOCK = re.compile(r"encoder\._blocks\.(\d+)\.")
LAST_SCALE = "._bn2.weight", "._bn2.bias"  # of a block's last normalisation: at 0 the block passes its input on


def widen(narrow: Network, wide: Network) -> None:
    """Fill a student with a wider encoder from one with a narrower, whose answers it gives.

    Each stage's blocks take the place of its first ones; the stage's further blocks pass on what they get. A block's
    further channels begin at random, and what reads them with weights of 0.

    Raises:
        WeightsError: the encoder is no wider one: somewhere it has fewer blocks or channels; or another network.
    """
    if not isinstance(narrow, EffiSegNet) or not isinstance(wide, EffiSegNet):
        raise WeightsError("is of a network whose encoder cannot be made wider")
    blocks = same_blocks(narrow.encoder, wide.encoder)
    known = {BLOCK.sub(lambda found: f"encoder._blocks.{blocks[int(found[1])]}.", name): tensor
             for name, tensor in narrow.state_dict().items()}  # fmt: skip
    state = wide.state_dict()
    for name, tensor in state.items():
        if name in known:
            state[name] = enlarged(known[name], tensor, name)
        elif name.endswith(LAST_SCALE):
            state[name] = torch.zeros_like(tensor)
    wide.load_state_dict(state)


def same_blocks(narrow: EfficientNet, wide: EfficientNet) -> list[int]:
    """For each block of an encoder its place in the wider one. Raises WeightsError: it has no place there."""
    stages, room = stage_lengths(narrow), stage_lengths(wide)
    if any(length > space for length, space in zip(stages, room)):
        raise WeightsError("the encoder to start from has more blocks than the one that is asked for")
    begins = accumulate(room, initial=0)
    return [begin + index for begin, length in zip(begins, stages) for index in range(length)]


def stage_lengths(encoder: EfficientNet) -> list[int]:
    """How many blocks each stage has. Within a stage nothing changes its size, so a block's input is added to it."""
    lengths: list[int] = []
    for block in encoder._blocks:
        args = block._block_args
        if halves(block) or args.input_filters != args.output_filters or not lengths:
            lengths.append(0)
        lengths[-1] += 1
    return lengths


def enlarged(known: Tensor, own: Tensor, name: str) -> Tensor:
    """A tensor with what is known in its first rows and columns; what known rows would read beside it is 0.

    Raises WeightsError: the known one is larger.
    """
    if any(before > after for before, after in zip(known.shape, own.shape)):
        raise WeightsError(f"{name}: {tuple(known.shape)} to start from, but only {tuple(own.shape)} asked for")
    result = own.clone()
    if known.ndim:
        result[: len(known)] = 0
    result[tuple(slice(size) for size in known.shape)] = known
    return result
