"""How a look changes by the page's controls, and the command that makes the same pictures."""

import shlex
from dataclasses import replace

from ombre.style import Look

START = Look(color="pink")
RANGES = {"ombre_height": (0, 1), "ombre_grad_height": (0, 1), "strength": (0, 1), "lightness": (-1, 1)}  # of sliders


def colors_of(look: Look) -> tuple[str, str]:
    """The colour, or the upper and the lower one; "" for the lower one where there is none."""
    upper, _, lower = look.color.partition(">")
    return upper, lower


def changed(look: Look, name: str, value: object) -> Look:
    """The look with one control's value as it came from a browser: "upper" and "lower" are colours as in shades.py, the
    lower one may be "". Raises ValueError for a value that it cannot have."""
    if name in ("upper", "lower"):
        colors = dict(zip(("upper", "lower"), colors_of(look))) | {name: str(value)}
        return replace(look, color=">".join(filter(None, colors.values())) if colors["upper"] else "")
    if name == "reverse":
        return replace(look, reverse=bool(value))
    return replace(look, **{name: round(float(value), 4)})


def command(look: Look, *words: str) -> str:
    """The command line that gives pictures this look; `words` are these, and more options."""
    words = ("python", "ombre/generate_ombre_images.py", *words, "--color", look.color)
    words += ("--ombre-height", f"{look.ombre_height:g}", "--ombre-grad-height", f"{look.ombre_grad_height:g}")
    words += ("--strength", f"{look.strength:g}") if look.strength != Look.strength else ()
    words += ("--lightness", f"{look.lightness:g}") if look.lightness != Look.lightness else ()
    words += ("--reverse",) if look.reverse else ()
    return shlex.join(words)
