#!/usr/bin/env python
"""How long the student takes for one picture of 224 x 224, on each engine and beside the teacher; how well they agree.

    python benchmarks/student_speed.py [--runs 100] [--compiled] [PICTURE...]

All take turns, so that a busy machine burdens all alike. Agreement is the share of pixels whose probability is within
1/255 of our network's in PyTorch, float32, over the pictures (data/samples) and their mirror images. Then the looks and
the time that each picture's mask takes. Then what the engines cost otherwise: seconds to the first result, imports not
counted, and megabytes installed.
"""

import argparse
import importlib.metadata
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.markdown import markdown
from benchmarks.teacher_speed import Published as PublishedTeacher
from common.image.picture import read_picture
from segmentation.finding.engines import Engine, openvino_engine
from segmentation.finding.export import exported
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder
from segmentation.networks.cost import statistics_of, time_in_turn
from segmentation.networks.effisegnet import HairProbability
from segmentation.networks.facexformer.model import FaceXFormer
from segmentation.networks.registry import load_student
from segmentation.networks.resize import squash, to_mask
from tests.tools.published_student import as_published

SAMPLES = sorted((Path(__file__).resolve().parents[1] / "data" / "samples").glob("*.jpg"))
PACKAGES = ("openvino", "torch", "onnxruntime", "opencv-python")
TEACHER = "teacher as published, PyTorch float32"
REFERENCE = "student, PyTorch float32"


def main() -> None:
    options = parser().parse_args()
    rgb = np.stack([squash(read_picture(path).rgb8) for path in options.pictures or SAMPLES])
    rgb = np.concatenate([rgb, rgb[:, :, ::-1]])
    engines, starts = all_engines(options.compiled)
    print(f"{torch.get_num_threads()} threads, {options.runs} runs in turn, agreement on {len(rgb)} pictures\n")
    print(markdown(speed(engines, rgb, options.runs)))
    print(markdown(looks(options.pictures or SAMPLES, options.runs // 10 or 1)))
    print(markdown([{"to the first result": name, "s": seconds} for name, seconds in starts.items()]))
    print(markdown([{"installed": name, "MB": size} for name in PACKAGES if (size := megabytes(name))]))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", metavar="PICTURE", help="to compare masks on")
    parser.add_argument("--runs", type=int, default=100, metavar="N")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too: takes a C++ compiler and a minute")
    return parser


def all_engines(compiled: bool) -> tuple[dict[str, Engine], dict[str, float]]:
    """Name -> engine; and for how each comes up, the seconds that it takes."""
    picture, starts = np.zeros((1, 224, 224, 3), np.uint8), {}

    def started(name: str, make: Callable[[], Engine]) -> Engine:
        start = time.perf_counter()
        engine = make()
        engine(picture)
        starts[name] = time.perf_counter() - start
        return engine

    with TemporaryDirectory() as folder:
        weights = Path(shutil.copy(SHIPPED_WEIGHTS, folder))
        started("OpenVINO, the first time: exported as well", lambda: openvino_engine(exported(weights), streams=1))
        model = exported(weights)
        used = started("OpenVINO, later", lambda: openvino_engine(model, streams=1))
        exact, half = (openvino_engine(model, streams=1, precision=name) for name in ("float32", "bfloat16"))
    student = load_student(SHIPPED_WEIGHTS)
    teacher = PublishedTeacher(FaceXFormer().state_dict())  # its time does not depend on its weights
    engines = {
        TEACHER: torch.inference_mode()(lambda rgb: (teacher.hair(torch.from_numpy(rgb)).numpy(),)),
        "student as published, PyTorch float32": in_torch(HairProbability(as_published(student))),
        REFERENCE: started("PyTorch", lambda: in_torch(HairProbability(student))),
        "student, OpenVINO float32": exact,
        "student, OpenVINO bfloat16": half,
        "student, OpenVINO, as the scripts use it": used,
    }
    if compiled:
        network = torch.compile(HairProbability(student), mode="max-autotune-no-cudagraphs")
        engines["student, torch.compile float32"] = started("torch.compile", lambda: in_torch(network))
    return engines, starts


def in_torch(network: Callable) -> Engine:
    return torch.inference_mode()(lambda rgb: (network(torch.from_numpy(rgb)).numpy(),))


def speed(engines: dict[str, Engine], rgb: np.ndarray, runs: int) -> list[dict]:
    """A row an engine: milliseconds a picture, how many times as fast as the teacher, and its agreement."""
    times = time_in_turn({name: lambda engine=engine: engine(rgb[:1]) for name, engine in engines.items()}, runs)
    rows, wanted = [], hair_of(engines[REFERENCE], rgb)
    for name, engine in engines.items():
        found = statistics_of(times[name])
        within = np.abs(hair_of(engine, rgb) - wanted) <= 1 / 255
        rows.append(
            {
                "": name,
                "ms, median": found["median"],
                "least": found["min"],
                "times as fast as the teacher": np.median(np.divide(times[TEACHER], times[name])),
                "pixels within 1/255": "" if name == TEACHER else f"{100 * within.mean():.2f} %",
            }
        )
    return rows


def looks(paths: list[Path], runs: int) -> list[dict]:
    """A row a picture: looks that its mask takes, the student's and the scout's, milliseconds of the mask in both
    precisions, and of one look in float32, which was all that a portrait took before heads in scenes were searched
    for."""
    used, exact = HairFinder(), HairFinder(precision="float32")
    rows = []
    for path in paths:
        rgb, counted, engines = read_picture(path).rgb8, Counter(), (used.student.engine, used.search.scout.engine)
        used.student.engine = counting(engines[0], counted, "looks")
        used.search.scout.engine = counting(engines[1], counted, "of the scout")
        used.mask(rgb)
        used.student.engine, used.search.scout.engine = engines
        calls = {
            "ms": lambda: used.mask(rgb),  # noqa: B023
            "ms in float32": lambda: exact.mask(rgb),  # noqa: B023
            "ms of one look in float32": lambda: to_mask(exact.probability(rgb), *rgb.shape[:2]),  # noqa: B023
        }
        times = {name: statistics_of(values)["median"] for name, values in time_in_turn(calls, runs).items()}
        rows.append({"mask of": path.name} | {name: counted[name] for name in ("looks", "of the scout")} | times)
    return rows


def counting(engine: Engine, counted: Counter, name: str) -> Engine:
    """The engine, which counts what it is asked."""

    def run(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
        counted[name] += len(rgb)
        return engine(rgb)

    return run


def hair_of(engine: Engine, rgb: np.ndarray) -> np.ndarray:
    return np.concatenate([engine(np.ascontiguousarray(one[None]))[0] for one in rgb])


def megabytes(package: str) -> float:
    """What a package takes on the disk, without what it depends on; 0 where it is not installed."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return 0.0
    return sum(path.stat().st_size for file in files if (path := Path(file.locate())).is_file()) / 1e6


if __name__ == "__main__":
    main()
