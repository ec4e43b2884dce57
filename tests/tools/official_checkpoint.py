"""The official FaceXFormer checkpoint, remade from the names of its tensors: 370 MB that take seconds."""

import json
from functools import cache
from pathlib import Path

import torch
from torchvision.models import swin_b

from tests.golden.fill import fill

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def names() -> dict[str, tuple[list[int], str]]:
    """Name -> shape and dtype of each of the checkpoint's 505 tensors."""
    return json.loads((GOLDEN / "facexformer_state_dict.json").read_text())


@cache
def official_state() -> dict[str, torch.Tensor]:
    """The weights that the golden values were made with, the other tasks' heads included. Not to be changed."""
    state = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in names().items()}
    for name, values in swin_b(weights=None).features.state_dict().items():
        if name.endswith("relative_position_index"):  # whole numbers, which `fill` leaves as the network builds them
            state[f"backbone.0.{name}"] = values
    return fill(state, "shared-1")


def official_checkpoint(folder: Path) -> Path:
    """A file in the official form below `folder`."""
    path = folder / "official.pt"
    torch.save({"state_dict_backbone": official_state(), "epoch": 1}, path)
    return path
