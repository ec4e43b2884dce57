"""Would 8 bits do for the student? Quantised after its training by NNCF, beside float32 and bfloat16.

    pip install nncf
    python benchmarks/eight_bits.py HAIR_MASKS [--pictures 1000] [--runs 60]

Calibrated on pictures made from data/samples. The time of one look is one thread's; IoU and F1 are of single looks at
HAIR_MASKS/val and scenes_val, pixels pooled. The gate: neither moves by more than 0.0005 from float32.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import openvino as ov

from benchmarks.markdown import markdown
from benchmarks.ombre_quality import evenly
from benchmarks.ombre_speed import make_pictures
from common.image.picture import read_mask, read_picture
from segmentation.finding.export import exported
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS
from segmentation.networks.cost import statistics_of, time_in_turn
from segmentation.networks.resize import squash, to_mask

CALIBRATED_ON = 150  # pictures
PARTS = ("val", "scenes_val")
Look = Callable[[np.ndarray], np.ndarray]  # (224, 224, 3) uint8 -> probability (224, 224) float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path, metavar="HAIR_MASKS", help="folder with val and scenes_val")
    parser.add_argument("--pictures", type=int, default=1000, help="of each part, at most (%(default)s)")
    parser.add_argument("--runs", type=int, default=60, help="of each look that is timed (%(default)s)")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        made = [squash(read_picture(path).rgb8) for path in make_pictures(Path(folder), CALIBRATED_ON)]
    model = ov.Core().read_model(exported(SHIPPED_WEIGHTS))
    looks = {name: look_by(model, precision) for name, precision in (("float32", "f32"), ("bfloat16", "bf16"))}
    looks["8 bits"] = look_by(quantised(model, made), "bf16")
    times = time_in_turn({name: lambda look=look: look(made[0]) for name, look in looks.items()}, asked.runs)
    scores = {part: scores_on(asked.masks / part, looks, asked.pictures) for part in PARTS}
    rows = []
    for name, values in times.items():
        row = {"": name, "ms, median": statistics_of(values)["median"], "least": min(values)}
        rows.append(row | {f"{part}, {kind}": scores[part][name][kind] for part in PARTS for kind in ("IoU", "F1")})
    print(markdown(rows))


def look_by(model: ov.Model, precision: str) -> Look:
    """One look by a model, on one thread."""
    settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda rgb: request.infer([rgb[None]])[0][0].copy()


def quantised(model: ov.Model, pictures: list[np.ndarray]) -> ov.Model:
    """The model in 8 bits, calibrated on pictures (224, 224, 3) uint8."""
    import nncf

    calibration = nncf.Dataset(pictures, lambda rgb: rgb[None])
    return nncf.quantize(model.clone(), calibration, subset_size=len(pictures), preset=nncf.QuantizationPreset.MIXED)


def scores_on(folder: Path, looks: dict[str, Look], count: int) -> dict[str, dict[str, str]]:
    """IoU and F1 of each look on the pictures of a folder."""
    sums = {name: np.zeros(3) for name in looks}
    for path in evenly(sorted((folder / "images").iterdir()), count):
        rgb, drawn = read_picture(path).rgb8, read_mask(folder / "masks" / f"{path.stem}.png") >= 128
        for name, look in looks.items():
            found = to_mask(look(squash(rgb)), *drawn.shape) >= 128
            sums[name] += (found & drawn).sum(), found.sum(), drawn.sum()
    return {
        name: {"IoU": f"{both / (found + drawn - both):.4f}", "F1": f"{2 * both / (found + drawn):.4f}"}
        for name, (both, found, drawn) in sums.items()
    }


if __name__ == "__main__":
    main()
