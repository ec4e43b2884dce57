"""The colour: hue, lightness, names."""

import cv2
import numpy as np
import pytest

from ombre import dye

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


def hue_of(rgb):
    return cv2.cvtColor(np.float32(rgb).reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0, :, 0]


@pytest.mark.parametrize("color", np.arange(0, 1, 0.05))
def test_the_dyed_row_has_the_asked_hue_everywhere(color):
    rgb = dye.mix(color, UINT16).table[-1] / 65535
    away = (hue_of(rgb) - 360 * color + 180) % 360 - 180
    assert np.abs(away).max() < 0.1


@pytest.mark.parametrize("color", np.arange(0, 1, 0.05))
def test_dyed_hair_is_seen_never_clipped_and_keeps_the_order_of_light(color):
    mixed = dye.mix(color, UINT8)
    lightness, chroma = dye.lightness_and_chroma(np.float32(mixed.table[-1]) / 255)
    assert chroma.min() > 20
    assert 1 <= mixed.table[-1].min() and mixed.table[-1].max() <= 254
    assert (np.diff(dye.lightness_and_chroma(dye.mix(color, UINT16).table[-1] / 65535)[0]) > -0.01).all()


@pytest.mark.parametrize("color", [0.0, 0.1, 0.5, 0.61, 0.9])
def test_within_the_range_of_a_colour_lightness_is_kept(color):
    mixed = dye.mix(color, UINT16)
    asked = np.linspace(0, 100, mixed.table.shape[1])
    got, _ = dye.lightness_and_chroma(mixed.table[-1] / 65535)
    within = (asked > mixed.darkest + 12) & (asked < mixed.lightest - 12)
    assert within.sum() > 500
    assert np.abs(got - asked)[within].max() < 0.5


def test_the_fade_begins_warm_and_turns_the_shorter_way():
    middle = slice(300, 700)
    for color, between in [(0.61, (0.61, 1.1)), (0.45, (0.1, 0.45))]:
        table = dye.mix(color, UINT16).table[:, middle].mean(axis=1) / 65535
        hues = hue_of(table) / 360
        hues = np.where(hues < between[0] - 0.02, hues + 1, hues)
        assert abs(hues[0] % 1 - dye.BLEACHED_HUE) < 0.01
        assert between[0] - 0.01 <= hues.min() and hues.max() <= between[1] + 0.01


def test_both_ends_of_the_circle_are_red():
    np.testing.assert_array_equal(dye.mix(0.0, UINT8).table, dye.mix(1.0 % 1, UINT8).table)


@pytest.mark.parametrize("text, number", [("pink", 0.9), (" Red ", 0.0), ("sky", 0.5), ("0.25", 0.25), ("1", 1.0)])
def test_names_and_numbers(text, number):
    assert dye.color_number(text) == number


@pytest.mark.parametrize("text", ["blurple", "1.2", "-0.1", "nan", ""])
def test_no_colour(text):
    with pytest.raises(ValueError, match="pink"):
        dye.color_number(text)
