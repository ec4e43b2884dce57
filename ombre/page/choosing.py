"""How a style changes by the page's controls, and the command that makes the same pictures."""

import shlex
from dataclasses import replace
from typing import Any

from ombre.style import Style

START = Style(color="pink")
RANGES = {"ombre_height": (0, 1), "ombre_grad_height": (0, 1), "strength": (0, 1), "lightness": (-1, 1)}  # of sliders


def colors_of(style: Style) -> tuple[str, str]:
    """The colour, or the upper and the lower one; "" for the lower one where there is none."""
    upper, _, lower = style.color.partition(">")
    return upper, lower


def changed(style: Style, name: str, value: Any) -> Style:
    """The style with one control's value as it came from a browser: "upper" and "lower" are colours as in shades.py,
    and the lower one may be ""; "color" is both at once. Raises ValueError for a value that it cannot have."""
    if name in ("upper", "lower"):
        colors = dict(zip(("upper", "lower"), colors_of(style))) | {name: str(value)}
        return replace(style, color=">".join(filter(None, colors.values())) if colors["upper"] else "")
    if name == "color":
        return replace(style, color=str(value))
    if name == "reverse":
        return replace(style, reverse=bool(value))
    settings: dict[str, Any] = {name: round(float(value), 4)}
    return replace(style, **settings)


def command(style: Style, *words: str) -> str:
    """The command line that gives pictures this style; `words` are these, and more options."""
    words = ("python", "ombre/generate_ombre_images.py", *words, "--color", style.color)
    words += ("--ombre-height", f"{style.ombre_height:g}", "--ombre-grad-height", f"{style.ombre_grad_height:g}")
    words += ("--strength", f"{style.strength:g}") if style.strength != Style.strength else ()
    words += ("--lightness", f"{style.lightness:g}") if style.lightness != Style.lightness else ()
    words += ("--reverse",) if style.reverse else ()
    return shlex.join(words)
