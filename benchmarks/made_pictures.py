"""Pictures made of HAIR_MASKS' own, whose hair is known exactly: nobody, rows, corners, heads far away, whole scenes.

All are drawn by a generator with a fixed seed, so that two runs measure the same pictures.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from segmentation.dataset.pairs import Pair, find_pairs, read_pair
from segmentation.dataset.scenes import blend
from segmentation.networks.resize import resize

LOWER = 0.45  # share of a scene's height, from below, in which there is nobody where no hair is drawn
SIDE = 900  # pixels, of a scene with one head far away
HEIGHT, WIDTH = 900, 1600  # pixels, of a wide scene
FAR = (0.2, 0.45)  # size of a head far away, share of its scene's side
RENDERED = (0.04, 0.5)  # height of a head's picture, share of its scene's height


class Made(NamedTuple):
    """rgb (H, W, 3) uint8; hair (H, W) uint8, 0..255; the rectangle (rows, columns) of each head's picture."""

    rgb: np.ndarray
    hair: np.ndarray
    heads: list[tuple[slice, slice]]


def nobody(masks: Path) -> Iterator[Made]:
    """The lower part of each of `scenes_val`'s pictures that has no hair there."""
    for rgb, hair in map(read_pair, find_pairs(masks / "scenes_val")[0]):
        part = np.s_[round(len(rgb) * (1 - LOWER)) :]
        if hair[part].max() == 0:
            yield Made(rgb[part], hair[part], [])


def rows(masks: Path, count: int) -> Iterator[Made]:
    """`val`'s portraits in rows of `count`, each 512 pixels high."""
    portraits = find_pairs(masks / "val")[0]
    np.random.default_rng(count).shuffle(portraits)
    for start in range(0, len(portraits) - count + 1, count):
        pictures = [with_height(pair, 512) for pair in portraits[start : start + count]]
        ends = np.cumsum([rgb.shape[1] for rgb, _ in pictures]).tolist()
        heads = [np.s_[:, left:right] for left, right in zip([0, *ends], ends)]
        yield Made(*(np.concatenate(images, axis=1) for images in zip(*pictures)), heads)


def corners(masks: Path) -> Iterator[Made]:
    """One to four of `val`'s portraits in the corners of wide scenes, a fifth to a third of their height."""
    rng, grounds = np.random.default_rng(4), bare_scenes(masks)
    portraits = iter(find_pairs(masks / "val")[0])
    while group := [pair for pair, _ in zip(portraits, range(rng.integers(1, 5)))]:
        made = Made(next(grounds), np.zeros((HEIGHT, WIDTH), np.uint8), [])
        for pair, corner in zip(group, rng.permutation(4)):
            head = with_height(pair, round(HEIGHT * rng.uniform(0.2, 0.33)))
            height, width = head[1].shape
            lay(made, head, (HEIGHT - height) * (corner // 2), (WIDTH - width) * (corner % 2))
        yield made


def far_heads(masks: Path) -> Iterator[Made]:
    """Each of `val`'s portraits somewhere in a part without hair of one of `scenes_val`'s pictures, enlarged."""
    rng, grounds = np.random.default_rng(0), bare_scenes(masks)
    for pair in find_pairs(masks / "val")[0]:
        ground = next(grounds)[:, :SIDE].copy()
        rgb, drawn = read_pair(pair)
        scale = SIDE * rng.uniform(*FAR) / max(drawn.shape)
        height, width = (round(scale * size) for size in drawn.shape)
        made = Made(ground, np.zeros((SIDE, SIDE), np.uint8), [])
        head = resize(rgb, height, width), resize(drawn, height, width)
        lay(made, head, rng.integers(0, SIDE - height), rng.integers(0, SIDE - width))
        yield made


def rendered_scenes(masks: Path, count: int = 100) -> Iterator[Made]:
    """One to six of `val`'s heads laid, their corners fading away, into parts of scenes where nobody is."""
    rng, grounds = np.random.default_rng(6), bare_scenes(masks)
    portraits = find_pairs(masks / "val")[0]
    for _ in range(count):
        made = Made(next(grounds), np.zeros((HEIGHT, WIDTH), np.uint8), [])
        taken = np.zeros((HEIGHT, WIDTH), bool)
        for index in rng.choice(len(portraits), rng.integers(1, 7), replace=False):
            head = with_height(portraits[index], round(HEIGHT * rng.uniform(*RENDERED)))
            height, width = head[1].shape
            for _ in range(20):
                top, left = rng.integers(0, HEIGHT - height + 1), rng.integers(0, WIDTH - width + 1)
                box = np.s_[top : top + height, left : left + width]
                if not taken[box].any():
                    lay(made, head, top, left, fading=True)
                    taken[box] = True
                    break
        yield made


def class_photographs(masks: Path, count: int = 10) -> Iterator[Made]:
    """30 to 100 of `val`'s portraits of faces in rows, each row before the one above it, heads of 20 to 60 pixels."""
    rng, grounds = np.random.default_rng(8), bare_scenes(masks)
    portraits = [pair for pair in find_pairs(masks / "val")[0] if pair.name.startswith("celeba")]
    for number in range(count):
        people = round(30 + 70 * number / max(count - 1, 1))
        deep = round(np.sqrt(people / 3))
        across = -(-people // deep)
        size = min(2 * WIDTH / (across + 1), 110)  # of a portrait's picture, of which a head is half
        made = Made(next(grounds), np.zeros((HEIGHT, WIDTH), np.uint8), [])
        left, top = (WIDTH - size * (across + 1) / 2) / 2, (HEIGHT - size * 0.5 * (deep + 1)) / 2
        for place, index in enumerate(rng.choice(len(portraits), people, replace=people > len(portraits))):
            row, column = divmod(place, across)
            head = with_height(portraits[index], round(size * rng.uniform(0.9, 1.1)))
            x = left + size / 2 * (column + 0.5 * (row % 2)) + rng.uniform(-3, 3)
            lay(made, head, round(top + 0.5 * size * row), min(round(x), WIDTH - head[1].shape[1]), fading=True)
        yield made


def with_height(pair: Pair, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair's picture and mask, scaled."""
    rgb, hair = read_pair(pair)
    width = round(height * hair.shape[1] / hair.shape[0])
    return resize(rgb, height, width), resize(hair, height, width)


def bare_scenes(masks: Path) -> Iterator[np.ndarray]:
    """(HEIGHT, WIDTH, 3) uint8 without end: the pictures of `nobody`, enlarged and cut."""
    while True:
        for made in nobody(masks):
            scale = max(HEIGHT / made.rgb.shape[0], WIDTH / made.rgb.shape[1])
            yield cv2.resize(made.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:HEIGHT, :WIDTH].copy()


def lay(made: Made, head: tuple[np.ndarray, np.ndarray], top: int, left: int, fading: bool = False) -> None:
    """Lay a head's picture and its hair into a made picture, in place."""
    blend(made[:2], head, top, left, 0.2 if fading else None)
    height, width = head[1].shape
    made.heads.append(np.s_[top : top + height, left : left + width])
