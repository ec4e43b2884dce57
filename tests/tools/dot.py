"""A student of one layer, for what is the same whichever network it is."""

import torch


class Dot(torch.nn.Module):
    """The least that a student can be."""

    side, metadata = 64, {"network": "dot"}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Conv2d(3, 1, 1)

    @classmethod
    def of(cls, said: dict[str, str]) -> "Dot":
        return cls()

    own_names = staticmethod(dict)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)
