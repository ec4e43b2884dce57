"""What dyeing a picture costs at least, on one core, whatever the code: the limit beside ombre_speed.py's steps.

Decoding and encoding take what libjpeg-turbo takes for them, by OpenCV, without anything around. The network takes its
multiply-adds at the pace that a large product of matrices has on this processor, in bfloat16 where that is faster. The
colours have to be read once and written once.
"""

from pathlib import Path

import cv2
import numpy as np
import torch

from common.image.picture import read_picture
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS
from segmentation.networks.cost import layers, time_in_turn
from segmentation.networks.registry import load_student
from segmentation.networks.resize import INPUT_SIZE

SIDE = 1024  # of the matrices


def least(paths: list[Path], runs: int) -> dict[str, float]:
    """Milliseconds a picture, the least of `runs`, by the names of ombre_speed.py's steps. `paths` are JPEGs."""
    data = [np.fromfile(path, np.uint8) for path in paths]
    pictures = [read_picture(path).rgb8 for path in paths]
    calls = {
        "decode": lambda: [cv2.imdecode(one, cv2.IMREAD_COLOR_RGB) for one in data],
        "encode": lambda: [cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, 90]) for one in pictures],
        "dye": lambda: [one.copy() for one in pictures],
    }
    times = {name: min(values) / len(paths) for name, values in time_in_turn(calls, runs).items()}
    return {"decode": times["decode"], "network": multiply_adds() / pace(runs), **times}


def multiply_adds() -> int:
    """Of the network, for one look."""
    return layers(load_student(SHIPPED_WEIGHTS), torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE))[1]


def pace(runs: int) -> float:
    """Multiply-adds a millisecond of one thread, the most that is reached."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ones = {dtype: torch.ones(SIDE, SIDE, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
        times = time_in_turn({str(dtype): lambda one=one: one @ one for dtype, one in ones.items()}, runs)
        return SIDE**3 / min(map(min, times.values()))
    finally:
        torch.set_num_threads(threads)
