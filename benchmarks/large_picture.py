"""The most memory that dyeing very large pictures takes, by kinds of file, beside what it may take.

    python benchmarks/large_picture.py [--sides 14000 14000] [--kinds jpg png] [--deep] [--pictures 1]

A sample is enlarged until its sides are so many pixels; its hair fills most of it. Allowed are 8 bytes a pixel of one
picture, however many there are, and 400 MB for the program and its networks.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from benchmarks.whole_script import run_script
from common.image.picture import Picture, write_picture
from common.image.pixels import learn_heif

SAMPLE = ROOT / "data" / "samples" / "ginger_wavy.jpg"
A_PIXEL, BESIDE = 8, 400 << 20  # bytes
FAST = {".png": dict(compress_level=1), ".webp": dict(method=0), ".tif": dict(compression="tiff_lzw")}
DEEP = {".png": [cv2.IMWRITE_PNG_COMPRESSION, 1], ".tif": [cv2.IMWRITE_TIFF_COMPRESSION, 5]}  # 5: LZW


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs=2, default=[14000, 14000], metavar=("W", "H"))
    parser.add_argument("--kinds", nargs="+", default=["jpg", "png"], metavar="SUFFIX")
    parser.add_argument("--deep", action="store_true", help="16 bits of PNG and TIFF, 10 of HEIC and AVIF")
    parser.add_argument("--pictures", type=int, default=1, metavar="N", help="so many in one run (%(default)s)")
    options = parser.parse_args()
    width, height = options.sides
    allowed = A_PIXEL * width * height + BESIDE
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for kind in options.kinds:
            folder = Path(place, kind)
            folder.mkdir()
            make(folder / f"0.{kind}", width, height, options.deep)
            for number in range(1, options.pictures):
                os.link(folder / f"0.{kind}", folder / f"{number}.{kind}")
            _, seconds, memory = run_script(folder, folder / "out")
            fine = 16 if f".{kind}" in DEEP else 10
            row = {"kind": kind, "pictures": options.pictures, "bits": fine if options.deep else 8}
            row |= {"megapixels": width * height / 1e6, "seconds": seconds, "memory, MB": memory}
            rows.append(row | {"allowed, MB": allowed / (1 << 20)})
            print(markdown(rows), flush=True)


def make(path: Path, width: int, height: int, deep: bool) -> None:
    """A picture of 8 bits or, `deep`, more."""
    learn_heif()
    rgb = np.asarray(Image.open(SAMPLE).convert("RGB"))
    if deep:
        rgb = rgb.astype(np.uint16) * 257
    rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    if deep and path.suffix in DEEP:
        cv2.imwrite(os.fspath(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), DEEP[path.suffix])
        return
    if deep:
        write_picture(path, Picture(rgb))
        return
    Image.fromarray(rgb).save(path, **FAST.get(path.suffix, {}))


if __name__ == "__main__":
    main()
