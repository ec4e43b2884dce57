"""The matte's edge, and hair's own colour in mixed pixels."""

import cv2
import numpy as np
import pytest

from ombre.hair import foreground, grid, matte


def strands_before(wall, hair, seed=0, side=480):
    """A head of hair with thin strands standing out: picture (side, side, 3) uint8, share of hair 0..1."""
    rng = np.random.default_rng(seed)
    big = np.zeros((4 * side, 4 * side), np.uint8)
    big[:, : 2 * side] = 255
    for _ in range(90):
        start = np.array([2 * side - 8, rng.integers(4 * side)])
        cv2.line(big, start, start + (rng.integers(20, 110), rng.integers(-60, 60)), 255, 3)
    share = np.float32(cv2.resize(big, (side, side), interpolation=cv2.INTER_AREA)) / 255
    mixed = share[..., None] * np.float32(hair) + (1 - share[..., None]) * np.float32(wall)
    return np.uint8(np.clip(mixed + rng.normal(0, 2, mixed.shape), 0, 255)), share


def coarse(share):
    """What a network that sees a quarter of the size keeps of it: (h, w) uint8."""
    side = len(share)
    small = cv2.resize(np.float32(share >= 0.5), (side // 4, side // 4), interpolation=cv2.INTER_AREA)
    return np.uint8(np.rint(255 * cv2.resize(small, (side, side))))


@pytest.mark.parametrize(
    ("wall", "hair"),
    [((235, 235, 230), (30, 25, 22)), ((60, 110, 60), (200, 170, 120)), ((205, 160, 140), (110, 78, 52))],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strands_are_found_that_the_mask_has_lost(wall, hair, dtype):
    rgb, share = strands_before(wall, hair)
    mask = coarse(share)
    rgb = rgb if dtype == np.uint8 else rgb.astype(np.uint16) * 257
    near = cv2.dilate(np.uint8((share > 0) & (share < 1)), np.ones((9, 9))) > 0
    wrong = [((np.float32(alpha) / 255 - share)[near] ** 2).mean() for alpha in (matte.refine(rgb, mask), mask)]
    assert wrong[0] < 0.6 * wrong[1]


def out_of_focus(wide, behind=(150, 125, 105), seed=0, side=384):
    """Hair whose edge is so many pixels soft, before a background, of much its own colour: picture, share, mask."""
    rng = np.random.default_rng(seed)
    edge = np.zeros((side, side), np.float32)
    edge[:, : side // 2] = 1
    texture = cv2.GaussianBlur(rng.normal(0, 1, (side, side, 1)), (0, 0), 5)[..., None]
    share = cv2.GaussianBlur(edge, (0, 0), wide)
    behind = np.float32(behind) + 14 * texture / texture.std()
    mixed = share[..., None] * np.float32((110, 80, 60)) + (1 - share[..., None]) * behind
    rgb = np.uint8(np.rint(np.clip(mixed + rng.normal(0, 2, mixed.shape), 0, 255)))
    doubt = cv2.GaussianBlur(rng.normal(0, 1, share.shape), (0, 0), 8)
    sure = 1.5 * np.log((share + 0.02) / (1.02 - share)) + 0.3 * doubt / doubt.std()
    return rgb, share, np.uint8(np.rint(255 / (1 + np.exp(-sure))))


def wrong_near_the_edge(rgb, share, mask):
    """Squared error of the matte and of the mask."""
    near = ((share > 0.02) & (share < 0.98)) | ((mask > 5) & (mask < 250))
    return [((np.float32(alpha) / 255 - share)[near] ** 2).mean() for alpha in (matte.refine(rgb, mask), mask)]


@pytest.mark.parametrize("wide", [10, 16])
def test_hair_out_of_focus_keeps_its_mask(wide):
    matte_is, mask_is = wrong_near_the_edge(*out_of_focus(wide))
    assert matte_is < 1.1 * mask_is


def test_a_clear_edge_is_found_that_a_mask_blurs():
    rgb, share, _ = out_of_focus(0.8, (190, 200, 210))
    blurred = np.uint8(np.rint(255 * cv2.GaussianBlur(share, (0, 0), 6)))
    matte_is, mask_is = wrong_near_the_edge(rgb, share, blurred)
    assert matte_is < 0.55 * mask_is


def test_away_from_the_edge_the_mask_is_believed():
    rgb = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    hair = np.zeros((300, 260), np.uint8)
    hair[60:240, 50:200] = 255
    step = grid.step_for(180, 150)
    far = 8 * step
    alpha = matte.refine(rgb, hair)
    np.testing.assert_array_equal(alpha[60 + far : 240 - far, 50 + far : 200 - far], 255)
    outside = cv2.dilate(hair, np.ones((2 * far + 1, 2 * far + 1))) == 0
    assert alpha[outside].max() == 0


def test_where_colours_say_nothing_the_mask_decides():
    grey = np.full((64, 64, 3), 120, np.uint8)
    mask = np.repeat(np.uint8(np.linspace(0, 255, 64))[None], 64, axis=0)
    alpha = matte.refine(grey, mask)
    np.testing.assert_array_equal(alpha, matte.RAMPED[mask])
    assert np.abs(alpha[0].astype(int) - mask[0]).max() < 12 and np.all(np.diff(alpha[0].astype(int)) >= 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (500, 2), (97, 257)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_size_and_any_even_mask(shape, value):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.ptp(matte.refine(rgb, np.full(shape, value, np.uint8))) == 0


def test_a_mixed_pixel_gives_up_the_colour_of_its_hair():
    """Black hair before a white wall: what the wall adds is no light of the hair."""
    rgb, share = strands_before((245, 245, 245), (20, 20, 20))
    cells = np.float32(rgb)
    difference = cv2.merge(foreground.colours_beside(cells, share, 5).difference())
    own = foreground.unmix(rgb, np.uint8(255 * share), difference)
    mixed = (share > 0.3) & (share < 1)
    assert rgb[mixed].mean() > 80 and np.abs(np.float32(own[mixed]) - 20).mean() < 14
    np.testing.assert_array_equal(own[share == 1], rgb[share == 1])


@pytest.mark.parametrize("step", [1, 3, 16])
def test_cells_grow_back_to_the_pixel(step):
    height, width = 70, 53
    ramp = np.float32(np.add.outer(np.arange(height) * 2, np.arange(width)))
    cells = grid.shrink(ramp, step)
    assert cells.shape == (-(-height // step), -(-width // step))
    whole = grid.grow(cells, step, (0, height), (0, width))
    inner = slice(step, -2 * step)
    np.testing.assert_allclose(whole[inner, inner], ramp[inner, inner], atol=1e-3)
    np.testing.assert_array_equal(grid.grow(cells, step, (13, 41), (5, 50)), whole[13:41, 5:50])


def test_tiles_cover_every_pixel_once():
    seen = np.zeros((300, 701), int)
    wanted = np.zeros((75, 176), bool)
    wanted[10:, 3:90], wanted[30, 170:] = True, True
    for rows, columns in grid.tiles(wanted, 4, 298, 701):
        seen[slice(*rows), slice(*columns)] += 1
    assert seen.max() == 1 and seen[40:298, 12:360].all() and seen[120:124, 680:].all()
    assert not seen[:64, 500:].any() and not seen[64:128, 500:600].any() and not seen[298:].any()


@pytest.mark.parametrize("start, stop", [(0, 5), (3, 98), (4, 8), (97, 98)])
def test_whole_cells_around_some_pixels(start, stop):
    found = grid.around(slice(start, stop), 4, 98)
    assert found.start <= start and found.stop >= stop and found.start % 4 == 0
    assert found.stop % 4 == 0 or found.stop == 98


def enlarged(picture, times):
    small = cv2.resize(picture, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("soften", [lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 4), lambda rgb: enlarged(rgb, 8)])
def test_in_a_soft_picture_the_edge_is_soft(soften):
    rgb, share = strands_before((205, 160, 140), (40, 30, 25))
    mask = coarse(share)
    assert matte.blur_of(rgb, mask) < matte.SHARP
    sharp, soft = (np.float32(matte.refine(picture, mask)) for picture in (rgb, soften(rgb)))
    steepest = [np.quantile(np.abs(np.diff(alpha, axis=1)).max(axis=1), 0.5) for alpha in (sharp, soft)]
    assert steepest[0] > 100 and steepest[1] < 45


@pytest.mark.parametrize("blur", [2.0, 4.0])
def test_the_blur_of_a_picture_is_told(blur):
    rgb, share = strands_before((235, 235, 230), (30, 25, 22))
    assert matte.blur_of(cv2.GaussianBlur(rgb, (0, 0), blur), coarse(share)) == pytest.approx(blur, rel=0.35)


def test_hair_that_thins_out_over_a_wide_band_stays_thin():
    """Colours say little of hair before a wall of its own colour, and so the mask is not hardened."""
    rng = np.random.default_rng(0)
    share = np.repeat(np.float32(np.clip(np.linspace(1.3, -0.3, 400), 0, 1))[None], 300, axis=0)
    mixed = share[..., None] * np.float32((120, 90, 70)) + (1 - share[..., None]) * np.float32((128, 97, 76))
    rgb = np.uint8(np.clip(mixed + rng.normal(0, 6, mixed.shape), 0, 255))
    mask = np.uint8(np.rint(255 * share))
    wrong = np.abs(np.float32(matte.refine(rgb, mask)) / 255 - share)
    assert wrong.mean() < 0.05
