"""Which files are clips: videos, and pictures that move."""

import os
from pathlib import Path

from PIL import Image

_NAMES = "mp4 m4v mov mkv webm avi 3gp 3g2 mts m2ts mpg mpeg wmv flv gif apng"
CLIPS = frozenset(f".{name}" for name in _NAMES.split())  # suffixes
MOVING_SUFFIXES = frozenset((".gif", ".webp", ".png", ".apng"))
MOVING_FORMATS = ("GIF", "WEBP", "PNG")  # in Pillow's words


def is_named_clip(path: str | os.PathLike) -> bool:
    """Whether a file is a clip by its name alone."""
    return os.path.splitext(path)[1].lower() in CLIPS


def is_clip(path: str | os.PathLike) -> bool:
    """Whether a file is a clip: by its name or, where that may be a picture's too, by its content."""
    return is_named_clip(path) or is_moving_picture(Path(path))


def is_moving_picture(path: Path) -> bool:
    """Whether the file is a GIF, or a WebP or PNG of several frames; False for what cannot be read."""
    if path.suffix.lower() not in MOVING_SUFFIXES:
        return False
    try:
        with Image.open(path, formats=MOVING_FORMATS) as image:
            return image.format == "GIF" or getattr(image, "n_frames", 1) > 1
    except Exception:  # decoders raise anything over a broken file; whoever reads it then says so
        return is_named_clip(path)
