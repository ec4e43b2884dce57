"""The mirror in a window: what a camera of this machine sees, dyed as it comes."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing

import cv2

from common.errors import UserError
from ombre.media.live import CameraError, camera
from ombre.render.recolour import dye_hair
from ombre.style import Style
from ombre.tracking.mirror import mirrored
from segmentation.finding.hair_finder import HairFinder

TITLE = "Ombre hair"
NEXT, ENDS = ord(" "), (ord("q"), 27)  # keys; 27: Esc


def show(number: int, finder: HairFinder, styles: Sequence[Style]) -> None:
    """Show what camera `number` sees, as in a mirror, in the first of the styles; the space bar goes on to the next.
    Q, Esc or closing the window ends it. Raises CameraError, UserError where no window can be opened."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("there is no screen for a window; python ombre/preview.py --camera shows the same in a browser")
    at = 0
    with camera(number) as source, closing(mirrored(source, finder)) as frames, closing(source):
        for frame, hair in frames:
            dyed = frame.rgb8() if hair is None else dye_hair(hair, styles[at % len(styles)])
            cv2.imshow(TITLE, cv2.cvtColor(cv2.flip(dyed, 1), cv2.COLOR_RGB2BGR))
            key = cv2.waitKey(1)
            at += key == NEXT
            if key in ENDS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
                cv2.destroyAllWindows()
                return
    raise CameraError(f"camera {number} gives no more pictures: plug it in again")
