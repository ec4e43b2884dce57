"""A picture in, the student's probability of hair out, on the fastest engine at hand.

On a processor the student runs in OpenVINO, exported from the PyTorch network once and kept beside the weights; PyTorch
is not even imported then. On a GPU it runs in PyTorch.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from common.batch import Row, Source, Table, find_pictures, output_names, shard, work_through
from common.device import choose_device, own_cores
from common.pictures import read_picture, write_mask
from common.weights import WeightsError, sha256
from segmentation.seg_model_ohlora_v4.frame import INPUT_SIZE, squash, to_mask

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "hair_student.safetensors"
NETWORK = Path(__file__).with_name("model.py")
COLUMNS = ["image", "mask", "width", "height", "hair_share", "status", "error"]
ROOM = 0.5  # of the hair's height or width that a second look sees around it
SPECK = 0.1  # of the largest area of hair: what is smaller is not looked at again
CLOSER_BELOW = 0.7  # share of the picture under which the part with hair is worth one

Engine = Callable[[np.ndarray], np.ndarray]  # (N, 224, 224, 3) uint8 RGB -> (N, 224, 224) float32 probability of hair


class HairFinder:
    """The student, ready to look at pictures. May be used from several threads at once.

    Args:
        weights: our safetensors or the published `segmentation_model_ohlora_v4.pth`.
        device: "auto" (a CUDA GPU where there is one, else the processor), "cpu", "cuda", "mps".
        streams: how many threads will ask at once; the processor's cores are shared out among them.

    Raises:
        WeightsError: the weights are missing, broken, or of another network.
    """

    def __init__(self, weights: Path = SHIPPED_WEIGHTS, device: str = "auto", streams: int = 1):
        weights = Path(weights)
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such weights; models/README.md says what goes where")
        if device == "auto" and shutil.which("nvidia-smi") is None:
            device = "cpu"  # known without importing torch
        if device != "cpu":
            device = str(choose_device(device))
        self.engine = openvino_engine(exported(weights), streams) if device == "cpu" else torch_engine(weights, device)

    def probability(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> probability of hair (224, 224) float32 in 0..1, in the frame of the whole picture."""
        return self.engine(squash(rgb)[None])[0]

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> soft hair mask (H, W) uint8, probability x 255."""
        return to_mask(self.probability(rgb), *rgb.shape[:2])

    def closer_mask(self, rgb: np.ndarray) -> np.ndarray:
        """As `mask`, with a second look at the part with hair where that is small in the picture: far-away heads."""
        height, width = rgb.shape[:2]
        probability = self.probability(rgb)
        mask = to_mask(probability, height, width)
        if (part := small_part_with_hair(probability, height, width)) is not None:
            mask[part] = self.mask(rgb[part])
        return mask


def small_part_with_hair(probability: np.ndarray, height: int, width: int) -> tuple[slice, slice] | None:
    """Rows and columns of a picture (height, width) with its hair and room around; None where that is no small part.

    The part is about square, as portraits are: a strip of hair alone would be strange to the student. Specks beside the
    hair do not count: in a picture of much else there often are some.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA] * (np.arange(len(stats)) > 0)  # the first is what is no hair
    left, top, across, down = cv2.boundingRect(np.uint8(areas > SPECK * areas.max())[labels])
    side = len(probability)
    down, across = down * height / side, across * width / side  # pixels
    reach = (0.5 + ROOM) * max(down, across)
    middles = (top * height / side + down / 2, left * width / side + across / 2)
    rows, columns = (
        slice(max(0, round(middle - reach)), min(size, round(middle + reach)))
        for middle, size in zip(middles, (height, width))
    )
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns) if 0 < area <= CLOSER_BELOW * height * width else None


def predict_folder(inputs: Sequence[Path], output: Path, finder: HairFinder, overwrite: bool) -> int:
    """Write the soft hair mask of each picture as `output`/<its path>.png, and a row for each in `masks.csv`.

    Args:
        inputs: pictures and folders of pictures.
        overwrite: do those again whose mask and row are there.

    Returns:
        0, or 1 where a picture failed.

    Raises:
        BatchError: an input is missing, or there is no picture.
    """
    sources = find_pictures(inputs, output)
    names = output_names(sources, ".png")
    started = time.perf_counter()

    def work(source: Source) -> Row:
        rgb = read_picture(source.path).rgb8
        mask = finder.mask(rgb)
        write_mask(output / names[source], mask)
        height, width = mask.shape
        return row_of(source) | dict(width=width, height=height, hair_share=round(mask.mean() / 255, 4), status="ok")

    def row_of(source: Source) -> Row:
        return dict(image=table.relative(source.path), mask=names[source])

    def is_done(source: Source) -> bool:
        mask = names[source]
        known = not overwrite and table.finished(mask, image=table.relative(source.path))
        return known and (output / mask).is_file()

    with Table(output / "masks.csv", COLUMNS, key="mask") as table:
        tally = work_through(shard(sources), work, table, workers=own_cores(), describe=row_of, skip=is_done)
    seconds = (time.perf_counter() - started) / max(tally.done, 1)
    print(
        f"{output}: {tally.done} masks written, {1000 * seconds:.0f} ms a picture, {tally.skipped} there already, "
        f"{tally.failed} failed; masks.csv has a row for each"
    )
    return tally.exit_code


def openvino_engine(model: Path, streams: int, precision: str = "f32") -> Engine:
    """An engine for the processor. "bf16" takes two thirds of the time, but moves 4 % of the pixels by over 1/255."""
    import openvino as ov

    # Not pinned to cores: beside other programs, or other ranks that would choose the same cores, that waits for long.
    settings = {
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": own_cores(),
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = ov.Core().compile_model(model, "CPU", settings)
    own = threading.local()  # an infer request serves one thread at a time

    def run(rgb: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return np.concatenate([own.request.infer([one[None]])[0].copy() for one in rgb])

    # Where two threads are the first to ask at once, OpenVINO can deadlock: it readies itself for numpy only then.
    run(np.zeros((1, INPUT_SIZE, INPUT_SIZE, 3), np.uint8))
    return run


def torch_engine(weights: Path, device: str) -> Engine:
    """The engine for a GPU, and the reference: PyTorch in float32."""
    import torch

    from segmentation.seg_model_ohlora_v4.model import HairProbability, load_student

    network = HairProbability(load_student(weights)).to(device).eval()

    @torch.inference_mode()
    def run(rgb: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(rgb).to(device)).cpu().numpy()

    return run


def exported(weights: Path) -> Path:
    """The OpenVINO form of these weights: made where it is not there yet, anew when the weights or the network change.

    It lies beside the weights or, where that folder cannot be written, in the user's cache.
    """
    name = f"{weights.stem}-{sha256(weights)[:16]}-{sha256(NETWORK)[:8]}"
    folders = [weights.parent / ".exported", Path.home() / ".cache" / "ombre-hair"]
    for folder in folders:
        if (folder / name / "model.xml").is_file():
            return folder / name / "model.xml"
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as temporary:
                export(weights, Path(temporary) / name)
                os.rename(Path(temporary) / name, folder / name)  # whole or absent, also when two start at once
        except OSError:
            if not (folder / name / "model.xml").is_file():
                continue
        return folder / name / "model.xml"
    raise WeightsError(f"{weights}: no place to keep its exported form; make {folders[0]} or {folders[1]} writable")


def export(weights: Path, folder: Path) -> None:
    """Write the student as `model.xml` and `model.bin` for OpenVINO."""
    import openvino as ov
    import torch

    from segmentation.seg_model_ohlora_v4.model import HairProbability, load_student

    print(f"preparing {weights.name} for this processor, once", file=sys.stderr)
    network = HairProbability(load_student(weights)).eval()
    example = torch.zeros(1, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8)  # a fixed batch of one is the fastest
    # The converter would tell its makers that it is used, but not from tests.
    with warnings.catch_warnings(), patch.dict(os.environ, CI="true"):
        warnings.simplefilter("ignore")  # tracing speaks of checks that a fixed input size makes idle
        model = ov.convert_model(network, example_input=example, input=[ov.PartialShape(example.shape)])
    folder.mkdir()
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
