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
    demand_here,
    demand_one_process,
    leave_on_ctrl_c,
    positive,
    run_stage,
)

if __name__ == "__main__":
    leave_on_ctrl_c()

from common.batch.storage import without_secrets
from common.batch.table import BatchError
from common.device import choose_device
from common.progress import say
from segmentation.labelling.face_crop import face_finder
from segmentation.labelling.flat_folder import write_flat_folder
from segmentation.labelling.stage import Label
from segmentation.labelling.teachers import PRECISIONS, VIEWS, WEIGHTS, Teacher, facexformer, students

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
        action="append",
        metavar="WHO",
        help="who labels: facexformer (the default); student, the shipped one, for trying the stages out; or the "
        "weights file of a student: said several times, the mean of what these see",
    )
    parser.add_argument("--mirror", action="store_true", help="students look at the mirror image too")
    parser.add_argument("--scales", action="store_true", help="students look at several scales")
    add_weights(parser, WEIGHTS, "FaceXFormer's checkpoint, fetched where its usual one is missing")
    parser.add_argument(
        "--crop-face",
        action="store_true",
        help="label the largest face with a margin of 50 %%, as the published demo does, and the rest "
        "as no hair; the default looks at the whole picture",
    )
    parser.add_argument(
        "--layout",
        choices=("tree", "published"),
        default="tree",
        help="published: besides the labels, OUTPUT/published/ with face_000123.png and parsing_hair_label_000123.png, "
        "which the seed project's programs read",
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
    if options.teacher == ["student"] and not (options.mirror or options.scales):
        say("*** NOT THE TEACHER: these labels are the shipped student's own, for trying the stages out. A student")
        say("*** trained on them learns nothing new. labels.csv says 'student' beside each.")
    teacher = teacher_of(options)
    if options.cluster and not teacher.is_whole:
        raise BatchError("--cluster takes one teacher's weights; several students label on one machine")
    if options.layout == "published":
        demand_here(options.output)
        if options.cluster:
            raise BatchError("--layout published does not go together with --cluster")
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
    if options.layout == "published":
        flat = options.output / "published"
        pairs, lacking = write_flat_folder(options.output, flat)
        say(f"{flat}: {pairs} pairs as published", sys.stdout)
        return tally.exit_code or int(bool(lacking))
    return tally.exit_code


def teacher_of(options: argparse.Namespace) -> Teacher:
    """Who is to label. Raises BatchError: the words name nobody, or do not go together; WeightsError."""
    views = [view for view in VIEWS if getattr(options, view)]
    if options.teacher in (None, ["facexformer"]):
        if views:
            raise BatchError(f"--{views[0]} is for students; the teacher looks once")
        if not options.cluster:  # whose machines have devices of their own
            choose_device(options.device)
        return facexformer(options.weights, options.precision)
    if options.teacher == ["student"]:
        return students((), views)
    if wrong := next((word for word in options.teacher if not Path(word).is_file()), None):
        raise BatchError(f"--teacher {wrong}: is not facexformer, student, or a student's weights; several are weights")
    return students([Path(word) for word in options.teacher], views)


if __name__ == "__main__":
    sys.exit(main())
