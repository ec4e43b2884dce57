"""The colours one can ask for by name: what hairdressers sell, each with the colour that the dyed hair has on average.

A colour is a text: a place on the hue circle ("0.9"), a name ("platinum", "플래티넘"), a colour of one's own
("#c0a080"), or two of these with ">" between, from the upper to the lower end ("copper>platinum").
"""

import re
import textwrap
from functools import lru_cache
from typing import NamedTuple


class Shade(NamedTuple):
    """A named colour: `name` and its Korean one, `rgb` as "#rrggbb" in sRGB."""

    name: str
    korean: str
    rgb: str


SHADES = {
    "dark": (
        Shade("black", "블랙", "#221d1b"),
        Shade("blue black", "블루 블랙", "#20232f"),
        Shade("espresso", "에스프레소", "#38271e"),
        Shade("chocolate", "초콜릿", "#4d352a"),
        Shade("chestnut", "체스트넛", "#663f2e"),
        Shade("brown", "브라운", "#725240"),
        Shade("ash brown", "애쉬 브라운", "#6d5f56"),
    ),
    "blond": (
        Shade("caramel", "캐러멜", "#a8764a"),
        Shade("honey", "허니", "#c39360"),
        Shade("golden blond", "골든 블론드", "#d1a874"),
        Shade("strawberry blond", "스트로베리 블론드", "#cd9873"),
        Shade("beige blond", "베이지 블론드", "#c7ae92"),
        Shade("ash blond", "애쉬 블론드", "#baa797"),
        Shade("champagne", "샴페인", "#d9c2a6"),
        Shade("platinum", "플래티넘", "#dacfbe"),
        Shade("silver", "실버", "#b6b8bd"),
        Shade("graphite", "그래파이트", "#5b5d63"),
    ),
    "red": (
        Shade("copper", "코퍼", "#b5643d"),
        Shade("ginger", "진저", "#c57a45"),
        Shade("auburn", "오번", "#7e3f2d"),
        Shade("mahogany", "마호가니", "#5e2a29"),
        Shade("burgundy", "버건디", "#5f2031"),
        Shade("cherry", "체리", "#8f2434"),
        Shade("red", "레드", "#b8292f"),
    ),
    "pastel": (
        Shade("rose gold", "로즈 골드", "#d9a08f"),
        Shade("peach", "피치", "#e6ac8e"),
        Shade("pastel pink", "파스텔 핑크", "#e3b1be"),
        Shade("lilac", "라일락", "#bea6d0"),
        Shade("lavender", "라벤더", "#a9a3cf"),
        Shade("sky", "스카이 블루", "#8fbddd"),
        Shade("mint", "민트", "#99cbb5"),
    ),
    "vivid": (
        Shade("pink", "핑크", "#e4749d"),
        Shade("rose", "로즈", "#cf4470"),
        Shade("coral", "코랄", "#e67a66"),
        Shade("orange", "오렌지", "#dd7a33"),
        Shade("gold", "골드", "#d59e55"),
        Shade("yellow", "옐로", "#e8bd55"),
        Shade("lime", "라임", "#a9c94f"),
        Shade("green", "그린", "#3b915f"),
        Shade("turquoise", "터콰이즈", "#38a9ab"),
        Shade("denim", "데님", "#5b7897"),
        Shade("blue", "블루", "#3563b5"),
        Shade("indigo", "인디고", "#403c8f"),
        Shade("violet", "바이올렛", "#6f479f"),
        Shade("purple", "퍼플", "#7f3a8f"),
        Shade("plum", "플럼", "#5b2f51"),
        Shade("magenta", "마젠타", "#bd3484"),
    ),
}

Tint = float | str  # a place on the hue circle, 0..1, or "#rrggbb"


def _plain(name: str) -> str:
    """A name without what people write differently: Rose Gold, rose-gold, rosegold."""
    return re.sub(r"[\s_-]", "", name).casefold()


_BY_NAME = {_plain(name): shade for group in SHADES.values() for shade in group for name in (shade.name, shade.korean)}


@lru_cache(maxsize=256)
def parse_color(color: str | float) -> tuple[str, tuple[Tint, ...]]:
    """What a colour is called, one way however it was written ("0.9", "rose gold", "#c0a080", "copper>platinum"), and
    its one or two tints from the upper to the lower end. Raises ValueError for anything else."""
    parts = str(color).split(">")
    if len(parts) > 2:
        raise ValueError(f"color {color!r}: an ombre is of two colours at most, as in 'copper>platinum'")
    names, tints = zip(*map(_parse_one, parts))
    return ">".join(names), tints


def file_name(color: str) -> str:
    """A colour as a part of a file's name: copper>rose gold -> copper_to_rose-gold."""
    return color.replace(">", "_to_").replace(" ", "-").replace("#", "")


def list_of_shades() -> str:
    """The shades in their groups, for people to choose from."""
    lines = []
    for group, shades in SHADES.items():
        names = ", ".join(f"{shade.name} {shade.korean}" for shade in shades)
        lines += textwrap.wrap(f"{group}: {names}", 100, initial_indent="  ", subsequent_indent="    ")
    return "shades:\n" + "\n".join(lines)


def _parse_one(text: str) -> tuple[str, Tint]:
    if shade := _BY_NAME.get(_plain(text)):
        return shade.name, shade.rgb
    if re.fullmatch(r"#[0-9a-f]{6}", given := text.strip().lower()):
        return given, given
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(
            f"color {text.strip()!r} is neither a number from 0 to 1, nor #rrggbb, nor a name; the names: "
            + ", ".join(shade.name for group in SHADES.values() for shade in group)
        )
    return f"{number:.6g}", number
