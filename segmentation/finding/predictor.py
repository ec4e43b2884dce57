"""What the networks say of one crop, or of several: each is squashed to the network's square and put through it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.finding.engines import Engine
from segmentation.networks.resize import INPUT_SIZE, squash

FAINT = 0.3  # probability of hair from which its direction counts
LEANING = 55.0  # degrees from upright, from which a head is looked at turned
STANDING = 0.6  # length of the vector to its top, from which a head stands: 19 in 20 do, of other things 1 in 6
FACE = 0.08  # share of a crop that a face takes at least: of animals' nearly none does
SEEN = 0.6  # mean probability of what is taken for hair, from which it may be a head that lies: most others are nothing
ROUGHLY = 0.1  # of being sure: what shows a head upright may be so much less sure than what shows it turned
MOST_AT_ONCE = 16  # crops of a batch: so many are in memory at the network's size


class Answers(NamedTuple):
    """Of a batch: `hair` float32, probability, a student's (N, side, side), a scout's (N, side / 4, side / 4); `guide`
    (N, 3, side / 8, side / 8) float32 of a student that has one: probability of a face's skin, the head's up, x and
    y."""

    hair: np.ndarray
    guide: np.ndarray | None = None


class Prediction(NamedTuple):
    """Of one crop: `hair` (h, w) float32, probability of hair; `guide` (3, h, w) float32 or None, of a student that has
    one: probability of a face's skin, and where hair is the vector to the head's top, x and y in the crop's frame."""

    hair: np.ndarray
    guide: np.ndarray | None = None

    @property
    def sure(self) -> float:
        """Mean probability of what is taken for hair; 0 where there is none."""
        hair = self.hair > 0.5
        return float(self.hair[hair].mean()) if hair.any() else 0.0

    def up(self) -> tuple[float, float]:
        """The vector to the head's top, x to the right, y down, the mean over the hair: about 1 long where the student
        is sure of it. Zero without a guide."""
        if self.guide is None:
            return 0.0, 0.0
        hair = cv2.resize(self.hair, self.guide.shape[:0:-1], interpolation=cv2.INTER_AREA)
        hair *= hair > FAINT
        x, y = ((self.guide[1:] * hair).sum(axis=(1, 2)) / max(hair.sum(), 1e-3)).tolist()
        return x, y

    def quarters(self) -> int:
        """By how many quarters, counterclockwise, its picture is to be turned so that the head stands upright; 0 where
        nobody tells."""
        x, y = self.up()
        return round(np.degrees(np.arctan2(x, 0.0 - y)) / 90) % 4  # the angle of 0, -0 would be that of upside down

    def lies(self) -> bool:
        """Whether the head leans far from upright, as far as the guide tells."""
        x, y = self.up()
        return abs(np.degrees(np.arctan2(x, -y))) > LEANING if x or y else False

    def stands(self) -> bool:
        """Whether the guide is sure that the head is upright."""
        return not self.lies() and np.hypot(*self.up()) >= STANDING

    def has_face(self) -> bool:
        """Whether the guide sees a face, and its head upright."""
        return self.guide is not None and float((self.guide[0] > 0.5).mean()) > FACE and self.stands()

    def turned(self, quarters: int) -> "Prediction":
        """The same of the crop turned by so many quarters, counterclockwise."""
        guide = self.guide
        if guide is not None:
            face, x, y = np.rot90(guide, quarters, axes=(1, 2))
            guide = np.stack([face, *((x, y), (y, -x), (-x, -y), (-y, x))[quarters % 4]])
        return Prediction(np.ascontiguousarray(np.rot90(self.hair, quarters)), guide)


class Predictor:
    """A network, ready for crops of any size. May be used from several threads at once.

    Args:
        engine: what runs the network.
        side: of the square that it sees, pixels.
    """

    def __init__(self, engine: Engine, side: int = INPUT_SIZE):
        self.engine, self.side = engine, side

    def __call__(self, rgb: np.ndarray) -> Prediction:
        """(H, W, 3) uint8 -> what the network sees in it."""
        return self.batch([rgb])[0]

    def batch(self, crops: Sequence[np.ndarray]) -> list[Prediction]:
        """As one call for each crop (H, W, 3) uint8, through the network together, some at a time."""
        found: list[Prediction] = []
        for start in range(0, len(crops), MOST_AT_ONCE):
            pictures = np.stack([squash(crop, self.side) for crop in crops[start : start + MOST_AT_ONCE]])
            answers = Answers(*self.engine(pictures))
            guides = [None] * len(answers.hair) if answers.guide is None else list(answers.guide)
            found += [Prediction(hair, guide) for hair, guide in zip(answers.hair, guides)]
        return found

    def upright(self, crops: Sequence[np.ndarray]) -> list[Prediction]:
        """As `batch`; what may be a head that leans or lies is looked at in the three other turns too, since a student
        has hardly seen such heads: the surest one counts of those that show it upright."""
        found = self.batch(crops)
        least = {place: seen.sure - ROUGHLY for place, seen in enumerate(found) if seen.sure > SEEN and seen.lies()}
        turns = [(place, turn) for place in least for turn in (1, 2, 3)]
        again = self.batch([np.rot90(crops[place], turn) for place, turn in turns])
        for (place, turn), seen in zip(turns, again):
            if seen.sure > least[place] and seen.stands():
                found[place], least[place] = seen.turned(-turn), seen.sure
        return found

    def mirrored(self, rgb: np.ndarray) -> Prediction:
        """As `upright`, by the mirror image, turned back."""
        (seen,) = self.upright([cv2.flip(rgb, 1)])
        guide = None
        if seen.guide is not None:
            guide = seen.guide[:, :, ::-1] * np.array([1, -1, 1], np.float32)[:, None, None]
        return Prediction(cv2.flip(seen.hair, 1), guide)
