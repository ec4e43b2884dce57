#!/usr/bin/env python
"""How long the teacher takes a picture, against the network computed as published, in one run; and whether it agrees.

    python benchmarks/teacher_speed.py [--rounds 5] [--weights models/facexformer.pt] [PICTURE...]

Each round times all ways one after the other, so that whatever else the machine does meets all of them alike. Without
weights the network is filled with stand-ins, whose last layer is steeper than a trained one's.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from common.device import choose_device
from common.image.picture import read_picture
from segmentation.labelling.teachers import WEIGHTS, load_facexformer, ready_facexformer, resize_as_published
from segmentation.networks.facexformer.decoder import CLASSES, TOKENS, FaceDecoder, token_name
from segmentation.networks.facexformer.model import FaceXFormer
from segmentation.networks.facexformer.transformer import Attention
from tests.tools.official_checkpoint import GOLDEN, official_checkpoint

PUBLISHED = "as published, float32"


class PublishedAttention(Attention):
    """Attention with the matrix of weights spelled out."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class PublishedDecoder(FaceDecoder):
    """The image goes back to 56 x 56, through transposed convolutions and a LayerNorm over channels."""

    def forward(self, image: Tensor, position: Tensor) -> Tensor:
        batch, height, width, _ = image.shape
        tokens = torch.cat([getattr(self, token_name(name)).weight for name in TOKENS])
        tokens, image = self.transformer(tokens.expand(batch, -1, -1), image.flatten(1, 2), position)
        first, norm, gelu, second, _ = self.output_upscaling
        x = first(image.mT.unflatten(2, (height, width)))
        deviation = x - x.mean(dim=1, keepdim=True)
        x = deviation / (deviation.square().mean(dim=1, keepdim=True) + norm.eps).sqrt()
        x = gelu(second(gelu(norm.weight[:, None, None] * x + norm.bias[:, None, None])))
        return (self.output_hypernetwork_mlps(tokens[:, -CLASSES:]) @ x.flatten(2)).unflatten(2, x.shape[2:])


class Published(FaceXFormer):
    """The same weights, computed step by step as published."""

    def __init__(self, state: dict[str, Tensor]):
        super().__init__()
        self.face_decoder = PublishedDecoder()
        for module in self.modules():
            if type(module) is Attention:
                module.__class__ = PublishedAttention
        self.load_state_dict(state)
        self.eval().requires_grad_(False)

    def fuse(self, maps: list[Tensor]) -> Tensor:
        side = maps[0].shape[1]
        resized = [
            F.interpolate(layer.proj(x).movedim(-1, 1), size=(side, side), mode="bilinear", align_corners=False)
            for x, layer in zip(maps, self.linear_c)
        ]
        return self.linear_fuse(torch.cat(resized[::-1], dim=1)).movedim(1, -1)


def main() -> None:
    options = parser().parse_args()
    place = choose_device(options.device)
    rgb = np.stack(
        [resize_as_published(read_picture(path).rgb8) for path in options.pictures]
        or [np.load(GOLDEN / "golden-shared-1.npz")["rgb"]]
    )
    rgb = np.tile(rgb, (-(-options.batch_size // len(rgb)), 1, 1, 1))[: max(options.batch_size, len(rgb))]
    with TemporaryDirectory() as folder:
        weights = options.weights if options.weights.is_file() else official_checkpoint(Path(folder))
        ways = ways_to_label(weights, options.device, place, options.batch_size)
    print(
        f"{len(rgb)} pictures in batches of {options.batch_size}, {place}, {torch.get_num_threads()} threads of "
        f"{os.cpu_count()} processors, "
        f"{'stand-ins for weights' if weights != options.weights else weights}, {options.rounds} rounds"
    )
    print(table(ways, rgb, options.rounds).to_string())


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", metavar="PICTURE", help="to compare labels on")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--device", default="auto")
    return parser


def ways_to_label(weights: Path, device: str, place: torch.device, size: int) -> dict[str, Callable]:
    """Name -> a function from (N, 224, 224, 3) uint8 pictures to (N, 224, 224) probabilities of hair."""
    published = Published(load_facexformer(weights).state_dict()).to(place)

    def as_published(batch: int, precision: torch.dtype = torch.float32) -> Callable:
        @torch.inference_mode()
        def run(rgb: np.ndarray) -> np.ndarray:
            with torch.autocast(place.type, precision, enabled=precision != torch.float32):  # the decoder too
                return np.concatenate(
                    [
                        published.hair(part, precision).float().cpu().numpy()
                        for part in torch.from_numpy(rgb).to(place).split(batch)
                    ]
                )

        return run

    def ours(precision: str) -> Callable:
        find_hair = ready_facexformer(weights, device, precision)
        return lambda rgb: np.concatenate([find_hair(rgb[i : i + size]) for i in range(0, len(rgb), size)])

    ways = {
        f"{PUBLISHED}, one at a time": as_published(1),
        PUBLISHED: as_published(size),
        "as published, bfloat16": as_published(size, torch.bfloat16),
        "here, float32": ours("float32"),
        "here, bfloat16": ours("bfloat16"),
    }
    if place.type == "cuda":
        ways["here, float16"] = ours("float16")
    return ways


def table(ways: dict[str, Callable], rgb: np.ndarray, rounds: int) -> pd.DataFrame:
    """A row a way: its median time a picture, its ratio, and its labels against the published network's in float32."""
    labels = {name: np.rint(255 * run(rgb)) for name, run in ways.items()}  # and a warm-up
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            run(rgb)
            seconds[name].append(time.perf_counter() - start)
    rows = {}
    for name in ways:
        ratios = np.array(seconds[PUBLISHED]) / seconds[name]
        difference = np.abs(labels[name] - labels[PUBLISHED])
        rows[name] = {
            "ms a picture": round(1000 * np.median(seconds[name]) / len(rgb), 1),
            "best": round(1000 * min(seconds[name]) / len(rgb), 1),
            "times as fast": round(np.median(ratios), 2),
            "within 2 grey levels": f"{100 * (difference <= 2).mean():.3f} %",
            "largest difference": int(difference.max()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


if __name__ == "__main__":
    main()
