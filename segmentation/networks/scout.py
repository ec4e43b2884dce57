"""The scout: what a whole scene shows of hair, coarsely and fast, so that the student looks where heads may be.

The student's encoder down to a sixteenth, at twice the student's input size, and a feature pyramid of a few channels
(Lin et al., arXiv 1612.03144).
"""

from efficientnet_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from segmentation.networks.effisegnet import (
    EffiSegNet,
    coarse_to_fine,
    encode,
    headless_efficientnet,
    tap_channels,
)  # fmt: skip
from segmentation.networks.network import Network
from segmentation.networks.resize import SCOUT_SIZE

BLOCKS = 11  # of the encoder's 16: as far as a sixteenth of the resolution
KEPT = 3  # of these, as far as a fourth: the student's own, which are not trained on
CHANNELS = 32  # of the pyramid


class Scout(Network):
    """Binary segmentation network for small heads.

    It sees at a fourth of the resolution; `upsampled` says whether its logits are brought to the input's size, as
    training needs them.
    """

    side = SCOUT_SIZE
    encoder: EfficientNet
    metadata = {"network": "scout"}  # what its weights file says of it

    @classmethod
    def of(cls, said: dict[str, str]) -> "Scout":
        """A scout, untrained, as it is used: not `upsampled`."""
        scout = cls()
        scout.upsampled = False
        return scout

    def __init__(self) -> None:
        super().__init__()
        self.upsampled = True
        self.encoder = headless_efficientnet("efficientnet-b0")
        self.encoder._blocks = self.encoder._blocks[:BLOCKS]
        wanted = tap_channels(self.encoder)[1:]  # of a fourth, an eighth and a sixteenth
        self.taps = nn.ModuleList(norm_of(nn.Conv2d(channels, CHANNELS, 1, bias=False)) for channels in wanted)
        self.around = norm_of(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False))
        self.hair = nn.Conv2d(CHANNELS, 1, 1)

    def kept(self) -> list[nn.Module]:
        """The first layers, which are not trained."""
        return [self.encoder._conv_stem, self.encoder._bn0, *self.encoder._blocks[:KEPT]]

    def train(self, mode: bool = True) -> "Scout":
        """As Module's, but what stays the student's stays as it is."""
        super().train(mode)
        for layer in self.kept():
            layer.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, H, W), (value / 255 - 0.5) / 0.5, H and W multiples of 32 -> logits of hair (N, 1, H, W), or
        (N, 1, H / 4, W / 4)."""
        taps = encode(self.encoder, x)[1:]
        pyramid = coarse_to_fine((own(tap) for own, tap in zip(reversed(self.taps), reversed(taps))), "bilinear")
        logits = self.hair(F.relu(self.around(F.relu(pyramid))))
        return F.interpolate(logits, x.shape[-2:], mode="bilinear") if self.upsampled else logits


def norm_of(convolution: nn.Conv2d) -> nn.Sequential:
    """A convolution and its batch norm."""
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


def start_from_student(student: EffiSegNet) -> Scout:
    """A scout whose encoder has learnt what the student's has, and keeps the first of it; the rest is random."""
    scout = Scout()
    known = student.encoder.state_dict()
    scout.encoder.load_state_dict({name: known[name] for name in scout.encoder.state_dict()})
    for layer in scout.kept():
        layer.requires_grad_(False)
    return scout
