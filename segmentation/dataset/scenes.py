"""Heads at every distance: parts cut out of a scene, and scenes put together from several pictures."""

from collections.abc import Sequence

import cv2
import numpy as np

from segmentation.networks.resize import resize, squash

SMALL = 0.5  # share of a picture's side: where the hair is smaller, the picture is a scene
NO_HAIR = 13  # a label below this is no hair
CLOSE = (0.75, 1.6)  # half a side of the square round a head, in sizes of its hair
OFF_CENTRE = 0.15  # of the square's side
SMALLEST = 15  # pixels, height of a head's picture that is laid into another
Cut = tuple[slice, slice]
# rgb (H, W, 3) uint8, label (H, W) uint8: probability of hair x 255; or label (H, W, 3): that of hair, that of a face's
# skin, and 255 where the skin is known
Sample = tuple[np.ndarray, np.ndarray]


def hair_of(label: np.ndarray) -> np.ndarray:
    """The hair (H, W) uint8 of a label, as a view."""
    return label if label.ndim == 2 else label[..., 0]


def is_scene(label: np.ndarray) -> bool:
    """Whether the hair of a label (H, W) uint8 is small in it, or there is none."""
    _, _, width, height = cv2.boundingRect((hair_of(label) > 127).astype(np.uint8))
    return max(width / label.shape[1], height / label.shape[0]) < SMALL


def cut_scene(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> Sample:
    """A scene whole, a head of it at some distance, or a part of it, more likely one without hair."""
    draw = rng.random()
    if draw < 0.35:
        return rgb, label
    if draw < 0.8 and hair_of(label).max() > 127:
        nearest, farthest = CLOSE if rng.random() < 0.6 else (CLOSE[1], 8.0)
        part = around_head(label, np.exp(rng.uniform(np.log(nearest), np.log(farthest))), rng)
    else:
        part = somewhere(label, rng)
    return rgb[part], label[part]


def head_of(picture: Sample, rng: np.random.Generator) -> Sample:
    """A portrait as it is, of a scene the part round a head."""
    rgb, label = picture
    label = resize(label, *rgb.shape[:2])
    if not is_scene(label) or hair_of(label).max() <= 127:
        return rgb, label
    part = around_head(label, rng.uniform(*CLOSE), rng)
    return rgb[part], label[part]


def around_head(label: np.ndarray, reach: float, rng: np.random.Generator) -> Cut:
    """A square round one piece of the hair, `reach` of its sizes from the middle, off centre, as far as there is."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((hair_of(label) > 127).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
    left, top, width, height = stats[1 + rng.choice(len(areas), p=areas / areas.sum())][:4]
    half = max(8.0, reach * max(width, height))
    middle = np.array([top + height / 2, left + width / 2]) + rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * 2 * half
    rows, columns = (
        slice(max(0, round(centre - half)), max(1, min(size, round(centre + half))))
        for centre, size in zip(middle, label.shape)
    )
    return rows, columns


def somewhere(label: np.ndarray, rng: np.random.Generator) -> Cut:
    """A part of any place and shape; of four tries the first without hair, else the last."""
    for _ in range(4):
        shares = np.exp(rng.uniform(np.log(0.15), 0, 2))
        extent = [max(8, round(share * size)) for share, size in zip(shares, label.shape)]
        starts = [rng.integers(0, size - length + 1) for size, length in zip(label.shape, extent)]
        rows, columns = (slice(start, start + length) for start, length in zip(starts, extent))
        if hair_of(label[rows, columns]).max() < NO_HAIR:
            break
    return rows, columns


def compose(ground: Sample, heads: Sequence[Sample], side: int, rng: np.random.Generator) -> Sample:
    """Several people in one picture of (side, side): portraits laid side by side, or here and there into a ground.

    Args:
        ground: what lies behind; its own hair counts where it is not covered.
        heads: pictures of one head each, at least one.
    """
    if len(heads) > 1 and rng.random() < 0.3:
        return in_rows(heads, side, rng)
    if rng.random() < 0.5:
        part = somewhere(ground[1], rng)
        ground = ground[0][part], ground[1][part]
    rgb, label = (squash(image, side).copy() for image in ground)
    for head in heads:
        paste(rgb, label, head, rng)
    return rgb, label


def in_rows(heads: Sequence[Sample], side: int, rng: np.random.Generator) -> Sample:
    """The heads in a grid of cells, each cell filled."""
    across = rng.integers(1, len(heads) + 1)
    down = -(-len(heads) // across)
    rows, columns = (np.linspace(0, side, count + 1).astype(int) for count in (down, across))
    rgb, label = (np.zeros((side, side, *image.shape[2:]), np.uint8) for image in heads[0])
    for place in range(down * across):
        row, column = divmod(place, across)
        cell = np.s_[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        for whole, image in zip((rgb, label), heads[place % len(heads)]):
            whole[cell] = resize(image, *whole[cell].shape[:2])
    return rgb, label


def paste(rgb: np.ndarray, label: np.ndarray, head: Sample, rng: np.random.Generator) -> None:
    """Lay a head somewhere into a picture, in place: as a rectangle, or with its corners fading away."""
    side = len(label)
    height = round(np.exp(rng.uniform(np.log(SMALLEST), np.log(0.6 * side))))
    width = round(height * head[1].shape[1] / head[1].shape[0] * np.exp(rng.normal(0, 0.1)))
    height, width = max(height, 8), min(max(width, 8), side)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    picture, hair = (resize(image, height, width) for image in head)
    blend((rgb, label), (picture, hair), top, left, rng.uniform(0.1, 0.4) if rng.random() < 0.6 else None)


def blend(into: Sample, head: Sample, top: int, left: int, fade: float | None) -> None:
    """Lay a head's picture and label into others, in place; its corners fade away over `fade` of half its size, if
    one is given."""
    height, width = head[1].shape[:2]
    box = np.s_[top : top + height, left : left + width]
    weight = np.ones((height, width), np.float32)
    if fade:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        weight = np.clip((1.25 - np.hypot(x, y)) / fade, 0, 1).astype(np.float32)
    for whole, image in zip(into, head):
        share = weight[..., None] if image.ndim == 3 else weight
        whole[box] = np.rint(whole[box] * (1 - share) + image * share)
