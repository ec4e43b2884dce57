"""Where the finder looks, and how its looks become one mask; with the shipped weights on a shipped sample."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from common.image.picture import read_picture
from segmentation.dataset.textures import nothing
from segmentation.finding.blend import fading
from segmentation.finding.box import Part
from segmentation.finding.crops import LONGER, MOST, crops_of, is_far_away, is_of_crowd, pieces, tiles
from segmentation.finding.hair_finder import HairFinder
from segmentation.finding.head_search import FINE, LOOKS, Crop, HeadSearch, Looks, Reason, may_be_crowd
from segmentation.finding.predictor import Answers, Prediction, Predictor
from segmentation.networks.resize import SCOUT_SIZE, squash, to_mask
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
    assert is_far_away(finder.probability(wide))
    assert finder.search.search(wide)[squash(hair, FINE) > 127].mean() > 0.3
    assert measure(finder.mask(wide), hair)["iou"] > 0.9


def test_portraits_are_not_searched_and_scenes_are():
    assert not is_far_away(probability_of((40, 40, 150, 150)))
    assert is_far_away(probability_of((60, 60, 30, 30))) and is_far_away(probability_of())


def test_in_a_row_of_eight_every_head_is_found(finder):
    portrait = read_picture(SAMPLE).rgb8[:230, 100:330]
    wanted = finder.mask(portrait)
    found = finder.mask(np.hstack([portrait] * 8))
    assert all(measure(part, wanted)["iou"] > 0.8 for part in np.hsplit(found, 8))


@pytest.mark.parametrize("quarters", range(-3, 4))
def test_a_part_turns_with_its_picture(quarters):
    picture, part = np.arange(5 * 7).reshape(5, 7), Part(1, 2, 3, 6)
    turned = np.rot90(picture, quarters)
    assert np.array_equal(turned[part.turned(quarters, 5, 7).slices], np.rot90(picture[part.slices], quarters))


def test_a_look_is_square_has_room_and_stays_in_the_picture():
    (look,) = crops_of(probability_of((100, 0, 24, 16)), 448, 672)  # 72 x 32 pixels around (16, 336)
    assert look == Part(0, 271, 81, 401)


def test_hair_that_fills_the_picture_or_is_not_there_needs_no_closer_look():
    assert crops_of(probability_of(), 300, 300) == []
    assert crops_of(probability_of((0, 0, 224, 224)), 300, 300) == []


def test_specks_get_no_look_and_heads_one_each():
    alone = crops_of(probability_of((40, 20, 30, 30)), 448, 448)
    assert crops_of(probability_of((40, 20, 30, 30), (150, 200, 2, 2)), 448, 448) == alone
    assert len(crops_of(probability_of((20, 20, 30, 30), (150, 150, 20, 20)), 448, 448)) == 2


def test_hair_of_less_than_a_pixel_is_no_obstacle():
    (look,) = crops_of(probability_of((100, 3, 60, 2)), 3, 40)[:1]
    assert 0 < look.area <= 3 * 40


def test_a_face_between_two_locks_does_not_part_a_head():
    (look,) = crops_of(probability_of((60, 60, 12, 60), (88, 60, 12, 60)), 448, 448)
    assert look.left < 120 and look.right > 200


def test_heads_that_touch_in_a_row_get_a_look_each_and_never_more_than_allowed():
    row = crops_of(probability_of((10, 100, 200, 30)), 448, 448)
    assert len(row) > 1 and min(look.left for look in row) <= 20 and max(look.right for look in row) >= 420
    crowd = [(4 + 18 * (place % 12), 4 + 18 * (place // 12), 8, 8) for place in range(144)]
    assert len(crops_of(probability_of(*crowd), 900, 900)) == MOST


def test_a_small_head_beside_a_large_one_gets_its_own_look():
    large, small = crops_of(probability_of((40, 40, 60, 60), (108, 60, 14, 14)), 900, 900)
    assert large.right > 122 * 900 / 224 and small.size < large.size / 2


def test_hair_drawn_out_as_a_crowds_gets_many_crops_and_one_heads_hair_does_not():
    rows = np.zeros((224, 224), np.float32)
    for y, x in np.ndindex(4, 12):  # arcs of hair that touch, in four rows
        cv2.ellipse(rows, (20 + 16 * x, 60 + 18 * y), (8, 10), 0, 180, 360, 1, 4)
    assert is_of_crowd(rows, 448, 448, 0.4) and min(crop.size for crop in crops_of(rows, 448, 448, below=1)) > 300
    crops = crops_of(rows, 448, 448, below=1, crowded=True)
    seen = np.zeros((448, 448), bool)
    for crop in crops:
        seen[crop.slices] = True
    assert seen[cv2.resize(rows, (448, 448)) > 0.5].all() and max(crop.size for crop in crops) < 130
    bob = np.zeros((224, 224), np.float32)
    cv2.ellipse(bob, (112, 112), (50, 70), 0, 150, 390, 1, 20)
    assert crops_of(bob, 448, 448, crowded=True) == crops_of(bob, 448, 448) and not is_of_crowd(bob, 448, 448, 0.4)


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
    finder.predict_into(here, rgb, part, mirrored=True)
    width = rgb.shape[1]
    finder.predict_into(there, np.ascontiguousarray(rgb[:, ::-1]), part._replace(left=width - 330, right=width - 100))
    assert here.any() and np.abs(np.int16(here) - there[:, ::-1]).mean() < 0.1


def test_a_look_can_be_laid_into_a_coarser_mask(finder):
    rgb, part = read_picture(SAMPLE).rgb8, Part(20, 100, 300, 330)
    fine, coarse = np.zeros(rgb.shape[:2], np.uint8), np.zeros((200, 200), np.uint8)
    assert finder.predict_into(fine, rgb, part) == part
    assert finder.predict_into(coarse, rgb, part) == Part(8, 39, 117, 129)
    assert np.abs(np.int16(coarse) - cv2.resize(fine, (200, 200), interpolation=cv2.INTER_AREA)).mean() < 1


def test_a_small_head_between_large_ones_is_no_part_of_them():
    one_row = [(10, 100, 60, 40), (72, 60, 60, 60), (20, 60, 8, 8)]  # the third inside the first two's common box
    looks = crops_of(probability_of(*one_row), 900, 900)
    assert any(look.size < 100 and look.left < 80 < 112 < look.right for look in looks)


def test_small_heads_in_a_long_picture_are_searched_for(finder):
    scene, wanted = in_a_scene(finder, 700)
    long, hair = np.full((1000, 2600, 3), (150, 170, 190), np.uint8), np.zeros((1000, 2600), np.uint8)
    small, small_hair = (
        cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in (scene, wanted)
    )
    long[500:850, 1300:1750], hair[500:850, 1300:1750] = small, small_hair
    assert measure(finder.mask(long), hair)["iou"] > 0.8


def red(picture: np.ndarray) -> np.ndarray:
    """Where a picture is red, as if that were hair."""
    return picture[..., 0] > 127


def test_pictures_of_nothing_are_hardly_ever_dyed(finder):
    pictures = [nothing(300, np.random.default_rng(seed)) for seed in range(30)]
    assert sum((finder.mask(rgb) > 127).mean() > 0.001 for rgb in pictures) <= 1


def finder_that(sees, scout=None) -> HairFinder:
    """One whose student is a function, (224, 224, 3) uint8 -> (224, 224) float32, and whose scout sees (112, 112)."""
    finder = HairFinder.__new__(HairFinder)
    finder.student = Predictor(lambda pictures: Answers(np.stack([sees(picture) for picture in pictures])))
    seen = np.zeros((112, 112), np.float32) if scout is None else scout
    scouting = Predictor(lambda pictures: Answers(np.stack([seen] * len(pictures))), SCOUT_SIZE)
    finder.search = HeadSearch(finder.student, scouting)
    return finder


def from_nearby(picture: np.ndarray) -> np.ndarray:
    """Red, where much of the picture is."""
    return np.float32(0.95 * red(picture) * (red(picture).mean() > 0.1))


def test_a_portrait_is_one_crop_and_says_so():
    rgb = np.zeros((448, 448, 3), np.uint8)
    rgb[100:400, 60:380, 0] = 255
    (crop,) = finder_that(lambda picture: np.float32(red(picture))).find(rgb).crops
    assert crop.part == Part(0, 0, 448, 448) and crop.reason is Reason.WHOLE


def test_a_head_is_found_where_the_scout_sees_it():
    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    rgb[120:180, 120:180, 0], seen[20:30, 20:30] = 255, 0.9
    found = finder_that(from_nearby, seen).find(rgb)
    assert measure(found.mask(), rgb[..., 0])["iou"] > 0.9
    (crop,) = found.crops
    assert crop.reason is Reason.SCOUT and crop.part.top < 120 and crop.part.bottom > 180


@pytest.mark.parametrize("core, reasons", [(0.5, [Reason.FAINT]), (0.3, [])])
def test_faint_hair_is_looked_at_around_a_place_that_the_scout_sees_and_nowhere_else(core, reasons):
    def with_what_is_beside(picture: np.ndarray) -> np.ndarray:
        return np.float32(0.95 * red(picture) * (0.2 < red(picture).mean() < 0.9))

    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    rgb[120:280, 120:280, 0] = 255
    seen[20:46, 20:46], seen[30:32, 30:32] = 0.3, core
    found = finder_that(with_what_is_beside, seen).find(rgb)
    assert [crop.reason for crop in found.crops] == reasons


@pytest.mark.parametrize(
    "size, up, others, tiled", [(260, -1, 0, False), (260, -1, 1, True), (100, -1, 0, True), (260, 1, 0, True)]
)
def test_a_crowd_behind_somebody_near_is_one_that_the_detector_sees_if_it_sees_people_upright(size, up, others, tiled):
    class People:
        def heads(self) -> list[Part]:
            return [Part(0, 0, 40, 40)] * others

    looks = Looks(Predictor(lambda pictures: Answers(pictures)), np.zeros((500, 700, 3), np.uint8), People())
    hair, guide = np.ones((224, 224), np.float32), np.zeros((3, 28, 28), np.float32)
    guide[2] = up
    head = Crop(Part(100, 100, 100 + size, 100 + size), Reason.CLOSER, Prediction(hair, guide))
    assert may_be_crowd([head], looks) == tiled


def test_a_head_that_is_not_told_from_near_is_looked_at_with_more_around_it():
    def with_its_surroundings(picture: np.ndarray) -> np.ndarray:
        return np.float32(0.95 * red(picture) * (red(picture).mean() < 0.1))

    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    rgb[240:300, 240:300, 0], seen[40:50, 40:50] = 255, 0.9
    rgb[400:, 400:, 0] = 255  # so that the whole picture tells nothing
    (crop,) = finder_that(with_its_surroundings, seen).find(rgb).crops
    assert crop.reason is Reason.WIDER
    above, below = 240 - crop.part.top, crop.part.bottom - 300
    assert below > above > 0 and crop.part.width > 3 * 60


def test_a_head_that_a_crop_shows_small_gets_a_nearer_one():
    def coarse_from_afar(picture: np.ndarray) -> np.ndarray:
        seen = np.uint8(red(picture))
        return np.float32(0.95) * (cv2.dilate(seen, np.ones((25, 25))) if seen.mean() < 0.1 else seen)

    rgb, seen = np.zeros((672, 672, 3), np.uint8), np.zeros((112, 112), np.float32)
    rgb[240:300, 240:300, 0], seen[25:65, 25:65] = 255, 0.95
    found = finder_that(coarse_from_afar, seen).find(rgb)
    assert measure(found.mask(), rgb[..., 0])["iou"] > 0.9
    assert Reason.NEARER in {crop.reason for crop in found.crops}


def test_what_is_smaller_than_any_head_is_not_looked_at_from_nearer():
    sizes = []

    def small_things(picture: np.ndarray) -> np.ndarray:
        seen = np.zeros((224, 224), np.float32)
        seen[100:112, 100:112] = 0.95
        sizes.append(picture.shape)
        return seen

    scout = np.zeros((112, 112), np.float32)
    scout[20:30, 20:30] = 0.9
    finder_that(small_things, scout).find(np.zeros((300, 300, 3), np.uint8))
    few = len(sizes)
    finder_that(small_things, scout).find(np.zeros((3000, 3000, 3), np.uint8))
    assert len(sizes) - few > few


def test_what_the_scout_sees_is_no_hair_unless_the_student_sees_it_too():
    seen = np.zeros((112, 112), np.float32)
    seen[20:40, 20:40] = 1
    found = finder_that(from_nearby, seen).find(np.zeros((672, 672, 3), np.uint8))
    assert found.crops == [] and not found.mask().any()


@pytest.mark.parametrize("side, sees", [(300, Reason.CLOSER), (80, Reason.SCOUT)])
def test_where_small_heads_are_is_told_by_the_search_and_where_large_ones_are_by_the_first_look(side, sees):
    rgb = np.zeros((900, 900, 3), np.uint8)
    rgb[400 : 400 + side, 300 : 300 + side] = 255
    seen = np.float32(cv2.resize(rgb[..., 0], (112, 112)) > 127)
    found = finder_that(lambda picture: np.float32(picture[..., 0] > 127), seen).find(rgb)
    assert [crop.reason for crop in found.crops] == [sees]


@pytest.mark.parametrize("height, width", [(1, 1000), (60000, 1), (7, 7)])
def test_a_picture_thinner_than_any_head_takes_no_crop(height, width):
    def never(picture: np.ndarray) -> np.ndarray:
        raise AssertionError("it was looked at")

    found = finder_that(never).find(np.full((height, width, 3), 255, np.uint8))
    assert found.crops == [] and found.mask().shape == (height, width)


@pytest.mark.parametrize("height, width", [(9, 40000), (2000, 3000)])
def test_the_crops_of_a_picture_are_bounded_whatever_its_shape(height, width):
    count = []

    def everywhere(picture: np.ndarray) -> np.ndarray:
        count.append(1)
        return np.float32(np.indices((224, 224)).sum(0) % 32 < 16)  # hair here and there, at every distance

    dots = np.float32((np.indices((112, 112)) % 4 < 2).all(axis=0))
    found = finder_that(everywhere, dots).find(np.full((height, width, 3), 255, np.uint8))
    assert 0 < len(found.crops) <= MOST and len(count) <= LOOKS


@pytest.mark.parametrize("height, width, count", [(9, 40000, 1), (40000, 300, 3), (600, 900, 3)])
def test_the_tiles_of_a_search_are_few_and_cover_the_picture(height, width, count):
    parts = tiles(height, width, count)
    assert len(parts) <= MOST
    covered = np.zeros((height, width), bool)
    for part in parts:
        covered[part.slices] = True
    assert covered.all()


@pytest.mark.parametrize(("side", "tiles"), [(900, 9), (200, 0)])
def test_a_crowd_is_searched_again_from_nearer_where_tiles_have_pixels(side, tiles):
    asked, seen = [], np.zeros((112, 112), np.float32)
    seen[10:100:20, 10:100:20] = 0.9
    seen = cv2.dilate(seen, np.ones((4, 4)))
    finder = finder_that(from_nearby, seen)
    engine = finder.search.scout.engine
    finder.search.scout.engine = lambda pictures: (asked.extend(pictures), engine(pictures))[1]
    finder.find(np.zeros((side, side, 3), np.uint8))
    assert len(asked) == 1 + tiles


def test_without_a_guide_up_is_up():
    assert Prediction(np.ones((224, 224), np.float32), None).quarters() == 0


def test_a_guide_is_put_together_from_crops_and_turns_in_the_mirror():
    def engine(pictures: np.ndarray) -> Answers:
        hair = np.stack([np.float32(red(picture)) for picture in pictures])
        guide = np.zeros((len(pictures), 3, 28, 28), np.float32)
        guide[:, 0, 20:], guide[:, 1] = 0.9, 1.0  # a face below, the top to the right
        return Answers(hair, guide)

    rgb = np.zeros((448, 640, 3), np.uint8)
    rgb[20:420, 60:580, 0] = 255
    finder = HairFinder.__new__(HairFinder)
    finder.student = Predictor(engine)
    finder.search = HeadSearch(finder.student, None)
    guide = finder.find(rgb).guide()
    assert guide.face.shape == guide.up.shape[:2] == (112, 160)
    assert guide.face[-10:].min() > 0.8 and guide.face[:60].max() < 0.1 and (guide.up[..., 0] > 0.9).all()
    mirrored, plain = finder.student.mirrored(rgb).guide, engine(rgb[None]).guide[0]
    assert (mirrored[1] == -1).all() and (mirrored[0] == plain[0]).all()
    assert finder_that(from_nearby).find(rgb).guide() is None


def seen_best_upright(pictures: np.ndarray) -> Answers:
    """A student that sees red as hair, blue as a face, is sure where the face is below the hair, and says where up
    is."""
    hair, guides = [], []
    for picture in pictures:
        own, face = np.float32(red(picture)), np.float32(picture[..., 2] > 127)
        up = np.subtract(*(np.argwhere(place).mean(axis=0) for place in (own, face))) / 100
        hair.append(own * (0.95 if up[0] < -0.5 else 0.85))
        planes = [face, np.full_like(face, up[1]), np.full_like(face, up[0])]
        guides.append([cv2.resize(plane, (28, 28), interpolation=cv2.INTER_AREA) for plane in planes])
    return Answers(np.stack(hair), np.float32(guides))


@pytest.mark.parametrize("quarters", range(4))
def test_a_head_that_lies_is_looked_at_upright(quarters):
    asked: list[int] = []
    rgb = np.zeros((224, 224, 3), np.uint8)
    rgb[20:100, 60:160, 0], rgb[110:200, 70:150, 2] = 255, 255
    rgb = np.rot90(rgb, quarters)
    predictor = Predictor(lambda pictures: (asked.append(len(pictures)), seen_best_upright(pictures))[1])
    (seen,) = predictor.upright([rgb])
    assert np.array_equal(seen.hair > 0.9, red(rgb)) and len(asked) == (1 if quarters == 0 else 2)
    x, y = seen.guide[1:, 14, 14]
    assert (round(float(x)), round(float(y))) == [(0, -1), (-1, 0), (0, 1), (1, 0)][quarters]
    assert np.array_equal(seen.guide[0] > 0.5, cv2.resize(rgb[..., 2], (28, 28), interpolation=cv2.INTER_AREA) > 127)


def lying(sure: float, asked: list[int]):
    """A student that sees hair all over, so surely, of a head that lies whichever way it is turned."""

    def engine(pictures: np.ndarray) -> Answers:
        asked.append(len(pictures))
        guide = np.zeros((len(pictures), 3, 28, 28), np.float32)
        guide[:, 1] = 1
        return Answers(np.full((len(pictures), 224, 224), sure, np.float32), guide)

    return engine


def test_what_hardly_shows_hair_is_not_turned():
    asked: list[int] = []
    Predictor(lying(0.55, asked)).upright([np.zeros((90, 60, 3), np.uint8)])
    assert asked == [1]


def test_what_lies_whichever_way_it_is_turned_stays_as_it_was_seen():
    asked: list[int] = []
    found = Predictor(lying(0.9, asked)).upright([np.zeros((90, 60, 3), np.uint8)] * 2)
    assert asked == [2, 6] and all((seen.guide[1] == 1).all() for seen in found)


def test_what_is_seen_with_doubt_is_no_head_where_the_weights_say_how_sure_they_are():
    rgb = np.zeros((448, 448, 3), np.uint8)
    rgb[100:400, 60:380, 0] = 255
    finder = finder_that(lambda picture: np.float32(0.7 * red(picture)))
    assert finder.find(rgb).mask().max() > 127, "a student that says nothing of it is believed"
    finder.search.sure = 0.8
    assert finder.find(rgb).crops == []
    assert HairFinder(device="cpu").search.sure == 0.8
