"""How the hair is to look, as the page's controls say it, and the command that makes the same picture."""

import shlex
from dataclasses import dataclass

from ombre.dye import COLORS, color_number


@dataclass(frozen=True)
class Look:
    """What is chosen: `color` a name or a place on the hue circle as a text; shares 0..1, `lightness` -1..1."""

    color: str = "pink"
    height: float = 0.6
    grad_height: float = 0.6
    strength: float = 1.0
    lightness: float = 0.0

    @property
    def number(self) -> float:
        """The colour's place on the hue circle."""
        return color_number(self.color)

    def options(self) -> list[str]:
        """The options of generate_ombre_images.py that give this look."""
        words = ["--color", self.color, "--ombre-height", f"{self.height:g}"]
        words += ["--ombre-grad-height", f"{self.grad_height:g}"]
        words += ["--strength", f"{self.strength:g}"] if self.strength != 1 else []
        words += ["--lightness", f"{self.lightness:g}"] if self.lightness else []
        return words


# what the controls may set, lowest and highest value
RANGES = {"height": (0, 1), "grad_height": (0, 1), "strength": (0, 1), "lightness": (-1, 1)}


def checked(name: str, value: object) -> object:
    """A value for `Look.<name>` as it came from a browser. Raises ValueError where it is none."""
    if name == "color":
        color_number(str(value))
        return str(value)
    low, high = RANGES[name]
    number = round(float(value), 4)
    if not low <= number <= high:
        raise ValueError(f"{name} is out of its range")
    return number


def command(look: Look, pictures: list[str]) -> str:
    """The command line that gives these pictures this look."""
    return shlex.join(["python", "ombre/generate_ombre_images.py", *pictures, *look.options()])


SWATCHES = tuple(COLORS)
