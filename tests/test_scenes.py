"""Training pictures cut out of scenes and put together from several."""

import numpy as np
import pytest

from segmentation.dataset import scenes
from segmentation.dataset.augment import augment


def scene(side: int = 240) -> scenes.Sample:
    """Noise with a small head: red exactly where the label says hair."""
    rgb = np.random.default_rng(0).integers(0, 120, (side, side, 3), dtype=np.uint8)
    label = np.zeros((side, side), np.uint8)
    label[30:60, 100:124] = 255
    rgb[label > 0] = (255, 0, 0)
    return rgb, label


def assert_labels_fit(rgb: np.ndarray, label: np.ndarray) -> None:
    red = (rgb[..., 0] > 180) & (rgb[..., 1] < 60)
    assert (red == (label > 127)).mean() > 0.97


def test_small_hair_makes_a_scene_and_large_hair_none():
    rgb, label = scene()
    assert scenes.is_scene(label) and scenes.is_scene(np.zeros_like(label))
    assert not scenes.is_scene(label[20:70, 90:134])


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_scenes_keep_picture_and_label_together(seed):
    rgb, label = scenes.cut_scene(*scene(), np.random.default_rng(seed))
    assert min(label.shape) >= 8
    assert_labels_fit(rgb, label)


def test_cuts_show_heads_near_and_far_and_places_without_hair():
    shares = [(scenes.cut_scene(*scene(), np.random.default_rng(seed))[1] > 127).mean() for seed in range(200)]
    assert min(shares) == 0 and max(shares) > 0.15 and np.mean(np.array(shares) == 0) > 0.1


@pytest.mark.parametrize("seed", range(20))
def test_a_composed_picture_has_the_hair_of_all_that_went_into_it(seed):
    rng = np.random.default_rng(seed)
    heads = [scenes.head_of(scene(), rng) for _ in range(1 + seed % 4)]
    rgb, label = scenes.compose(scene(), heads, 160, rng)
    assert rgb.shape == (160, 160, 3) and label.shape == (160, 160) and (label > 127).any()
    assert_labels_fit(rgb, label)


def test_the_same_generator_gives_the_same_picture_with_others_too():
    first, second = (augment(*scene(), 64, np.random.default_rng(5), [scene(), scene()]) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, second))
