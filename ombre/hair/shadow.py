"""Strands for black hair in full shadow, of which the camera has seen none: made along the hair.

There the picture is one even black, and a dye that lifts it would make a flat plate. So noise is drawn out along the
hair (line integral convolution: Cabral, Leedom, "Imaging Vector Fields Using Line Integral Convolution", 1993) and
added to the depth of what is dark and shows no strands of its own. Which way hair lies is told by the strands that are
seen near by (the structure tensor of the fine steps of depth; coarse ones are bands of light across the hair), by the
hair's edges, along which it mostly lies, and a little by the way from its roots to its ends.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair import grid
from ombre.hair.depth import lightness_of

# L* up to which strands are lost to the camera, and from which on they are seen: in plain light, and as it wrote them,
# since its black is often lifted and is taken for lit hair where the light is little.
DARK = 9.0, 15.0
# Deviations of depth within AROUND: of noise, and from which on hair has strands of its own; the same times how much
# the steps there have one direction, which noise has not.
UNEVEN, STRANDS = (0.13, 0.2), (0.04, 0.105)
AROUND = 7  # cells, within which it is told
FEWEST = 0.02  # share of the hair that has lost its strands, below which it is left alone
BLOCK = 4  # cells across: what is told of the shadow changes slowly
NEAR, FARTHER = 2.0, 3.0  # blocks, deviations of Gaussians: how far strands, and edges, say which way hair lies
EDGE, ENDS = 0.19, 0.025  # how much the hair's edges, and its roots and ends, say of that
CURLY = 0.25  # coherence of the strands that are seen, below which hair is curls
LEAST = 0.05  # of what is made: less is not worth it
WAYS = 24  # directions, of each of which there is a pattern
SIDE = 256  # of a pattern, places
LENGTH = 16.0  # places, deviation of a Gaussian: of strands
SIZES = (0.7, 1.0), (2.0, 0.6), (4.0, 0.5)  # breadth of strands and locks, the same; how much there is of each
CURLS = (0.7, 1.0), (2.0, 0.35), (4.0, 0.2)  # the same of curls
RIM = 3  # cells: how wide an edge is
MOST_LIT, LEAST_SPREAD = 1.5, 0.2  # deviations of depth, and one at least, by which an edge lies above the hair inside
ANY = 8.0  # above any depth
ONE = 4096  # of a pattern: depth of 1
AMOUNT, MOST = 0.33, 2.0  # deviation of the depth that is made; times that at most
DEEPER = 0.2  # by how much hair in full shadow lies deeper than what the camera's black is taken for


class Made(NamedTuple):
    """What is made of hair in full shadow.

    Attributes:
        depth: (rows, columns) float32, of places of `step` x `step` pixels, as on a grid: added to hair's own.
        step: pixels a place.
        most: on the hair's grid, float32: the greatest depth that hair's own may have before.
    """

    depth: np.ndarray
    step: int
    most: np.ndarray


def made_strands(
    greys: np.ndarray, lightness: np.ndarray, depths: np.ndarray, hair: np.ndarray, growth: np.ndarray, step: int
) -> Made | None:
    """Strands where hair has none of its own; None where it has.

    Args:
        greys: (rows, columns) uint8 on the grid, how light hair's own colour is.
        lightness: (256,) float32, L* of the greys as the camera wrote them.
        depths: (256,) float32, of the greys in plain light.
        hair: (rows, columns) float32, 1 where there is hair, else 0.
        growth: (rows, columns) float32, how far along the hair a cell is.
        step: pixels a cell.
    """
    darkness = _falling(np.minimum(lightness, lightness_of(depths)), *DARK).astype(np.float32)
    dark, enough = cv2.LUT(greys, darkness) * hair, FEWEST * cv2.sumElems(hair)[0]
    if cv2.sumElems(dark)[0] < enough:
        return None
    inside = cv2.erode(hair, np.ones((2 * RIM + 1, 2 * RIM + 1)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    dark = dark * inside
    depth, size = cv2.LUT(greys, depths), (AROUND, AROUND)
    level = depth * inside
    away = level - cv2.blur(level, size) / (cv2.blur(inside, size) + np.float32(1e-3)) * inside
    means = [cv2.blur(plane, (3, 3)) for plane in _blocks(away * away, dark, level, inside)]
    share = means[3] + np.float32(1e-5)
    own, darkness, level = (plane / share for plane in means[:3])
    own = np.sqrt(own)
    lost = darkness * _falling(own, *UNEVEN)
    if cv2.sumElems(lost * share)[0] * BLOCK**2 < enough:
        return None
    across, turned, coherence = _directions(away, inside, hair, growth)
    lost = lost * _falling(own * coherence, *STRANDS)
    lost[lost < LEAST] = 0
    if cv2.sumElems(lost * share)[0] * BLOCK**2 < enough:
        return None
    straight = cv2.sumElems(coherence * own)[0] >= CURLY * cv2.sumElems(own)[0]
    fine = max(step // 2, 1)
    made: np.ndarray = np.zeros([-(-length * step // fine) for length in greys.shape], np.float32)
    place, planes = _in_places((across, turned, lost), lost > 0, made.shape)
    texture = _texture(planes[0], planes[1], straight)
    made[place] = cv2.multiply(texture, planes[2], scale=1 / ONE, dtype=cv2.CV_32F)
    above = level + np.float32(MOST_LIT) * np.maximum(own, LEAST_SPREAD)
    outside = 1 - np.minimum(4 * darkness, 1) * np.minimum(100 * means[3], 1)
    most, free = (cv2.resize(plane, greys.shape[::-1]) for plane in (above, outside))
    return Made(made, fine, most + np.float32(ANY) * np.maximum(free, cv2.blur(inside, (3, 3))))


def _directions(
    away: np.ndarray, inside: np.ndarray, hair: np.ndarray, growth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which way hair lies, in blocks, each (rows, columns) float32: of twice its angle cosine and sine, of any length;
    and how much the steps of depth have one direction, 0..1.

    Args:
        away: (rows, columns) float32, fine steps of depth.
        inside: (rows, columns) float32, 1 in hair away from its edges, else 0.
        hair, growth: as in `made_strands`.
    """
    x, y = (cv2.Sobel(away, cv2.CV_32F, *order) * inside for order in ((1, 0), (0, 1)))
    steps = [cv2.GaussianBlur(plane, (0, 0), NEAR) for plane in _blocks(y * y - x * x, -2 * x * y, x * x + y * y)]
    share, along = _blocks(hair, growth)
    x, y = (cv2.Sobel(cv2.GaussianBlur(share, (0, 0), 1), cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    edges = [cv2.GaussianBlur(plane, (0, 0), FARTHER) for plane in (y * y - x * x, -2 * x * y)]
    x, y = (cv2.Sobel(cv2.GaussianBlur(along, (0, 0), NEAR), cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    scale = ENDS / (x * x + y * y + 1e-9)
    ends = (x * x - y * y) * scale, 2 * x * y * scale
    coherence = cv2.magnitude(*steps[:2]) / (steps[2] + np.float32(1e-6))
    across, turned = (step + EDGE * edge + end for step, edge, end in zip(steps, edges, ends))
    return across, turned, coherence


def _falling(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to `start`, 0 from `end` on."""
    return np.clip((np.float32(end) - values) / np.float32(end - start), 0, 1)


def _blocks(*planes: np.ndarray) -> Sequence[np.ndarray]:
    """Means over blocks of planes (rows, columns) float32."""
    return cv2.split(grid.shrink(cv2.merge(planes), BLOCK))


def _in_places(
    planes: Sequence[np.ndarray], wanted: np.ndarray, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], list[np.ndarray]]:
    """Planes of blocks brought to the size `shape`, in the part where some blocks are `wanted`, bool; and that part."""
    left, top, width, height = cv2.boundingRect(cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)))
    blocks = slice(top, top + height), slice(left, left + width)
    rows, columns = (
        slice(side.start * most // count, side.stop * most // count)
        for side, most, count in zip(blocks, shape, wanted.shape)
    )
    size = columns.stop - columns.start, rows.stop - rows.start
    return (rows, columns), [cv2.resize(plane[blocks], size) for plane in planes]


def _texture(cosine: np.ndarray, sine: np.ndarray, straight: bool) -> np.ndarray:
    """Strands that lie as twice their angle says, as in `_directions`: int16 of the same shape, as `_patterns`."""
    number: np.ndarray = np.zeros(cosine.shape, np.int16)
    if straight:
        turned = cv2.phase(cosine, sine)  # 0 to 2 pi
        number = np.minimum(turned * np.float32(WAYS / (2 * np.pi)) + 1, WAYS).astype(np.int16)
    row, column = (np.arange(length, dtype=np.int16) % SIDE for length in cosine.shape)
    at = cv2.merge([np.broadcast_to(column, cosine.shape), number * np.int16(SIDE) + row[:, None]])
    # The stubs know no single map of both x and y.
    return cv2.remap(_patterns(), at, None, cv2.INTER_NEAREST)  # type: ignore[call-overload]


@lru_cache(maxsize=1)
def _patterns() -> np.ndarray:
    """((1 + WAYS) SIDE, SIDE) int16, depth x ONE: curls, and the same noise drawn out in each of WAYS directions. Each
    goes on at its other side."""
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((SIDE, SIDE)))
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)
    patterns = [_pattern(noise * sum(amount * _passing(across, down, size, size) for size, amount in CURLS))]
    for way in range(WAYS):
        angle = (way + 0.5) * np.pi / WAYS
        along, aside = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
        patterns.append(_pattern(noise * sum(amount * _passing(along, aside, LENGTH, size) for size, amount in SIZES)))
    return np.concatenate(patterns)


def _passing(along: np.ndarray, aside: np.ndarray, long: float, broad: float) -> np.ndarray:
    """What a Gaussian of these deviations, in places, leaves of each frequency, so that white noise has one power."""
    left = np.exp(-2 * np.pi**2 * ((long * along) ** 2 + (broad * aside) ** 2))
    return left * np.sqrt(long * broad)


def _pattern(frequencies: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) int16, depth x ONE, of its frequencies."""
    pattern = np.fft.irfft2(frequencies)
    pattern = np.clip(AMOUNT * pattern / pattern.std(), -MOST * AMOUNT, MOST * AMOUNT) - DEEPER
    return np.rint(ONE * pattern).astype(np.int16)
