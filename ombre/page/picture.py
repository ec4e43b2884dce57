"""One picture as the page knows it: the file whole, the mask beside it, and a smaller copy to look at.

Everything lies in files, so that memory does not grow with the number of pictures.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from common.image.icc import in_srgb8
from common.image.moving import is_clip
from common.image.picture import read_mask, read_picture, write_mask
from common.image.pixels import to8
from ombre.page.clips import opened_short, still_of
from ombre.page.steps import Look
from ombre.page.strokes import Stroke, paint
from ombre.render.recolour import Hair, dye_hair, prepare
from segmentation.finding.guide import Guide
from segmentation.finding.hair_finder import Found

VIEW_PIXELS = 1024 * 1024  # larger pictures are shown this large
SMALL_SIDE = 240  # pixels, the longer side in the gallery
QUALITY = 90  # of the JPEG that the browser shows
STEPS = 3  # of `take_in`: read, looked at, made small
FOUND_COLOR = (255, 0, 170)  # of the hair found, laid over the picture

Find = Callable[[np.ndarray], Found]  # (H, W, 3) uint8 RGB -> what is found in it


@dataclass(frozen=True)
class Shown:
    """A visitor's picture. `file` lies alone in a folder, beside what was made of it."""

    number: int
    file: Path
    width: int
    height: int
    hair_share: float
    clear: bool = False  # in places
    frames: int = 0  # of a clip, as far as is known, at least 1; 0: it is no clip

    @property
    def name(self) -> str:
        """What the visitor's file was called."""
        return self.file.name

    def view(self, small: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """rgb (h, w, 3), as in the file where it is clear too, and found mask (h, w), uint8, of the size that is looked
        at, or that of the gallery."""
        layers = self._layers(small)
        return np.ascontiguousarray(layers[..., :3]), np.ascontiguousarray(layers[..., 3])

    def on_white(self, rgb: np.ndarray, small: bool = False) -> np.ndarray:
        """A picture (h, w, 3) uint8 of the view's size as it is seen: white where the file is clear."""
        if not self.clear:
            return rgb
        share = self._layers(small)[..., 4:].astype(np.float32) / 255
        return np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)

    def _layers(self, small: bool) -> np.ndarray:
        """(h, w, 4) uint8, or 5 with how opaque it is."""
        return np.load(_beside(self.file, "small.npy" if small else "view.npy"))

    def mask(self, strokes: tuple[Stroke, ...]) -> np.ndarray:
        """The mask (H, W) uint8 at full size, with what was painted."""
        found = read_mask(_beside(self.file, "found.png"), max_pixels=self.width * self.height)
        return paint(found, strokes)

    def guide(self) -> Guide | None:
        """Where faces are and heads point, where the student tells."""
        path = _beside(self.file, "guide.npz")
        if not path.is_file():
            return None
        with np.load(path) as planes:
            return Guide(planes["face"], planes["up"])

    def remove(self) -> None:
        """Remove all that was kept of it."""
        shutil.rmtree(self.file.parent.parent, ignore_errors=True)


def take_in(
    number: int, file: Path, find: Find, max_pixels: int, reached: Callable[[int], None] = lambda step: None
) -> Shown:
    """Find the hair in a picture file `<folder>/picture/<name>`, or in a frame of a clip, and keep what the page needs
    in its folder.

    `reached` is told which of STEPS is done; what it raises ends the work. Raises PictureError, and OSError where the
    disk is full."""
    reached(0)
    frames, alpha = 0, None
    if is_clip(file):
        clip = opened_short(file)
        rgb, frames = still_of(clip, find), max(1, clip.expected)
    else:
        picture = read_picture(file, max_pixels)
        rgb, alpha = in_srgb8(picture), picture.alpha
    reached(1)
    found = find(rgb)
    mask, guide = found.mask(), found.guide()
    reached(2)
    write_mask(_beside(file, "found.png"), mask)
    if guide is not None:
        np.savez(_beside(file, "guide.npz"), face=guide.face, up=guide.up)
    height, width = mask.shape
    parts = [rgb, mask] + ([] if alpha is None else [to8(alpha)])
    for name, factor in (
        ("view.npy", (VIEW_PIXELS / mask.size) ** 0.5),
        ("small.npy", SMALL_SIDE / max(width, height)),
    ):
        size = None if factor >= 1 else (max(1, round(width * factor)), max(1, round(height * factor)))
        layers = [part if size is None else cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts]
        np.save(_beside(file, name), np.dstack(layers))
    reached(STEPS)
    return Shown(number, file, width, height, cv2.mean(mask)[0] / 255, alpha is not None, frames)


def prepared(shown: Shown, strokes: tuple[Stroke, ...], small: bool = False) -> Hair | np.ndarray:
    """The hair made ready for any style, or the picture (h, w, 3) where there is none."""
    rgb, mask = shown.view(small)
    hair = prepare(rgb, paint(mask, strokes), guide=shown.guide())
    return rgb if hair is None else hair


def dyed(shown: Shown, hair: Hair | np.ndarray, look: Look, small: bool = False) -> np.ndarray:
    """(h, w, 3) uint8, as it is seen"""
    rgb = hair if isinstance(hair, np.ndarray) else dye_hair(hair, look.style, look.own)
    return shown.on_white(rgb, small)


def overlay(shown: Shown, strokes: tuple[Stroke, ...]) -> bytes:
    """The mask as a PNG to lay over the picture: a colour, the clearer the less hair."""
    mask = paint(shown.view()[1], strokes)
    layers = np.empty((*mask.shape, 4), np.uint8)
    layers[..., :3] = FOUND_COLOR[::-1]  # OpenCV's order
    layers[..., 3] = mask // 2
    return cv2.imencode(".png", layers, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def jpeg(rgb: np.ndarray) -> bytes:
    """(h, w, 3) uint8 as the browser gets it."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=QUALITY, colorsubsampling="420")


def _beside(file: Path, name: str) -> Path:
    return file.parent.parent / name
