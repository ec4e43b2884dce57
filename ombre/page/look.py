"""How the hair is to look, as the page's controls say it, and the command that makes the same picture."""

import shlex
from dataclasses import dataclass

from ombre.dyeing import Ombre
from ombre.shades import parse_color

RANGES = {"height": (0, 1), "grad_height": (0, 1), "strength": (0, 1), "lightness": (-1, 1)}  # of the sliders


@dataclass(frozen=True)
class Look:
    """What is chosen: `upper` a colour as shades.py has them, `lower` one for the lower end or "", shares 0..1,
    `lightness` -1..1, `reverse`: from the roots."""

    upper: str = "pink"
    lower: str = ""
    height: float = 0.6
    grad_height: float = 0.6
    strength: float = 1.0
    lightness: float = 0.0
    reverse: bool = False

    @property
    def color(self) -> str:
        """One colour, or two as `--color` takes them."""
        return f"{self.upper}>{self.lower}" if self.lower else self.upper

    def ombre(self) -> Ombre:
        """The same for the third stage."""
        return Ombre([self.color], self.height, self.grad_height, self.strength, self.lightness, self.reverse)

    def command(self, *words: str) -> str:
        """The command line that gives pictures this look; `words` are these, and more options."""
        words = ("python", "ombre/generate_ombre_images.py", *words, "--color", self.color)
        words += ("--ombre-height", f"{self.height:g}", "--ombre-grad-height", f"{self.grad_height:g}")
        words += ("--strength", f"{self.strength:g}") if self.strength != 1 else ()
        words += ("--lightness", f"{self.lightness:g}") if self.lightness else ()
        words += ("--reverse",) if self.reverse else ()
        return shlex.join(words)


def checked(name: str, value: object) -> object:
    """A value for `Look.<name>` as it came from a browser. Raises ValueError where it is none."""
    if name == "reverse":
        return bool(value)
    if name in ("upper", "lower"):
        name, tints = parse_color(value) if value or name == "upper" else ("", ())
        if len(tints) > 1:
            raise ValueError("one colour at a time")
        return name
    low, high = RANGES[name]
    number = round(float(value), 4)
    if not low <= number <= high:
        raise ValueError(f"{name} is out of its range")
    return number
