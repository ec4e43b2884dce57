"""What one dye looks like in every light: the walk from its deepest shade, over the full colour, to its highlights.

Two kinds. A place on the hue circle walks in HSV, its hue as asked everywhere. A shade, whose lightness counts, walks
as dyed hair does: shadows are purer in colour than the dark alone would make them, highlights pale towards white, and
warm shades lean to brown below and to gold above, so that blond has no olive shadows and brown no grey lights. These
are reckoned in OKLab (Ottosson, "A perceptual color space for image processing", 2020), where a hue does not drift as
it pales.
"""

import cv2
import numpy as np

LOWEST, HIGHEST = 4 / 255, 251 / 255  # no channel is driven to the ends of its range
MOST_SATURATED, MOST_CHROMA = 0.95, 66.0  # of a place on the hue circle: beyond this LAB chroma hair looks painted
STEPS = 513  # places on a walk
DEEPEST = 0.1  # of a shade's OKLab lightness, where its walk begins
PURER = 0.8  # power with which a shade's colour fades into the dark, slower than its light
BLOOM, PALING = 1.2, 3.0  # powers with which it first grows with light and then pales
MOST_BLOOM = 1.8  # times: lights on black hair are those of the lamp, so that blue black does not turn lavender
BROWN, GOLD = 50.0, 75.0  # hues in OKLab towards which the shadows and the lights of warm shades lean
BROWNER, GOLDEN = 0.6, 0.6  # how far at most
WARM_SHADOWS, WARM_LIGHTS = ([50, 60, 100, 120], [0, 1, 1, 0]), ([25, 45, 75, 76], [0, 1, 1, 0])  # which hues do

TO_LMS = np.array(
    [[0.4122215, 0.5363325, 0.0514460], [0.2119035, 0.6806995, 0.1073970], [0.0883025, 0.2817188, 0.6299787]]
)
TO_OKLAB = np.array(
    [[0.2104543, 0.7936178, -0.0040720], [1.9779985, -2.4285922, 0.4505937], [0.0259040, 0.7827718, -0.8086758]]
)


def hsv_to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """HSV, each 0..1 (hue 1 = 0 = red), to RGB 0..1 on a new last axis."""
    corner = (np.asarray(hue)[..., None] * 6 + np.array([0, 4, 2])) % 6
    pure = np.clip(np.abs(corner - 3) - 1, 0, 1)
    return np.asarray(value)[..., None] * (1 - np.asarray(saturation)[..., None] * (1 - pure))


def lightness_and_chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CIE L* and C*ab (D65) of (..., 3) sRGB in 0..1."""
    lab = cv2.cvtColor(np.float32(rgb).reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(np.shape(rgb))
    return lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])


def rgb_of(text: str) -> np.ndarray:
    """(3,) sRGB 0..1 of "#rrggbb"."""
    return np.array(list(bytes.fromhex(text[1:]))) / 255


def oklch(rgb: np.ndarray) -> np.ndarray:
    """(3,) sRGB 0..1 -> OKLab's lightness 0..1, chroma, and hue in degrees."""
    lightness, a, b = TO_OKLAB @ np.cbrt(TO_LMS @ linear(np.asarray(rgb, float)))
    return np.array([lightness, np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360])


def ramp_of_hue(hue: float) -> np.ndarray:
    """(STEPS, 3) RGB from black over the colour of `hue`, as full as stays within MOST_CHROMA, to nearly white."""
    for saturated in np.arange(MOST_SATURATED, 0.3, -0.025):
        ramp = _hue_ramp(hue, saturated)
        if lightness_and_chroma(ramp)[1].max() <= MOST_CHROMA:
            break
    return ramp


def ramp_of_shade(lightness: float, chroma: float, hue: float) -> np.ndarray:
    """(STEPS, 3) RGB from nearly black over the shade with these OKLab values to nearly white."""
    lightness = min(max(lightness, 0.01), 0.99)
    deep = np.linspace(DEEPEST, 1, STEPS // 2)
    pale = np.linspace(0, 1, STEPS - STEPS // 2 + 1)[1:-1]
    lighter = lightness + pale * (0.999 - lightness)
    grown = 1 + (MOST_BLOOM - 1) * np.tanh(((lighter / lightness) ** BLOOM - 1) / (MOST_BLOOM - 1))
    chromas = chroma * np.concatenate([deep**PURER, grown * (1 - pale**PALING)])
    browner = BROWNER * np.interp(hue, *WARM_SHADOWS) * (1 - deep) * (BROWN - hue)
    golden = GOLDEN * np.interp(hue, *WARM_LIGHTS) * pale * (GOLD - hue)
    hues = hue + np.concatenate([browner, golden])
    light = _from_oklch(np.concatenate([deep * lightness, lighter]), chromas, hues)
    return np.clip(encoded(light), LOWEST, HIGHEST)


def _hue_ramp(hue: float, saturated: float) -> np.ndarray:
    place = np.linspace(0, 1, STEPS)
    value = HIGHEST * (1 - (1 - place) ** 2)
    saturation = saturated * (1 - place**3)
    saturation = np.minimum(saturation, 1 - LOWEST / np.maximum(value, LOWEST))
    return hsv_to_rgb(np.full_like(place, hue), saturation, value)


def _from_oklch(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """(n,) each -> (n, 3) linear sRGB; where that is no colour of sRGB, the chroma is lowered until it is."""
    share, step, angle = np.ones_like(chroma), 0.5, np.radians(hue)
    for _ in range(14):
        a, b = chroma * share * np.cos(angle), chroma * share * np.sin(angle)
        lms = np.stack([lightness, a, b], axis=-1) @ np.linalg.inv(TO_OKLAB).T
        rgb = lms**3 @ np.linalg.inv(TO_LMS).T
        outside = ((rgb < -1e-4) | (rgb > 1 + 1e-4)).any(axis=-1)
        share, step = np.clip(share + np.where(outside, -step, step), 0, 1), step / 2
    return np.clip(rgb, 0, 1)


def linear(rgb: np.ndarray) -> np.ndarray:
    """sRGB, 0..1, as light."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    """Light as sRGB, 0..1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
