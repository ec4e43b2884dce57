"""How far along the hair its parts are, on drawn heads."""

import cv2
import numpy as np
import pytest

from ombre.hair.faces import UPRIGHT, Place, find_faces
from ombre.render import fade
from ombre.render.recolour import ombre, prepare
from ombre.style import Style
from segmentation.finding.guide import Guide

SIDE = 300


def blank() -> np.ndarray:
    return np.zeros((SIDE, SIDE), np.uint8)


def straight() -> np.ndarray:
    """Long hair from behind."""
    mask = blank()
    cv2.ellipse(mask, (150, 90), (60, 60), 0, 0, 360, 255, -1)
    mask[90:270, 90:210] = 255
    return mask


def flying() -> np.ndarray:
    """A head whose hair is blown to the left, and stays as high as the head."""
    mask = blank()
    cv2.ellipse(mask, (220, 90), (50, 50), 0, 0, 360, 255, -1)
    mask[70:110, 20:220] = 255
    return mask


def short() -> tuple[np.ndarray, Guide]:
    """Short hair around a face, which is drawn as well."""
    mask, skin = blank(), blank()
    cv2.ellipse(mask, (150, 150), (70, 90), 0, 180, 360, 255, -1)
    cv2.ellipse(skin, (150, 160), (50, 65), 0, 0, 360, 255, -1)
    mask[skin > 0] = 0
    return mask, guide(skin)


def guide(skin: np.ndarray, up: tuple[float, float] = UPRIGHT) -> Guide:
    towards = np.zeros((*skin.shape, 2), np.float32)
    towards[:] = up
    return Guide(np.float32(skin) / 255, towards)


def share(mask: np.ndarray, told: Guide | None = None, height: float = 0.5, **more: object) -> np.ndarray:
    """How far through a fade over half of the dyed part each pixel is; 0 where there is no hair at all."""
    hair = prepare(np.full((*mask.shape, 3), 90, np.uint8), mask, refine=False, guide=told)
    (plan,) = fade.plan_fades(hair.people, height, 0.5, None, growth=hair.growth, **more)
    found = np.zeros(mask.shape, np.float32)
    found[hair.rows, hair.columns] = fade.dye_share(plan, hair.step, (0, hair.alpha.shape[0]), (0, hair.alpha.shape[1]))
    return found


def test_straight_hair_is_as_far_along_as_its_rows_say():
    mask = straight()
    by_rows = np.clip(((np.arange(SIDE) + 1 - 30) / 240 - 0.5) / 0.25, 0, 1)[:, None]
    assert np.abs(share(mask) - by_rows)[mask > 0].mean() < 0.05


def test_hair_that_flies_aside_is_dyed_at_its_ends():
    found = share(flying())
    assert found[75:105, 25:50].min() > 0.95 and found[45:130, 190:260].max() < 0.05
    assert 0.2 < found[90, 60:150].mean() < 0.8
    assert (np.diff(found[90, 25:200]) <= 0.02).all(), "less and less towards the head"


@pytest.mark.parametrize("turns, up", [(1, (-1, 0)), (2, (0, 1)), (3, (1, 0))])
@pytest.mark.parametrize("drawn", [straight, flying])
def test_a_head_has_its_own_up(drawn, turns, up):
    mask = drawn()
    turned = np.ascontiguousarray(np.rot90(mask, turns))
    found = np.rot90(share(turned, guide(blank(), up)), -turns)
    assert np.abs(found - share(mask, guide(blank())))[mask > 0].mean() < 0.05


def test_where_the_guide_does_not_know_up_is_up():
    np.testing.assert_array_equal(share(flying(), guide(blank(), (0, 0))), share(flying()))


def test_short_hair_is_dyed_on_top_and_not_at_the_temples():
    mask, told = short()
    found = share(mask, told, height=0.6)
    assert found[62:72, 140:160].min() > 0.95, "the top"
    assert found[mask > 0][np.nonzero(mask)[0] > 142].max() < 0.1, "beside the ears"
    assert found[88:93, 130:170].max() < 0.3, "where the forehead ends"


def test_short_hair_that_is_higher_on_one_side_is_dyed_on_both():
    mask, told = short()
    cv2.ellipse(mask, (190, 75), (40, 35), 0, 0, 360, 255, -1)
    found = share(mask, told, height=0.6)
    assert found[45:60, 185:205].min() > 0.95 and found[74:80, 108:116].mean() > 0.6
    assert found[mask > 0][np.nonzero(mask)[0] > 142].max() < 0.1, "beside the ears"


def test_what_is_taken_for_hair_far_below_does_not_make_short_hair_long():
    mask, told = short()
    mask[255:285, 60:120] = 255  # the edge of a sleeve
    found = share(mask, told, height=0.6)
    assert found[62:72, 140:160].min() > 0.95, "the top"


def test_hair_on_both_sides_of_a_cap_ends_on_both():
    mask, skin = blank(), blank()
    cv2.ellipse(skin, (150, 120), (45, 60), 0, 0, 360, 255, -1)
    mask[100:270, 60:104] = mask[100:270, 204:234] = 255
    found = share(mask, guide(skin))
    assert min(found[260, 80], found[260, 219]) > 0.95 and found[110, 80] < 0.05


def test_reverse_dyes_what_is_nearest_to_the_roots():
    found = share(flying(), reverse=True)
    assert found[75:105, 25:50].max() < 0.05 and found[45:60, 200:240].min() > 0.95


def test_all_of_the_height_dyes_all_hair_and_a_sharp_edge_is_one():
    mask = flying()
    rgb = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert (ombre(rgb, mask, Style("blue", 1.0, 0.0), refine=False) != rgb).any(axis=2)[mask > 0].all()
    hair = prepare(rgb, mask, refine=False)
    (plan,) = fade.plan_fades(hair.people, 0.5, 0.0, None, growth=hair.growth)
    found = fade.dye_share(plan, hair.step, (0, hair.alpha.shape[0]), (0, hair.alpha.shape[1]))
    assert np.mean((found > 0) & (found < 1)) < 0.02


def test_what_a_fade_runs_along_is_one_of_two():
    with pytest.raises(ValueError, match="hair, rows"):
        ombre(np.full((SIDE, SIDE, 3), 90, np.uint8), straight(), Style("blue", 0.5, 0.5, along="columns"))


def test_faces_are_found_in_the_cells_of_the_grid():
    skin = np.zeros((100, 50), np.uint8)
    cv2.ellipse(skin, (30, 40), (8, 12), 0, 0, 360, 255, -1)
    (face,) = find_faces(guide(skin), Place(top=80, left=40, step=4, height=400, width=200))
    assert face.centre == pytest.approx([30 - 10, 40 - 20], abs=0.5)
    assert face.half(np.float64([1, 0])) == pytest.approx(8, abs=0.7)
    assert face.half(np.float64([0, 1])) == pytest.approx(12, abs=0.7)
    assert find_faces(None, Place(0, 0, 1, 10, 10)) == [] == find_faces(guide(0 * skin), Place(0, 0, 1, 10, 10))


def test_a_face_whose_eyes_and_mouth_are_no_skin_is_one():
    skin = np.zeros((100, 100), np.uint8)
    cv2.ellipse(skin, (50, 50), (25, 35), 0, 0, 360, 255, -1)
    for x, y, wide in ((39, 40, 7), (61, 40, 7), (50, 68, 11)):
        cv2.ellipse(skin, (x, y), (wide, 4), 0, 0, 360, 0, -1)
    cv2.rectangle(skin, (46, 40), (54, 60), 0, -1)
    (face,) = find_faces(guide(skin), Place(0, 0, 1, 100, 100))
    np.testing.assert_allclose(face.centre, [50, 50], atol=1)
    assert face.size == pytest.approx(35, abs=2)


def test_faces_that_touch_are_two():
    skin = np.zeros((100, 100), np.uint8)
    cv2.ellipse(skin, (32, 40), (14, 20), 0, 0, 360, 255, -1)
    cv2.ellipse(skin, (55, 58), (13, 18), 0, 0, 360, 255, -1)
    faces = find_faces(guide(skin), Place(0, 0, 1, 100, 100))
    assert cv2.connectedComponents(skin)[0] == 2, "one piece of skin"
    np.testing.assert_allclose(sorted(face.centre[0] for face in faces), [32, 55], atol=3)
