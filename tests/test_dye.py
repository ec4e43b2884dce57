"""The colour: hue, lightness, shades, names."""

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000

from ombre.colour import dye_table, ramps, shades

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


def hue_of(rgb):
    return cv2.cvtColor(np.float32(rgb).reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0, :, 0]


def lab(rgb):
    return cv2.cvtColor(np.float32(rgb).reshape(1, -1, 3), cv2.COLOR_RGB2LAB)[0]


def depths(table):
    return np.linspace(dye_table.DEEPEST, dye_table.LIGHTEST, table.shape[1])


@pytest.mark.parametrize("color", np.arange(0, 1, 0.05))
def test_the_dyed_row_has_the_asked_hue_everywhere(color):
    rgb = dye_table.mix(color, UINT16).table[-1] / 65535
    away = (hue_of(rgb) - 360 * color + 180) % 360 - 180
    assert np.abs(away).max() < 0.1


@pytest.mark.parametrize("color", np.arange(0, 1, 0.05))
def test_dyed_hair_is_seen_never_clipped_and_keeps_the_order_of_light(color):
    mixed = dye_table.mix(color, UINT8)
    lightness, chroma = ramps.lightness_and_chroma(np.float32(mixed.table[-1]) / 255)
    assert chroma.min() > 13 and (chroma[depths(mixed.table) > -1] > 20).all(), "all but shadows between strands"
    assert 1 <= mixed.table[-1].min() and mixed.table[-1].max() <= 254
    assert (np.diff(ramps.lightness_and_chroma(dye_table.mix(color, UINT16).table[-1] / 65535)[0]) > -0.01).all()


@pytest.mark.parametrize("color", [0.0, 0.1, 0.5, 0.61, 0.9])
def test_each_depth_has_its_lightness(color):
    mixed = dye_table.mix(color, UINT16)
    asked = mixed.tones[0].lightness(depths(mixed.table))
    got, _ = ramps.lightness_and_chroma(mixed.table[-1] / 65535)
    within = (asked > mixed.tones[0].darkest + 2) & (asked < mixed.tones[0].lightest - 2)
    assert within.sum() > 500
    assert np.abs(got - asked)[within].max() < 0.5


def test_the_fade_begins_warm_and_turns_the_shorter_way():
    middle = slice(300, 700)
    for color, between in [(0.61, (0.61, 1.1)), (0.45, (0.1, 0.45))]:
        table = dye_table.mix(color, UINT16).table[:, middle].mean(axis=1) / 65535
        hues = hue_of(table) / 360
        hues = np.where(hues < between[0] - 0.02, hues + 1, hues)
        assert abs(hues[0] % 1 - dye_table.BLEACHED_HUE) < 0.01
        assert between[0] - 0.01 <= hues.min() and hues.max() <= between[1] + 0.01


def test_both_ends_of_the_circle_are_red():
    np.testing.assert_array_equal(dye_table.mix(0.0, UINT8).table, dye_table.mix(1.0, UINT8).table)


@pytest.mark.parametrize("shade", [shade for group in shades.SHADES.values() for shade in group])
def test_the_table_of_a_shade_holds_it_and_keeps_the_order_of_light(shade):
    mixed = dye_table.mix(shade.name, UINT16)
    ramp = mixed.table[-1] / 65535
    away = deltaE_ciede2000(lab(ramp), lab(ramps.rgb_of(shade.rgb)[None]))
    assert away.min() < 1, "at its own lightness the shade is as asked"
    lightness = ramps.lightness_and_chroma(ramp)[0]
    assert (np.diff(lightness) > -0.01).all()
    asked = mixed.tones[0].lightness(depths(mixed.table))
    within = (asked > 12) & (asked < 90)
    assert np.abs(lightness - asked)[within].max() < 0.5
    assert 1 <= dye_table.mix(shade.name, UINT8).table.min() and dye_table.mix(shade.name, UINT8).table.max() <= 254


@pytest.mark.parametrize("shade", ["golden blond", "honey", "yellow", "gold", "#d8c070"])
def test_shadows_of_blond_are_brown_not_olive(shade):
    mixed = dye_table.mix(shade, UINT16)
    shadow = hue_of(mixed.table[-1, np.searchsorted(mixed.tones[0].lightness(depths(mixed.table)), 30)] / 65535)
    assert shadow < hue_of(ramps.rgb_of(shades.parse_color(shade)[1][0])) - 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_table_in_another_light_has_its_share_of_each_channel(dtype):
    most, light = np.iinfo(dtype).max, np.array([1.1, 0.8, 0.4])
    table = dye_table.mix("platinum", np.dtype(dtype)).table[:, ::64]
    wanted = np.minimum(ramps.linear(table / most) * light, ramps.linear(np.array(ramps.HIGHEST)))
    np.testing.assert_allclose(dye_table.relit(table, light) / most, ramps.encoded(wanted), atol=0.006)


def test_two_colours_go_from_one_to_the_other():
    both = dye_table.mix("copper>platinum", UINT16)
    copper, platinum = (dye_table.mix(name, UINT16) for name in ("copper", "platinum"))
    np.testing.assert_array_equal(both.table[: dye_table.FADE_STEPS], copper.table)
    np.testing.assert_allclose(both.table[dye_table.FADE_STEPS].astype(int), copper.table[-1], atol=20)
    np.testing.assert_allclose(both.table[-1].astype(int), platinum.table[-1], atol=20)
    assert both.tones == copper.tones + platinum.tones
    assert dye_table.mix("copper>platinum", UINT16, from_below=True).tones == platinum.tones + copper.tones


@pytest.mark.parametrize(
    ("text", "name", "tints"),
    [
        ("pink", "pink", ("#e4749d",)),
        (" Rose-Gold ", "rose gold", ("#d9a08f",)),
        ("rosegold", "rose gold", ("#d9a08f",)),
        ("플래티넘", "platinum", ("#dacfbe",)),
        ("애쉬브라운", "ash brown", ("#6d5f56",)),
        ("#C0FFEE", "#c0ffee", ("#c0ffee",)),
        ("0.25", "0.25", (0.25,)),
        ("1", "1", (1.0,)),
        (0.6, "0.6", (0.6,)),
        ("copper > 실버", "copper>silver", ("#b5643d", "#b6b8bd")),
    ],
)
def test_names_and_numbers(text, name, tints):
    assert shades.parse_color(text) == (name, tints)
    assert shades.parse_color(name)[0] == name


@pytest.mark.parametrize("text", ["blurple", "1.2", "-0.1", "nan", "", "#12345", "copper>", "red>mud"])
def test_no_colour(text):
    with pytest.raises(ValueError, match="platinum"):
        shades.parse_color(text)


def test_three_colours_are_too_many():
    with pytest.raises(ValueError, match="two colours at most"):
        shades.parse_color("red>copper>gold")


def test_every_shade_has_names_of_its_own():
    known = [shade for group in shades.SHADES.values() for shade in group]
    for names in zip(*known):
        assert len(set(names)) == len(known)
