#!/usr/bin/env python
"""The light hair segmentation student: train it, measure it, let it find hair, time it.

Without a word it trains on data/hair_labels and then measures the student on the pictures set aside.
"""

import argparse
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.cli import (
    add_batch,
    add_cluster,
    add_device,
    add_output,
    add_weights,
    carry_out,
    demand_here,
    demand_one_process,
    leave_on_ctrl_c,
    place,
    positive,
    run_stage,
    whole,
)

if __name__ == "__main__":
    leave_on_ctrl_c()

import numpy as np

from common.batch.storage import without_secrets
from common.device import choose_device, fast_precision, own_cores, rank_and_size
from common.progress import say
from common.weights import short_hash
from common.workarounds import keep_freed_memory
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.training.options import add_train
from segmentation.training.recipe import IN_WORDS, PRESETS, settings

LABELS = ROOT / "data" / "hair_labels"
RUNS = ROOT / "data" / "runs"
PREDICTED = ROOT / "data" / "hair_masks"
EXPORTED = ROOT / "data" / "exported"
SAMPLES = ROOT / "data" / "samples"
MOST_READING = 16  # processes
FEW = 4  # pictures of which nothing is said on the whole
PARTS = ("all", "train", "val", "test")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 where a picture failed, 2 where nothing could be done, 130 where
    it was stopped."""
    options = parser().parse_args(arguments)
    return carry_out(lambda: options.command(options))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(metavar="{train,evaluate,check,export,predict,summary}")
    train = commands.add_parser(
        "train", help="train on picture-label pairs, then evaluate (the default)", description=IN_WORDS
    )
    train.set_defaults(command=train_and_evaluate)
    add_train(train, LABELS, RUNS / "student")

    evaluate = commands.add_parser("evaluate", help="measure a student on drawn masks")
    evaluate.set_defaults(command=evaluate_weights)
    evaluate.add_argument(
        "--data", type=place, default=LABELS, metavar="DIR", help="pairs to measure on (data/hair_labels)"
    )
    evaluate.add_argument(
        "--part",
        choices=PARTS,
        help="of these pairs; the default leaves out what the run of the weights has trained on",
    )
    evaluate.add_argument("--seed", type=whole, default=0, metavar="N", help="of the split, where no run says it (0)")
    add_output(evaluate, RUNS / "evaluation", "the figures and overlays")

    check = commands.add_parser(
        "check", help="look through data folders: counts, codings, pictures that are there twice"
    )
    check.set_defaults(command=check_data)
    check.add_argument("--data", type=place, nargs="+", default=[LABELS], metavar="DIR", help="folders to train on")
    check.add_argument("--val", type=place, nargs="+", default=[], metavar="DIR", help="folders to validate on")
    for command in (train, evaluate, check):
        command.add_argument(
            "--hair-value", type=whole, metavar="N",
            help="the masks hold class numbers, and N is hair; without it they are shares of hair x 255",
        )  # fmt: skip

    export = commands.add_parser(
        "export", help="write a student for other programs: ONNX, OpenVINO and more, with a model card"
    )
    export.set_defaults(command=export_weights)
    add_output(export, EXPORTED, "the exported weights")

    predict = commands.add_parser("predict", help="write a soft hair mask for each picture")
    predict.set_defaults(command=predict_masks)
    add_batch(predict, SAMPLES, PREDICTED, "the masks and masks.csv")
    add_cluster(predict)

    summary = commands.add_parser("summary", help="layers, parameters, multiply-adds and the time of a forward pass")
    summary.set_defaults(command=summarize)
    summary.add_argument(
        "--runs", type=positive, default=100, help="forward passes to time, after a warm-up (%(default)s)"
    )
    for command in (evaluate, export, predict, summary):
        add_weights(command, SHIPPED_WEIGHTS)
    for command in (train, evaluate, summary):
        add_device(command)
    top.set_defaults(**vars(train.parse_args([])))
    return top


def train_and_evaluate(options: argparse.Namespace) -> int:
    """train: pairs -> the best weights of a run -> their figures on the pictures set aside."""
    import torch

    from common.batch.local import demand_room
    from segmentation.dataset.fetch import brought_here
    from segmentation.dataset.pair import there
    from segmentation.dataset.pairs import parts_of
    from segmentation.training.loop import train
    from segmentation.training.manifest import with_gone, write_manifest
    from segmentation.training.ranks import decided_by_the_first, together
    from segmentation.training.runtime import Runtime
    from segmentation.training.state import TEST, clear, held
    from segmentation.training.warm_start import start

    changes = {item.name: getattr(options, item.name) for item, _ in settings() if item.name in options}
    recipe = replace(PRESETS[options.preset], **changes)
    device, run = choose_device(options.device), options.output
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = True  # all batches but an epoch's last are of one size
    precision = fast_precision(device) if options.precision == "auto" else options.precision
    workers = options.workers if options.workers is not None else reading_ahead(device.type, own_cores())
    runtime = Runtime(device, getattr(torch, precision), workers, options.checkpoint_every, options.keep_small)

    def prepare() -> dict:
        options.data = [brought_here(folder) for folder in options.data]
        options.val = options.val and [brought_here(folder) for folder in options.val]
        parts = parts_of(options.data, options.val, options.hair_value, recipe.seed)
        if options.overwrite:
            clear(run)
        parts = with_gone(run, parts)
        counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
        print(f"{counts} pictures; {device}, {precision}; {recipe}", flush=True)
        return parts

    demand_here(run)
    with held(run), together(device):
        model, recipe = start(recipe)  # before an old run goes, which it may begin from
        parts = decided_by_the_first(prepare)
        note = partial(write_manifest, run, vars(options), asdict(recipe), parts, str(device))
        try:
            weights = train(run, model, parts["train"], parts["val"], recipe, runtime, note)
        except OSError as error:
            demand_room(error)
            raise
    return 0 if rank_and_size()[0] else report_figures(weights, there(parts["test"]), run / TEST, options.device)


def reading_ahead(device: str, cores: int) -> int:
    """How many processes read pictures for a training: on a GPU one a core, as it waits for them; on a processor, whose
    cores compute, two."""
    return min(cores, MOST_READING) if device == "cuda" else 2


def evaluate_weights(options: argparse.Namespace) -> int:
    """evaluate: weights and pairs -> figures."""
    from segmentation.dataset.fetch import brought_here
    from segmentation.dataset.pairs import gather, readable
    from segmentation.training.manifest import part_of

    demand_here(options.output)
    pairs = gather([brought_here(options.data)], options.hair_value)
    chosen = part_of(pairs, options.weights, options.part, options.seed)
    return report_figures(options.weights, readable(chosen), options.output, options.device)


def check_data(options: argparse.Namespace) -> int:
    """check: data folders -> what is in them, and what is wrong."""
    from segmentation.dataset.check import check
    from segmentation.dataset.fetch import brought_here

    folders = {"train": options.data, "val": options.val}
    return check({name: list(map(brought_here, of)) for name, of in folders.items()}, options.hair_value)


def export_weights(options: argparse.Namespace) -> int:
    """export: weights -> the forms that other programs run, and a card."""
    from segmentation.finding.formats import write_forms
    from segmentation.training.card import write_card

    demand_here(options.output)
    forms = write_forms(options.weights, options.output)
    for form in forms:
        alike = "" if form.difference is None else f", within {form.difference:.1g} of PyTorch's answers"
        time = "" if form.milliseconds is None else f", {form.milliseconds:.1f} ms a look"
        print(f"{form.name}: {form.path}{alike}{time}")
    print(f"what they are and how to use them: {write_card(options.weights, forms, options.output)}")
    return 0


def report_figures(weights: Path, pairs: list, output: Path, device: str) -> int:
    """Measure by one look, as an export answers, and as the scripts find hair; print both, say where the rest is."""
    from segmentation.networks.resize import to_mask
    from segmentation.training.evaluate import evaluate

    finder = HairFinder(weights, device, streams=2)

    def one_look(rgb: np.ndarray) -> np.ndarray:
        return to_mask(finder.probability(rgb), *rgb.shape[:2])

    metrics = evaluate(pairs, finder.mask, output, one_look=one_look, weights=short_hash(weights))
    print(metrics.round(4).to_string(na_rep=""))
    print(
        "one look: the whole picture at 224 x 224, as the original measures and an export answers; finder: as predict "
        "and the dye find hair"
    )
    print(f"metrics.csv, pictures.csv and overlays of the worst pictures: {output}")
    return 0


def predict_masks(options: argparse.Namespace) -> int:
    """predict: pictures -> soft hair masks."""
    from segmentation.finding.stage import EMPTY, Predict

    demand_one_process()
    max_pixels = options.max_megapixels * 10**6
    stage = Predict(
        weights=options.weights,
        weights_hash=short_hash(options.weights),
        device=options.device,
        max_pixels=max_pixels,
    )
    started, where = time.perf_counter(), without_secrets(options.output)
    tally, rest = run_stage(stage, options.pictures or [SAMPLES], options)
    say(f"{where}: {tally.done} masks written{tally.pace(started)}; {rest}", sys.stdout)
    if tally.done >= FEW and 2 * tally.statuses[EMPTY] > tally.done:
        say(
            f"in {tally.statuses[EMPTY]} of {tally.done} pictures there is no hair by {options.weights.name}; where "
            "they have some, the student has not learnt enough, or other pictures than these: `evaluate` measures it "
            "on drawn masks"
        )
    return tally.exit_code


def summarize(options: argparse.Namespace) -> int:
    """summary: what the student costs, and the teacher beside it."""
    from segmentation.finding.summary import print_summary

    print_summary(options.weights, choose_device(options.device), options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
