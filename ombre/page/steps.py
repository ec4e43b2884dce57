"""What was chosen on the page at a time: the style, whom it is for, what single people have of their own, the paint."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ombre.page.choosing import START
from ombre.page.strokes import Stroke
from ombre.style import PersonStyle, Style

Place = tuple[float, float]  # where somebody's hair is: shares of the picture's width and height
Change = Callable[[Style], Style]


@dataclass(frozen=True)
class Look:
    """How one picture is to look: what was painted on it, the style, those of single people."""

    style: Style = START
    strokes: tuple[Stroke, ...] = ()
    own: tuple[PersonStyle, ...] = ()


@dataclass(frozen=True)
class Step:
    """The settings at a time.

    Attributes:
        style: of everybody who has none of their own.
        number: of the picture that is seen.
        person: on that picture, whom changes are for; None: everybody.
        strokes, own: by the pictures' numbers, what was painted, and the styles of single people.
    """

    style: Style = START
    number: int = 0
    person: Place | None = None
    strokes: dict[int, tuple[Stroke, ...]] = field(default_factory=dict)
    own: dict[int, tuple[PersonStyle, ...]] = field(default_factory=dict)

    def painted(self, number: int) -> tuple[Stroke, ...]:
        """The strokes on the picture of this number."""
        return self.strokes.get(number, ())

    def look(self, number: int) -> Look:
        """How the picture of this number is to look."""
        return Look(self.style, self.painted(number), self.own.get(number, ()))

    @property
    def chosen(self) -> Style:
        """The style of the person whom changes are for, or everybody's."""
        return next((own.style for own in self.look(self.number).own if own[:2] == self.person), self.style)

    def paint(self, strokes: tuple[Stroke, ...]) -> "Step":
        """The same with other strokes on the picture seen."""
        return replace(self, strokes=self.strokes | {self.number: strokes})

    def changed(self, change: Change) -> "Step":
        """The same with another style of the person whom it is for; for everybody it goes for each one's own style,
        too."""
        if self.person is None:
            own = {
                number: tuple(one._replace(style=change(one.style)) for one in people)
                for number, people in self.own.items()
            }
            return replace(self, style=change(self.style), own=own)
        others = tuple(one for one in self.own.get(self.number, ()) if one[:2] != self.person)
        mine = PersonStyle(*self.person, change(self.chosen))
        return replace(self, own=self.own | {self.number: (*others, mine)})

    def changes(self, before: "Step", number: int) -> bool:
        """Whether the picture of this number has other strokes, or other styles of single people, than before."""
        return self.painted(number) != before.painted(number) or self.own.get(number) != before.own.get(number)
