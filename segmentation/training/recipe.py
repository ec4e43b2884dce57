"""Recipes: all that decides which student comes out of a training."""

from dataclasses import Field, dataclass, field, fields

from segmentation.student.frame import INPUT_SIZE


def setting(default: object, meaning: str, choices: tuple[str, ...] | None = None) -> Field:
    """A field whose meaning the command line can show."""
    return field(default=default, metadata=dict(meaning=meaning, choices=choices))


@dataclass
class Recipe:
    """Settings of a training. The defaults are the published recipe."""

    loss: str = setting("soft-bce", "what is made small", ("soft-bce", "mse", "kl", "kl-one-sided"))
    dice_weight: float = setting(0.0, "weight of a soft Dice loss added to it")
    epochs: int = setting(240, "passes over the pictures, at most")
    patience: int = setting(20, "epochs without a better validation loss before it stops")
    batch_size: int = setting(16, "pictures a step, over all processes")
    learning_rate: float = setting(1e-4, "AdamW's, of the decoder")
    encoder_rate: float = setting(1.0, "the encoder's learning rate as a share of the decoder's")
    weight_decay: float = setting(0.01, "AdamW's")
    schedule: str = setting("exponential", "how the rate moves", ("exponential", "one-cycle"))
    decay: float = setting(0.975, "factor an epoch of the exponential schedule")
    size: int = setting(INPUT_SIZE, "side of the training pictures in pixels, a multiple of 32")
    augmented: bool = setting(False, "change geometry, colours and quality of the pictures at random")
    composed: float = setting(0.0, "share of the augmented pictures that several are put together in")
    warm_start: str = setting(
        "none", "none, lite0, imagenet (encoders trained on ImageNet) or a student's weights file"
    )
    upsampling: str = setting("nearest", "of the decoder; bilinear masks show no grid", ("nearest", "bilinear"))
    ema: float = setting(0.0, "decay a step of the weights' exponential moving average; 0 takes the weights themselves")
    seed: int = setting(0, "of all randomness, and of the split into train, val and test")


# The published recipe's loss and optimiser, with what was measured to help on a few thousand drawn masks.
STRONG = Recipe(
    dice_weight=0.5, epochs=20, patience=20, learning_rate=2e-3, encoder_rate=0.5, schedule="one-cycle", augmented=True,
    warm_start="lite0", ema=0.995,
)  # fmt: skip

PRESETS = {"published": Recipe(), "strong": STRONG}


def describe_settings() -> list[tuple[str, type, str, tuple[str, ...] | None]]:
    """(name, type, meaning, choices) of each setting, for the command line."""
    return [(item.name, item.type, item.metadata["meaning"], item.metadata["choices"]) for item in fields(Recipe)]
