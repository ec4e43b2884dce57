"""EffiSegNet, the student: an EfficientNet encoder, five taps brought to one resolution, two Ghost modules.

Source: Vezakis et al., "EffiSegNet", arXiv 2407.16298; the layer names are those of the published hair student.
"""

import re
from collections.abc import Iterable

import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.model import MBConvBlock
from torch import Tensor, nn
from torch.nn import functional as F

from common.weights import WeightsError
from segmentation.networks.network import Network
from segmentation.networks.resize import INPUT_SIZE

CHANNELS = 64  # decoder width
ENCODERS = tuple(f"efficientnet-b{number}" for number in range(8))
UPSAMPLING = ("nearest", "bilinear")
GUIDE = "face, up"  # what the second output tells, as weights files name it

# The published encoder carries its classifier's head, which a segmentation never runs.
UNUSED_HEAD = ("encoder._conv_head.", "encoder._bn1.")


class ConvOfParts(nn.Conv2d):
    """A 1x1 convolution of the parts' concatenation that never concatenates: each part has its share of the weights.

    A part may come at a fraction of the last one's resolution, and stands for its upsampling.
    """

    upsampling = "nearest"

    def forward(self, *parts: Tensor) -> Tensor:
        """Features (N, C_i, h_i, w_i), coarse to fine -> (N, C, H, W) of the finest."""
        if len(parts) == 1:  # a split into one part is what some converters cannot translate
            return F.conv2d(parts[0], self.weight)
        shares = self.weight.split([part.shape[1] for part in parts], dim=1)
        return coarse_to_fine((F.conv2d(part, share) for part, share in zip(parts, shares)), self.upsampling)


class GhostModule(nn.Module):
    """Half of the channels by a 1x1 convolution, the rest from those by a cheap depthwise 3x3 (arXiv 1911.11907)."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.primary_conv = nn.Sequential(ConvOfParts(channels, half, 1, bias=False), nn.ReLU(), nn.BatchNorm2d(half))
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.ReLU(), nn.BatchNorm2d(half)
        )

    def forward(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Parts with the input's channels between them -> the two halves of the output."""
        conv, relu, norm = self.primary_conv
        primary = norm(relu(conv(*parts)))
        return primary, self.cheap_operation(primary)


class EffiSegNet(Network):
    """Binary segmentation network.

    Args:
        encoder: name of the `efficientnet-pytorch` encoder, "efficientnet-b0" to "efficientnet-b7".
        upsampling: of the decoder's branches: "nearest", as published, or "bilinear", whose masks show no grid of
            16 pixels. The tensors are the same; weights serve the one that they were trained with.
        guide: whether it also tells, coarsely, where faces are and where each head's top lies.
    """

    side = INPUT_SIZE  # of the pictures that it sees
    encoder: EfficientNet

    def __init__(self, encoder: str = "efficientnet-b0", upsampling: str = "nearest", guide: bool = False):
        super().__init__()
        self.encoder_name = encoder
        self.encoder = headless_efficientnet(encoder)
        for level, channels in enumerate(tap_channels(self.encoder), start=1):
            setattr(self, f"conv{level}", nn.Conv2d(channels, CHANNELS, 3, padding=1, bias=False))
            setattr(self, f"bn{level}", nn.BatchNorm2d(CHANNELS))
        self.bn6 = nn.BatchNorm2d(CHANNELS)
        self.ghost1 = GhostModule(CHANNELS)
        self.ghost2 = GhostModule(CHANNELS)
        self.conv6 = ConvOfParts(CHANNELS, 1, 1, bias=False)
        self.guide = Guide(tap_channels(self.encoder)[2:]) if guide else None
        self.frozen: list[nn.Module] = []
        self.upsampling = upsampling
        for layer in self.modules():
            if isinstance(layer, ConvOfParts):
                layer.upsampling = upsampling

    def freeze(self, blocks: int) -> None:
        """Keep the encoder's stem and so many of its first blocks as they are: what follows alone is trained."""
        self.frozen = [self.encoder._conv_stem, self.encoder._bn0, *self.encoder._blocks[:blocks]] if blocks else []
        for layer in self.frozen:
            layer.requires_grad_(False)

    def train(self, mode: bool = True) -> "EffiSegNet":
        """As of any module; what is frozen keeps its running statistics too."""
        super().train(mode)
        for layer in self.frozen:
            layer.eval()
        return self

    @property
    def metadata(self) -> dict[str, str]:
        """What its weights file says of it."""
        said = {"network": "effisegnet", "encoder": self.encoder_name, "upsampling": self.upsampling}
        return said | ({"guide": GUIDE} if self.guide else {})

    @classmethod
    def of(cls, said: dict[str, str]) -> "EffiSegNet":
        """The network, untrained, that a weights file says it is of. Raises WeightsError: it is of a later version."""
        encoder, upsampling = said.get("encoder", ENCODERS[0]), said.get("upsampling", UPSAMPLING[0])
        for what, value, known in (("encoder", encoder, ENCODERS), ("upsampling", upsampling, UPSAMPLING)):
            if value not in known:
                raise WeightsError(f"needs the {what} '{value}' that this version does not know; update it")
        return cls(encoder, upsampling, guide=said.get("guide") == GUIDE)

    @staticmethod
    def own_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by the names that they have here: of the published checkpoint too."""
        return from_published_names(state)

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, H, W), (value / 255 - 0.5) / 0.5, H and W multiples of 32 -> logits of hair (N, 1, H, W); with a
        guide (N, 4, H, W), behind them what `Guide` tells."""
        taps = encode(self.encoder, x)
        hair = self.decode(taps)
        if self.guide is None:
            return hair
        return torch.cat([hair, F.interpolate(self.guide(taps), hair.shape[-2:], mode="bilinear")], 1)

    def decode(self, taps: list[Tensor]) -> Tensor:
        """Taps of strides 2, 4, 8, 16, 32 -> logits of hair (N, 1, H, W).

        The published decoder upsamples every branch to (H, W) at once. Nearest upsampling commutes with all that works
        on one pixel at a time, so here each thing is done at the lowest resolution that gives the same result. The
        bilinear one goes from each resolution to the next, in the same places.
        """
        branches = [
            getattr(self, f"bn{level}")(F.relu(getattr(self, f"conv{level}")(tap)))
            for level, tap in enumerate(taps, start=1)
        ]
        primary = self.ghost1.primary_conv(
            self.bn6(coarse_to_fine(reversed(branches), self.upsampling))
        )  # (N, 32, H/2, W/2)
        ghost = self.ghost1.cheap_operation(
            F.interpolate(primary, scale_factor=2, mode=self.upsampling)
        )  # (N, 32, H, W)
        return self.conv6(*self.ghost2(primary, ghost))


class Guide(nn.Module):
    """What a student tells beside hair, from the encoder's coarser taps: where faces are, and which way heads point.

    Args:
        channels: of the taps of strides 8, 16 and 32.
    """

    def __init__(self, channels: list[int]):
        super().__init__()
        self.taps = nn.ModuleList(nn.Conv2d(count, CHANNELS, 1) for count in channels)
        self.around = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.out = nn.Conv2d(CHANNELS, 3, 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        """Taps of strides 2, 4, 8, 16, 32 -> (N, 3, H / 8, W / 8): the logit of a face's skin, and where hair is
        a vector towards its head's top, x and y in the picture's directions, of length 1 where the network is sure."""
        coarse = coarse_to_fine((own(tap) for own, tap in zip(reversed(self.taps), reversed(taps))), "bilinear")
        return self.out(F.relu(self.around(F.relu(coarse))))


def coarse_to_fine(parts: Iterable[Tensor], upsampling: str) -> Tensor:
    """Sum of (N, C, h, w) whose resolutions grow by whole factors; the coarser are upsampled to the next."""
    total, *finer = parts
    for part in finer:
        if total.shape[-2:] != part.shape[-2:]:
            total = F.interpolate(total, part.shape[-2:], mode=upsampling)
        total = total + part
    return total


class HairProbability(nn.Module):
    """A network between bytes and probabilities: RGB (N, H, W, 3) uint8 -> probability of hair (N, H, W) float32,
    of a scout (N, H / 4, W / 4).

    Args:
        student: a student or a scout.
        guided: give what its guide tells too, where it has one: (N, 3, H / 8, W / 8), the probability of a face's
            skin, and the head's up, x and y.
    """

    def __init__(self, student: nn.Module, guided: bool = False):
        super().__init__()
        self.student, self.guided = student, guided

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """RGB (N, H, W, 3) uint8 -> probability of hair (N, H, W)."""
        x = (rgb.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        student = self.student
        if not self.guided or not isinstance(student, EffiSegNet) or student.guide is None:
            return student(x)[:, 0].sigmoid()
        taps = encode(student.encoder, x)
        guide = student.guide(taps)
        return student.decode(taps)[:, 0].sigmoid(), torch.cat([guide[:, :1].sigmoid(), guide[:, 1:]], 1)


def headless_efficientnet(name: str) -> EfficientNet:
    """The encoder without its classifier, for inputs whose sides are multiples of 32."""
    encoder = EfficientNet.from_name(name, image_size=INPUT_SIZE)
    encoder.set_swish(memory_efficient=False)  # faster, and exportable
    for part in ("_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc"):
        delattr(encoder, part)
    return encoder


def encode(encoder: EfficientNet, x: Tensor) -> list[Tensor]:
    """RGB (N, 3, H, W) -> the last activation before each halving, and the last of all: strides 2, 4, 8, 16, 32."""
    if x.shape[-1] % 32 or x.shape[-2] % 32:
        raise ValueError(f"the student takes pictures whose sides are multiples of 32, not {tuple(x.shape[-2:])}")
    x = encoder._swish(encoder._bn0(encoder._conv_stem(x)))
    taps = []
    for index, block in enumerate(encoder._blocks):
        if halves(block):
            taps.append(x)
        rate = encoder._global_params.drop_connect_rate or 0
        x = block(x, drop_connect_rate=rate * index / len(encoder._blocks))
    return [*taps, x]


def halves(block: MBConvBlock) -> bool:
    """Whether an EfficientNet block halves the resolution."""
    return block._depthwise_conv.stride[0] == 2


def tap_channels(encoder: EfficientNet) -> list[int]:
    """Channels of the five taps that `encode` returns."""
    blocks = list(encoder._blocks)
    before = [earlier for earlier, block in zip(blocks, blocks[1:]) if halves(block)]
    return [block._project_conv.out_channels for block in [*before, blocks[-1]]]


def from_published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """MONAI's block names `_blocks.<stage>.<block>` -> `_blocks.<block>`; the unused head is passed over."""
    return {
        re.sub(r"(_blocks)\.\d+\.(\d+\.)", r"\1.\2", name): tensor
        for name, tensor in state.items()
        if not name.startswith(UNUSED_HEAD)
    }
