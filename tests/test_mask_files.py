"""Masks that are given: what is still looked for."""

from types import SimpleNamespace

import numpy as np
import pytest

from common.image.picture import write_mask
from ombre.media.mask_files import Masks


@pytest.mark.parametrize("guided", [True, False])
def test_with_given_masks_only_a_student_that_tells_faces_looks(tmp_path, guided):
    looks = []

    def find(rgb):
        looks.append(rgb.shape)
        return SimpleNamespace(guide=lambda: None)

    write_mask(tmp_path / "a.png", np.full((6, 8), 200, np.uint8))
    rgb = np.zeros((6, 8, 3), np.uint8)
    detection = Masks(tmp_path).of(rgb, rgb, "a.png", SimpleNamespace(find=find, guided=guided))
    assert detection.share.min() == 200 and detection.guide is None and len(looks) == guided
