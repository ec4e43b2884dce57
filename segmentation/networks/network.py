"""What every network here has, so that training, export and finding need not know which one it is."""

from typing import Self

from torch import Tensor, nn


class Network(nn.Module):
    """RGB (N, 3, H, W) float32, (value / 255 - 0.5) / 0.5 -> logits (N, C, H, W), hair first."""

    side: int  # of the square that it sees, pixels
    encoder: nn.Module  # whose learning rate may differ
    encoder_name = "efficientnet-b0"  # which EfficientNet that is

    @property
    def metadata(self) -> dict[str, str]:
        """What its weights files say of it."""
        raise NotImplementedError

    @classmethod
    def of(cls, said: dict[str, str]) -> Self:
        """The network, untrained, that a weights file says it is of. Raises WeightsError: this version lacks it."""
        raise NotImplementedError

    @staticmethod
    def own_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of other programs' files by the names that they have here."""
        return state

    def freeze(self, blocks: int) -> None:
        """Keep the encoder's stem and so many of its first blocks as they are: what follows alone is trained."""
        raise NotImplementedError
