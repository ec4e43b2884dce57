"""Moving GIF, WebP and PNG in and out, by Pillow: delays, loops and transparency stay."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from common.batch.discover import is_named_clip
from common.files import replacing
from common.image.icc import colour_ready
from common.image.picture import Picture, PictureError

SUFFIXES = frozenset((".gif", ".webp", ".png", ".apng"))
FORMATS = ("GIF", "WEBP", "PNG")
KEPT = ("icc_profile", "exif", "xmp")  # of what a file says of itself, in Pillow's words
SLOW = 100  # milliseconds that viewers show a frame that names no time
COLORS = 255  # of a GIF's frame, besides the one that is clear


def is_clip(path: str | os.PathLike) -> bool:
    """Whether a file is a clip: by its name or, where that may be a picture's too, by its content."""
    return is_named_clip(os.fspath(path)) or is_moving_picture(Path(path))


def is_moving_picture(path: Path) -> bool:
    """Whether the file is a GIF, or a WebP or PNG of several frames; False for what cannot be read."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.format == "GIF" or getattr(image, "n_frames", 1) > 1
    except Exception:  # decoders raise anything over a broken file; whoever reads it then says so
        return is_named_clip(path.name)


@dataclass
class Frame:
    """A frame as it is seen. `number` from 1 on; `seconds` when it is shown, `delay` (milliseconds) how long."""

    number: int
    seconds: float
    delay: float
    rgba: np.ndarray

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.ascontiguousarray(self.rgba[..., :3])

    rgb8 = rgb

    def grey8(self) -> np.ndarray:
        """(H, W) uint8."""
        return cv2.cvtColor(self.rgba, cv2.COLOR_RGBA2GRAY)


class MovingPicture:
    """A moving picture to read, frame by frame, as `clips.Clip`. Raises PictureError: broken, or too large."""

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.path, self.damaged = path, 0
        with self._opened() as image:
            if image.width * image.height > max_pixels:
                raise PictureError(
                    f"{path}: frames of {image.width} x {image.height} pixels are too large; scale it down"
                )
            self.expected, self.loop = image.n_frames, image.info.get("loop")
            kept = {name: image.info.get(name) for name in KEPT} if image.format != "GIF" else {}
            self.kept = {name: value for name, value in kept.items() if value}
        ready, self.space, self.note = colour_ready(Picture(np.zeros((1, 1, 3), np.uint8), icc=kept.get("icc_profile")))
        if ready.icc is None:  # none, or one for greys
            self.kept.pop("icc_profile", None)

    def frames(self) -> Iterator[Frame]:
        """All frames; one that is broken ends them, and is counted."""
        seconds = 0.0
        with self._opened() as image:
            for number in range(self.expected):
                try:
                    image.seek(number)
                    rgba = np.asarray(image.convert("RGBA"))
                except Exception as error:  # as decoders do
                    if number == 0:
                        raise PictureError(
                            f"{self.path}: broken from its start; copy it again or leave it out"
                        ) from error
                    self.damaged += self.expected - number
                    return
                delay = float(image.info.get("duration") or SLOW)
                yield Frame(number + 1, seconds, delay, rgba)
                seconds += delay / 1000

    @contextmanager
    def writer(self, path: Path, quality: int) -> Iterator["Writer"]:
        """What writes the same in other colours, whole or not at all, `quality` 0 to 100 where it is a WebP."""
        writer = Writer(path.suffix.lower(), [self.note] if self.note else [])
        with replacing(path) as part:
            yield writer
            try:
                writer.save(part, self.loop, quality, self.kept)
            except (OSError, ValueError) as error:
                if getattr(error, "errno", None):
                    raise
                raise PictureError(f"{path}: cannot be written: {error}") from error

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        try:
            with Image.open(self.path, formats=FORMATS) as image:
                yield image
        except PictureError:
            raise
        except OSError as error:
            raise PictureError(f"{self.path}: is no picture that can be read; convert it") from error


class Writer:
    """Keeps a moving picture's frames until all are there, a GIF's as bytes. `notes`: what could not be kept."""

    def __init__(self, kind: str, notes: list[str]) -> None:
        self.kind, self.notes = kind, notes
        self._frames: list[Image.Image] = []
        self._delays: list[int] = []
        self._clear = False  # whether something can be seen through

    def write(self, frame: Frame, before: np.ndarray, after: np.ndarray, box: tuple[slice, slice] | None) -> None:
        """A frame whose `rgb()` was `before` and shall be `after`."""
        image = Image.fromarray(np.dstack([after, frame.rgba[..., 3]]))
        self._clear |= image.getextrema()[3][0] < 255
        self._frames.append(indexed(image) if self.kind == ".gif" else image)
        self._delays.append(round(frame.delay))

    def save(self, path: Path, loop: int | None, quality: int, kept: dict[str, bytes]) -> None:
        """Write the frames that were added; `loop` as in Pillow, None: the format's own; `kept`: profile and EXIF."""
        frames, settings = self._frames, dict(save_all=True, duration=self._delays, **kept)
        if loop is not None:
            settings["loop"] = loop
        if self.kind == ".gif":
            settings |= dict(optimize=False, disposal=2 if self._clear else 1)
            settings |= dict(transparency=COLORS) if self._clear else {}
        elif not self._clear:
            frames = [image.convert("RGB") for image in frames]
        if self.kind == ".webp":
            settings |= dict(quality=quality, method=4)
        frames[0].save(path, "PNG" if self.kind == ".apng" else None, append_images=frames[1:], **settings)


def indexed(image: Image.Image) -> Image.Image:
    """An RGBA picture in COLORS colours, and one more for what is clear."""
    picture = image.convert("RGB").quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.paste(COLORS, mask=image.getchannel("A").point(lambda alpha: 255 * (alpha < 128)))
    return picture
