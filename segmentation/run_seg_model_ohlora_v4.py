#!/usr/bin/env python
"""The light hair segmentation student: train it, measure it, let it find hair, time it.

Without a word it trains on data/hair_labels and then measures the student on the pictures set aside.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.command import carry_out, leave_on_ctrl_c, place  # noqa: E402

if __name__ == "__main__":
    leave_on_ctrl_c()

import numpy as np  # noqa: E402

from common.device import choose_device, fast_in_bfloat16, keep_freed_memory, own_cores, rank_and_size  # noqa: E402
from common.weights import short_hash  # noqa: E402
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder  # noqa: E402
from segmentation.training.recipe import PRESETS, describe_settings  # noqa: E402

LABELS = ROOT / "data" / "hair_labels"
RUNS = ROOT / "data" / "runs"
PREDICTED = ROOT / "data" / "hair_masks"
SAMPLES = ROOT / "data" / "samples"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 where a picture failed, 2 where nothing could be done."""
    options = parser().parse_args(arguments)
    return carry_out(lambda: options.command(options))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(metavar="{train,evaluate,predict,summary}")

    train = commands.add_parser("train", help="train on picture-label pairs, then evaluate (the default)")
    train.set_defaults(command=train_and_evaluate)
    train.add_argument("--data", type=place, nargs="+", default=[LABELS], metavar="DIR", help="folders of pairs")
    train.add_argument(
        "--val",
        type=place,
        nargs="+",
        metavar="DIR",
        help="folders of pairs to validate and to evaluate on, instead of 10 %% each",
    )
    train.add_argument("--output", type=place, default=RUNS / "student", metavar="DIR", help="the run's folder")
    train.add_argument("--preset", choices=PRESETS, default="published", help="recipe to start from")
    for name, kind, meaning, choices in describe_settings():
        flag, default = "--" + name.replace("_", "-"), argparse.SUPPRESS
        if kind is bool:
            train.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=meaning)
        else:
            train.add_argument(flag, type=kind, choices=choices, default=default, help=meaning)
    train.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    train.add_argument("--workers", type=int, default=2, help="processes that read pictures ahead")
    train.add_argument("--overwrite", action="store_true", help="begin anew in a folder that holds a run")

    evaluate = commands.add_parser("evaluate", help="measure a student on drawn masks")
    evaluate.set_defaults(command=evaluate_weights)
    evaluate.add_argument("--data", type=place, default=LABELS, metavar="DIR", help="pairs to measure on")
    evaluate.add_argument("--output", type=place, default=RUNS / "evaluation", metavar="DIR")

    predict = commands.add_parser("predict", help="write a soft hair mask for each picture")
    predict.set_defaults(command=predict_masks)
    predict.add_argument("pictures", type=place, nargs="*", default=[SAMPLES], metavar="PICTURE_OR_FOLDER")
    predict.add_argument("--output", type=place, default=PREDICTED, metavar="DIR")
    predict.add_argument("--overwrite", action="store_true", help="do pictures again that are done")

    summary = commands.add_parser("summary", help="layers, parameters, multiply-adds and the time of a forward pass")
    summary.set_defaults(command=summarize)
    summary.add_argument("--runs", type=int, default=100, help="forward passes to time, after a warm-up (%(default)s)")
    for command in (evaluate, predict, summary):
        command.add_argument("--weights", type=place, default=SHIPPED_WEIGHTS, metavar="FILE")
    for command in (train, evaluate, predict, summary):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    top.set_defaults(**vars(train.parse_args([])))
    return top


def train_and_evaluate(options: argparse.Namespace) -> int:
    """train: pairs -> the best weights of a run -> their figures on the pictures set aside."""
    import torch

    from segmentation.training.loop import BEST, STATE, train
    from segmentation.training.pairs import gather, split

    changes = {name: getattr(options, name) for name, *_ in describe_settings() if name in options}
    recipe = replace(PRESETS[options.preset], **changes)
    device = choose_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    rank, size = rank_and_size()
    if size > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        if device.type == "cuda":
            torch.cuda.set_device(device)
    if options.overwrite and rank == 0:
        (options.output / STATE).unlink(missing_ok=True)
    if size > 1:
        torch.distributed.barrier()  # before a rank looks for a run to go on with
    parts = split(gather(options.data), recipe.seed)
    if options.val:
        held_out = gather(options.val)
        parts = {"train": [pair for part in parts.values() for pair in part], "val": held_out, "test": held_out}
    bfloat16 = options.precision == "bfloat16" or (options.precision == "auto" and fast_in_bfloat16(device))
    if rank == 0:
        counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
        print(f"{counts} pictures; {device}, {'bfloat16' if bfloat16 else 'float32'}; {recipe}")
    train(options.output, parts["train"], parts["val"], recipe, device, bfloat16, options.workers)
    if size > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    return 0 if rank else report_figures(options.output / BEST, parts["test"], options.output / "test", options.device)


def evaluate_weights(options: argparse.Namespace) -> int:
    """evaluate: weights and pairs -> figures."""
    from segmentation.training.pairs import gather

    return report_figures(options.weights, gather([options.data]), options.output, options.device)


def report_figures(weights: Path, pairs: list, output: Path, device: str) -> int:
    """Measure, print the table, say where the rest is."""
    from segmentation.training.evaluate import evaluate

    metrics = evaluate(pairs, HairFinder(weights, device, streams=2).mask, output)
    print(metrics.round(4).to_string())
    print(f"metrics.csv, pictures.csv and overlays of the worst pictures: {output}")
    return 0


def predict_masks(options: argparse.Namespace) -> int:
    """predict: pictures -> soft hair masks."""
    from segmentation.finding.folder import predict_folder

    def find_hair() -> Callable[[np.ndarray], np.ndarray]:
        return HairFinder(options.weights, options.device, streams=own_cores()).mask

    weights = short_hash(options.weights)
    return predict_folder(options.pictures, options.output, find_hair, weights, options.overwrite)


def summarize(options: argparse.Namespace) -> int:
    """summary: what the student costs, and the teacher beside it."""
    from segmentation.summary import print_summary

    print_summary(options.weights, choose_device(options.device), options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
