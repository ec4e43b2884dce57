"""The second look at hair that is small in the picture, with the shipped weights on a shipped sample."""

from pathlib import Path

import cv2
import numpy as np

from common.pictures import read_picture
from segmentation.finding.hair_finder import HairFinder, small_part_with_hair
from segmentation.training.metrics import measure

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "samples" / "astronaut.jpg"


def test_a_far_away_head_is_seen_better_the_second_time():
    portrait = read_picture(SAMPLE).rgb8[:230, 100:330]
    finder = HairFinder(device="cpu")
    wanted = np.zeros((700, 900), np.uint8)
    wanted[150:380, 300:530] = finder.mask(portrait)
    scene = np.full((700, 900, 3), (150, 170, 190), np.uint8)
    scene[150:380, 300:530] = portrait
    plain, closer = (measure(found, wanted)["boundary_f1"] for found in (finder.mask(scene), finder.closer_mask(scene)))
    assert closer > plain and closer > 0.8


def test_the_part_is_square_has_room_and_stays_in_the_picture():
    probability = np.zeros((224, 224), np.float32)
    cv2.rectangle(probability, (100, 0), (123, 15), 1.0, -1)  # 24 x 16 cells, at the upper border
    rows, columns = small_part_with_hair(probability, 448, 672)  # 72 x 32 pixels around (16, 336)
    assert (rows.start, rows.stop) == (0, 88)
    assert (columns.start, columns.stop) == (264, 408)


def test_hair_that_fills_the_picture_or_is_not_there_needs_no_second_look():
    assert small_part_with_hair(np.zeros((224, 224), np.float32), 300, 300) is None
    assert small_part_with_hair(np.ones((224, 224), np.float32), 300, 300) is None


def test_specks_elsewhere_do_not_count_but_a_second_head_does():
    probability = np.zeros((224, 224), np.float32)
    cv2.rectangle(probability, (40, 20), (69, 49), 1.0, -1)
    alone = small_part_with_hair(probability, 448, 448)
    cv2.rectangle(probability, (150, 200), (155, 205), 1.0, -1)
    assert small_part_with_hair(probability, 448, 448) == alone
    cv2.rectangle(probability, (80, 20), (99, 39), 1.0, -1)
    rows, columns = small_part_with_hair(probability, 448, 448)
    assert columns.stop > 198 and rows.stop - rows.start > alone[0].stop - alone[0].start
