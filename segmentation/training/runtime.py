"""How a training is computed."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Runtime:
    """How a training is computed."""

    device: torch.device
    dtype: torch.dtype  # of autocast; float32 is none
    workers: int  # processes that read pictures ahead, 0: none
    every: int  # steps between two checkpoints within an epoch, 0: none
    keep_small: bool = False  # keep the pictures on the disk at the size that is needed
