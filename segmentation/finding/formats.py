"""The student in the forms that other programs run, each checked against PyTorch and timed on this machine."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import UserError
from common.files import replacing
from common.image.picture import read_picture
from common.paths import DATA
from common.progress import say
from common.workarounds import without_telemetry
from segmentation.finding.hair_finder import SCOUT
from segmentation.finding.published import PUBLISHED, write_published
from segmentation.networks.cost import statistics_of, time_in_turn
from segmentation.networks.effisegnet import EffiSegNet, HairProbability
from segmentation.networks.registry import load_network, load_student
from segmentation.networks.resize import squash

TOLERANCE = 1e-4  # of the probabilities
HALF_TOLERANCE = 0.05  # of those computed in float16
INPUT, OUTPUT = "rgb", "hair"
RUNS = 10  # looks that are timed of each form
PORTRAIT = DATA / "samples" / "brown_long.jpg"

Answer = Callable[[np.ndarray], np.ndarray]  # (N, side, side, 3) uint8 -> (N, h, w) float32


class ExportError(UserError):
    """The student could not be brought into a form; the message says why."""


@dataclass
class Form:
    """A student in another program's form."""

    name: str  # what it is, in words
    path: Path
    difference: float | None = None  # of its answers from PyTorch's, at most; None where it cannot be run here
    milliseconds: float | None = None  # of a look at one picture, median


class HalfProbability(nn.Module):
    """As HairProbability, with the network in float16: bytes go in, float32 comes out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, H, W, 3) uint8 -> probability of hair (N, H, W) float32."""
        x = (rgb.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        return self.network(x.half())[:, 0].float().sigmoid()


def write_forms(weights: Path, folder: Path) -> list[Form]:
    """Write a student in every form that can be made here into `folder`, named as its weights.

    Each takes RGB (N, 224, 224, 3) uint8 as `rgb` and gives the probability of hair (N, 224, 224) float32 as `hair`:

    - `NAME.onnx` for batches of any size, `NAME_1.onnx` for one picture at a time, `NAME_float16.onnx`;
    - `NAME.xml` with `NAME.bin`, OpenVINO, for batches of any size;
    - `NAME.tflite` and `NAME.mlpackage`, where litert-torch and coremltools are installed, else a line says so;
    - `NAME.pth`, the seed project's own checkpoint;
    - the scout as ONNX beside it: (1, 448, 448, 3) -> (1, 112, 112).

    Raises:
        WeightsError: the weights are missing or broken.
        ExportError: the package `onnx` is missing, or a form's answers differ by more than TOLERANCE or are no
            numbers; what was written before stays as it was.
    """
    if find_spec("onnx") is None:
        raise ExportError("writing ONNX needs a package: pip install onnx")
    student = load_student(weights)
    network, stem = HairProbability(student).eval(), weights.stem
    forms: list[Form] = []
    answers: dict[Path, Answer] = {}
    with quietly(), torch.inference_mode():
        for name, end, model, batch in (
            ("ONNX, batches of any size", "", network, None),
            ("ONNX, one picture at a time", "_1", network, 1),
            ("ONNX, float16", "_float16", HalfProbability(load_student(weights)).eval(), None),
        ):
            form = Form(name, folder / f"{stem}{end}.onnx")
            with replacing(form.path) as part:
                write_onnx(model, student.side, part, batch)
                answers[form.path] = openvino_answer(part)
                demand_alike(form, network, answers[form.path], batch, student.side)
            forms.append(form)
        form = Form("OpenVINO, batches of any size", folder / f"{stem}.xml")
        with replacing(form.path) as part:
            write_openvino(network, student.side, part)
            answers[form.path] = openvino_answer(part)
            demand_alike(form, network, answers[form.path], side=student.side)
            os.replace(part.with_suffix(".bin"), form.path.with_suffix(".bin"))
        forms.append(form)
        for form, answer in further_forms(network, student.side, folder / stem):
            forms.append(form)
            answers |= {form.path: answer} if answer else {}
    rgb = probes(student.side)[0]
    times = time_in_turn({path: partial(answer, rgb) for path, answer in answers.items()}, RUNS)
    for form in forms:
        if form.path in times:
            form.milliseconds = statistics_of(times[form.path])["median"]
    if isinstance(student, EffiSegNet):
        forms += published_form(student, folder / f"{stem}.pth")
    return [*forms, scout_form(SCOUT, folder)]


def published_form(student: EffiSegNet, path: Path) -> list[Form]:
    """The seed project's own checkpoint, where that project has such a network."""
    if said := write_published(student, path):
        say(f"{path}: {said}")
    return [Form("PyTorch, the seed project's own checkpoint", path)] if student.encoder_name == PUBLISHED else []


def scout_form(weights: Path, folder: Path) -> Form:
    """The scout as ONNX. Raises WeightsError, ExportError."""
    form = Form("the scout, ONNX", folder / f"{weights.stem}.onnx")
    scout = load_network(weights)
    network = HairProbability(scout).eval()
    with quietly(), torch.inference_mode(), replacing(form.path) as part:
        write_onnx(network, scout.side, part, 1)
        answer = openvino_answer(part)
        demand_alike(form, network, answer, 1, scout.side)
    times = time_in_turn({"": partial(answer, probes(scout.side)[0])}, RUNS)
    form.milliseconds = statistics_of(times[""])["median"]
    return form


@contextmanager
def quietly() -> Iterator[None]:
    """Without what converters tell their makers, and tracing says of checks that a fixed size makes idle."""
    with warnings.catch_warnings(), without_telemetry():
        warnings.simplefilter("ignore")
        yield


def write_onnx(network: nn.Module, side: int, path: Path, batch: int | None) -> None:
    """Write a network between bytes and probabilities as ONNX; `batch` None: of any size."""
    import onnx

    example = torch.zeros(batch or 2, side, side, 3, dtype=torch.uint8)
    axes = {} if batch else {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
    torch.onnx.export(
        network, (example,), str(path), input_names=[INPUT], output_names=[OUTPUT], opset_version=17,
        dynamic_axes=axes, dynamo=False,
    )  # fmt: skip
    onnx.checker.check_model(str(path), full_check=True)


def write_openvino(network: nn.Module, side: int, path: Path) -> None:
    """Write a network between bytes and probabilities for OpenVINO, for batches of any size."""
    with without_telemetry():
        import openvino as ov
        from openvino.tools.ovc import convert_model
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    traced = torch.jit.trace(network, example, check_trace=False)  # its answers are checked in the end
    model = convert_model(traced, example_input=example, input=[ov.PartialShape([-1, *example.shape[1:]])])
    model.inputs[0].set_names({INPUT})
    model.outputs[0].set_names({OUTPUT})
    ov.save_model(model, path, compress_to_fp16=False)


def further_forms(network: nn.Module, side: int, stem: Path) -> Iterator[tuple[Form, Answer | None]]:
    """The forms that need packages which few have, each with what asks it; a line for each that is not written."""
    further = ("litert_torch", ".tflite", write_tflite), ("coremltools", ".mlpackage", write_coreml)
    for package, suffix, write in further:
        if find_spec(package) is None:
            say(f"{stem.name}{suffix} is not written: that needs a package, pip install {package.replace('_', '-')}")
            continue
        try:
            written = write(
                network, torch.zeros(1, side, side, 3, dtype=torch.uint8), stem.with_name(stem.name + suffix)
            )
        except ExportError:
            raise
        except Exception as error:  # converters raise what they like over what they do not know
            say(f"{stem.name}{suffix} is not written: {package} gives up ({' '.join(str(error).split())[:100]})")
            continue
        yield written


def write_tflite(network: nn.Module, example: Tensor, path: Path) -> tuple[Form, Answer]:
    """Write a network for TensorFlow Lite, one picture at a time. Raises ExportError."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    form = Form("TensorFlow Lite, one picture at a time", path)
    with replacing(path) as part:
        litert_torch.convert(network, (example,)).export(str(part))
        interpreter = Interpreter(str(part))
        interpreter.allocate_tensors()
        (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

        def answer(rgb: np.ndarray) -> np.ndarray:
            interpreter.set_tensor(taken["index"], rgb)
            interpreter.invoke()
            return interpreter.get_tensor(given["index"])

        demand_alike(form, network, answer, 1, example.shape[1])
    return form, answer


def write_coreml(network: nn.Module, example: Tensor, path: Path) -> tuple[Form, None]:
    """Write a network for Core ML, one picture at a time, which only a Mac can run: its answers are not checked."""
    import shutil
    import tempfile

    import coremltools

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        model = coremltools.convert(
            torch.jit.trace(network, (example,)),
            inputs=[coremltools.TensorType(INPUT, example.shape, np.int32)],
            outputs=[coremltools.TensorType(OUTPUT)],
            convert_to="mlprogram",
        )
        model.save(str(Path(folder, path.name)))
        shutil.rmtree(path, ignore_errors=True)
        os.rename(Path(folder, path.name), path)
    return Form("Core ML, one picture at a time, not run here", path), None


def openvino_answer(form: Path) -> Answer:
    """What asks an ONNX or OpenVINO file, in float32."""
    with without_telemetry():
        import openvino as ov

    compiled = ov.Core().compile_model(str(form), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda rgb: compiled(rgb)[0]


def demand_alike(form: Form, network: nn.Module, answer: Answer, batch: int | None = None, side: int = 224) -> None:
    """Note the greatest difference of a form's answers from the network's.

    Raises ExportError: it is more than the tolerance, or one of the two answers with what is no number.
    """
    tolerance, form.difference = HALF_TOLERANCE if "float16" in form.name else TOLERANCE, 0.0
    for rgb in probes(side)[:batch]:  # the first is of one picture
        wanted = network(torch.from_numpy(rgb)).numpy()
        if not np.isfinite(wanted).all():
            layer = first_without_numbers(network, torch.from_numpy(rgb))
            raise ExportError(f"these weights give answers that are no numbers, first in '{layer}'; train them again")
        difference = float(np.abs(answer(rgb) - wanted).max())
        if not difference <= tolerance:
            raise ExportError(
                f"{form.path}: answers otherwise than PyTorch, by {difference:.2g}, more than {tolerance:g}; do not "
                "use it, and tell which versions of the packages made it"
            )
        form.difference = max(form.difference, difference)


def first_without_numbers(network: nn.Module, x: Tensor) -> str:
    """The first layer of a network that gives NaN or an infinite value; empty where none does."""
    found: list[str] = []

    def note(name: str) -> Callable:
        def hook(_: nn.Module, __: tuple, output: object) -> None:
            if isinstance(output, Tensor) and not output.isfinite().all():
                found.append(name)

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in network.named_modules()]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


def probes(side: int) -> list[np.ndarray]:
    """Inputs of one and of three pictures (N, side, side, 3) uint8: a portrait; noise, coarse and fine, and black."""
    rng = np.random.default_rng(0)
    portrait = squash(read_picture(PORTRAIT).rgb8, side)[None]
    fine = rng.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    coarse = rng.integers(0, 256, (1, side // 32, side // 32, 3), dtype=np.uint8)
    coarse = coarse.repeat(32, axis=1).repeat(32, axis=2)
    return [portrait, np.concatenate([coarse, fine, np.zeros_like(fine)])]
