"""What changes with the steps of a training: rates, the pace of running means, the average of the weights.

All of it depends on the number of the step alone, so that a run that goes on has the same.
"""

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segmentation.training.recipe import Recipe

WARM_UP = 0.1  # share of a one-cycle run in which the rate rises
Norms = list[tuple[nn.BatchNorm2d, float]]  # batch norms with their own momentum


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over encoder and decoder; the rates themselves are set at every step."""
    encoder = list(model.get_submodule("encoder").parameters())
    decoder = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    groups = [dict(params=encoder, share=recipe.encoder_rate), dict(params=decoder, share=1.0)]
    on_gpu = next(model.parameters()).is_cuda  # where one kernel updates all of them
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=on_gpu)


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: float) -> None:
    """Learning rates at a moment of the run, in epochs and their parts."""
    if recipe.schedule == "exponential":
        factor = recipe.decay ** int(epoch)
    else:  # one-cycle (arXiv 1708.07120) with cosine branches
        progress = epoch / recipe.epochs
        rising = progress < WARM_UP
        along = progress / WARM_UP if rising else (1 - progress) / (1 - WARM_UP)
        factor = max(0.5 - 0.5 * math.cos(math.pi * along), 1e-3)
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["share"] * factor


def norms_from_nothing(model: nn.Module, warm_start: str) -> Norms:
    """The batch norms whose running statistics say nothing yet of any picture."""
    if warm_start not in ("none", "lite0", "imagenet"):
        return []
    first = "" if warm_start == "none" else "encoder."
    return [
        (layer, layer.momentum or 0.0)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.BatchNorm2d) and not (first and name.startswith(first))
    ]


def set_momenta(norms: Norms, step: int) -> None:
    """Running statistics are the plain mean of the batches seen, until these are so many as the own momentum wants.

    Otherwise they would be what they were set to, mean 0 and variance 1, for the first hundreds of steps: the
    encoder's momentum is 0.01. A few pictures do not train for longer, and such a student finds no hair although it
    has learnt to.
    """
    for layer, own in norms:
        layer.momentum = max(own, 1 / (step + 1))


def update_average(average: AveragedModel, model: nn.Module, decay: float, step: int) -> None:
    """The exponential moving average of the weights; the plain mean while there are few to average."""
    average.multi_avg_fn = get_ema_multi_avg_fn(min(decay, step / (step + 1)))
    average.update_parameters(model)
