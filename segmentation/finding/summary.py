"""Student and teacher side by side: layers, size, multiply-adds, time of a forward pass."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from segmentation.finding.hair_finder import HairFinder
from segmentation.networks.cost import layers, statistics_of, time_in_turn
from segmentation.networks.facexformer.model import FaceXFormer
from segmentation.networks.registry import load_student
from segmentation.networks.resize import INPUT_SIZE


def print_summary(weights: Path, device: torch.device, runs: int) -> None:
    """Print the student's layers, then parameters, multiply-adds and times of student and teacher, measured in turn.

    The teacher's time does not depend on its weights, so its network is timed untrained. Raises WeightsError.
    """
    student, teacher = load_student(weights).to(device), FaceXFormer().to(device).eval()
    x = torch.randn(1, 3, INPUT_SIZE, INPUT_SIZE, device=device)
    for name, network in (("student", student), ("teacher", teacher)):
        rows, multiply_adds = layers(network, x)
        if network is student:
            print(pd.DataFrame(rows, columns=["layer", "output", "parameters", "multiply_adds"]).to_string(index=False))
        size = sum(parameter.numel() for parameter in network.parameters())
        print(f"{name}: {size:,} parameters, {multiply_adds / 1e6:,.0f} million multiply-adds")
    print(time_table(student, teacher, HairFinder(weights, device.type), x, runs).round(1).to_string())


@torch.inference_mode()
def time_table(student, teacher, finder: HairFinder, x: torch.Tensor, runs: int) -> pd.DataFrame:
    """Milliseconds of one picture, batch 1, `runs` times each, and how many times faster than the teacher."""
    wait = torch.cuda.synchronize if x.is_cuda else lambda: None
    rgb = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    times = time_in_turn(
        {
            "teacher, PyTorch float32": lambda: (teacher(x), wait()),
            "student, PyTorch float32": lambda: (student(x), wait()),
            "student, as the scripts use it": lambda: finder.probability(rgb),
        },
        runs,
    )
    table = pd.DataFrame({name: statistics_of(values) for name, values in times.items()}).T
    return table.assign(ratio=table["median"].iloc[0] / table["median"]).rename_axis("ms a picture")
