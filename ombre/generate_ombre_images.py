#!/usr/bin/env python
"""Dye the lower part of the hair in pictures of people: an ombre, melting upwards into the natural colour.

Without arguments it dyes the shipped samples in a few colours and lays the results side by side.

Under torchrun the pictures are shared out over the ranks:
    torchrun --nproc-per-node 2 ombre/generate_ombre_images.py FOLDER
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.batch import rank_and_size, wait_for_other_ranks  # noqa: E402
from common.command import STOPPED, carry_out, positive  # noqa: E402
from common.device import own_cores  # noqa: E402
from common.pictures import DEFAULT_MAX_PIXELS, SUFFIXES  # noqa: E402
from ombre.contact_sheet import write_contact_sheet  # noqa: E402
from ombre.dye import COLORS, color_number  # noqa: E402
from ombre.dyeing import TABLE, Ombre, dye_pictures  # noqa: E402
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder  # noqa: E402

SAMPLES = ROOT / "data" / "samples"
OUTPUT = ROOT / "data" / "ombre"
SAMPLE_COLORS = (0.0, 0.1, 0.5, 0.75, 0.9)


def main(arguments: list[str] | None = None) -> int:
    """Dye; the exit code is 0, 1 where a picture failed, 2 where nothing could be done, 130 where it was stopped."""
    options = parser().parse_args(arguments)
    code = carry_out(lambda: dye(options))
    if code != STOPPED:
        wait_for_other_ranks()
    return code


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pictures",
        type=Path,
        nargs="*",
        metavar="PICTURE_OR_FOLDER",
        help="pictures, and folders of pictures at any depth (data/samples)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="DIR",
        help="folder for the dyed pictures and ombre.csv (data/ombre)",
    )
    parser.add_argument(
        "--color",
        type=color,
        nargs="+",
        metavar="C",
        help="a place on the hue circle from 0 to 1 (0 red, 0.1 orange, 0.5 sky blue, 0.9 pink, 1 red "
        f"again) or a name ({', '.join(COLORS)}); each colour gives a picture (0.9)",
    )
    parser.add_argument(
        "--ombre-height",
        type=share,
        default=0.6,
        metavar="H",
        help="share of the hair's height that is dyed, from its lower end (%(default)s)",
    )
    parser.add_argument(
        "--ombre-grad-height",
        type=share,
        default=0.6,
        metavar="G",
        help="share of the dyed part, from its upper end, over which the dye fades in (%(default)s)",
    )
    parser.add_argument(
        "--strength", type=share, default=1.0, metavar="S", help="how much of the dye takes, 0 to 1 (%(default)s)"
    )
    parser.add_argument(
        "--lightness", type=lightness, default=0.0, metavar="L", help="darker or lighter dye, -1 to 1 (%(default)s)"
    )
    parser.add_argument(
        "--format",
        choices=sorted(suffix[1:] for suffix in SUFFIXES),
        help="of the pictures written; else that of the picture read",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=SHIPPED_WEIGHTS,
        metavar="FILE",
        help="the student's weights (models/hair_student.safetensors)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument(
        "--max-megapixels",
        type=positive,
        default=DEFAULT_MAX_PIXELS // 10**6,
        metavar="N",
        help="larger pictures are refused (%(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="dye again what is dyed")
    return parser


def dye(options: argparse.Namespace) -> int:
    rank, size = rank_and_size()
    samples = not options.pictures
    colors = options.color or (list(SAMPLE_COLORS) if samples else [0.9])
    ombre = Ombre(colors, options.ombre_height, options.ombre_grad_height, options.strength, options.lightness)
    finder = HairFinder(options.weights, options.device, own_cores())
    started = time.perf_counter()
    tally = dye_pictures(
        options.pictures or [SAMPLES],
        options.output,
        finder.mask,
        ombre,
        threads=own_cores() + 1,  # one decodes or encodes while the others wait for the network
        suffix=options.format and f".{options.format}",
        overwrite=options.overwrite,
        max_pixels=options.max_megapixels * 10**6,
    )
    pace = 1000 * (time.perf_counter() - started) / max(tally.done, 1)
    if samples and rank == 0:
        print(f"side by side: {write_contact_sheet(SAMPLES, options.output)}")
    print(
        (f"rank {rank} of {size}: " if size > 1 else "")
        + f"{options.output}: {tally.done} pictures dyed, {pace:.0f} ms each; {tally.skipped} were done before, "
        f"{tally.failed} failed; {TABLE} has a row for each"
    )
    return tally.exit_code


def share(text: str) -> float:
    """A number from 0 to 1."""
    return within(text, 0, 1)


def lightness(text: str) -> float:
    """A number from -1 to 1."""
    return within(text, -1, 1)


def within(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is not a number from {low} to {high}")
    return number


def color(text: str) -> float:
    try:
        return color_number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
