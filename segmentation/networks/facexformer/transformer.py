"""The two-way transformer of FaceXFormer's decoder (arXiv 2403.12960), which is that of Segment Anything.

A handful of task tokens and the image's 3,136 cells look at each other in turn. B is the batch, T the tokens (18),
P the image's cells (56 * 56), C the channels (256). Module names are the official checkpoint's.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention that may work on fewer channels inside than outside.

    Args:
        channels: channels of query, key, value and result.
        heads: number of heads.
        inner: channels inside, all heads together.
    """

    def __init__(self, channels: int, heads: int, inner: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, N, C) queries over (B, M, C) keys and values -> (B, N, C)."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N or M, inner / heads)
            for project, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TokenMLP(nn.Module):
    """Two linear layers with ReLU between, (..., channels) -> (..., channels)."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.lin1 = nn.Linear(channels, width)
        self.lin2 = nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, P, C) -> the same shape."""
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves, then to the image; an MLP on the tokens; the image attends to the tokens.

    Args:
        first: the first block of a transformer: its self-attention adds neither position nor residual, as its tokens
            are their own position.
    """

    def __init__(self, channels: int, heads: int, mlp_width: int, first: bool):
        super().__init__()
        self.first = first
        self.self_attn = Attention(channels, heads, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, heads, channels // 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = TokenMLP(channels, mlp_width)
        self.norm3 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, heads, channels // 2)
        self.norm4 = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, image: Tensor, token_position: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, C) and image (B, P, C) with their positions (of shapes that broadcast) -> both, renewed."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_position
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)

        key = image + position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_position, key, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(key, tokens + token_position, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """`depth` blocks, and a last look of the tokens at the image."""

    def __init__(self, depth: int = 2, channels: int = 256, heads: int = 8, mlp_width: int = 2048):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(channels, heads, mlp_width, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(channels, heads, channels // 2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, image: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, C), image (B, P, C), the image's position (P, C) -> tokens (B, T, C), image (B, P, C)."""
        token_position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_position, position)
        seen = self.final_attn_token_to_image(tokens + token_position, image + position, image)
        return self.norm_final_attn(tokens + seen), image
