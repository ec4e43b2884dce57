"""Pictures of what was found on the way."""

from pathlib import Path

import numpy as np

from common.image.picture import read_picture
from ombre.generate_ombre_images import main
from tests.tools.scripts import run_script

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "samples" / "two_women.jpg"


def test_debug_writes_what_a_person_asks_for(tmp_path):
    done = run_script(main, SAMPLE, "--output", tmp_path / "out", "--debug", tmp_path / "why")
    assert done.returncode == 0, done.stderr
    shown = {path.stem: read_picture(path).rgb8 for path in (tmp_path / "why" / SAMPLE.name).iterdir()}
    assert {"crops", "probability", "matte", "people", "fade"} <= set(shown)
    assert len({picture.shape for picture in shown.values()}) == 1
    hair = shown["matte"][..., 0] > 200
    red, blue = (np.flatnonzero((hair & (shown["fade"][..., which] > 120)).any(axis=1)) for which in (0, 2))
    assert red.max() > blue.max(), "dye is lower than natural hair"
    colours = shown["people"][hair]
    assert len(np.unique(colours[::50] // 64, axis=0)) >= 2, "each of the two has a colour"
