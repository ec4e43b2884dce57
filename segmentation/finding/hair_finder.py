"""A picture in, the student's probability of hair out, on the fastest engine at hand.

On a processor the student runs in OpenVINO, exported from the PyTorch network once and kept beside the weights; PyTorch
is not even imported then. On a GPU it runs in PyTorch.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np

from common.device import choose_device
from common.weights import WeightsError
from segmentation.finding.engines import openvino_engine, torch_engine
from segmentation.finding.export import exported
from segmentation.student.frame import squash, to_mask

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "hair_student.safetensors"
ROOM = 0.5  # of the hair's height or width that a second look sees around it
SPECK = 0.1  # of the largest area of hair: what is smaller is not looked at again
CLOSER_BELOW = 0.7  # share of the picture under which the part with hair is worth one


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
