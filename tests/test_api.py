"""The library as a program of one's own uses it: an array in, an array out."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from common.image.picture import read_picture
from ombre import Ombre

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "samples" / "brown_long.jpg"


@pytest.fixture(scope="module")
def ombre() -> Ombre:
    return Ombre(device="cpu", threads=2)


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return read_picture(SAMPLE).rgb8[::2, ::2].copy()


def test_the_lower_hair_takes_the_colour_and_nothing_else_changes(ombre, rgb):
    before = rgb.copy()
    dyed, share = ombre.apply(rgb, color=0.5, ombre_height=0.6, ombre_grad_height=0.6, with_mask=True)
    assert (rgb == before).all() and dyed.shape == rgb.shape and share.shape == rgb.shape[:2]
    changed = (dyed != rgb).any(axis=2)
    assert changed.any() and not changed[share == 0].any()
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows[0] > np.flatnonzero((share > 127).any(axis=1))[0] + 50, "the roots stay as they are"
    blue = dyed[int(rows[-1] - 40) : int(rows[-1] - 10)][share[int(rows[-1] - 40) : int(rows[-1] - 10)] > 250]
    assert np.median(blue[:, 2]) > np.median(blue[:, 0])


def test_nothing_is_dyed_where_nobody_is_or_nothing_is_asked_for(ombre, rgb):
    wall = np.full((120, 160, 3), 180, np.uint8)
    assert (ombre.apply(wall) == wall).all() and (ombre.apply(rgb, ombre_height=0) == rgb).all()


def test_threads_get_what_one_gets(ombre, rgb):
    alone = ombre.apply(rgb, color="platinum")
    with ThreadPoolExecutor(4) as pool:
        for dyed in pool.map(lambda _: ombre.apply(rgb, color="platinum"), range(4)):
            assert np.abs(np.int16(dyed) - alone).mean() < 0.01


def test_pictures_of_16_bits_stay_so(ombre, rgb):
    dyed = ombre.apply(np.uint16(rgb) * 257, color="copper")
    assert dyed.dtype == np.uint16
    assert np.abs(np.int32(dyed >> 8) - ombre.apply(rgb, color="copper")).mean() < 1


@pytest.mark.parametrize("picture", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)])
def test_another_array_is_refused_in_words(ombre, picture):
    with pytest.raises(ValueError, match="must be .H, W, 3. uint8 or uint16"):
        ombre.apply(picture)


def test_it_is_found_from_elsewhere(tmp_path):
    program = "from ombre import Ombre; print(Ombre.__name__)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout == "Ombre\n", run.stderr
