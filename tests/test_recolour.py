"""A picture and a mask in, an ombre out."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000

from ombre.colour import ramps
from ombre.colour.shades import parse_color
from ombre.hair import grid
from ombre.render.recolour import dye_hair, ombre, prepare
from ombre.render.visibility import likely, shows_little
from ombre.style import PersonStyle, Style


def hair_picture(height=200, width=160, lightness=60, seed=0):
    """Streaky brown hair on skin, and its drawn mask: rows 20..180, columns 30..130."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), (210, 170, 150), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[20:180, 30:130] = 255
    streaks = cv2.GaussianBlur(rng.normal(0, 60, (height, width)), (0, 0), sigmaX=1, sigmaY=12)[..., None]
    hair = np.clip(lightness * np.array([1.2, 1.0, 0.8]) + streaks, 2, 253).astype(np.uint8)
    return np.where(mask[..., None] > 0, hair, picture), mask


def hue_error(rgb, color):
    most = np.iinfo(rgb.dtype).max
    hue = cv2.cvtColor(np.float32(rgb.reshape(1, -1, 3)) / most, cv2.COLOR_RGB2HSV)[..., 0]
    return np.abs((hue - 360 * color + 180) % 360 - 180)


def lightness_of(rgb):
    return ramps.lightness_and_chroma(np.float32(rgb) / np.iinfo(rgb.dtype).max)[0]


def test_height_0_changes_nothing():
    rgb, mask = hair_picture()
    dyed = ombre(rgb, mask, Style(0.6, 0.0, 0.5))
    np.testing.assert_array_equal(dyed, rgb)
    assert dyed is not rgb
    assert prepare(rgb, np.zeros_like(mask)) is None


def test_height_1_dyes_all_hair_and_nothing_else():
    rgb, mask = hair_picture()
    before = rgb.copy()
    dyed = ombre(rgb, mask, Style(0.6, 1.0, 0.0))
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(dyed[mask == 0], rgb[mask == 0])
    assert (dyed[mask > 0] != rgb[mask > 0]).any(axis=-1).all()
    assert hue_error(dyed[mask > 0], 0.6).max() < 2


def test_half_the_height_half_of_it_fading():
    rgb, mask = hair_picture()
    rgb[mask > 0] = (72, 60, 48)
    dyed = ombre(rgb, mask, Style(0.6, 0.5, 0.5, along="rows"))
    np.testing.assert_array_equal(dyed[:100], rgb[:100])
    fade, full = dyed[100:140, 30:130], dyed[140:180, 30:130]
    assert (full == full[0, 0]).all() and hue_error(full, 0.6).max() < 2
    assert (fade == fade[:, :1]).all()
    steps = np.abs(np.diff(np.float32(dyed[98:141, 80]), axis=0)).max(axis=1)
    assert steps.max() < 12 and (np.abs(np.float32(fade[1:]) - rgb[101:140, 30:130]).sum(axis=-1) > 0).all()


def test_grad_height_0_is_an_edge_and_1_fades_to_the_tips():
    rgb, mask = hair_picture()
    rgb[mask > 0] = (72, 60, 48)
    edge = ombre(rgb, mask, Style(0.9, 0.5, 0.0, along="rows"))[:, 80]
    np.testing.assert_array_equal(edge[:100], rgb[:100, 80])
    assert (edge[100:180] == edge[179]).all() and (edge[179] != rgb[179, 80]).any()
    soft = np.float32(ombre(rgb, mask, Style(0.9, 0.5, 1.0, along="rows"))[100:180, 80])
    away = np.abs(soft - rgb[150, 80]).sum(axis=1)
    assert (np.diff(away) > -6).all() and away[-1] > 5 * away[10]


@pytest.mark.parametrize("color", [0.0, 0.1, 0.35, 0.5, 0.65, 0.9])
@pytest.mark.parametrize("lightness", [12, 90, 190])
def test_black_brown_and_blond_take_colour_and_keep_their_strands(color, lightness):
    rgb, mask = hair_picture(lightness=lightness)
    part = mask > 0
    dyed = ombre(rgb, mask, Style(color, 1.0, 0.0))
    chroma = ramps.lightness_and_chroma(np.float32(dyed) / 255)[1][part]
    weighted = (hue_error(dyed[part], color)[0] * chroma).sum() / chroma.sum()
    assert weighted < 0.6 and (chroma > 20).mean() > 0.99
    inside = cv2.erode(mask, np.ones((21, 21))) > 0
    strands = [(light - cv2.GaussianBlur(light, (0, 0), 3))[inside] for light in map(lightness_of, (rgb, dyed))]
    assert np.corrcoef(strands)[0, 1] > 0.9 and 0.5 < strands[1].std() / strands[0].std() < 3.0
    assert dyed[part].min() > 0 and dyed[part].max() < 255


def test_black_hair_is_lightened_and_white_hair_toned_down():
    for lightness, up in [(8, True), (235, False)]:
        rgb, mask = hair_picture(lightness=lightness)
        change = lightness_of(ombre(rgb, mask, Style(0.0, 1.0, 0.0))).astype(float) - lightness_of(rgb)
        assert (change[mask > 0].mean() > 8) if up else (change[mask > 0].mean() < -8)


def test_between_brown_and_blue_there_is_no_grey():
    rgb, mask = hair_picture()
    rgb[mask > 0] = (92, 62, 42)
    rows = np.float32(ombre(rgb, mask, Style(0.61, 1.0, 1.0))[20:180, 80]) / 255
    chroma = ramps.lightness_and_chroma(rows)[1]
    assert chroma.min() > 0.8 * chroma[0]


def lab(rgb):
    return cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)


def as_hair_grew(lightness, seed=0):
    """Hair and its mask before a wall of many greys, in plain light: L* spread about `lightness` as in photographs."""
    rng = np.random.default_rng(seed)
    rgb, mask = hair_picture(seed=seed)
    wall = cv2.resize(np.uint8(rng.uniform(30, 245, (20, 16, 1)).repeat(3, axis=2)), (160, 200))
    strands = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), sigmaX=1, sigmaY=12)
    places = np.log(lightness / (100 - lightness)) + (1.1 if lightness < 20 else 0.85) * strands / strands.std()
    grey = 100 / (1 + np.exp(-places))
    hair = cv2.cvtColor(np.float32(np.dstack([grey, 0.1 * grey, 0.2 * grey])), cv2.COLOR_LAB2RGB)
    return np.where(mask[..., None] > 0, np.uint8(np.rint(255 * hair)), wall), mask


@pytest.mark.parametrize("shade", ["platinum", "honey", "caramel", "espresso", "copper", "mint", "ash blond"])
@pytest.mark.parametrize("lightness", [12, 30, 65])
def test_lit_strands_take_the_colour_of_the_shade(shade, lightness):
    rgb, mask = as_hair_grew(lightness)
    strands = lab(ombre(rgb, mask, Style(shade, 1.0, 0.0)))[mask > 0]
    asked = lab(ramps.rgb_of(parse_color(shade)[1][0])[None, None] * 255)[0, 0]
    lighter = strands[strands[:, 0] >= np.median(strands[:, 0])].mean(axis=0)
    assert deltaE_ciede2000(lighter, asked) < 7
    assert deltaE_ciede2000([asked[0], *lighter[1:]], asked) < 5


@pytest.mark.parametrize(("shade", "grown"), [("platinum", 12.9), ("honey", 17.6), ("caramel", 15.8)])
def test_black_hair_that_is_dyed_keeps_the_depth_of_hair(shade, grown):
    rgb, mask = as_hair_grew(12)
    before, after = (lightness_of(picture)[mask > 0] for picture in (rgb, ombre(rgb, mask, Style(shade, 1.0, 0.0))))
    assert np.corrcoef(np.argsort(np.argsort(before)), np.argsort(np.argsort(after)))[0, 1] > 0.99
    assert after.std() > 0.85 * grown
    low, high = np.quantile(after, (0.05, 0.95))
    assert high - low > 2.7 * 0.85 * grown, "shadows between lit strands"


@pytest.mark.parametrize("light", [(1 / 3, 1 / 3, 1 / 3), (1, 0.78, 0.45), (0.45, 0.6, 0.85)])
@pytest.mark.parametrize("shade", ["platinum", "caramel"])
def test_dyed_hair_lies_in_the_light_of_its_picture(light, shade):
    rgb, mask = as_hair_grew(15)

    def in_light(picture):
        return np.uint8(np.rint(255 * ramps.encoded(ramps.linear(picture / 255) * np.array(light))))

    there, wanted = (
        ombre(in_light(rgb), mask, Style(shade, 1.0, 0.0)),
        in_light(ombre(rgb, mask, Style(shade, 1.0, 0.0))),
    )
    away = deltaE_ciede2000(lab(there), lab(wanted))[mask > 0]
    assert away.mean() < 6.5
    assert deltaE_ciede2000(lab(ombre(rgb, mask, Style(shade, 1.0, 0.0))), lab(wanted))[mask > 0].mean() > 4


def test_each_person_gets_the_shade_whatever_the_hair():
    (dark, mask), (light, _) = hair_picture(lightness=25), hair_picture(lightness=150)
    rgb, both = np.hstack([dark, np.full_like(dark, 200), light]), np.hstack([mask, np.zeros_like(mask), mask])
    dyed = lightness_of(ombre(rgb, both, Style("ash brown", 1.0, 0.0)))
    left, right = dyed[:, :160][mask > 0].mean(), dyed[:, 320:][mask > 0].mean()
    assert abs(left - right) < 3


def test_reverse_dyes_from_the_roots():
    rgb, mask = hair_picture()
    rgb[mask > 0] = (72, 60, 48)
    dyed = ombre(rgb, mask, Style("red", 0.5, 0.5, reverse=True, along="rows"))
    np.testing.assert_array_equal(dyed[101:], rgb[101:])
    assert (dyed[20:60, 30:130] == dyed[30, 80]).all() and (dyed[30, 80] != rgb[30, 80]).any()
    edge = (ombre(rgb, mask, Style("red", 0.5, 0.0, reverse=True, along="rows")) != rgb).any(axis=-1)
    assert edge[20:100, 30:130].all() and not edge[100:].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_colours_the_first_is_the_upper_one(reverse):
    rgb, mask = hair_picture()
    rgb[mask > 0] = (72, 60, 48)
    dyed = ombre(rgb, mask, Style("red>blue", 0.5, 0.0, reverse=reverse, along="rows"))
    upper, lower = (30, 80) if reverse else (110, 170)
    for row, color in ((upper, "red"), (lower, "blue")):
        assert (
            np.abs(dyed[row, 80] - ombre(rgb, mask, Style(color, 1.0, 0.0, along="rows"))[row, 80].astype(int)).max()
            <= 3
        )
    undyed = slice(101, None) if reverse else slice(0, 99)
    np.testing.assert_array_equal(dyed[undyed], rgb[undyed])


def test_two_people_fade_at_their_own_rows():
    rgb = np.full((240, 320, 3), (72, 60, 48), np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    mask[10:110, 20:120], mask[80:220, 190:300] = 255, 255
    changed = (ombre(rgb, mask, Style(0.9, 0.5, 0.0, along="rows")) != rgb).any(axis=-1)
    assert not changed[:60, 20:120].any() and changed[60:110, 20:120].all()
    assert not changed[80:150, 190:300].any() and changed[150:220, 190:300].all()


def test_specks_above_and_below_leave_the_edge_where_it_is():
    rgb = np.full((300, 200, 3), (72, 60, 48), np.uint8)
    mask = np.zeros((300, 200), np.uint8)
    mask[50:250, 50:150] = 255
    alone = ombre(rgb, mask, Style(0.9, 0.5, 0.0, along="rows"))
    mask[3:5, 20:22], mask[294:296, 170:172] = 255, 255
    with_specks = ombre(rgb, mask, Style(0.9, 0.5, 0.0, along="rows"))
    np.testing.assert_array_equal(with_specks[50:250], alone[50:250])


def test_sixteen_bits_are_dyed_like_eight_and_finer():
    rgb, mask = hair_picture()
    deep = rgb.astype(np.uint16) * 257
    dyed, dyed_deep = ombre(rgb, mask, Style(0.6, 0.7, 0.5)), ombre(deep, mask, Style(0.6, 0.7, 0.5))
    assert dyed_deep.dtype == np.uint16
    assert np.abs(dyed_deep / 257 - dyed).mean() < 0.5 and np.abs(dyed_deep / 257 - dyed).max() < 8
    np.testing.assert_array_equal(dyed_deep[mask == 0], deep[mask == 0])
    assert len(np.unique(dyed_deep)) > 400


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 500), (500, 3), (2, 2), (257, 259)])
@pytest.mark.parametrize("value", [0, 3, 128, 255])
def test_any_size_and_any_even_mask(shape, value, dtype):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(dtype)
    mask = np.full(shape, value, np.uint8)
    for refine in (True, False):
        dyed = ombre(rgb, mask, Style(0.3, 1.0, 0.5), refine=refine)
        assert dyed.shape == rgb.shape and dyed.dtype == rgb.dtype
        if value < 128:
            np.testing.assert_array_equal(dyed, rgb)
    if value == 255:
        assert (ombre(rgb, mask, Style(0.3, 1.0, 0.0)) != rgb).any()


def test_unrefined_a_soft_mask_is_the_matte():
    rgb = np.full((40, 40, 3), (72, 60, 48), np.uint8)
    mask = np.full((40, 40), 255, np.uint8)
    mask[:, :20] = 128
    dyed = np.float32(ombre(rgb, mask, Style(0.6, 1.0, 0.0), refine=False))
    half, full = dyed[20, 5] - rgb[20, 5], dyed[20, 35] - rgb[20, 35]
    np.testing.assert_allclose(half, full * 128 / 255, atol=6)


def test_strength_and_lightness():
    rgb, mask = hair_picture()
    hair = prepare(rgb, mask)
    np.testing.assert_array_equal(dye_hair(hair, Style(0.6, 1.0, 0.0, strength=0.0)), rgb)
    full, half = (np.float32(dye_hair(hair, Style(0.6, 1.0, 0.0, strength=strength))) - rgb for strength in (1.0, 0.5))
    np.testing.assert_allclose(half, full / 2, atol=1.5)
    darker, plain, lighter = (
        lightness_of(dye_hair(hair, Style(0.6, 1.0, 0.0, lightness=at)))[mask > 0].mean() for at in (-1, 0, 1)
    )
    assert darker < plain - 4 and plain + 8 < lighter


def test_several_colours_of_one_preparation_are_each_as_if_alone():
    rgb, mask = hair_picture()
    hair = prepare(rgb, mask)
    for color in (0.0, 0.5, 1.0, "platinum", "red>#c0ffee"):
        np.testing.assert_array_equal(dye_hair(hair, Style(color, 0.7, 0.4)), ombre(rgb, mask, Style(color, 0.7, 0.4)))
    np.testing.assert_array_equal(dye_hair(hair, Style(0.0, 0.7, 0.4)), dye_hair(hair, Style(1.0, 0.7, 0.4)))


def test_threads_and_views_change_nothing():
    rgb, mask = hair_picture()
    wide = np.zeros((200, 320, 3), np.uint8)
    wide[:, 80:240] = rgb
    alone = ombre(rgb, mask, Style(0.6, 0.7, 0.4))
    np.testing.assert_array_equal(ombre(wide[:, 80:240], mask, Style(0.6, 0.7, 0.4)), alone)
    with ThreadPoolExecutor(4) as pool:
        for dyed in pool.map(lambda _: ombre(rgb, mask, Style(0.6, 0.7, 0.4)), range(12)):
            np.testing.assert_array_equal(dyed, alone)


@pytest.mark.parametrize(
    "settings",
    [
        dict(color=1.2),
        dict(ombre_height=-0.1),
        dict(ombre_grad_height=2),
        dict(strength=1.5),
        dict(lightness=-3),
        dict(color=float("nan")),
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Style(**settings)


def test_arrays_that_do_not_fit():
    rgb, mask = hair_picture()
    for picture, hair in [(rgb, mask[1:]), (rgb[..., 0], mask), (np.float32(rgb), mask), (rgb, mask > 0)]:
        with pytest.raises(ValueError, match="must be"):
            ombre(picture, hair, Style(0.5, 0.5, 0.5))


def test_cells_of_large_pictures_are_worked_out_in_strips(monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (301, 299, 3), dtype=np.uint8)
    whole = {step: grid.shrink(picture, step) for step in (1, 4, 7, 12)}
    monkeypatch.setattr(grid, "AT_ONCE", 5000)
    for step, cells in whole.items():
        np.testing.assert_array_equal(grid.shrink(picture, step), cells)


def test_memory_beside_the_picture_is_its_result_and_little_more(monkeypatch):
    monkeypatch.setattr(grid, "AT_ONCE", 1 << 19)
    rgb = cv2.resize(np.random.default_rng(0).integers(40, 120, (60, 45, 3), dtype=np.uint8), (2250, 3000))
    mask = np.zeros(rgb.shape[:2], np.uint8)
    cv2.ellipse(mask, (1125, 1500), (1060, 1430), 0, 0, 360, 255, -1)
    mask = cv2.blur(mask, (61, 61))
    tracemalloc.start()
    hair = prepare(rgb, mask, refine=False)
    found = likely(hair, mask)
    assert tracemalloc.get_traced_memory()[1] < 0.6 * rgb.nbytes
    dyed = dye_hair(hair, Style("copper"))
    assert not shows_little(hair, found, dyed, Style("copper"))
    assert tracemalloc.get_traced_memory()[1] < 1.4 * rgb.nbytes
    tracemalloc.stop()


def two_people():
    """Two heads beside each other that touch nowhere, the left one from column 30, the right one from 190, prepared."""
    (rgb, mask), (other, more) = hair_picture(), hair_picture(seed=1)
    mask[110:] = more[110:] = 0  # two that are tall would be the curtains beside one face
    return prepare(np.hstack([rgb, other]), np.hstack([mask, more]), refine=False)


def test_one_person_alone_has_a_style_of_her_own():
    hair, style, own = two_people(), Style("pink", 0.9), Style("blue", 0.5)
    assert len(hair.people.heads) == 2
    everyone, others = dye_hair(hair, style), dye_hair(hair, own)
    for x, (left, right) in ((0.25, (others, everyone)), (0.75, (everyone, others))):
        dyed = dye_hair(hair, style, [PersonStyle(x, 0.5, own)])
        np.testing.assert_array_equal(dyed[:, :140], left[:, :140])
        np.testing.assert_array_equal(dyed[:, 180:], right[:, 180:])
    np.testing.assert_array_equal(dye_hair(hair, style, [PersonStyle(0.25, 0.5, style)]), everyone)
    alone = dye_hair(hair, replace(style, ombre_height=0.0), [PersonStyle(0.75, 0.5, own)])
    np.testing.assert_array_equal(alone[:, :140], hair.rgb[:, :140])
    np.testing.assert_array_equal(alone[:, 180:], others[:, 180:])


def test_where_two_touch_one_dye_goes_over_into_the_other():
    """Nowhere is there less dye, or more, than each of the two lays there."""
    rgb, mask = (np.hstack([plane[:, 30:130]] * 2) for plane in hair_picture())
    rgb[...] = (72, 60, 48)
    mask[:80, 95:105] = 0  # a valley between two heads
    hair = prepare(rgb, mask, refine=False)
    assert len(hair.people.heads) == 2
    dark, light = Style("0.6", 1.0, 0.0, lightness=-1), Style("0.6", 1.0, 0.0, lightness=1)
    row = dye_hair(hair, dark, [PersonStyle(0.75, 0.5, light)])[150].astype(int).sum(axis=1)
    assert row[5] < row[-5] and (np.diff(row) >= -2).all()
