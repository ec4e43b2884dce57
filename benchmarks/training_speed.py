#!/usr/bin/env python
"""How many pictures a second the student trains on: the published decoder and ours, float32 and bfloat16.

    python benchmarks/training_speed.py [--rounds 5] [--batch-size 16] [--device auto]

A step is what the training does: forward and soft binary cross-entropy, backward, AdamW, on a batch of 224 x 224. The
four take turns; on a processor once more with freed memory kept, as the training keeps it.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import nn

from benchmarks.markdown import markdown
from common.device import choose_device
from common.workarounds import keep_freed_memory
from segmentation.networks.cost import statistics_of, time_in_turn
from segmentation.networks.effisegnet import EffiSegNet
from segmentation.networks.resize import INPUT_SIZE
from segmentation.training.loop import keep_depthwise_in_float32
from segmentation.training.losses import make_loss
from segmentation.training.recipe import Recipe
from segmentation.training.schedule import make_optimizer
from segmentation.training.validate import logits_of
from tests.tools.published_student import PublishedStudent


def main() -> None:
    options = parser().parse_args()
    device = choose_device(options.device)
    ways = {
        f"{name}, {precision}": training_step(network(), getattr(torch, precision), device, options.batch_size)
        for name, network in {"published decoder": PublishedStudent, "here": EffiSegNet}.items()
        for precision in ("float32", "bfloat16")
    }
    times = time_in_turn(ways, options.rounds, warm_up=1)
    if device.type == "cpu":
        keep_freed_memory()
        again = time_in_turn(ways, options.rounds, warm_up=1)
        times |= {f"{name}, memory kept": values for name, values in again.items()}
    medians = {name: statistics_of(values)["median"] / options.batch_size for name, values in times.items()}
    slowest = next(iter(medians.values()))
    print(f"batches of {options.batch_size}, {device}, {torch.get_num_threads()} threads, {options.rounds} rounds\n")
    print(
        markdown(
            [
                {
                    "": name,
                    "ms a picture": median,
                    "pictures a second": 1000 / median,
                    "times as fast": slowest / median,
                }
                for name, median in medians.items()
            ]
        )
    )


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="steps of each")
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size, metavar="N")
    parser.add_argument("--device", default="auto")
    return parser


def training_step(model: nn.Module, dtype: torch.dtype, device: torch.device, batch: int) -> Callable[[], float]:
    """A function that does one step and waits for its end."""
    model.to(device, memory_format=torch.channels_last).train()
    if dtype == torch.bfloat16 and device.type == "cpu" and not isinstance(model, PublishedStudent):
        keep_depthwise_in_float32(model)
    optimizer, loss_of = make_optimizer(model, Recipe()), make_loss(Recipe.loss, Recipe.dice_weight)
    x = torch.randn(batch, 3, INPUT_SIZE, INPUT_SIZE, device=device)
    labels = torch.rand(batch, 1, INPUT_SIZE, INPUT_SIZE, device=device)

    def step() -> float:
        loss = loss_of(logits_of(model, x, dtype), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


if __name__ == "__main__":
    main()
