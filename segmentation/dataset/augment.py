"""Random changes to a picture and its hair label, so that few portraits stand for many cameras and heads."""

from collections.abc import Sequence

import cv2
import numpy as np

from segmentation.dataset import scenes
from segmentation.dataset.textures import nothing
from segmentation.networks.resize import resize, squash

# Larger sources are shrunk (antialiased) to this multiple of the training size before they are warped.
WARP_MARGIN = 1.3


def augment(
    rgb: np.ndarray, label: np.ndarray, size: int, rng: np.random.Generator, others: Sequence[scenes.Sample] = ()
) -> scenes.Sample:
    """Change geometry, colour and quality at random.

    Args:
        rgb: (H, W, 3) uint8.
        label: (h, w) uint8, probability of hair x 255, of the same frame as `rgb`; any resolution.
        size: side of the square that comes out, pixels.
        rng: source of all randomness: the same generator state gives the same result.
        others: pictures with their labels, whose heads are put together with this one.

    Returns:
        rgb (size, size, 3) uint8, label (size, size) uint8.
    """
    side = round(size * WARP_MARGIN)
    label = resize(label, *rgb.shape[:2])
    if others:
        ground = (rgb, label) if rng.random() > 0.15 else (nothing(side, rng), np.zeros((side, side), np.uint8))
        rgb, label = scenes.compose(ground, [scenes.head_of(other, rng) for other in others], side, rng)
    elif scenes.is_scene(label):
        rgb, label = (squash(image, side) for image in scenes.cut_scene(rgb, label, rng))
    else:
        rgb, label = change_portrait(squash(rgb, side), squash(label, side), rng)
    rgb, label = warp(rgb, label, size, rng)
    if rng.random() < 0.15:
        rgb, label = occlude(rgb, label, rng)
    return degrade(shift_colours(rgb, rng), rng), label


def change_portrait(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> scenes.Sample:
    """Now and then what portraits lack: no hair, heads far away, other hair colours."""
    if rng.random() < 0.08:
        return without_hair(rgb, label, rng)
    if rng.random() < 0.1:
        return far_away(rgb, label, rng)
    if rng.random() < 0.1:
        return dye(rgb, label, rng), label
    return rgb, label


def warp(rgb: np.ndarray, label: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flip, rotate, scale, stretch and shift in one resampling; what is missing at the border is mirrored."""
    angle = np.deg2rad(rng.normal(0, 12))
    zoom = size / rgb.shape[0] * np.exp(rng.uniform(-0.25, 0.35))
    stretch = np.exp(rng.normal(0, 0.1))
    flip = rng.choice([-1.0, 1.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([flip * zoom * stretch, zoom / stretch])
    centre = np.full(2, rgb.shape[0] / 2)
    shift = size / 2 + rng.uniform(-0.12, 0.12, 2) * size - linear @ centre
    matrix = np.column_stack([linear, shift])
    return tuple(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for image in (rgb, label)
    )


def without_hair(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A part of the picture that has no hair, or a picture of nothing: portraits alone would teach that hair is
    everywhere."""
    side = rgb.shape[0]
    empty = np.zeros_like(label)
    for _ in range(rng.integers(0, 2) * 16):
        height, width = rng.integers(side // 8, side // 2, 2)
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        box = np.s_[top : top + height, left : left + width]
        if label[box].max() < scenes.NO_HAIR:
            return squash(rgb[box], side), empty
    return nothing(side, rng), empty


def far_away(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The picture small somewhere in a scene without hair: portraits alone would teach that heads are large."""
    side = rgb.shape[0]
    scene, found = without_hair(rgb, label, rng)
    small = round(side * rng.uniform(0.2, 0.75))
    top, left = rng.integers(0, side - small, 2)
    box = np.s_[top : top + small, left : left + small]
    scene[box], found[box] = squash(rgb, small), squash(label, small)
    return scene, found


def dye(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give the hair another tint and brightness, for the hair colours that the set lacks."""
    curves = tone_curves(rng, gamma=0.6, gain=0.35)
    weight = label[..., None].astype(np.float32) / 255
    return np.rint(rgb + (cv2.LUT(rgb, curves).astype(np.float32) - rgb) * weight).astype(np.uint8)


def occlude(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hide a rectangle behind a flat, noisy colour: no hair there."""
    size = label.shape[0]
    height, width = rng.integers(size // 12, size // 3, 2)
    top, left = rng.integers(0, size - height), rng.integers(0, size - width)
    box = np.s_[top : top + height, left : left + width]
    rgb, label = rgb.copy(), label.copy()
    patch = rng.uniform(0, 255, 3) + rng.normal(0, rng.uniform(0, 40), (height, width, 3))
    rgb[box] = np.clip(patch, 0, 255).astype(np.uint8)
    label[box] = 0
    return rgb, label


def shift_colours(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast and white balance, now and then saturation or none at all."""
    if rng.random() < 0.8:
        rgb = cv2.LUT(rgb, tone_curves(rng, gamma=0.25, gain=0.1))
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        saturation = 0.0 if rng.random() < 0.15 else rng.uniform(0.4, 1.5)
        rgb = cv2.addWeighted(rgb, saturation, grey, 1 - saturation, 0)
    return rgb


def tone_curves(rng: np.random.Generator, gamma: float, gain: float) -> np.ndarray:
    """Random curves (1, 256, 3) uint8: one gamma and contrast for all channels, a gain for each."""
    curve = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, gamma))
    curve = 0.5 + (curve - 0.5) * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 0.04)
    curve = curve * np.exp(rng.normal(0, gain, 3))
    return np.clip(curve * 255, 0, 255).astype(np.uint8)[None]


def degrade(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What poor lenses, small pictures, sensors and JPEG do, each now and then."""
    size = rgb.shape[0]
    if rng.random() < 0.15:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 2.0))
    if rng.random() < 0.15:
        small = cv2.resize(rgb, (0, 0), fx=(scale := rng.uniform(0.3, 0.8)), fy=scale, interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        noise = rng.standard_normal(rgb.shape, np.float32) * rng.uniform(2, 16)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        _, jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        rgb = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return rgb
