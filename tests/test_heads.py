"""People in a mask, their heights, and the fade."""

import cv2
import numpy as np
import pytest

from ombre.hair import grid
from ombre.hair.analysis import strand_signal
from ombre.hair.faces import Place, find_faces
from ombre.hair.people import Head, find_people
from ombre.render import fade
from segmentation.finding.guide import Guide
from segmentation.networks.resize import HAIR


def people_in(mask):
    step = grid.step_for(*mask.shape)
    return find_people(mask, grid.shrink(mask, step), step), step


def drawn(shape, *boxes):
    mask = np.zeros(shape, np.uint8)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = 255
    return mask


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_rows_of_one_head_are_exact_at_any_size(scale):
    mask = drawn((200 * scale, 200 * scale), (31 * scale + 1, 150 * scale - 1, 40 * scale, 140 * scale))
    people, _ = people_in(mask)
    assert people.heads == [Head(31 * scale + 1, 150 * scale - 1)]


def test_specks_do_not_stretch_a_head():
    mask = drawn((400, 400), (100, 300, 100, 250), (5, 9, 30, 33), (390, 394, 380, 385))
    assert people_in(mask)[0].heads == [Head(100, 300)]


def test_a_picture_of_specks_only_still_has_a_head():
    mask = drawn((400, 400), (200, 203, 200, 203))
    assert len(people_in(mask)[0].heads) == 1


def test_two_people_have_their_own_rows():
    mask = drawn((300, 400), (20, 150, 20, 120), (100, 280, 250, 370))
    people, step = people_in(mask)
    assert sorted(people.heads) == [Head(20, 150), Head(100, 280)]
    owners = people.labels[100 // step, [60 // step, 300 // step]]
    assert people.heads[owners[0]] == Head(20, 150) and people.heads[owners[1]] == Head(100, 280)


def test_a_small_head_far_away_is_a_head():
    mask = drawn((600, 800), (50, 500, 50, 400), (300, 330, 700, 730))
    assert sorted(people_in(mask)[0].heads) == [Head(50, 500), Head(300, 330)]


@pytest.mark.parametrize(
    "pieces, rows",
    [
        ([(80, 250, 80, 200), (55, 76, 120, 160)], (55, 250)),  # a bun
        ([(60, 260, 60, 100), (70, 240, 180, 220)], (60, 260)),  # curtains beside a face
        ([(20, 90, 80, 220), (95, 260, 90, 200)], (20, 260)),  # a tail below its band
        ([(20, 120, 80, 220), (190, 270, 60, 90)], (20, 270)),  # a lock on the shoulder
    ],
)
def test_pieces_of_one_person(pieces, rows):
    assert people_in(drawn((300, 300), *pieces))[0].heads == [Head(*rows)]


def test_heads_that_touch_are_told_apart():
    rows, columns = np.mgrid[:240, :400]
    one = (rows - 90) ** 2 + (columns - 120) ** 2 < 80**2
    other = (rows - 150) ** 2 + (columns - 265) ** 2 < 80**2
    assert (one & other).any()
    people, _ = people_in(np.uint8(one | other) * 255)
    assert sorted(head.bottom for head in people.heads)[-1] >= 228 and len(people.heads) == 2


def test_no_hair():
    assert people_in(np.zeros((50, 50), np.uint8))[0].heads == []
    assert people_in(np.full((50, 50), HAIR - 1, np.uint8))[0].heads == []


def share_of(mask, height, grad, strands=None):
    people, step = people_in(mask)
    (plan,) = fade.plan_fades(people, height, grad, strands)
    return fade.dye_share(plan, step, (0, mask.shape[0]), (0, mask.shape[1])), plan


def test_fade_from_row_to_row():
    mask = drawn((120, 50), (10, 110, 5, 45))
    share, plan = share_of(mask, 0.5, 0.4)
    np.testing.assert_allclose(share[:, 20], np.clip((np.arange(120) + 1 - 60) / 20, 0, 1), atol=1e-6)
    assert fade.dyed_rows(plan, 120)[0] <= 60


@pytest.mark.parametrize("height, first", [(0.25, 85), (0.5, 60), (1.0, 0)])
def test_without_a_fade_there_is_an_edge(height, first):
    share, _ = share_of(drawn((120, 50), (10, 110, 5, 45)), height, 0.0)
    assert (share[:first] == 0).all() and (share[first:] == 1).all()


def test_strands_move_the_fade_but_neither_its_ends_nor_its_order():
    mask = drawn((250, 250), (0, 250, 0, 250))
    strands = np.float32(np.sign(np.sin(np.arange(250) / 3))[None].repeat(250, axis=0))
    plain, _ = share_of(mask, 0.8, 0.6)
    moved, _ = share_of(mask, 0.8, 0.6, strands)
    assert np.abs(moved - plain).max() > 0.15
    assert (moved[plain == 0] == 0).all() and (moved[plain == 1] == 1).all()
    assert (np.diff(moved, axis=0) >= -1e-6).all()


def test_at_an_edge_dye_climbs_strands_a_little_and_never_leaves_hair_below_undyed():
    mask = drawn((250, 250), (0, 250, 0, 250))
    strands = np.float32(np.sign(np.sin(np.arange(250) / 3))[None].repeat(250, axis=0))
    share, plan = share_of(mask, 0.5, 0.0, strands)
    assert (share[125:] == 1).all() and (share[: 125 - 6] == 0).all() and (share[120:125] == 1).any()
    assert fade.dyed_rows(plan, 250)[0] <= 119


def test_even_hair_has_no_strands():
    even = strand_signal(np.full((60, 60), 40, np.float32), np.ones((60, 60), np.float32))
    assert np.abs(even).max() < 1e-3
    streaks = np.full((60, 60), 40, np.float32)
    streaks[:, ::6] += 20
    signal = strand_signal(streaks, np.ones((60, 60), np.float32))
    assert signal.max() > 0.3 and signal.min() < -0.1 and np.abs(signal).max() <= 1


def head(mask, skin, x, y, size):
    """Long hair around a face, which is drawn as well."""
    for plane, value in ((mask, 255), (skin, 0)):
        cv2.ellipse(plane, (x, y), (size, int(1.3 * size)), 0, 0, 360, value, -1)
        plane[y : y + 2 * size, x - size : x + size] = value
    cv2.ellipse(mask, (x, y), (int(0.6 * size), int(0.8 * size)), 0, 0, 360, 0, -1)
    cv2.ellipse(skin, (x, y), (int(0.6 * size), int(0.8 * size)), 0, 0, 360, 255, -1)


def people_with_faces(heads, shape=(400, 500)):
    mask, skin, rgb = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.uint8)
    for number, (x, y, size) in enumerate(heads):
        own = np.zeros(shape, np.uint8)
        head(mask, skin, x, y, size)
        head(own, own.copy(), x, y, size)
        rgb[own > 0] = np.random.default_rng(number).integers(0, 256, 3)
    step = grid.step_for(*shape)
    guide = Guide(np.float32(skin) / 255, np.zeros((*shape, 2), np.float32))
    faces = find_faces(guide, Place(0, 0, step, *shape))
    return find_people(mask, grid.shrink(mask, step), step, faces, grid.shrink(rgb, step)), step


def test_rows_of_people_who_hide_each_other_are_told_apart_by_their_faces_and_colours():
    people, step = people_with_faces([(150, 100, 60), (280, 110, 60), (410, 100, 60), (215, 230, 60), (345, 230, 60)])
    assert len(people.heads) == 5 and all(face is not None for face in people.faces)
    for x, y in ((150, 100), (280, 110), (410, 100), (215, 230), (345, 230)):
        owner = people.labels[(y - 65) // step, x // step]
        assert people.faces[owner].centre * step == pytest.approx([x, y], abs=12)
        assert people.heads[owner].top == pytest.approx(y - 78, abs=8)


def test_a_face_that_a_hand_or_a_lock_parts_is_one_persons():
    mask, skin = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
    head(mask, skin, 200, 150, 80)
    mask[:, 195:210], skin[:, 190:215] = np.maximum(mask[:, 195:210], 255 * (skin[:, 195:210] > 0)), 0
    guide = Guide(np.float32(skin) / 255, np.zeros((400, 400, 2), np.float32))
    faces = find_faces(guide, Place(0, 0, 2, 400, 400))
    assert len(faces) == 2
    assert len(find_people(mask, grid.shrink(mask, 2), 2, faces).heads) == 1


def test_a_face_without_hair_is_nobody():
    mask, skin = np.zeros((400, 500), np.uint8), np.zeros((400, 500), np.uint8)
    head(mask, skin, 120, 150, 60)
    cv2.ellipse(skin, (380, 150), (40, 60), 0, 0, 360, 255, -1)
    guide = Guide(np.float32(skin) / 255, np.zeros((400, 500, 2), np.float32))
    people = find_people(mask, grid.shrink(mask, 2), 2, find_faces(guide, Place(0, 0, 2, 400, 500)))
    assert len(people.heads) == 1 and people.faces[0].centre * 2 == pytest.approx([120, 150], abs=6)


@pytest.mark.parametrize(
    "skin_of, people",
    [
        ([(250, 170, 50, 66), (310, 280, 36, 26)], 1),  # a shoulder beneath long hair
        ([(200, 300, 30, 20), (255, 300, 24, 18)], 1),  # a neck from behind, in two pieces
        ([(160, 260, 20, 34), (330, 250, 20, 33)], 1),  # an ear and a cheek from near
        ([(215, 170, 50, 66), (355, 170, 50, 66)], 2),  # two faces cheek by cheek
        ([(215, 170, 50, 66), (370, 150, 38, 50)], 2),  # and a child's beside its mother's, not so near
    ],
)
def test_a_shoulder_or_a_neck_beside_much_hair_is_nobodys_face_and_a_second_face_is(skin_of, people):
    mask, skin = np.zeros((400, 500), np.uint8), np.zeros((400, 500), np.uint8)
    cv2.ellipse(mask, (270, 170), (190, 165), 0, 0, 360, 255, -1)
    for x, y, wide, tall in skin_of:
        cv2.ellipse(mask, (x, y), (wide, tall), 0, 0, 360, 0, -1)
        cv2.ellipse(skin, (x, y), (wide, tall), 0, 0, 360, 255, -1)
    guide = Guide(np.float32(skin) / 255, np.zeros((400, 500, 2), np.float32))
    faces = find_faces(guide, Place(0, 0, 2, 400, 500))
    assert len(faces) == 2
    assert len(find_people(mask, grid.shrink(mask, 2), 2, faces).heads) == people


def test_a_dress_below_a_face_is_no_face_though_it_is_larger():
    mask, skin = np.zeros((400, 300), np.uint8), np.zeros((400, 300), np.uint8)
    cv2.ellipse(mask, (150, 85), (65, 55), 0, 0, 360, 255, -1)
    mask[95:400, 190:250] = 255  # hair that hangs beside the dress
    for plane, value in ((mask, 0), (skin, 255)):
        cv2.ellipse(plane, (150, 105), (38, 50), 0, 0, 360, value, -1)
    cv2.ellipse(skin, (120, 255), (65, 75), 0, 0, 360, 255, -1)
    guide = Guide(np.float32(skin) / 255, np.zeros((400, 300, 2), np.float32))
    faces = find_faces(guide, Place(0, 0, 2, 400, 300))
    assert [round(face.centre[1]) for face in faces] == pytest.approx([127, 52], abs=4)
    people = find_people(mask, grid.shrink(mask, 2), 2, faces)
    assert len(people.heads) == 1 and people.faces[0] is faces[1]
