"""What a picture file says of itself, read without leaving the file open."""

import os

from PIL import Image


def head_of(path: str | os.PathLike) -> Image.Image:
    """The picture opened and closed again: its size, mode, format and tables are known, its pixels are not."""
    with Image.open(path) as image:
        return image
