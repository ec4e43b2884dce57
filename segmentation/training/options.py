"""The command line of a training."""

import argparse
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Any

from common.cli import add_output, add_overwrite, place, whole
from segmentation.training.recipe import PRESETS, settings, value_of


def add_train(train: argparse.ArgumentParser, data: Path, output: Path) -> None:
    """The options of `train`: where it trains on what, and each setting of a recipe."""
    train.add_argument(
        "--data", type=place, nargs="+", default=[data], metavar="DIR", help="folders of pairs (data/hair_labels)"
    )
    train.add_argument(
        "--val", type=place, nargs="+", metavar="DIR",
        help="folders of pairs to validate and to evaluate on, instead of 10 %% each",
    )  # fmt: skip
    add_output(train, output, "the run")
    train.add_argument("--preset", choices=PRESETS, default="published", help="recipe to start from (published)")
    for item, strong in settings():
        name, allowed = item.name, item.metadata["allowed"]
        meaning = f"{item.metadata['meaning']} ({item.default}{strong})".replace("%", "%%")
        kind: dict[str, Any] = dict(metavar="N" if item.type is not str else "START", type=setting_type(item))
        if item.type is bool:
            kind = dict(action=argparse.BooleanOptionalAction)
        elif item.type is str and allowed:
            kind = dict(choices=allowed)
        train.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=meaning, **kind)
    train.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
        help="auto: bfloat16 where it is fast, else float16 on a GPU, with its loss scaled, else float32",
    )  # fmt: skip
    train.add_argument(
        "--workers", type=whole, metavar="N",
        help="processes that read pictures ahead; the default is one a core on a GPU, else 2",
    )  # fmt: skip
    train.add_argument(
        "--keep-small", action=argparse.BooleanOptionalAction, default=True,
        help="keep the pictures beside their labels at the size that is needed, so that they are decoded once",
    )  # fmt: skip
    train.add_argument(
        "--checkpoint-every", type=whole, default=1000, metavar="N",
        help="steps between two checkpoints within an epoch, 0 for none (%(default)s); there is one after each epoch",
    )  # fmt: skip
    add_overwrite(train, "begin anew in a folder that holds a run")


def setting_type(item: Field) -> Callable[[str], object]:
    """What reads a setting of a recipe from the command line."""

    def read(text: str) -> object:
        try:
            return value_of(item, text)
        except ValueError:
            least, most = item.metadata["allowed"] or ("", "")
            raise argparse.ArgumentTypeError(f"{text} is not {item.metadata['meaning']}, {least} to {most}") from None

    return read
