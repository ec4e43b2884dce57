#!/usr/bin/env python
"""Train the shipped student: portraits and scenes together, from an earlier student's weights.

    python models/remake_hair_student.py HAIR_MASKS START [--output DIR]

HAIR_MASKS holds `train/`, `scenes_train/`, `val/` and `scenes_val/`, each with `images/` and `masks/`; START is the
weights file to begin with (models/README.md says which). Interrupted, it goes on where it was. The result is
`DIR/last.safetensors`, the last epoch's; it does not replace the shipped weights by itself.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from segmentation.run_seg_model_ohlora_v4 import main as student  # noqa: E402
from segmentation.student.network import EffiSegNet, save_student  # noqa: E402
from segmentation.training.state import STATE  # noqa: E402

SETTINGS = "--preset strong --upsampling bilinear --learning-rate 1e-3 --ema 0.998 --batch-size 8 --composed 0.15"
EPOCHS = 8


def main() -> int:
    """Train, write the last weights; the exit code is that of the training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS")
    parser.add_argument("start", type=Path, metavar="START")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "remade", metavar="DIR")
    options = parser.parse_args()
    scenes = str(options.masks / "scenes_train")
    data = [str(options.masks / "train"), scenes, scenes]  # seen twice an epoch, each time cut in another way
    held_out = [str(options.masks / part) for part in ("val", "scenes_val")]
    where = ["--data", *data, "--val", *held_out, "--output", str(options.output), "--warm-start", str(options.start)]
    code = student(["train", *SETTINGS.split(), "--epochs", str(EPOCHS), *where])
    if code == 0:
        write_last(options.output / STATE, options.output / "last.safetensors")
    return code


def write_last(state: Path, weights: Path) -> None:
    """Write the averaged weights of a run's last epoch: they do better in scenes than the epoch with the best loss,
    which portraits decide."""
    average = torch.load(state, weights_only=True, map_location="cpu")["average"]
    network = EffiSegNet(upsampling="bilinear")
    own = {name.removeprefix("module."): tensor for name, tensor in average.items() if name.startswith("module.")}
    network.load_state_dict(own)
    save_student(network, weights)


if __name__ == "__main__":
    sys.exit(main())
