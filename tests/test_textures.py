"""Pictures of nothing."""

import numpy as np
import pytest

from segmentation.dataset.augment import without_hair
from segmentation.dataset.textures import add_shapes, add_trees, clouds, marbled, nothing


@pytest.mark.parametrize("seed", range(12))
def test_a_picture_of_nothing(seed):
    first, again, other = (nothing(96, np.random.default_rng(seed + more)) for more in (0, 0, 100))
    assert first.shape == (96, 96, 3) and first.dtype == np.uint8
    assert (first == again).all() and (first != other).any(), "another each time, the same from the same generator"
    assert first.std() > 1, "not bare"


@pytest.mark.parametrize("seed", range(4))
def test_clouds_and_marble_fill_the_range(seed):
    rng = np.random.default_rng(seed)
    field = clouds(64, rng)
    assert field.shape == (64, 64) and field.min() == pytest.approx(0, abs=1e-6) and field.max() == pytest.approx(1)
    moved = marbled(field, rng)
    assert -1e-6 <= moved.min() < moved.max() <= 1 + 1e-6 and (moved != field).mean() > 0.5


@pytest.mark.parametrize("draw", [add_shapes, add_trees])
def test_things_are_drawn_into_a_picture_and_leave_some_of_it(draw):
    shares = []
    for seed in range(12):
        rgb = np.full((96, 96, 3), 200, np.uint8)
        draw(rgb, np.random.default_rng(seed))
        shares.append((rgb != 200).any(axis=2).mean())
    assert np.mean(shares) > 0.03 and min(shares) < 0.5


def test_portraits_give_parts_without_hair_and_pictures_of_nothing():
    rgb = np.full((96, 96, 3), (250, 10, 10), np.uint8)
    label = np.zeros((96, 96), np.uint8)
    label[:40] = 255
    pictures = [without_hair(rgb, label, np.random.default_rng(seed)) for seed in range(20)]
    assert all(found.max() == 0 for _, found in pictures)
    own = sum((picture == (250, 10, 10)).all() for picture, _ in pictures)
    assert 3 < own < 17
