"""Labels from the face alone, as the published demo makes them: find it, crop it with a margin, put the label back."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from common.batch.table import BatchError

MARGIN = 0.5  # of the face's width and height, half of it on either side, as in the published demo
LOOK = 1024  # pixels of the long side that are enough to find the largest face
INSTALL = "pip install requests && pip install --no-deps facenet-pytorch"

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are the first outside
FindFace = Callable[[np.ndarray], Box | None]  # (H, W, 3) uint8 RGB -> where to crop, or None without a face


def face_finder() -> FindFace:
    """MTCNN, which the published demo uses, on the processor; its weights come with the package.

    Raises BatchError: the package is not installed.
    """
    try:
        from facenet_pytorch import MTCNN
    except ImportError as error:
        raise BatchError(
            f"--crop-face needs the package facenet-pytorch ({error}). It asks for older libraries than "
            f"it needs, so install it so: {INSTALL}"
        ) from error
    detector = MTCNN(select_largest=True, device="cpu")

    def find(rgb: np.ndarray) -> Box | None:
        height, width = rgb.shape[:2]
        scale = min(1.0, LOOK / max(height, width))
        small = Image.fromarray(rgb)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = small.resize(size, Image.Resampling.BILINEAR)
        if min(small.size) < detector.min_face_size:
            return None
        faces, _ = detector.detect(small)
        return None if faces is None else with_margin(faces[0] / scale, width, height)

    return find


def with_margin(face: np.ndarray, width: int, height: int) -> Box:
    """A face's box (left, top, right, bottom) -> the crop: wider by `MARGIN`, whole pixels, within the picture."""
    left, top, right, bottom = face
    x, y = (right - left) * MARGIN / 2, (bottom - top) * MARGIN / 2
    return int(max(0, left - x)), int(max(0, top - y)), int(min(width, right + x)), int(min(height, bottom + y))


def into_frame(hair: np.ndarray, box: Box, width: int, height: int) -> np.ndarray:
    """The crop's probability (S, S) -> the whole picture's (S, S), 0 outside the crop.

    The crop is never larger than the picture, so each cell of the result takes the mean of what it covers. A crop
    that is the whole picture stays as it is.
    """
    left, top, right, bottom = box
    if (left, top, right, bottom) == (0, 0, width, height):
        return hair
    size = len(hair)
    return (overlap(top, bottom, height, size) @ hair @ overlap(left, right, width, size).T).astype(np.float32)


def overlap(start: int, stop: int, extent: int, size: int) -> np.ndarray:
    """Along one axis, in `size` cells: (size, size), how much of the picture's cell i the crop's cell j covers."""
    borders = np.linspace(start, stop, size + 1) * size / extent  # of the crop's cells, in the picture's cells
    cells = np.arange(size)[:, None]
    return np.clip(np.minimum(borders[1:], cells + 1) - np.maximum(borders[:-1], cells), 0, None)
