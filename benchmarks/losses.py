#!/usr/bin/env python
"""The published comparison of losses, remade: each loss trains a student by one short recipe, on the same pictures.

    python benchmarks/losses.py --data DIR --val DIR [--epochs 4] [--size 96]

Interrupted, it goes on where it was. Writes data/runs/losses/losses.csv.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.files import replacing
from segmentation.run_seg_model_ohlora_v4 import main as student

LOSSES = ("mse", "soft-bce", "kl-one-sided", "kl")
OUTPUT = ROOT / "data" / "runs" / "losses"
FIGURES = ["mse", "iou", "dice", "recall", "precision"]


def main() -> None:
    """Train with each loss, collect the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="pairs to train on")
    parser.add_argument("--val", type=Path, required=True, metavar="DIR", help="pairs to measure on")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    recipe = ["--learning-rate", "1e-3", "--warm-start", "lite0", "--decay", "0.7"]
    rows = {}
    for loss in LOSSES:
        run = OUTPUT / loss
        where = ["--data", options.data, "--val", options.val, "--output", run]
        short = ["--loss", loss, "--epochs", options.epochs, "--size", options.size, *recipe]
        code = student(["train", *map(str, [*where, *short])])
        if code:
            sys.exit(code)
        figures = pd.read_csv(run / "test" / "metrics.csv", index_col=["set", "by"])
        rows[loss] = figures.loc[("all", "one look"), FIGURES]
    table = pd.DataFrame(rows).T.rename_axis("loss")
    with replacing(OUTPUT / "losses.csv") as path:
        table.to_csv(path)
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
