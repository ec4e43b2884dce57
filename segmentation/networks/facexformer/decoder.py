"""FaceXFormer's face decoder (arXiv 2403.12960), parsing head only: tokens and image features -> class masks."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segmentation.networks.facexformer.transformer import TwoWayTransformer

# The learned tokens in the order in which the transformer sees them. All of them take part in it, as each was trained
# in the others' company; only the mask tokens are read afterwards.
TOKENS = {"landmarks": 1, "pose": 1, "attribute": 1, "visibility": 1, "age": 1, "gender": 1, "race": 1, "mask": 11}
CLASSES = TOKENS["mask"]


class MLP(nn.Module):
    """Three linear layers with ReLU between, (..., channels) -> (..., out)."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(channels, channels), nn.Linear(channels, channels), nn.Linear(channels, out)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., C_in) -> (..., C_out)."""
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class FaceDecoder(nn.Module):
    """Image features -> the logits of the 11 parsing classes, at four times the features' size."""

    def __init__(self, channels: int = 256):
        super().__init__()
        self.transformer = TwoWayTransformer(channels=channels)
        for name, count in TOKENS.items():
            self.add_module(token_name(name), nn.Embedding(count, channels))
        # Named and shaped as published; `upscale` says how they are applied.
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            nn.LayerNorm(channels // 4, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetwork_mlps = MLP(channels, channels // 8)

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        """Features (B, H, W, 256) and their position (H * W, 256) -> logits (B, 11, 4 H, 4 W)."""
        batch, height, width, _ = image.shape
        tokens = torch.cat([getattr(self, token_name(name)).weight for name in TOKENS])  # (18, 256)
        tokens, image = self.transformer(tokens.expand(batch, -1, -1), image.flatten(1, 2), position)

        weights = self.output_hypernetwork_mlps(tokens[:, -CLASSES:])  # (B, 11, 32)
        logits = self.upscale(image) @ weights.mT  # (B, H * W * 16, 11)
        # (B, y, x, y in the cell, x in the cell, y in the quarter, x in the quarter, class) -> (B, class, 4 H, 4 W)
        logits = logits.view(batch, height, width, 2, 2, 2, 2, CLASSES)
        return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(batch, CLASSES, 4 * height, 4 * width)

    def upscale(self, image: Tensor) -> Tensor:
        """(B, P, 256) -> (B, 16 P, 32): 16 pixels a cell, in the order quarter by quarter.

        A transposed convolution whose stride is its size makes each pixel from one pixel alone, like all that follows
        it here, so the pixels need not lie in their places meanwhile: two matrix products, no image in between.
        """
        first, norm, gelu, second, _ = self.output_upscaling
        x = gelu(norm(spread(image, cast(nn.ConvTranspose2d, first))))
        return gelu(spread(x, cast(nn.ConvTranspose2d, second)))


def token_name(name: str) -> str:
    """A task's token's name in the checkpoint."""
    return "mask_tokens" if name == "mask" else f"{name}_token"


def spread(x: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """(B, P, C_in) through a 2 x 2 transposed convolution of stride 2 -> (B, 4 P, C_out), four pixels for each."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (C_in, C_out, 2, 2) -> (2 * 2 * C_out, C_in)
    assert convolution.bias is not None
    bias = convolution.bias.repeat(4)
    return F.linear(x, weight, bias).view(x.shape[0], -1, convolution.out_channels)
