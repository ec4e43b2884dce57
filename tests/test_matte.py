"""The matte's edge."""

import cv2
import numpy as np
import pytest

from ombre import grid, matte


def matte_of(mask, grey):
    step = grid.step_for(*mask.shape)
    lines = matte.fit_lines(grid.shrink(mask, step), grid.shrink(grey, step))
    whole = (0, mask.shape[0]), (0, mask.shape[1])
    return matte.alpha_from(*(grid.grow(line, step, *whole) for line in lines), grey, mask)


def test_a_drawn_mask_is_believed():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (150, 130), dtype=np.uint8)
    mask = np.uint8(cv2.GaussianBlur(rng.random((150, 130)), (0, 0), 6) > 0.5) * 255
    np.testing.assert_array_equal(matte_of(mask, grey), mask)


@pytest.mark.parametrize("size", [200, 1100])
def test_the_edge_of_a_blurred_mask_is_found_in_the_picture(size):
    hair = np.zeros((size, size), np.uint8)
    hair[:, : size // 2] = 255
    grey = np.where(hair > 0, 40, 200).astype(np.uint8)
    mask = cv2.blur(hair, (size // 50, 1))
    with_picture, without = matte_of(mask, grey), matte_of(mask, np.full_like(grey, 120))
    wrong = [np.abs(np.float32(alpha) - hair).mean() for alpha in (with_picture, without)]
    assert wrong[0] < wrong[1]
    assert with_picture[hair == 0].max() == 0


def test_no_dye_where_the_mask_is_doubtful():
    grey = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    assert matte_of(np.full((64, 64), 120, np.uint8), grey).max() == 0


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


def test_a_mask_that_is_never_sure_finds_no_hair():
    assert matte.may_be_hair(np.full((20, 20), 228, np.uint8)).max() == 0
    mask = np.full((20, 20), 228, np.uint8)
    mask[5, 5] = 255
    assert matte.may_be_hair(mask).min() > 0
