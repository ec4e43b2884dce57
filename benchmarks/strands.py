"""Strands of hair drawn by rule: their colour and the share of each pixel that they cover, both known."""

import cv2
import numpy as np

FINER = 4  # drawn at this many times the size
HAIRS = {  # RGB of a strand in light and in shade
    "black": ((38, 33, 32), (12, 10, 10)),
    "dark brown": ((84, 60, 46), (36, 24, 18)),
    "brown": ((128, 92, 66), (66, 44, 30)),
    "ginger": ((176, 100, 56), (104, 50, 24)),
    "blond": ((214, 180, 130), (140, 106, 66)),
    "grey": ((190, 188, 186), (120, 118, 116)),
}
STYLES = {"straight": 0.08, "wavy": 0.5, "curly": 0.3, "fuzzy": 0.5}  # how far a strand swings to its sides, radians
INSIDE, WIDE_INSIDE = 700, (3, 10)  # strands of the body; their width, in fine pixels
THIN = (1, 2, 2, 3, 3, 4, 6)  # widths of those at its edge
SUBPIXEL = 3  # bits


def render(rng: np.random.Generator, side: int, kind: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Hair of the HAIRS number `kind` (counted round) that covers a part of a square picture.

    Returns:
        The strands' colour (side, side, 3) float32 in 0..255, not multiplied by their share; that share (side, side)
        float32 in 0..1; the style.
    """
    big, style = side * FINER, str(rng.choice(list(STYLES)))
    light, shade = (np.float32(tone) for tone in list(HAIRS.values())[kind % len(HAIRS)])
    color, cover = np.zeros((big, big, 3), np.uint8), np.zeros((big, big), np.uint8)

    def tone(place: float) -> tuple[int, ...]:
        return tuple(int(value) for value in np.clip(shade + (light - shade) * place, 3, 252))

    def draw(points: np.ndarray, place: float, width: int) -> None:
        points = [np.int32(np.round(points * 2**SUBPIXEL))]
        cv2.polylines(color, points, False, tone(place), width, cv2.LINE_8, SUBPIXEL)
        cv2.polylines(cover, points, False, 255, width, cv2.LINE_8, SUBPIXEL)

    middle, normal, along, edge = _edge(rng, big)
    body = [np.int32(np.vstack([edge, edge[::-1] - normal * 3 * big]))]
    cv2.fillPoly(color, body, tone(0.35))
    cv2.fillPoly(cover, body, 255)
    out = np.arctan2(normal[1], normal[0])
    lie = out + np.pi / 2 + (0 if style == "fuzzy" else rng.uniform(-0.5, 0.5))
    wave = rng.uniform(60, 200), rng.uniform(0, 2 * np.pi)
    for _ in range(INSIDE):
        start = middle + along * rng.uniform(-0.9, 0.9) * big - normal * rng.uniform(0, 0.9) * big
        points = _strand(rng, start, lie + rng.normal(0, 0.1), rng.uniform(0.3, 1) * big, style, wave)
        draw(points, rng.beta(2, 2), int(rng.integers(*WIDE_INSIDE)))
    for _ in range(rng.integers(60, 350)):
        start = edge[rng.integers(30, 170)] - normal * rng.uniform(0, 60)
        away = abs(rng.normal(0, 0.25)) + (rng.uniform(0, 0.8) if style == "fuzzy" else 0)
        heading = out + rng.choice([-1, 1]) * (np.pi / 2 - away)
        length = rng.uniform(0.08, 0.5) * big * (0.5 if style == "fuzzy" else 1)
        draw(_strand(rng, start, heading, length, style, wave), rng.beta(2, 2), int(rng.choice(THIN)))
    return *_reduced(color, cover, side, rng.uniform(0.3, 0.8), tone(0.4)), style


def _edge(rng: np.random.Generator, big: int) -> tuple[np.ndarray, ...]:
    """A line that wanders through the picture, (200, 2) points, and its middle, the way out of the hair, and along."""
    turn = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(turn), np.sin(turn)])
    along = np.array([-normal[1], normal[0]])
    aside = cv2.GaussianBlur(np.cumsum(rng.normal(0, 1, 200))[:, None], (1, 31), 8)[:, 0]
    aside = (aside - aside.mean()) / (np.ptp(aside) + 1e-6) * big * rng.uniform(0.1, 0.4)
    middle = big / 2 + normal * rng.uniform(-0.1, 0.1) * big
    return middle, normal, along, middle + np.linspace(-1.5, 1.5, 200)[:, None] * big * along + aside[:, None] * normal


def _strand(
    rng: np.random.Generator, start: np.ndarray, heading: float, length: float, style: str, wave: tuple[float, float]
) -> np.ndarray:
    """Points (N, 2) of a strand; in style "curly" it goes round in loops that widen from its root."""
    count = max(int(length / 6), 8)
    way = np.linspace(0, length, count)
    swing = STYLES[style] * rng.uniform(0.4, 1)
    angle = heading + np.cumsum(rng.normal(0, 0.02, count)) + swing * np.sin(way / wave[0] + wave[1])
    points = start + np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1) * length / count, axis=0)
    if style == "curly":
        round_ = way / rng.uniform(12, 30) + rng.uniform(0, 2 * np.pi)
        radius = rng.uniform(10, 45) * np.minimum(way / 200, 1)
        points = points + radius[:, None] * np.stack([np.cos(round_), np.sin(round_)], axis=1)
    return points


def _reduced(
    color: np.ndarray, cover: np.ndarray, side: int, blur: float, elsewhere: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Colour and share at the picture's size, a little blurred as by a lens."""
    inked = color * np.uint8(cover > 0)[..., None]
    planes = [cv2.resize(np.float32(plane), (side, side), interpolation=cv2.INTER_AREA) for plane in (inked, cover)]
    inked, share = (cv2.GaussianBlur(plane, (0, 0), blur) for plane in planes)
    share = np.clip(share / 255, 0, 1)
    own = np.where(share[..., None] > 0.004, inked / np.maximum(share, 1e-3)[..., None], np.float32(elsewhere))
    return np.float32(np.clip(own, 0, 255)), share


def thinned(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    """A share of hair (side, side) 0..1 whose edge thins out over a wide band, in wisps, as out of focus."""
    wide = cv2.GaussianBlur(share, (0, 0), rng.uniform(6, 22))
    wisps = cv2.GaussianBlur(rng.normal(0, 1, share.shape), (0, 0), 2)
    return np.float32(np.clip(wide * (1 + 0.25 * wisps / wisps.std() * (1 - wide)) * 1.1 - 0.02, 0, 1))
