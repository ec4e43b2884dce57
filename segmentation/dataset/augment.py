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
    rgb: np.ndarray,
    label: np.ndarray,
    size: int,
    rng: np.random.Generator,
    others: Sequence[scenes.Sample] = (),
    angle: float = 0.0,
    cloth: np.ndarray | None = None,
) -> scenes.Sample:
    """Change geometry, colour and quality at random.

    Args:
        rgb: (H, W, 3) uint8.
        label: (h, w[, 3]) uint8, of the same frame as `rgb`, as `scenes.Sample` has it; any resolution.
        size: side of the square that comes out, pixels.
        rng: source of all randomness: the same generator state gives the same result.
        others: pictures with their labels, whose heads are put together with this one.
        angle: radians, clockwise, by which all is turned.
        cloth: (h, w, 3) uint8, what a portrait's hair is covered with.

    Returns:
        rgb (size, size, 3) uint8, label (size, size[, 3]) uint8.
    """
    side = round(size * WARP_MARGIN)
    label = resize(label, *rgb.shape[:2])
    if others:
        ground = (rgb, label) if rng.random() > 0.15 else (nothing(side, rng), nobody(side, label))
        rgb, label = scenes.compose(ground, [scenes.head_of(other, rng) for other in others], side, rng)
    elif scenes.is_scene(label):
        rgb, label = (squash(image, side) for image in scenes.cut_scene(rgb, label, rng))
    else:
        rgb, label = squash(rgb, side), squash(label, side)
        rgb, label = change_portrait(rgb, label, rng) if cloth is None else cover(rgb, label, cloth, rng)
    rgb, label = warp(rgb, label, size, rng, angle)
    if rng.random() < 0.15:
        rgb, label = occlude(rgb, label, rng)
    return degrade(shift_colours(rgb, rng), rng), label


def nobody(side: int, like: np.ndarray) -> np.ndarray:
    """The label of a picture of nothing, with the channels of another one."""
    label = np.zeros((side, side, *like.shape[2:]), np.uint8)
    if label.ndim == 3:
        label[..., 2] = 255  # that there is no face is known
    return label


def draw_angle(turned: float, rng: np.random.Generator) -> float:
    """Radians by which a picture is turned: a little, and with the probability `turned` by a quarter or a half more."""
    return rng.normal(0, np.deg2rad(12)) + (rng.integers(1, 4) * np.pi / 2 if rng.random() < turned else 0.0)


def change_portrait(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> scenes.Sample:
    """Now and then what portraits lack: no hair, heads far away, other hair colours."""
    if rng.random() < 0.08:
        return without_hair(rgb, label, rng)
    if rng.random() < 0.1:
        return far_away(rgb, label, rng)
    if rng.random() < 0.1:
        return dye(rgb, label, rng), label
    return rgb, label


def warp(rgb: np.ndarray, label: np.ndarray, size: int, rng: np.random.Generator, angle: float) -> scenes.Sample:
    """Flip, rotate, scale, stretch and shift in one resampling; what is missing at the border is mirrored."""
    zoom = size / rgb.shape[0] * np.exp(rng.uniform(-0.25, 0.35))
    stretch = np.exp(rng.normal(0, 0.1))
    flip = rng.choice([-1.0, 1.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([flip * zoom * stretch, zoom / stretch])
    centre = np.full(2, rgb.shape[0] / 2)
    shift = size / 2 + rng.uniform(-0.12, 0.12, 2) * size - linear @ centre
    matrix = np.column_stack([linear, shift])

    def warped(image: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)

    return warped(rgb), warped(label)


def without_hair(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A part of the picture that has no hair, or a picture of nothing: portraits alone would teach that hair is
    everywhere."""
    side = rgb.shape[0]
    for _ in range(rng.integers(0, 2) * 16):
        height, width = rng.integers(side // 8, side // 2, 2)
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        box = np.s_[top : top + height, left : left + width]
        if scenes.hair_of(label[box]).max() < scenes.NO_HAIR:
            return squash(rgb[box], side), squash(label[box], side)
    return nothing(side, rng), nobody(side, label)


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
    weight = scenes.hair_of(label)[..., None].astype(np.float32) / 255
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
    label[box] = nobody(1, label)[0, 0]
    return rgb, label


def cover(rgb: np.ndarray, label: np.ndarray, cloth: np.ndarray, rng: np.random.Generator) -> scenes.Sample:
    """Lay a cloth where the hair is and a little beyond, lit as the hair was: a scarf over all of it, or a hat over
    its upper part. What is covered is no hair."""
    side, label = len(label), label.copy()
    hair = scenes.hair_of(label)
    reach = round(side * rng.uniform(0.01, 0.06))
    there = cv2.dilate(cv2.GaussianBlur(hair, (0, 0), side / 60), np.ones((2 * reach + 1,) * 2, np.uint8))
    _, top, _, height = cv2.boundingRect((hair > 127).astype(np.uint8))
    if rng.random() < 0.5:
        brim = top + height * rng.uniform(0.15, 0.6) + np.linspace(-1, 1, side) * side * rng.normal(0, 0.08)
        there[np.arange(side)[:, None] > brim] = 0
    share = cv2.GaussianBlur(cv2.threshold(there, 100, 1, cv2.THRESH_BINARY)[1] * np.float32(1), (0, 0), 1)
    if label.ndim == 3:
        share *= label[..., 1] < 128  # a face stays in sight
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), side / 40).astype(np.float32)
    light = 1 + rng.uniform(0.2, 0.8) * (grey / max(grey[share > 0.5].mean() if (share > 0.5).any() else 1, 1) - 1)
    lit = np.clip(squash(cloth, side) * light[..., None], 0, 255)
    rgb = np.rint(rgb + (lit - rgb) * share[..., None]).astype(np.uint8)
    scenes.hair_of(label)[:] = np.rint(hair * (1 - share))
    return rgb, label


def shift_colours(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast and white balance, now and then little or coloured light, saturation or none at all, sepia."""
    if rng.random() < 0.8:
        rgb = cv2.LUT(rgb, tone_curves(rng, gamma=0.25, gain=0.1))
    if rng.random() < 0.12:
        rgb = relit(rgb, np.exp(rng.uniform(np.log(0.08), np.log(0.6))) * np.exp(rng.normal(0, 0.25, 3)))
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        saturation = 0.0 if rng.random() < 0.25 else rng.uniform(0.4, 1.5)
        rgb = cv2.addWeighted(rgb, saturation, grey, 1 - saturation, 0)
    if rng.random() < 0.1:
        rgb = sepia(rgb, rng)
    return rgb


def sepia(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture in brown or yellow instead of grey: a curve of its own for each channel."""
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    curves = np.linspace(0, 1, 256)[:, None] ** rng.uniform([0.6, 0.8, 1.0], [1.0, 1.1, 1.6])
    return cv2.LUT(grey, (255 * curves).astype(np.uint8)[None])


def relit(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A picture in so many times the light, (3,), by a gamma of 2.2."""
    curves = np.arange(256)[:, None] * light ** (1 / 2.2)
    return cv2.LUT(rgb, np.clip(curves, 0, 255).astype(np.uint8)[None])


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
    if rng.random() < 0.18:
        scale = np.exp(rng.uniform(np.log(0.15), np.log(0.8)))
        small = cv2.resize(rgb, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        noise = rng.standard_normal(rgb.shape, np.float32) * rng.uniform(2, 16)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        _, jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        rgb = rgb if decoded is None else decoded
    return rgb
