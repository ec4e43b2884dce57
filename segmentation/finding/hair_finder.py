"""A picture in, its hair mask out, on the fastest engine at hand.

On a processor the networks run in OpenVINO, exported from PyTorch once and kept beside the weights; PyTorch is not even
imported then. On a GPU they run in PyTorch.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.device import choose_device
from common.paths import MODELS
from common.weights import WeightsError, safetensors_metadata
from segmentation.finding.blend import blend
from segmentation.finding.box import Part
from segmentation.finding.engines import Engine, LazyEngine, openvino_engine, torch_engine
from segmentation.finding.export import exported
from segmentation.finding.guide import Guide, guide_of
from segmentation.finding.head_search import Crop, HeadSearch
from segmentation.finding.predictor import Predictor
from segmentation.networks.resize import SCOUT_SIZE, to_mask

SURE = "sure"  # what weights files call the certainty that a head is seen with at least
SHIPPED_WEIGHTS, SCOUT = MODELS / "hair_student.safetensors", MODELS / "hair_scout.safetensors"
PERSONS = MODELS / "person_detector.safetensors"


class Found(NamedTuple):
    """What was found in a picture (height, width): `crops`, in the order in which they are laid over each other."""

    height: int
    width: int
    crops: list[Crop]

    def mask(self) -> np.ndarray:
        """Soft hair mask (height, width) uint8, probability x 255."""
        mask = np.zeros((self.height, self.width), np.uint8)
        for part, _, seen in self.crops:
            blend(to_mask(seen.hair, part.height, part.width), part, mask)
        return mask

    def guide(self) -> Guide | None:
        """Where faces are and heads point; None where nothing was found, or of a student that does not tell."""
        return guide_of(self.height, self.width, ((crop.part, crop.seen) for crop in self.crops))


def engine_of(weights: Path, device: str, streams: int, precision: str) -> Engine:
    """The fastest engine for a network. Raises WeightsError: its weights are broken."""
    return openvino_engine(exported(weights), streams, precision) if device == "cpu" else torch_engine(weights, device)


class HairFinder:
    """The student and the scout, ready for pictures. May be used from several threads at once.

    Args:
        weights: our safetensors or the published `segmentation_model_ohlora_v4.pth`.
        device: "auto" (a CUDA GPU where there is one, else the processor), "cpu", "cuda", "mps".
        streams: how many threads will ask at once; the processor's cores are shared out among them.
        precision: of the processor's engine: "auto", "float32", "bfloat16".
        scout: weights of what searches scenes; None: the student does, in tiles, which takes several times as long.

    Attributes:
        guided: whether the student tells faces and which way up heads are.

    Raises:
        WeightsError: the weights are missing, broken, or of another network.
    """

    def __init__(
        self,
        weights: Path = SHIPPED_WEIGHTS,
        device: str = "auto",
        streams: int = 1,
        precision: str = "auto",
        scout: Path | None = SCOUT,
    ):
        for path in (weights, scout, PERSONS):
            if path and not Path(path).is_file():
                raise WeightsError(f"{path}: no such weights; models/README.md says what goes where")
        if device == "auto" and shutil.which("nvidia-smi") is None:
            device = "cpu"  # known without importing torch
        if device != "cpu":
            device = str(choose_device(device))
        self.student = Predictor(engine_of(Path(weights), device, streams, precision))
        said = safetensors_metadata(weights)
        self.guided, sure = "guide" in said, float(said.get(SURE, 0))

        def seldom(path: Path) -> Engine:
            return LazyEngine(partial(engine_of, path, device, streams, precision))

        scouting = Predictor(seldom(scout), SCOUT_SIZE) if scout else None
        self.search = HeadSearch(self.student, scouting, sure, seldom(PERSONS))

    def probability(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> probability of hair (224, 224) float32 in 0..1, by one look at all of it."""
        return self.student(rgb).hair

    def find(self, rgb: np.ndarray) -> Found:
        """(H, W, 3) uint8 -> the crops that show its hair."""
        height, width = rgb.shape[:2]
        return Found(height, width, self.search(rgb))

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> soft hair mask (H, W) uint8, probability x 255."""
        return self.find(rgb).mask()

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool = False) -> Part:
        """Predict a part of a picture (H, W, 3) uint8, by its mirror image if asked to, and lay it into the picture's
        mask (h, w) uint8, which may be coarser, in place.

        Returns:
            The part that this is of the mask.
        """
        crop = rgb[part.slices]
        seen = self.student.mirrored(crop) if mirrored else self.student.upright([crop])[0]
        place = part.scaled(mask.shape[0] / rgb.shape[0], mask.shape[1] / rgb.shape[1])
        blend(to_mask(seen.hair, *mask[place.slices].shape), place, mask)
        return place
