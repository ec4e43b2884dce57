"""What the browser is told to show: at the start, once, and whenever something has changed."""

import base64
from functools import lru_cache
from pathlib import Path

import cv2

from common.image.icc import in_srgb8
from common.image.picture import read_picture
from ombre.colour.shades import SHADES
from ombre.page.choosing import RANGES, colors_of
from ombre.page.picture import jpeg
from ombre.page.results import command_of, is_apart
from ombre.page.texts import SAMPLES
from ombre.page.visitors import Visitor

SAMPLE_HEIGHT = 168  # pixels
NO_HAIR = 0.002  # of the picture: of less it is said that there is none


def setup(texts: dict[str, str], samples: list[Path], max_pixels: int) -> dict:
    """What does not change while the page is open: texts, shades, sliders, samples, how large a picture may be."""
    korean = texts["language"] == "ko"
    shades = [
        [{"key": shade.name, "label": shade.korean if korean else shade.name, "color": shade.rgb} for shade in group]
        for group in SHADES.values()
    ]
    items = [
        {"key": number, "label": sample_name(path, texts), "src": _small(path)} for number, path in enumerate(samples)
    ]
    return {"texts": texts, "shades": shades, "ranges": RANGES, "samples": items, "max_pixels": max_pixels}


def sample_name(path: Path, texts: dict[str, str]) -> str:
    """What a sample picture is called."""
    return SAMPLES[texts["language"]].get(path.stem, path.stem.replace("_", " "))


@lru_cache(maxsize=64)
def _small(path: Path) -> str:
    """A sample as a small JPEG within an address."""
    rgb = in_srgb8(read_picture(path))
    size = max(1, round(rgb.shape[1] * SAMPLE_HEIGHT / rgb.shape[0])), SAMPLE_HEIGHT
    small = jpeg(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"


def state(visitor: Visitor, texts: dict[str, str]) -> dict:
    """Everything that may have changed."""
    with visitor.lock:
        shown, step = visitor.shown, visitor.step
        upper, lower = colors_of(step.chosen)
        style = step.chosen.row() | {"upper": upper, "lower": lower}
        pictures = [{"key": picture.number, "label": picture.name} for picture in visitor.pictures.values()]
        picture = None
        if shown:
            note = texts["size_clip" if shown.frames else "size"].format(
                name=shown.name, width=shown.width, height=shown.height
            )
            if shown.hair_share < NO_HAIR and not step.painted(shown.number):
                note = texts["no_hair"]
            picture = {"number": shown.number, "width": shown.width, "height": shown.height, "note": note}
            picture["clip"] = bool(shown.frames)
            picture["mask"] = str(hash(step.painted(shown.number)))  # another one where other hair is found
        return {
            "session": visitor.session,
            "token": visitor.token,
            "version": visitor.version,
            "style": style,
            "picture": picture,
            "person": step.person,
            "pictures": pictures,
            "command": command_of(visitor) if shown else "",
            "command_note": texts["command_alike"] if is_apart(visitor) else "",
            "clip_name": step.style.name("mirror"),
            "undoable": visitor.undoable,
            "redoable": visitor.redoable,
            "jobs": visitor.jobs.rows(),
            "notices": visitor.notices(),
        }
