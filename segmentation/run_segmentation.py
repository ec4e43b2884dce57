#!/usr/bin/env python
"""Label pictures with soft hair masks: for each the probability of hair, 224 x 224, as FaceXFormer sees it."""

import argparse
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
    demand_one_process,
    leave_on_ctrl_c,
    positive,
    run_stage,
)

if __name__ == "__main__":
    leave_on_ctrl_c()

from common.batch.storage import without_secrets
from common.batch.table import BatchError
from common.progress import say
from segmentation.labelling.face_crop import face_finder
from segmentation.labelling.stage import Label
from segmentation.labelling.teachers import PRECISIONS, WEIGHTS, facexformer, student

FACES = ROOT / "data" / "faces"
LABELS = ROOT / "data" / "hair_labels"


def main(arguments: list[str] | None = None) -> int:
    """Label; the exit code is 0, 1 where a picture failed, 2 where nothing could be done, 130 where it was stopped."""
    options = parser().parse_args(arguments)
    return carry_out(lambda: label(options))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_batch(parser, FACES, LABELS, "labels and labels.csv")
    parser.add_argument(
        "--teacher",
        choices=("facexformer", "student"),
        default="facexformer",
        help="who labels; the student is for trying the stages out without the teacher's weights",
    )
    add_weights(parser, WEIGHTS, "FaceXFormer's checkpoint, fetched where its usual one is missing")
    parser.add_argument(
        "--crop-face",
        action="store_true",
        help="label the largest face with a margin of 50 %%, as the published demo does, and the rest "
        "as no hair; the default looks at the whole picture",
    )
    parser.add_argument("--batch-size", type=positive, default=8, metavar="N", help="pictures at a time (8)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of FaceXFormer's backbone: float16 on a CUDA GPU, else float32, which is exact; bfloat16 "
        "is faster on processors that have it, and labels move by a few grey levels",
    )
    add_cluster(parser)
    return parser


def label(options: argparse.Namespace) -> int:
    """Label as the command line asks; the exit code."""
    demand_one_process()
    given = options.pictures or [FACES]
    if not options.pictures and not FACES.is_dir():
        raise BatchError(
            f"{FACES}: there is no such folder; put pictures there, or name others, as in "
            f"'run_segmentation.py {ROOT / 'data' / 'samples'}'"
        )
    if options.teacher == "student":
        say("*** NOT THE TEACHER: these labels are the shipped student's own, for trying the stages out. A student")
        say("*** trained on them learns nothing new. labels.csv says 'student' beside each.")
        teacher = student()
    else:
        teacher = facexformer(options.weights, options.precision)
    stage = Label(
        teacher=teacher,
        batch_size=options.batch_size,
        face_finder=face_finder if options.crop_face else None,
        max_pixels=options.max_megapixels * 10**6,
        weights=teacher.path,
        device=options.device,
    )
    started, where = time.perf_counter(), without_secrets(options.output)
    tally, rest = run_stage(stage, given, options)
    say(f"{where}: {tally.done} pictures done by {teacher.name}{tally.pace(started)}; {rest}", sys.stdout)
    return tally.exit_code


if __name__ == "__main__":
    sys.exit(main())
