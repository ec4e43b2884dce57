"""What the student is trained with and measured by."""

import numpy as np
import pandas as pd
import pytest
import torch

from segmentation.training.losses import LOSSES, make_loss
from segmentation.training.metrics import boundary_f1, measure, pooled, table_of


def random_pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 1, 8, 8, generator=generator), torch.rand(2, 1, 8, 8, generator=generator)


def test_full_kl_is_soft_bce_less_the_labels_entropy():
    logits, labels = random_pair()
    entropy = -(torch.xlogy(labels, labels) + torch.xlogy(1 - labels, 1 - labels)).mean()
    assert torch.allclose(LOSSES["kl"](logits, labels), LOSSES["soft-bce"](logits, labels) - entropy, atol=1e-6)


def test_one_sided_kl_is_smallest_where_all_is_hair():
    _, labels = random_pair()
    losses = [LOSSES["kl-one-sided"](torch.full_like(labels, logit), labels) for logit in (-2.0, 0.0, 5.0, 20.0)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", ["soft-bce", "mse", "kl"])
def test_losses_are_smallest_at_the_soft_label_itself(name):
    _, labels = random_pair()
    logits = torch.logit(labels)
    at_label = LOSSES[name](logits, labels)
    assert at_label < LOSSES[name](logits + 0.3, labels)
    assert at_label < LOSSES[name](logits - 0.3, labels)


def test_dice_term_is_added():
    logits, labels = random_pair()
    plain, half, whole = (make_loss("mse", weight)(logits, labels) for weight in (0.0, 0.5, 1.0))
    assert plain < half
    assert torch.allclose(whole - half, half - plain, atol=1e-6)


def test_figures_of_a_mask_worked_out_by_hand():
    drawn, found = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    drawn[:2] = 255  # 10 pixels of hair
    found[1:3] = 255  # 5 of them found, 5 others wrongly
    figures = measure(found, drawn)
    assert (figures["tp"], figures["fp"], figures["fn"], figures["tn"]) == (5, 5, 5, 5)
    assert figures["iou"] == pytest.approx(5 / 15)
    assert figures["mse"] == pytest.approx(0.5)


def test_no_hair_and_none_found_is_right():
    empty = np.zeros((9, 9), np.uint8)
    assert measure(empty, empty)["iou"] == 1
    assert boundary_f1(empty > 0, empty > 0) == 1


def test_boundary_tolerance_is_one_per_cent_of_the_diagonal():
    area = np.zeros((300, 400), bool)  # a diagonal of 500: 5 pixels
    area[100:200, 100:200] = True
    assert boundary_f1(np.roll(area, 5, axis=1), area) == 1
    assert boundary_f1(np.roll(area, 8, axis=1), area) < 0.9


def test_pooling_counts_pixels_and_means_count_pictures():
    big = dict(name="a_1", tp=90, fp=10, fn=0, tn=0, mse=0.1, iou=0.9, boundary_f1=0.5)
    small = dict(name="b_1", tp=0, fp=0, fn=10, tn=0, mse=0.4, iou=0.0, boundary_f1=1.0)
    figures = pooled(pd.DataFrame([big, small]))
    assert figures["iou"] == pytest.approx(90 / 110)
    assert figures["precision"] == pytest.approx(0.9)
    assert figures["recall"] == pytest.approx(0.9)
    assert figures["mean_iou"] == pytest.approx(0.45)
    assert figures["mse"] == pytest.approx((0.1 * 100 + 0.4 * 10) / 110)
    assert list(table_of(pd.DataFrame([big, small])).index) == ["a", "b", "all"]
