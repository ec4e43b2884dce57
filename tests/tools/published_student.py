"""The student's decoder as published, for comparison with ours."""

import torch
from torch import Tensor
from torch.nn import functional as F

from segmentation.networks.effisegnet import EffiSegNet


class PublishedStudent(EffiSegNet):
    """The same weights, every branch at the input's size from the start, every concatenation made."""

    def decode(self, taps: list[Tensor]) -> Tensor:
        """As EffiSegNet.decode."""
        size = [2 * side for side in taps[0].shape[-2:]]
        x = self.bn6(
            sum(
                F.interpolate(getattr(self, f"bn{level}")(F.relu(getattr(self, f"conv{level}")(tap))), size)
                for level, tap in enumerate(taps, start=1)
            )
        )
        for ghost in (self.ghost1, self.ghost2):
            x = torch.cat(ghost(x), dim=1)
        return self.conv6(x)


def as_published(student: EffiSegNet) -> PublishedStudent:
    """A network with the weights of `student`, but for its guide, which the published one does not have."""
    published = PublishedStudent().train(student.training)
    own = {name: value for name, value in student.state_dict().items() if not name.startswith("guide.")}
    published.load_state_dict(own)
    return published
