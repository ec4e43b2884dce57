"""Who says what is hair: FaceXFormer, or students in its place, one or several as one.

Either is a `Teacher`; the labelling knows nothing else of them.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from PIL import Image

from common.device import choose_device
from common.paths import MODELS
from common.progress import say
from common.weights import WeightsError, fetch, load_state_dict, load_strict, sha256, short_hash
from common.workarounds import keep_freed_memory

if TYPE_CHECKING:  # it imports torch, which takes a second to load
    from segmentation.networks.facexformer.model import FaceXFormer

WEIGHTS = MODELS / "facexformer.pt"
# The official checkpoint, pinned: the commit on the hub and the sum of the file. 1.1 GB, training state included.
ADDRESS = (
    "https://huggingface.co/kartiknarayan/facexformer/resolve/fd12148d0b1949bb98602544d4b257f42eef774d/ckpts/model.pt"
)
SUM = "327a755849ba64d336fb96589ff87b27e84a12be1ecf8bcfaa503d66f803286d"
WITHOUT = "To go on without it, --teacher student labels with the shipped student instead"
PART = "state_dict_backbone"  # of the official checkpoint: the network's own weights

# Pictures at a time on a processor: the largest tensors then stay below 32 MB. Larger blocks the C library gives back
# to the kernel after each use, which has to clear them for the next.
AT_ONCE = 4
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


VIEWS = ("mirror", "scales")  # of an ensemble: the mirror image too; at each of these sides of the square, pixels
SCALES = (192, 224, 288)  # those sides, pixels

FindHair = Callable[[np.ndarray], np.ndarray]  # (N, side, side, 3) uint8 -> (N, 224, 224) float32 in 0..1


@dataclass(frozen=True)
class Teacher:
    """What finds hair, in two steps: many threads call `see`, one thread what `load` gives."""

    name: str  # with the next two, as labels.csv records it
    weights: str
    precision: str
    see: Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 RGB -> (side, side, 3) uint8, as its network wants it
    # weights, device, precision -> the network, ready; raises WeightsError: the weights are broken, or of another one
    load: Callable[[Path, str, str], FindHair]
    path: Path  # of the weights
    is_whole: bool = True  # whether that file has all of them, as a cluster needs; else it is the first of several

    def on(self, device: str) -> "Teacher":
        """The same with the precision that "auto" is on a device of this machine.

        Raises UserError: it has no such device.
        """
        if self.precision != "auto":
            return self
        return replace(self, precision="float16" if choose_device(device).type == "cuda" else "float32")


def facexformer(weights: Path = WEIGHTS, precision: str = "auto") -> Teacher:
    """FaceXFormer; its checkpoint is fetched where `weights` is the default place and nothing lies there.

    Args:
        precision: of the backbone; what follows it is always computed in float32. "auto" is float16 on CUDA and
            float32 elsewhere.

    Raises WeightsError: the weights are missing, or cannot be fetched or read.
    """
    if os.path.realpath(weights) == os.path.realpath(WEIGHTS):
        fetch_facexformer()
    return Teacher("facexformer", short_hash(weights), precision, resize_as_published, ready_facexformer, weights)


def ready_facexformer(weights: Path, device: str, precision: str) -> FindHair:
    """The network on its device, ready to be asked. Raises WeightsError: broken, or of another network."""
    import torch

    from segmentation.networks.facexformer.cpu import float32_by_onednn
    from segmentation.networks.facexformer.model import SIZE as SIDE

    place, dtype = choose_device(device), getattr(torch, precision)
    network = load_facexformer(weights).to(place)
    on_processor = place.type == "cpu"
    if on_processor:
        keep_freed_memory()
    settings = float32_by_onednn if on_processor else nullcontext

    def hair_of(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        parts = x.split(AT_ONCE if on_processor else len(x))
        return torch.cat([network.hair(part, dtype) for part in parts])

    @torch.inference_mode()
    def find_hair(rgb: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(rgb).to(place)
        with settings():
            hair = hair_of(x, dtype)
            if not hair.isfinite().all():  # float16 ends at 65,504: some pictures may need more
                hair = hair_of(x, torch.float32)
        if not hair.isfinite().all():
            raise WeightsError(f"{weights}: these weights give values that are not numbers; get them again")
        return hair.cpu().numpy()

    find_hair(np.zeros((1, SIDE, SIDE, 3), np.uint8))  # bad weights end the run before it touches a picture
    return find_hair


def students(weights: Sequence[Path] = (), views: Sequence[str] = ()) -> Teacher:
    """Students in the teacher's place, as one: the mean of what each of them sees, in each of the views asked for.

    Args:
        weights: of any number of them, with any encoders; none: the shipped one alone.
        views: what is looked at besides the picture as it is, of `VIEWS`.

    Raises WeightsError as `facexformer`.
    """
    from segmentation.finding.hair_finder import SHIPPED_WEIGHTS
    from segmentation.networks.resize import squash

    chosen = list(weights) or [SHIPPED_WEIGHTS]
    names = "+".join(path.stem for path in chosen)
    name = ", ".join(["student" if chosen == [SHIPPED_WEIGHTS] else f"students {names}", *views])
    hashes = "+".join(short_hash(path) for path in chosen)
    if len(chosen) == 1 and not views:
        return Teacher(name, hashes, "float32", squash, ready_student, chosen[0])

    def load(_: Path, device: str, __: str) -> FindHair:
        return ready_ensemble(chosen, device, views)

    return Teacher(name, hashes, "float32", partial(squash, side=max(SCALES)), load, chosen[0], is_whole=False)


def ready_student(weights: Path, device: str, _: str) -> FindHair:
    """A student on its device, ready to be asked. Raises WeightsError, UserError."""
    from segmentation.finding.hair_finder import HairFinder

    engine = HairFinder(weights, device).student.engine
    return lambda rgb: engine(rgb)[0]


def ready_ensemble(weights: Sequence[Path], device: str, views: Sequence[str]) -> FindHair:
    """Students on their device, ready to be asked for the mean of what they see. Raises WeightsError, UserError."""
    import torch
    from torch.nn import functional as F

    from segmentation.networks.registry import load_student
    from segmentation.networks.resize import INPUT_SIZE

    place = choose_device(device)
    networks = [load_student(path).to(place) for path in weights]
    sides = SCALES if "scales" in views else (INPUT_SIZE,)

    def seen(x: torch.Tensor, side: int) -> torch.Tensor:
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        turned = [x, x.flip(3)] if "mirror" in views else [x]
        answers = [[network(view)[:, :1].sigmoid() for network in networks] for view in turned]
        upright = [sum(answers[0]), *(sum(of).flip(3) for of in answers[1:])]
        mean = sum(upright) / (len(turned) * len(networks))
        return F.interpolate(mean, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)

    @torch.inference_mode()
    def find_hair(rgb: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(rgb).to(place).permute(0, 3, 1, 2).float() / 127.5 - 1
        hair = reduce(torch.add, (seen(x, side) for side in sides)) / len(sides)
        if not hair.isfinite().all():
            raise WeightsError(f"{weights[0]}: these weights give values that are not numbers; train them again")
        return hair[:, 0].cpu().numpy()

    find_hair(np.zeros((1, max(SCALES), max(SCALES), 3), np.uint8))  # bad weights end the run before a picture
    return find_hair


def resize_as_published(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (224, 224, 3): Pillow's bicubic, antialiased; the aspect is given up."""
    from segmentation.networks.facexformer.model import SIZE

    return np.asarray(Image.fromarray(rgb).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


# ---- its weights ----


def fetch_facexformer() -> None:
    """Download the official checkpoint to `WEIGHTS` unless it is there; of several ranks one does.

    The sum of a file that was put there by hand is checked once, and again when it changes.

    Raises WeightsError with the address, the place, and the way to go on without it.
    """
    checked = WEIGHTS.with_name(f".{WEIGHTS.name}.checked")
    if WEIGHTS.is_file() and checked.is_file() and checked.read_text() == file_stamp(WEIGHTS):
        return
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(WEIGHTS.with_name(f".{WEIGHTS.name}.lock")):
        if not WEIGHTS.is_file():
            say(f"fetching the teacher's weights, 1.1 GB, once: {ADDRESS}")
            fetch(ADDRESS, WEIGHTS, sha256=SUM, otherwise=WITHOUT)
        elif (found := sha256(WEIGHTS)) != SUM:
            raise WeightsError(
                f"{WEIGHTS}: is not the official checkpoint, or not all of it (its SHA-256 is {found}, not {SUM}); "
                f"get {ADDRESS} anew, or name weights of your own, elsewhere, by --weights. {WITHOUT}"
            )
        with suppress(OSError):  # a folder that cannot be written: it is checked every time
            checked.write_text(file_stamp(WEIGHTS))


def file_stamp(file: Path) -> str:
    """What changes when a file does."""
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns} {SUM}"


def load_facexformer(weights: Path) -> "FaceXFormer":
    """The network with the weights of an official checkpoint, on the CPU, ready to be asked.

    Raises WeightsError: any tensor missing, misshapen or unexpected, but for the other heads', which are passed over.
    """
    import torch

    from segmentation.networks.facexformer.model import OTHER_HEADS, FaceXFormer

    state = load_state_dict(weights)
    if not isinstance(state.get(PART), dict):
        raise WeightsError(
            f"{weights}: is no official FaceXFormer checkpoint, it holds no '{PART}'; get it from {ADDRESS}. {WITHOUT}"
        )
    with torch.device("meta"):  # no second spent on random weights
        network = FaceXFormer().eval().requires_grad_(False)
    network.to_empty(device="cpu")
    load_strict(network, {name: t for name, t in state[PART].items() if not name.startswith(OTHER_HEADS)}, weights)
    return network
