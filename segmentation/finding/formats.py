"""The student in the forms that other programs run, ONNX and OpenVINO, each checked against PyTorch."""

import os
import warnings
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import replacing
from common.workarounds import without_telemetry
from segmentation.networks.resize import INPUT_SIZE

TOLERANCE = 1e-4  # of the probabilities
INPUT, OUTPUT = "rgb", "hair"


class ExportError(UserError):
    """The student could not be brought into a form; the message says why."""


def write_forms(weights: Path, folder: Path) -> dict[str, tuple[Path, float]]:
    """Write `NAME.onnx` and `NAME.xml` with `NAME.bin` into `folder`, for batches of any size.

    Each takes RGB (N, 224, 224, 3) uint8 as `rgb` and gives the probability of hair (N, 224, 224) float32 as `hair`.

    Returns:
        form -> its file, and how far its answers lie from PyTorch's at most.

    Raises:
        WeightsError: the weights are missing or broken.
        ExportError: the package `onnx` is missing, or a form's answers differ by more than TOLERANCE; what was written
            before stays as it was.
    """
    with without_telemetry():
        import openvino as ov
        from openvino.tools.ovc import convert_model
    import torch

    from segmentation.networks.effisegnet import HairProbability, load_student

    try:
        import onnx
    except ImportError:
        raise ExportError("writing ONNX needs a package: pip install onnx") from None
    network = HairProbability(load_student(weights)).eval()
    example = torch.zeros(2, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), without_telemetry(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing speaks of checks that a fixed size makes idle
        as_onnx, as_openvino = folder / f"{weights.stem}.onnx", folder / f"{weights.stem}.xml"
        with replacing(as_onnx) as part:
            torch.onnx.export(
                network, (example,), str(part), input_names=[INPUT], output_names=[OUTPUT], opset_version=17,
                dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}, dynamo=False,
            )  # fmt: skip
            onnx.checker.check_model(str(part), full_check=True)
            differences = {"ONNX": (as_onnx, demand_alike(network, part, "ONNX"))}
        model = convert_model(network, example_input=example, input=[ov.PartialShape([-1, *example.shape[1:]])])
        model.inputs[0].set_names({INPUT})
        model.outputs[0].set_names({OUTPUT})
        with replacing(as_openvino) as part:
            ov.save_model(model, part, compress_to_fp16=False)
            difference = demand_alike(network, part, "OpenVINO")
            os.replace(part.with_suffix(".bin"), as_openvino.with_suffix(".bin"))
    return differences | {"OpenVINO": (as_openvino, difference)}


def demand_alike(network, form: Path, name: str) -> float:
    """The greatest difference of a form's answers from the network's. Raises ExportError: more than TOLERANCE."""
    with without_telemetry():
        import openvino as ov
    import torch

    compiled = ov.Core().compile_model(str(form), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    worst = 0.0
    for rgb in probes():
        worst = max(worst, float(np.abs(compiled(rgb)[0] - network(torch.from_numpy(rgb)).numpy()).max()))
    if not worst <= TOLERANCE:
        raise ExportError(f"the {name} form's answers differ from PyTorch's by {worst:.2g}, more than {TOLERANCE:g}")
    return worst


def probes() -> list[np.ndarray]:
    """Inputs of one and of three pictures (N, 224, 224, 3) uint8: noise, coarse and fine, and black."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (1, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
    coarse = rng.integers(0, 256, (2, INPUT_SIZE // 32, INPUT_SIZE // 32, 3), dtype=np.uint8)
    coarse = coarse.repeat(32, axis=1).repeat(32, axis=2)
    return [fine, np.concatenate([coarse, np.zeros_like(fine)])]
