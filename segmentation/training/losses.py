"""What the student is trained to make small. p is the soft label, q = sigmoid(logit) the student's probability of hair.

Every loss takes logits and labels (N, 1, H, W), labels in 0..1, and gives a scalar, the mean over all pixels.
"""

from collections.abc import Callable

import torch
from segmentation_models_pytorch.losses import DiceLoss, SoftBCEWithLogitsLoss
from torch import Tensor
from torch.nn import functional as F

GUIDE_WEIGHT = 0.2  # of the guide's loss beside that of hair, which is what counts
Loss = Callable[[Tensor, Tensor], Tensor]


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """(p - q)^2."""
    return F.mse_loss(logits.sigmoid(), labels)


def kl_one_sided(logits: Tensor, labels: Tensor) -> Tensor:
    """p log(p / q): only the hair term of the Bernoulli divergence.

    Its minimum is q = 1 everywhere, so a student trained with it calls all of a picture hair. It is here because the
    published comparison of losses has it.
    """
    return (torch.xlogy(labels, labels) - labels * F.logsigmoid(logits)).mean()


def kl_full(logits: Tensor, labels: Tensor) -> Tensor:
    """p log(p / q) + (1 - p) log((1 - p) / (1 - q)): soft binary cross-entropy less the label's own entropy."""
    return kl_one_sided(logits, labels) + kl_one_sided(-logits, 1 - labels)


LOSSES: dict[str, Loss] = {
    "soft-bce": SoftBCEWithLogitsLoss(smooth_factor=None),
    "mse": mse,
    "kl": kl_full,
    "kl-one-sided": kl_one_sided,
}


def guide_loss(guide: Tensor, labels: Tensor) -> Tensor:
    """Of what a student tells beside hair, at a quarter of the resolution.

    Args:
        guide: (N, 3, H, W): logit of a face's skin, the head's up, x and y.
        labels: (N, 5, H, W): hair and face's skin in 0..1, 1 where that is known, the head's up, x and y.

    Returns:
        Binary cross-entropy of the skin where it is known, and the squared error of the vector where hair is.
    """
    guide, (hair, face, known, x, y) = F.avg_pool2d(guide, 4), F.avg_pool2d(labels, 4).unbind(1)
    skin = F.binary_cross_entropy_with_logits(guide[:, 0], face, reduction="none")
    far = (guide[:, 1] - x).square() + (guide[:, 2] - y).square()
    return (skin * known).sum() / known.sum().clamp(min=1) + (far * hair).sum() / hair.sum().clamp(min=1)


def with_guide(hair_loss: Loss) -> Loss:
    """A loss of hair that counts the guide too, where the network has one: logits (N, 4, H, W), labels (N, 5, H, W)."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        hair = hair_loss(logits[:, :1], labels[:, :1])
        return hair if logits.shape[1] == 1 else hair + GUIDE_WEIGHT * guide_loss(logits[:, 1:], labels)

    return loss


def make_loss(name: str, dice_weight: float = 0.0) -> Loss:
    """One of `LOSSES`, with `dice_weight` times the soft Dice loss added (a ratio of the whole batch's pixels)."""
    pixelwise = LOSSES[name]
    if not dice_weight:
        return pixelwise
    dice = DiceLoss(mode="binary", from_logits=True)
    return lambda logits, labels: pixelwise(logits, labels) + dice_weight * dice(logits, labels)
