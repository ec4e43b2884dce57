#!/usr/bin/env python
"""docs/clip.webp: the sample clip's head and shoulders, as it is and dyed, by the script.

python benchmarks/readme_clip.py [COLOR]
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ombre.media.video import Clip

SAMPLE = ROOT / "data" / "samples" / "learn.mkv"
PART = np.s_[20:300, 160:440]  # of its 480 rows and 640 columns
EVERY = 2  # frame


def main() -> None:
    color = sys.argv[1] if len(sys.argv) > 1 else "lilac"
    with TemporaryDirectory() as folder:
        script = ROOT / "ombre" / "generate_ombre_images.py"
        subprocess.run([sys.executable, script, SAMPLE, "--color", color, "--output", folder], check=True)
        clips = Clip(SAMPLE, 10**7), Clip(next(Path(folder).glob("*.mkv")), 10**7)
        pairs = zip(*([frame.rgb8()[PART] for frame in clip.frames()] for clip in clips))
        frames = [Image.fromarray(np.hstack(pair)) for pair in pairs][::EVERY]
    target = ROOT / "docs" / "clip.webp"
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=33 * EVERY, loop=0, quality=70, method=6)
    print(f"{target}: {len(frames)} frames, {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
