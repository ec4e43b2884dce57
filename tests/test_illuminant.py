"""The light that a picture was taken in."""

import cv2
import numpy as np
import pytest

from ombre.hair.illuminant import find_light


def portrait(light=(1, 1, 1), behind=None, seed=0):
    """Dark hair and a face before things of all colours, or an even background: picture, mask, where the face is."""
    rng = np.random.default_rng(seed)
    linear = cv2.resize(rng.beta(1, 3, (15, 15, 3)), (300, 300), interpolation=cv2.INTER_NEAREST)
    linear[:20] = 0.85
    if behind is not None:
        linear[:] = behind
    mask, face = np.zeros((300, 300), np.uint8), np.zeros((300, 300), np.float32)
    mask[60:280, 80:220], mask[110:200, 115:185] = 255, 0
    face[110:200, 115:185] = 1
    linear[face > 0] = np.array([0.5, 0.3, 0.2]) * np.linspace(0.8, 1.6, 90 * 70)[:, None]
    linear[mask > 0] = np.array([0.1, 0.07, 0.05]) * rng.uniform(0.2, 3, (mask > 0).sum())[:, None]
    lit = np.clip(linear * np.array(light), 0, 1)
    rgb = np.where(lit <= 0.0031308, 12.92 * lit, 1.055 * np.maximum(lit, 1e-9) ** (1 / 2.4) - 0.055)
    return np.uint8(np.rint(255 * rgb)), mask, face


@pytest.mark.parametrize("known", [False, True])
def test_plain_light_is_plain(known):
    rgb, mask, face = portrait()
    np.testing.assert_allclose(find_light(rgb, mask, face=face if known else None), 1, atol=0.12)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("light", [(0.25, 0.25, 0.25), (1, 0.78, 0.45), (0.45, 0.6, 0.85)])
def test_another_light_is_told_with_and_without_a_face(light, known):
    rgb, mask, face = portrait(light)
    found = find_light(rgb, mask, face=face if known else None) / find_light(*portrait()[:2])
    np.testing.assert_allclose(np.log(found), np.log(light), atol=0.3)


@pytest.mark.parametrize("behind", [0.0, 0.02, (0.1, 0.4, 0.1)])
def test_a_black_or_a_coloured_background_is_no_light(behind):
    rgb, mask, face = portrait(behind=behind)
    light = find_light(rgb, mask, face=face)
    assert light.min() > 0.7 and light.max() / light.min() < 1.3


def test_a_face_in_the_shade_before_a_bright_window_tells_the_shade():
    rgb, mask, face = portrait((0.15, 0.15, 0.15))
    rgb[(mask == 0) & (face == 0)] = 240
    assert find_light(rgb, mask, face=face).mean() < 0.8 * find_light(rgb, mask).mean()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3)])
def test_pictures_of_nothing_but_hair_are_in_plain_light_or_near(shape):
    for grey in (0, 20, 255):
        light = find_light(np.full((*shape, 3), grey, np.uint8), np.full(shape, 255, np.uint8))
        assert np.isfinite(light).all() and light.min() > 0.6


def test_sixteen_bits_are_seen_like_eight():
    rgb, mask, _ = portrait((1, 0.78, 0.45))
    np.testing.assert_allclose(find_light(rgb.astype(np.uint16) * 257, mask), find_light(rgb, mask), atol=1e-6)
