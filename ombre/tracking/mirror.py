"""The mirror: hair in frames as they come, each given out as soon as it can be.

Steady as in a clip (steady.py, heads.py), but no frame waits for those after it: what is known of it comes from its own
look, if it has one, and from those before it, along the motion.
"""

from collections.abc import Generator, Iterable

import cv2

from ombre.render.recolour import Hair, prepare
from ombre.tracking.heads import SteadyHeads
from ombre.tracking.steady import F, ahead, looked_at, moving
from segmentation.finding.hair_finder import HairFinder

APART = 3  # frames from look to look at least: where a machine is slow, all the time would go into looking


def mirrored(frames: Iterable[F], finder: HairFinder) -> Generator[tuple[F, Hair | None], None, None]:
    """Each frame with its hair, ready to be dyed in any style, as dye_hair has it; None where there is none. All frames
    are of one size. While the hair of one is made ready, another thread looks for that of the next."""
    heads, seconds = SteadyHeads(), 0.0
    for step in ahead(looked_at(moving(frames), finder, apart=APART), 1):
        assert step.forwards is not None, "the first frame is looked at"
        rgb = step.frame.rgb8()
        mask = cv2.resize(step.forwards.mask(), rgb.shape[1::-1])
        yield step.frame, heads.steadied(prepare(rgb, mask), step.to_before, step.frame.seconds - seconds)
        seconds = step.frame.seconds
