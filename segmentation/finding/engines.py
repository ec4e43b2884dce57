"""What runs the networks, bytes in, probability out: OpenVINO on a processor, PyTorch on a GPU."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.device import own_cores
from common.workarounds import openvino_alone

if TYPE_CHECKING:
    import openvino

# RGB (N, side, side, 3) uint8 of the network's side -> what it answers, float32: a student and a scout as `Answers` of
# predictor.py, a person detector boxes (N, 100, 5).
Engine = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def openvino_engine(model: Path, streams: int, precision: str = "auto") -> Engine:
    """An engine for the processor.

    Args:
        model: `model.xml` of an exported network.
        streams: pictures at once, each by its share of the cores.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the processor computes in it natively. That takes
            half of the time.
    """
    core = openvino_alone().Core()
    half = precision == "bfloat16" or (precision == "auto" and computes_in_bfloat16(core))
    # Not pinned to cores: beside other programs, or other ranks that would choose the same cores, that waits for long.
    settings = {
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": own_cores(),
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        **kept_beside(model),
    }
    compiled = core.compile_model(model, "CPU", settings)
    own = threading.local()  # an infer request serves one thread at a time

    def run(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        answers = []
        for one in rgb:
            answer = own.request.infer([one[None]])
            answers.append([answer[output].copy() for output in compiled.outputs])
        return tuple(np.concatenate(parts) for parts in zip(*answers))

    # Where two threads are the first to ask at once, OpenVINO can deadlock: it readies itself for numpy only then.
    run(np.zeros(compiled.inputs[0].shape, np.uint8))
    return run


def computes_in_bfloat16(core: "openvino.Core") -> bool:
    """Whether this processor does so natively."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class LazyEngine:
    """An engine that is made when it is first asked: few portraits need a scout, and a start shall be short."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self.make, self.lock = make, threading.Lock()
        self.engine: Engine | None = None

    def __call__(self, rgb: np.ndarray) -> tuple[np.ndarray, ...]:
        """As the engine's, which is made on the first call."""
        with self.lock:
            engine = self.engine = self.engine or self.make()
        return engine(rgb)


def kept_beside(model: Path) -> dict[str, str]:
    """The setting with which OpenVINO keeps what it makes of a model for this processor, which is half of its start;
    none where that cannot be written."""
    folder = model.parent / "compiled"
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return {}
    return {"CACHE_DIR": str(folder)} if os.access(folder, os.W_OK) else {}


def torch_engine(weights: Path, device: str) -> Engine:
    """The engine for a GPU, and the reference: PyTorch in float32."""
    import torch

    from segmentation.networks.registry import load_network, of_bytes

    network = of_bytes(load_network(weights)).to(device).eval()

    @torch.inference_mode()
    def run(rgb: np.ndarray) -> tuple[np.ndarray, ...]:
        answers = network(torch.from_numpy(np.ascontiguousarray(rgb)).to(device))
        return tuple(part.cpu().numpy() for part in (answers if isinstance(answers, tuple) else (answers,)))

    return run
