"""Pictures of nothing: clouds, marble, cloth, shapes, trees, for a network that has seen few things but people."""

import cv2
import numpy as np

Branch = tuple[np.ndarray, float, float]  # where a branch starts (x, y), its direction in radians, its length in pixels


def nothing(side: int, rng: np.random.Generator) -> np.ndarray:
    """A picture (side, side, 3) uint8 with no hair in it, each time another."""
    rgb = coloured(marbled(clouds(side, rng), rng) if rng.random() < 0.5 else clouds(side, rng), rng)
    draw = rng.random()
    if draw < 0.35:
        add_shapes(rgb, rng)
    elif draw < 0.7:
        add_trees(rgb, rng)
    return rgb


def clouds(side: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of all sizes, (side, side) float32 in 0..1: from soft to grainy, now and then drawn out to one side."""
    roughness, drawn_out = rng.uniform(0.2, 1.5), rng.choice([1, 1, 2, 4])
    total = np.zeros((side, side), np.float32)
    for cells in 2 ** np.arange(1, 8):
        noise = rng.standard_normal((max(2, cells // drawn_out), cells), np.float32)
        total += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC) * cells**-roughness
    total = total.T if rng.random() < 0.5 else total
    return cv2.normalize(total, np.zeros((side, side), np.float32), 0, 1, cv2.NORM_MINMAX)


def marbled(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The field (side, side) float32 displaced by other clouds."""
    side = len(field)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    reach = side * rng.uniform(0.2, 1.5)
    y, x = (axis + reach * (clouds(side, rng) - 0.5) for axis in (y, x))
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def coloured(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The field (side, side) in 0..1 in a few colours that melt into each other: (side, side, 3) uint8."""
    palette = rng.uniform(0, 255, (rng.integers(2, 6), 3))
    greys = palette.mean(axis=1, keepdims=True)
    palette = greys + rng.uniform(0, 1) * (palette - greys)
    if rng.random() < 0.5:  # of one hue, as most things are
        palette = palette[:1] * np.linspace(rng.uniform(0, 0.6), rng.uniform(1, 1.6), len(palette))[:, None]
    places = np.linspace(0, 1, len(palette))
    return np.dstack([np.interp(field, places, channel).clip(0, 255) for channel in palette.T]).astype(np.uint8)


def add_shapes(rgb: np.ndarray, rng: np.random.Generator) -> None:
    """Draw polygons and ellipses with clouds of their own into a picture (side, side, 3) uint8, in place."""
    side = len(rgb)
    for _ in range(rng.integers(1, 8)):
        middle, radius = rng.uniform(0, side, 2), side * rng.uniform(0.05, 0.4)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        corners = middle + radius * np.column_stack([np.cos(angles), np.sin(angles)])
        shape = np.zeros((side, side), np.uint8)
        if rng.random() < 0.5:
            cv2.fillPoly(shape, [corners.astype(np.int32)], 255)
        else:
            axes = (radius * rng.uniform(0.3, 1, 2)).astype(int).tolist()
            cv2.ellipse(shape, middle.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 255, -1)
        cv2.copyTo(coloured(clouds(side, rng), rng), shape, rgb)


def add_trees(rgb: np.ndarray, rng: np.random.Generator) -> None:
    """Draw branching lines, some with leaves, into a picture (side, side, 3) uint8, in place."""
    side, colour = len(rgb), rng.uniform(0, 120, 3).tolist()
    leaf = rng.uniform(0, 255, 3).tolist() if rng.random() < 0.4 else None
    for _ in range(rng.integers(1, 4)):
        start, direction = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
        branches, width = [(start, direction, side * rng.uniform(0.1, 0.4))], side * rng.uniform(0.01, 0.05)
        while len(branches) < 200 and width > 0.5:
            for branch in branches:
                start, end = (place.astype(int).tolist() for place in (branch[0], end_of(branch)))
                cv2.line(rgb, start, end, colour, round(width + 0.5), cv2.LINE_AA)
                add_leaf(rgb, end, leaf if width < 3 else None, rng)
            branches = [twig for branch in branches for twig in fork(branch, rng)]
            width *= 0.65


def add_leaf(rgb: np.ndarray, at: list[int], colour: list[float] | None, rng: np.random.Generator) -> None:
    """Draw a leaf of a colour, if any, into a picture, in place."""
    if colour:
        cv2.circle(rgb, at, int(rng.integers(1, 5)), colour, -1, cv2.LINE_AA)


def end_of(branch: Branch) -> np.ndarray:
    """Where a branch ends."""
    start, direction, length = branch
    return start + length * np.array([np.cos(direction), np.sin(direction)])


def fork(branch: Branch, rng: np.random.Generator) -> list[Branch]:
    """What grows out of a branch: two or three shorter ones."""
    start, direction, length = branch
    end = end_of(branch)
    return [
        (
            end if rng.random() < 0.7 else (start + end) / 2,
            direction + rng.normal(0, 0.6),
            length * rng.uniform(0.5, 0.9),
        )
        for _ in range(rng.integers(2, 4))
    ]
