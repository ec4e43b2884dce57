"""FaceXFormer (arXiv 2403.12960): Swin-B, fused features, a face decoder. Here with the parsing head alone."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import swin_b

from segmentation.networks.facexformer.decoder import FaceDecoder

SIZE = 224  # pixels a side that the published network takes
HAIR_CLASS = 10  # the parsing class
MEAN = (0.485, 0.456, 0.406)  # ImageNet's, for RGB in 0..1
STD = (0.229, 0.224, 0.225)  # the same
LEVELS = (128, 256, 512, 1024)  # channels of the backbone's four maps, at 56, 28, 14 and 7 cells a side
CHANNELS = 256  # that the decoder takes

# Weights in the official checkpoint that hair labels do not need: the heads of the other tasks.
OTHER_HEADS = tuple(
    f"face_decoder.{task}_prediction_head."
    for task in ("landmarks", "pose", "attribute", "visibility", "age", "gender", "race")
)


class LinearLayer(nn.Module):
    """A linear layer under the name that the checkpoint gives it."""

    def __init__(self, channels: int):
        super().__init__()
        self.proj = nn.Linear(channels, CHANNELS)


class PositionEncoding(nn.Module):
    """Random Fourier features of a cell's place, as in Segment Anything."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, CHANNELS // 2))

    def forward(self, side: int) -> Tensor:
        """(side * side, 256): the encoding of every cell's centre, row by row, each value in -1..1."""
        gaussian = self.positional_encoding_gaussian_matrix
        centres = (torch.arange(side, dtype=gaussian.dtype, device=gaussian.device) + 0.5) / side * 2 - 1
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        angle = 2 * math.pi * (torch.stack([x, y], dim=-1).flatten(0, 1) @ gaussian)  # (side * side, 128)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class FaceXFormer(nn.Module):
    """The network, untrained; its state dict is the official checkpoint's less `OTHER_HEADS`."""

    def __init__(self):
        super().__init__()
        swin = swin_b(weights=None)
        self.backbone = nn.Sequential(swin.features, swin.norm)
        self.linear_c = nn.ModuleList(LinearLayer(channels) for channels in LEVELS)
        self.linear_fuse = nn.Conv2d(len(LEVELS) * CHANNELS, CHANNELS, kernel_size=1, bias=False)
        self.pe_layer = PositionEncoding()
        self.face_decoder = FaceDecoder(CHANNELS)

    def forward(self, x: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Pictures (B, 3, 224, 224), RGB in 0..1 less `MEAN` over `STD` -> logits (B, 11, 224, 224).

        `precision` is the backbone's, which is nine tenths of the work. What follows is left in float32, as there a
        rounding to half precision moves the result most.
        """
        with torch.autocast(x.device.type, dtype=precision, enabled=precision != torch.float32):
            maps = self.pyramid(x)
        image = self.fuse([level.to(x.dtype) for level in maps])  # (B, 56, 56, 256)
        return self.face_decoder(image, self.pe_layer(image.shape[1]))

    def hair(self, rgb: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Pictures (B, 224, 224, 3) uint8 RGB -> the probability of hair (B, 224, 224), float32 in 0..1."""
        mean, std = rgb.new_tensor(MEAN, dtype=torch.float32), rgb.new_tensor(STD, dtype=torch.float32)
        x = ((rgb / 255 - mean) / std).permute(0, 3, 1, 2)
        return self(x, precision).softmax(dim=1)[:, HAIR_CLASS]

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """(B, 3, 224, 224) -> the backbone's maps, finest first: (B, 56, 56, 128) ... (B, 7, 7, 1024)."""
        maps = []
        for index, stage in enumerate(self.backbone[0]):
            x = stage(x)
            if index % 2:  # even ones halve the size, odd ones are the blocks at a size
                maps.append(x)
        return maps

    def fuse(self, maps: list[Tensor]) -> Tensor:
        """The four maps -> one, (B, 56, 56, 256).

        As published: a linear layer each, bilinear resizing to the finest, concatenation (deepest first), a 1 x 1
        convolution. All of it is linear and resizing keeps constants, so the convolution's part for each map is
        applied together with the map's own layer before resizing, and the results are added: the same values from a
        fifth of the work.
        """
        side = maps[0].shape[1]
        parts = self.linear_fuse.weight.flatten(1).chunk(len(LEVELS), dim=1)[::-1]  # 4 * (256, 256), finest first
        fused: Tensor | None = None
        for x, layer, part in zip(maps, self.linear_c, parts):
            own = cast(nn.Linear, layer.proj)
            x = F.linear(x, part @ own.weight, part @ own.bias).movedim(-1, 1)  # (B, 256, side, side)
            if x.shape[-1] != side:
                x = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
            fused = x if fused is None else fused + x
        assert fused is not None
        return fused.movedim(1, -1)
