#!/usr/bin/env python
"""Dye the lower part of the hair in pictures and clips of people: an ombre, melting upwards into the natural colour.

Without arguments it dyes the shipped samples in a few colours and lays the results side by side.
"""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.cli import (
    add_batch,
    add_cluster,
    add_weights,
    carry_out,
    demand_here,
    demand_one_process,
    leave_on_ctrl_c,
    place,
    run_stage,
)

if __name__ == "__main__":
    leave_on_ctrl_c()

from common.batch.storage import without_secrets
from common.batch.table import BatchError
from common.device import own_cores
from common.image.opening import SUFFIXES
from common.progress import say
from common.weights import short_hash
from ombre.colour.shades import list_of_shades, parse_color
from ombre.media.mask_files import Masks
from ombre.show.contact_sheet import write_contact_sheets
from ombre.show.window import show
from ombre.stage import Dye
from ombre.style import ALONG, DYED, LITTLE, NO_HAIR, Style, read_styles
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder

SAMPLES = ROOT / "data" / "samples"
OUTPUT = ROOT / "data" / "ombre"
SAMPLE_COLORS = ("platinum", "caramel", "burgundy", "lilac", "blue")


def main(arguments: list[str] | None = None) -> int:
    """Dye; the exit code is 0, 1 where a picture failed, 2 where nothing could be done, 130 where it was stopped."""
    options = parser().parse_args(arguments)
    return carry_out(lambda: dye(options))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=list_of_shades(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_batch(parser, SAMPLES, OUTPUT, "the dyed pictures and ombre.csv", "pictures, clips")
    parser.add_argument(
        "--color",
        type=color,
        nargs="+",
        metavar="C",
        help="a shade by its name (below), '#rrggbb', or a place on the hue circle from 0 to 1 (0 red, 0.1 orange, 0.5 "
        "cyan, 0.9 fuchsia, 1 red again); two with '>' between, upper to lower end, make an ombre of two: "
        "'copper>platinum'; each colour gives a picture (0.9)",
    )
    parser.add_argument(
        "--ombre-height",
        type=share,
        nargs="+",
        default=[Style.ombre_height],
        metavar="H",
        help="share of the hair's length that is dyed, from its ends; each gives a picture (0.6)",
    )
    parser.add_argument(
        "--ombre-grad-height",
        type=share,
        default=Style.ombre_grad_height,
        metavar="G",
        help="share of the dyed part, from its upper end, over which the dye fades in (%(default)s)",
    )
    parser.add_argument("--reverse", action="store_true", help="dye from the roots, fading towards the ends")
    parser.add_argument(
        "--along",
        choices=ALONG,
        default=Style.along,
        help="what the fade runs along: the hair, from its roots to its ends, however it lies, or the picture's rows, "
        "straight down (%(default)s)",
    )
    parser.add_argument(
        "--strength", type=share, default=1.0, metavar="S", help="how much of the dye takes, 0 to 1 (%(default)s)"
    )
    parser.add_argument(
        "--lightness", type=lightness, default=0.0, metavar="L", help="darker or lighter dye, -1 to 1 (%(default)s)"
    )
    parser.add_argument(
        "--settings",
        type=place,
        metavar="FILE.csv",
        help="a table with each picture's own looks, a row each: image (its path from the table's folder), and columns "
        "as in ombre.csv; what it leaves open is as said here",
    )
    parser.add_argument("--sheet", action="store_true", help="lay results beside their originals: contact_sheet.jpg")
    parser.add_argument(
        "--format",
        choices=sorted(suffix[1:] for suffix in SUFFIXES),
        help="of the pictures written; else that of the picture read",
    )
    parser.add_argument(
        "--quality",
        type=percent,
        default=Dye.quality,
        metavar="Q",
        help="how fine clips are encoded, 0 (smallest file) to 100 (%(default)s)",
    )
    add_weights(parser, SHIPPED_WEIGHTS)
    parser.add_argument(
        "--masks",
        type=place,
        metavar="DIR",
        help="dye by these masks as they are, instead of finding hair: DIR/<the picture's path>.png, 8 bits, the "
        "picture's size, white where there is hair; as --save-masks and `predict` write them. Of a clip, a folder of "
        "its name with 000001.png and on, for some frames or all",
    )
    parser.add_argument(
        "--refine-masks", action="store_true", help="let the edges of --masks follow the strands, as those found do"
    )
    parser.add_argument(
        "--save-masks", type=place, metavar="DIR", help="write the share of hair that each picture was dyed by"
    )
    parser.add_argument(
        "--debug",
        type=place,
        metavar="DIR",
        help="write pictures of what was found on the way, in a folder for each picture: the crops and why they were "
        "taken, the guide, the probability of hair, the matte, the people, the fade",
    )
    parser.add_argument(
        "--camera", type=int, metavar="N", help="dye what this machine's camera N sees, 0 the first, in a window, now"
    )
    add_cluster(parser)
    return parser


def dye(options: argparse.Namespace) -> int:
    """Dye as the command line asks; the exit code."""
    demand_one_process()
    demand_here(*filter(None, (options.settings, options.masks, options.save_masks, options.debug)))
    samples = not options.pictures and options.camera is None
    colors = options.color or (list(SAMPLE_COLORS) if samples else ["0.9"])
    further = options.ombre_grad_height, options.strength, options.lightness, options.reverse, options.along
    styles = list(dict.fromkeys(Style(color, height, *further) for color in colors for height in options.ombre_height))
    if options.camera is not None:
        return look_into_mirror(options, styles)
    given, max_pixels, masks = options.pictures or [SAMPLES], options.max_megapixels * 10**6, masks_of(options)
    stage = Dye(
        styles=styles,
        weights_hash=short_hash(options.weights),
        own_styles=read_styles(options.settings, styles) if options.settings else {},
        masks=masks,
        weights=options.weights,
        device=options.device,
        suffix=options.format and f".{options.format}",
        max_pixels=max_pixels,
        quality=options.quality,
        debug=options.debug,
    )
    started, where = time.perf_counter(), without_secrets(options.output)
    apart = {name: getattr(options, name) for name in ("settings", "sheet", "masks", "save_masks", "debug")}
    tally, rest = run_stage(
        stage, given, options, avoid=list(filter(None, (masks.folder, masks.save, options.debug))), apart=apart
    )
    say(
        f"{where}: {tally.statuses[DYED]} pictures dyed{tally.pace(started)}, {tally.statuses[LITTLE]} "
        f"{LITTLE}, {tally.statuses[NO_HAIR]} {NO_HAIR}; {rest}",
        sys.stdout,
    )
    if options.sheet or (samples and not options.cluster):
        for page in write_contact_sheets(options.output, given, max_pixels):
            say(f"side by side: {page}", sys.stdout)
    return tally.exit_code


def look_into_mirror(options: argparse.Namespace, styles: list[Style]) -> int:
    """Dye what a camera sees, in a window, until that is closed; the exit code. Raises BatchError, UserError."""
    if options.pictures:
        raise BatchError("--camera shows what a camera sees; leave the pictures out, or leave out --camera")
    say("space: the next colour; Q or Esc: the end", sys.stdout)
    show(options.camera, HairFinder(options.weights, options.device, own_cores()), styles)
    return 0


def masks_of(options: argparse.Namespace) -> Masks:
    """Where masks come from and go to. Raises BatchError where they cannot."""
    if options.refine_masks and not options.masks:
        raise BatchError("--refine-masks is for masks of --masks DIR; those that are found are refined anyway")
    if options.masks and not options.masks.is_dir():
        raise BatchError(f"{options.masks}: there is no such folder of masks; --save-masks and `predict` write one")
    if options.masks and options.save_masks and options.masks.resolve() == options.save_masks.resolve():
        raise BatchError(f"{options.masks}: is the folder to read masks from and to save them in; choose another")
    return Masks(options.masks, options.refine_masks, options.save_masks)


def share(text: str) -> float:
    """A number from 0 to 1."""
    return within(text, 0, 1)


def lightness(text: str) -> float:
    """A number from -1 to 1."""
    return within(text, -1, 1)


def percent(text: str) -> int:
    """A number from 0 to 100."""
    return round(within(text, 0, 100))


def within(text: str, low: float, high: float) -> float:
    """A number in a range. Raises ArgumentTypeError: it is none, or outside."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is not a number from {low} to {high}")
    return number


def color(text: str) -> str:
    """A colour, called one way however it was written."""
    try:
        return parse_color(text)[0]
    except ValueError as error:
        if os.path.exists(text) or Path(text).suffix.lower() in SUFFIXES:
            raise argparse.ArgumentTypeError(
                f"{text} is a file or folder, not a colour; put pictures before the options, or -- between them and "
                "the colours"
            ) from None
        if "," in text:
            raise argparse.ArgumentTypeError(f"{text}: colours are parted by spaces, as in --color pink 0.5") from None
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
