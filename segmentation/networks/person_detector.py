"""The person detector: where people are in a picture, known from photographs of all kinds.

NanoDet-g (https://github.com/RangiLyu/nanodet, Apache License 2.0, trained on COCO), of whose 80 classes only people
are kept; batch norms are folded into the convolutions. Boxes as in "Generalized Focal Loss" (Li et al., arXiv
2006.04388): each side's distance is the mean of a distribution.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segmentation.networks.network import Network
from segmentation.networks.resize import PERSONS_SIZE

MEAN, SPREAD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of blue, green, red, as it was trained
SLOPE = 0.1  # of its leaky rectifiers below zero
WIDTHS, DEPTHS = (32, 64, 128, 256), (1, 2, 2, 3)  # channels into each stage, and residual blocks in it
PYRAMID = 128  # channels
STRIDES = 8, 16, 32
BINS = 11  # of a distance: 0 to 10 strides
BEST = 100  # boxes that count, those of the surest cells


class Residual(nn.Module):
    """Two convolutions one after the other, the second one's answer beside the first's."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = convolution(channels, channels // 2), convolution(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        first = self.first(x)
        return torch.cat([self.second(first), first], 1)


class Stage(nn.Module):
    """A cross-stage partial block (arXiv 1911.11929): what goes through residual blocks, beside what passes by."""

    def __init__(self, channels: int, blocks: int, stride: int):
        super().__init__()
        self.into = convolution(channels, channels, stride)
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)), convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2 C, H / stride, W / stride)."""
        x = self.into(x)
        return torch.cat([self.blocks(x), x], 1)


class PersonDetector(Network):
    """Tells where people are: the best of a picture's boxes, of which many are of one person."""

    side = PERSONS_SIZE
    metadata = {"network": "person-detector"}  # what its weights file says of it

    @classmethod
    def of(cls, said: dict[str, str]) -> "PersonDetector":
        """The network, untrained."""
        return cls()

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, WIDTHS[0], 2)
        self.stages = nn.ModuleList(Stage(*each) for each in zip(WIDTHS, DEPTHS, (1, 2, 2, 2)))
        self.laterals = nn.ModuleList(nn.Conv2d(2 * width, PYRAMID, 1) for width in WIDTHS[1:])
        self.heads = nn.ModuleList(
            nn.Sequential(convolution(PYRAMID, PYRAMID), nn.Conv2d(PYRAMID, 1 + 4 * BINS, 1)) for _ in STRIDES
        )

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, 416, 416), (value / 255 - 0.5) / 0.5 -> boxes (N, 100, 5): left, top, right and bottom as shares
        of the picture's sides, and the logit of a person."""
        found = [boxes_of(head(features), stride)
                 for head, features, stride in zip(self.heads, self.features(x), STRIDES)]  # fmt: skip
        boxes = torch.cat(found, 1)
        best = boxes[..., 4].topk(BEST).indices
        return boxes.gather(1, best[..., None].expand(-1, -1, 5))

    def features(self, x: Tensor) -> list[Tensor]:
        """RGB as `forward`'s -> a path aggregation network's features (arXiv 1803.01534), fine to coarse."""
        mean, spread = (x.new_tensor(of)[:, None, None] for of in (MEAN, SPREAD))
        x = self.stem(((x.flip(1) * 0.5 + 0.5) * 255 - mean) / spread)
        x, fine = self.stages[0](F.max_pool2d(x, 3, 2, padding=1)), []
        for stage, lateral in zip(self.stages[1:], self.laterals):
            x = stage(x)
            fine.append(lateral(x))
        for coarse, finer in pairwise(range(2, -1, -1)):
            fine[finer] = fine[finer] + F.interpolate(fine[coarse], fine[finer].shape[-2:], mode="bilinear")
        for finer, coarse in pairwise(range(3)):
            fine[coarse] = fine[coarse] + F.interpolate(fine[finer], fine[coarse].shape[-2:], mode="bilinear")
        return fine


def boxes_of(answer: Tensor, stride: int) -> Tensor:
    """A head's answer (N, 1 + 4 BINS, h, w) -> boxes (N, h w, 5), as `PersonDetector` gives them."""
    height, width = answer.shape[-2:]
    logit, sides = answer.flatten(2).transpose(1, 2).split([1, 4 * BINS], -1)
    bins = torch.arange(BINS, device=answer.device, dtype=answer.dtype)
    left, top, right, bottom = (sides.unflatten(-1, (4, BINS)).softmax(-1) * bins).sum(-1).unbind(-1)  # in strides
    cells = torch.arange(height * width, device=answer.device)
    x, y = cells % width + 0.5, cells // width + 0.5
    corners = torch.stack([x - left, y - top, x + right, y + bottom], -1) * (stride / PERSONS_SIZE)
    return torch.cat([corners, logit], -1)


def convolution(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """3x3, and its leaky rectifier."""
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, padding=1), nn.LeakyReLU(SLOPE))


class PersonBoxes(nn.Module):
    """The detector on bytes: RGB (N, 416, 416, 3) uint8 -> boxes (N, 100, 5) float32 as `PersonDetector` gives them,
    with probabilities."""

    def __init__(self, detector: PersonDetector):
        super().__init__()
        self.detector = detector

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 416, 416, 3) uint8 -> boxes (N, 100, 5)."""
        boxes = self.detector((rgb.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)
        return torch.cat([boxes[..., :4], boxes[..., 4:].sigmoid()], -1)
