"""What a person paints into the hair mask or out of it: strokes, in shares of the picture, so they fit any size."""

from dataclasses import dataclass

import cv2
import numpy as np

MOST_POINTS = 5000  # of a stroke
FRACTION_BITS = 4  # of OpenCV's coordinates


@dataclass(frozen=True)
class Stroke:
    """One movement of the brush: `points` (x, y) as shares of the width and height, `radius` a share of the longer
    side; it makes what it covers hair, or not hair."""

    hair: bool
    radius: float
    points: tuple[tuple[float, float], ...]


def stroke_from(data: dict) -> Stroke:
    """A stroke as the browser sends it. Raises ValueError where it is none."""
    try:
        points = tuple((float(x), float(y)) for x, y in data["points"][:MOST_POINTS])
        stroke = Stroke(bool(data["hair"]), float(data["radius"]), points)
    except (KeyError, TypeError) as error:
        raise ValueError("not a stroke") from error
    # an infinite or missing number fails these comparisons, too
    if not (points and 0 < stroke.radius <= 0.5 and all(-1 <= share <= 2 for point in points for share in point)):
        raise ValueError("a stroke outside the picture")
    return stroke


def paint(mask: np.ndarray, strokes: tuple[Stroke, ...]) -> np.ndarray:
    """The mask (H, W) uint8 with strokes laid over: the mask itself where there are none, else a new array."""
    if not strokes:
        return mask
    painted = mask.copy()
    size = np.array(mask.shape[::-1])
    for stroke in strokes:
        at = np.int32(np.rint((np.array(stroke.points) * size - 0.5) * 2**FRACTION_BITS))
        width = max(1, round(2 * stroke.radius * max(mask.shape)))
        value = 255 if stroke.hair else 0
        cv2.polylines(painted, [at.repeat(2, 0)], False, value, width, cv2.LINE_8, FRACTION_BITS)
    return painted
