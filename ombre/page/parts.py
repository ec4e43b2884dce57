"""The page's own parts, which Gradio has none of: the picture before and after, palettes, rows of pictures."""

import base64
from pathlib import Path

import cv2
import gradio as gr

from common.image.icc import in_srgb8
from common.image.picture import read_picture
from ombre.colour.shades import SHADES
from ombre.page.choosing import colors_of
from ombre.page.picture import jpeg
from ombre.page.results import command_of
from ombre.page.visitors import Visitor

HERE = Path(__file__).parent
CSS = (HERE / "page.css").read_text(encoding="utf-8")
SAMPLE_HEIGHT = 168  # pixels
NO_HAIR = 0.002  # of the picture: of less it is said that there is none


def viewer(texts: dict[str, str]) -> gr.HTML:
    """The picture before and after; events `paint` and `clear`. Its value comes of `seen`."""
    return gr.HTML(None, html_template=_file("viewer.html"), js_on_load=_file("viewer.js"), elem_id="viewer", **texts)


def strip(name: str, label: str, items: list[dict] = ()) -> gr.HTML:
    """A row of pictures; event `choose` with the `key` of an item (key, label, src)."""
    return gr.HTML(
        {"items": list(items), "chosen": None},
        html_template=_file("strip.html"),
        js_on_load=_file("strip.js"),
        title=label,
        elem_id=name,
    )


def sample_items(samples: list[Path]) -> list[dict]:
    """The strip's entries of the sample pictures, with small JPEGs in them."""
    items = []
    for number, path in enumerate(samples):
        rgb = in_srgb8(read_picture(path))
        size = max(1, round(rgb.shape[1] * SAMPLE_HEIGHT / rgb.shape[0])), SAMPLE_HEIGHT
        small = jpeg(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        source = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
        items.append({"key": number, "label": path.stem.replace("_", " "), "src": source})
    return items


def palette(name: str, texts: dict[str, str], color: str, needed: bool) -> gr.HTML:
    """A colour to choose, "" too where none is `needed`; event `choose` with the `key`, a text as in shades.py."""
    korean = texts["language"] == "ko"
    groups = [
        [{"key": shade.name, "label": shade.korean if korean else shade.name, "color": shade.rgb} for shade in group]
        for group in SHADES.values()
    ]
    return gr.HTML(
        color,
        html_template=_file("palette.html"),
        js_on_load=_file("palette.js"),
        title=texts[name],
        hue=texts["hue"],
        own=texts["own"],
        none="" if needed else texts["none"],
        shades=groups,
        elem_id=name,
    )


def seen(visitor: Visitor, texts: dict[str, str]) -> list:
    """What viewer, gallery, the two palettes and the command are to show."""
    shown, step = visitor.shown, visitor.step
    several = len(visitor.pictures) > 1
    view, line = None, ""
    if shown:
        note = texts["size"].format(name=shown.name, width=shown.width, height=shown.height)
        if shown.hair_share < NO_HAIR and not step.painted(shown.number):
            note = texts["no_hair"]
        view = {
            "token": visitor.token,
            "number": shown.number,
            "version": visitor.version,
            "width": shown.width,
            "height": shown.height,
            "note": note,
            "several": several,
        }
        line = command_of(visitor)
    items = [
        {
            "key": picture.number,
            "label": picture.name,
            "src": f"/picture/{visitor.token}/{picture.number}/small?v={visitor.version}",
        }
        for picture in (visitor.pictures.values() if several else ())
    ]
    gallery = {"items": items, "chosen": step.number}
    return [view, gallery, *colors_of(step.style), line]


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
