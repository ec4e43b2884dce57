"""Where the finder looks, and how its looks become one mask; with the shipped weights on a shipped sample."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from common.image.picture import read_picture
from segmentation.dataset.textures import nothing
from segmentation.finding.crops import LONGER, MOST, Part, closer_looks, is_far_away, pieces, tiles
from segmentation.finding.engines import torch_engine
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS, HairFinder, fading, is_head
from segmentation.networks.resize import to_mask
from segmentation.training.metrics import measure

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "samples" / "astronaut.jpg"


def probability_of(*heads: tuple[int, int, int, int], side: int = 224) -> np.ndarray:
    """Sure of hair in rectangles of cells (left, top, width, height)."""
    probability = np.zeros((side, side), np.float32)
    for left, top, width, height in heads:
        probability[top : top + height, left : left + width] = 1
    return probability


@pytest.fixture(scope="module")
def finder() -> HairFinder:
    return HairFinder(device="cpu")


def test_a_doubtful_look_is_checked_in_pytorch_too(finder):
    rgb = read_picture(SAMPLE).rgb8
    doubtful = np.uint8(finder.mask(rgb) // 255 * 150)
    torch_finder = HairFinder(device="cpu")
    torch_finder.engine = torch_engine(SHIPPED_WEIGHTS, "cpu")
    assert torch_finder.is_trusted(rgb, doubtful) == finder.is_trusted(rgb, doubtful)


def in_a_scene(finder, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A portrait of 230 x 230 on a wall (side, side + 200), and the hair that is found in the portrait alone."""
    portrait = read_picture(SAMPLE).rgb8[:230, 100:330]
    place = np.s_[side // 3 : side // 3 + 230, side // 2 : side // 2 + 230]
    scene, wanted = np.full((side, side + 200, 3), (150, 170, 190), np.uint8), np.zeros((side, side + 200), np.uint8)
    scene[place], wanted[place] = portrait, finder.mask(portrait)
    return scene, wanted


@pytest.mark.parametrize("side", [700, 1000])
def test_a_far_away_head_is_seen_better_by_a_closer_look(finder, side):
    scene, wanted = in_a_scene(finder, side)
    one_look = to_mask(finder.probability(scene), *scene.shape[:2])
    plain, closer = (measure(found, wanted)["iou"] for found in (one_look, finder.mask(scene)))
    assert closer > plain + 0.05 and closer > 0.9


def test_a_head_that_one_look_overlooks_is_found_by_a_search(finder):
    scene, wanted = in_a_scene(finder, 700)
    wide, hair = np.full((1500, 2600, 3), (150, 170, 190), np.uint8), np.zeros((1500, 2600), np.uint8)
    wide[:700, :900], hair[:700, :900] = scene, wanted
    assert is_far_away(finder.probability(wide), *wide.shape[:2])
    assert finder.searched(wide)[hair > 127].mean() > 0.3 * 255
    assert measure(finder.mask(wide), hair)["iou"] > 0.9


def test_portraits_are_not_searched_and_scenes_are():
    assert not is_far_away(probability_of((40, 40, 150, 150)), 1000, 1000)
    assert is_far_away(probability_of((60, 60, 30, 30)), 1000, 1000) and is_far_away(probability_of(), 1000, 1000)
    assert not is_far_away(probability_of(), 200, 200), "nearer looks would show no more"


def test_in_a_row_of_eight_every_head_is_found(finder):
    portrait = read_picture(SAMPLE).rgb8[:230, 100:330]
    wanted = finder.mask(portrait)
    found = finder.mask(np.hstack([portrait] * 8))
    assert all(measure(part, wanted)["iou"] > 0.8 for part in np.hsplit(found, 8))


def test_a_look_is_square_has_room_and_stays_in_the_picture():
    (look,) = closer_looks(probability_of((100, 0, 24, 16)), 448, 672)  # 72 x 32 pixels around (16, 336)
    assert look == Part(0, 271, 81, 401)


def test_hair_that_fills_the_picture_or_is_not_there_needs_no_closer_look():
    assert closer_looks(probability_of(), 300, 300) == []
    assert closer_looks(probability_of((0, 0, 224, 224)), 300, 300) == []


def test_specks_get_no_look_and_heads_one_each():
    alone = closer_looks(probability_of((40, 20, 30, 30)), 448, 448)
    assert closer_looks(probability_of((40, 20, 30, 30), (150, 200, 2, 2)), 448, 448) == alone
    assert len(closer_looks(probability_of((20, 20, 30, 30), (150, 150, 20, 20)), 448, 448)) == 2


def test_hair_of_less_than_a_pixel_is_no_obstacle():
    (look,) = closer_looks(probability_of((100, 3, 60, 2)), 3, 40)[:1]
    assert 0 < look.area <= 3 * 40


def test_a_face_between_two_locks_does_not_part_a_head():
    (look,) = closer_looks(probability_of((60, 60, 12, 60), (88, 60, 12, 60)), 448, 448)
    assert look.left < 120 and look.right > 200


def test_heads_that_touch_in_a_row_get_a_look_each_and_never_more_than_allowed():
    row = closer_looks(probability_of((10, 100, 200, 30)), 448, 448)
    assert len(row) > 1 and min(look.left for look in row) <= 20 and max(look.right for look in row) >= 420
    crowd = [(20 + 40 * (place % 5), 20 + 40 * (place // 5), 8, 8) for place in range(25)]
    assert len(closer_looks(probability_of(*crowd), 900, 900)) == MOST


def test_a_small_head_beside_a_large_one_gets_its_own_look():
    large, small = closer_looks(probability_of((40, 40, 60, 60), (108, 60, 14, 14)), 900, 900)
    assert large.right > 122 * 900 / 224 and small.size < large.size / 2


@pytest.mark.parametrize(
    "height, width, along, count",
    [(600, 600, 2, 4), (400, 600, 2, 4), (400, 700, 2, 6), (900, 1600, 3, 12), (1999, 1000, 3, 12), (900, 1600, 1, 2)],
)
def test_tiles_cover_a_picture_overlap_and_are_not_long(height, width, along, count):
    seen = np.zeros((height, width), int)
    for tile in tiles(height, width, along):
        seen[tile.slices] += 1
        down, across = tile.bottom - tile.top, tile.right - tile.left
        assert max(down, across) <= 1.02 * LONGER * min(down, across)
    assert seen.min() == 1 and seen[height // 2].max() > 1
    assert len(tiles(height, width, along)) == count


@pytest.mark.parametrize("height, width", [(500, 700), (300, 2400), (3000, 200), (100, 201)])
def test_pieces_of_a_long_picture_cover_it(height, width):
    covered = np.zeros((height, width))
    for part in pieces(Part(0, 0, height, width)):
        covered[part.slices] += fading(part, height, width)
        assert part.size < 2 * min(height, width)
    assert covered.min() > 0.9


def test_a_look_gives_way_towards_what_was_seen_around_it_but_not_at_the_pictures_own_border():
    weight = fading(Part(0, 10, 50, 60), 50, 100)
    assert weight[0, 25] == weight[-1, 25] == 1 and weight[25, 0] < 0.2 and weight[25, -1] < 0.2
    assert (np.diff(weight[25, :25]) >= 0).all() and cv2.minMaxLoc(weight)[1] == 1


def test_a_look_in_the_mirror_is_one_at_the_mirror_image(finder):
    rgb, part = read_picture(SAMPLE).rgb8, Part(20, 100, 300, 330)
    here, there = np.zeros(rgb.shape[:2], np.uint8), np.zeros(rgb.shape[:2], np.uint8)
    finder.look(rgb, part, here, mirrored=True)
    width = rgb.shape[1]
    finder.look(np.ascontiguousarray(rgb[:, ::-1]), part._replace(left=width - 330, right=width - 100), there)
    assert here.any() and np.abs(np.int16(here) - there[:, ::-1]).mean() < 0.1


def test_a_look_can_be_laid_into_a_coarser_mask(finder):
    rgb, part = read_picture(SAMPLE).rgb8, Part(20, 100, 300, 330)
    fine, coarse = np.zeros(rgb.shape[:2], np.uint8), np.zeros((200, 200), np.uint8)
    assert finder.look(rgb, part, fine) == part
    assert finder.look(rgb, part, coarse) == Part(8, 39, 117, 129)
    assert np.abs(np.int16(coarse) - cv2.resize(fine, (200, 200), interpolation=cv2.INTER_AREA)).mean() < 1


def test_a_head_is_seen_without_much_doubt_or_from_afar_too():
    nothing = np.zeros((50, 50), np.uint8)
    sure, doubtful = nothing.copy(), nothing.copy()
    sure[:20], doubtful[:20] = 240, 190
    assert is_head(sure, sure, nothing, 0.3) and not is_head(doubtful, doubtful, nothing, 0.3)
    assert is_head(doubtful, doubtful, sure, 0.3) and not is_head(sure, nothing, nothing, 0.3)
    assert not is_head(nothing, sure, sure, 0.3), "where no hair is found there is no head"


def test_small_heads_may_be_faint_before_they_are_looked_at_and_large_ones_not():
    sure, faint = np.full((50, 50), 240, np.uint8), np.full((50, 50), 60, np.uint8)
    assert is_head(sure, faint, faint, 0.1) and not is_head(sure, faint, faint, 0.5)


def test_a_small_head_between_large_ones_is_no_part_of_them():
    one_row = [(10, 100, 60, 40), (72, 60, 60, 60), (20, 60, 8, 8)]  # the third inside the first two's common box
    looks = closer_looks(probability_of(*one_row), 900, 900)
    assert any(look.size < 100 and look.left < 80 < 112 < look.right for look in looks)


def test_small_heads_in_a_long_picture_are_searched_for(finder):
    scene, wanted = in_a_scene(finder, 700)
    long, hair = np.full((1000, 2600, 3), (150, 170, 190), np.uint8), np.zeros((1000, 2600), np.uint8)
    small, small_hair = (
        cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (scene, wanted)
    )
    long[500:850, 1300:1750], hair[500:850, 1300:1750] = small, small_hair
    assert measure(finder.mask(long), hair)["iou"] > 0.8


def finder_that(sees) -> HairFinder:
    """One whose network is a function, (224, 224, 3) uint8 -> (224, 224) bool."""
    finder = HairFinder.__new__(HairFinder)
    finder.engine = lambda pictures: np.stack([np.float32(0.8) * sees(picture) for picture in pictures])
    finder.scout = None
    return finder


def red(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] > 127


def red_above(picture: np.ndarray) -> np.ndarray:
    """Red where most of it is above, as hair is in an upright head."""
    rows = np.nonzero(red(picture))[0]
    return red(picture) & (rows.size > 0 and np.median(rows) < 112)


def test_doubtful_hair_is_looked_at_again_and_stays_where_it_is_hair_upright_alone():
    rgb = np.zeros((300, 300, 3), np.uint8)
    rgb[40:140, 30:270, 0] = 255
    assert finder_that(red_above).mask(rgb)[90, 150] > 190, "seen in the mirror, nearer and farther"
    assert finder_that(red).mask(rgb).max() == 0, "seen upside down too"
    fleeting = finder_that(lambda picture: red_above(picture) & (np.count_nonzero(red(picture)) > 17_000))
    assert fleeting.mask(rgb).max() == 0, "not from farther away"


def test_only_much_and_unsure_hair_is_doubted():
    untrue = finder_that(lambda picture: np.zeros((224, 224), bool))
    rgb, large, speck = (
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((224, 224), np.uint8),
        np.zeros((224, 224), np.uint8),
    )
    large[10:110, 10:110], speck[10:15, 10:15] = 200, 200
    assert not untrue.is_trusted(rgb, large)
    assert untrue.is_trusted(rgb, np.where(large, np.uint8(245), 0)) and untrue.is_trusted(rgb, speck)
    assert untrue.is_trusted(rgb, 0 * large)


def test_pictures_of_nothing_are_hardly_ever_dyed(finder):
    pictures = [nothing(300, np.random.default_rng(seed)) for seed in range(30)]
    assert sum((finder.mask(rgb) > 127).mean() > 0.001 for rgb in pictures) <= 1


def test_the_parts_whose_looks_make_the_mask_hold_all_hair():
    rgb = np.zeros((448, 448, 3), np.uint8)
    rgb[100:400, 60:380, 0] = 255  # too large for a closer look
    sure = finder_that(lambda picture: red(picture) * np.float32(1.2))
    assert sure.mask_and_looks(rgb)[1] == [Part(0, 0, 448, 448)]
    mask, looks = sure.mask_and_looks(rgb[:, :, ::-1])
    assert not mask.any() and looks == []


def scouted(scout, sees) -> HairFinder:
    """One whose scout sees (112, 112) float32, and whose student (224, 224, 3) uint8 -> (224, 224) float32."""
    finder = HairFinder.__new__(HairFinder)
    finder.scout = lambda pictures: scout[None]
    finder.engine = lambda pictures: np.stack([sees(picture) for picture in pictures])
    return finder


def from_nearby(picture: np.ndarray) -> np.ndarray:
    """Red, and sure of it where much of the picture is."""
    return np.float32(0.95 if red(picture).mean() > 0.1 else 0.6) * red(picture)


@pytest.mark.parametrize("head, around", [(0.9, 0.0), (0.35, 0.0), (0.9, 0.5)])
def test_a_head_is_found_where_the_scout_is_sure_where_it_hardly_sees_it_and_where_it_doubts_all_around(head, around):
    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.full((112, 112), around, np.float32)
    rgb[120:180, 120:180, 0], seen[20:30, 20:30] = 255, head
    mask, (look,) = scouted(seen, from_nearby).in_scene(rgb, np.zeros((672, 672), np.uint8), True)
    assert measure(mask, rgb[..., 0])["iou"] > 0.9
    assert look.top < 120 and look.bottom > 180, "what was looked at is told"


def test_a_head_that_a_look_shows_small_is_looked_at_from_nearer():
    def coarse_from_afar(picture: np.ndarray) -> np.ndarray:
        seen = np.uint8(red(picture))
        return np.float32(0.95) * (cv2.dilate(seen, np.ones((25, 25))) if seen.mean() < 0.1 else seen)

    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    rgb[240:300, 240:300, 0], seen[25:65, 25:65] = 255, 0.95
    mask, _ = scouted(seen, coarse_from_afar).in_scene(rgb, np.zeros((672, 672), np.uint8), True)
    assert measure(mask, rgb[..., 0])["iou"] > 0.9


def test_what_the_scout_sees_is_no_hair_unless_the_student_sees_it_too():
    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    seen[20:40, 20:40] = 1
    assert not scouted(seen, from_nearby).in_scene(rgb, np.zeros((672, 672), np.uint8), True)[0].any()
