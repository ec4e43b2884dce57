"""Strands that are made for black hair in full shadow."""

import cv2
import numpy as np
import pytest

from ombre.colour.ramps import lightness_and_chroma
from ombre.hair import grid
from ombre.render.recolour import dye_hair, prepare
from ombre.style import Style

SHADOW = np.s_[60:270, 150:240]  # away from the hair's edges and from its lit part
ALL = Style("honey", 1, 0)


def black_hair(dark=4, noise=0.0, lit=True):
    """Black hair that hangs before a grey wall, and its mask: strands in the light at the left, one black at the
    right."""
    rng = np.random.default_rng(0)
    rgb = np.full((320, 300, 3), 150, np.uint8)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[30:300, 40:260] = 255
    hair = dark + noise * rng.normal(0, 1, mask.shape)
    if lit:
        strands = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), sigmaX=1, sigmaY=14)
        hair[:, :120] = (45 + 20 * strands / strands.std())[:, :120]
    rgb[mask > 0] = np.uint8(np.clip(np.rint(hair), 0, 255))[mask > 0][:, None]
    return rgb, mask


def fine(rgb):
    lightness = lightness_and_chroma(np.float32(rgb) / 255)[0]
    return (lightness - cv2.GaussianBlur(lightness, (0, 0), 4))[SHADOW]


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_black_plate_gets_strands_along_the_hair(noise):
    rgb, mask = black_hair(noise=noise)
    hair = prepare(rgb, mask, refine=False)
    plate, strands = (fine(dye_hair(each, ALL)) for each in (hair._replace(made=None), hair))
    assert plate.std() < 2 < 0.8 * strands.std()
    smooth = cv2.GaussianBlur(strands, (0, 0), 0.7)
    across, along = (np.abs(np.diff(smooth, axis=axis)).mean() for axis in (1, 0))
    assert across > 2 * along
    np.testing.assert_array_equal(dye_hair(hair, ALL), dye_hair(prepare(rgb, mask, refine=False), ALL))


def test_a_lifted_black_in_little_light_gets_strands_too():
    rgb, mask = black_hair(dark=28, lit=False)
    rgb[mask == 0] = 60
    hair = prepare(rgb, mask, refine=False)
    assert hair.illuminant.max() < 0.5  # by which 28 of 255 would not be black
    plate, strands = (fine(dye_hair(each, ALL)) for each in (hair._replace(made=None), hair))
    assert plate.std() < 0.3 * strands.std()


def test_strands_that_are_seen_and_light_hair_are_left_alone():
    assert prepare(*black_hair(dark=90), refine=False).made is None
    rgb, mask = black_hair()
    rgb[:, 120:260] = np.tile(rgb[:, 45:115], (1, 2, 1))
    assert prepare(rgb, mask, refine=False).made is None


def test_in_a_clip_no_strands_are_made():
    rgb, mask = black_hair()
    assert prepare(rgb, mask, refine=False).made is not None
    assert prepare(rgb, mask, refine=False, still=False).made is None


def test_what_is_behind_makes_no_bright_rim_of_a_shadow():
    rgb, mask = black_hair(lit=False)
    rgb[30:300, 256:260] = 150  # drawn too wide: the wall is taken for hair
    hair = prepare(rgb, mask, refine=False)
    with_rim, without = (
        lightness_and_chroma(np.float32(dye_hair(each, ALL)) / 255)[0] for each in (hair._replace(made=None), hair)
    )
    rim, inside = np.s_[80:250, 257:260], np.s_[80:250, 200:240]
    assert with_rim[rim].mean() > with_rim[inside].mean() + 25
    before, after = (each[rim].mean() - each[inside].mean() for each in (with_rim, without))
    assert after < 0.4 * before


@pytest.mark.parametrize("size", [(40, 30), (320, 300), (1300, 900), (2100, 1500)])
def test_every_size_has_a_place_for_each_pixel(size):
    rgb, mask = (cv2.resize(each, size[::-1]) for each in black_hair())
    hair = prepare(rgb, mask, refine=False)
    if hair.made is not None:
        height, width = hair.alpha.shape
        assert grid.grow(hair.made.depth, hair.made.step, (0, height), (0, width)).shape == (height, width)
    assert dye_hair(hair, ALL).shape == rgb.shape
