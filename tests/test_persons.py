"""Where people are in a picture, and what their being there changes; with the shipped detector on a shipped sample."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from common.image.picture import read_picture
from segmentation.dataset.textures import nothing
from segmentation.finding.box import Part
from segmentation.finding.hair_finder import PERSONS, HairFinder
from segmentation.finding.head_search import Crop, HeadSearch, Reason
from segmentation.finding.persons import CELLS, Persons, head_of, painted
from segmentation.finding.predictor import Answers, Prediction, Predictor
from segmentation.networks.person_detector import PersonBoxes, PersonDetector, boxes_of
from segmentation.networks.registry import load_network, of_bytes
from segmentation.networks.resize import PERSONS_SIZE

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "samples" / "astronaut.jpg"


def seen_with(sure: float, up: tuple[float, float] = (0, -1)) -> Prediction:
    """All hair, so surely, of a head that points there."""
    guide = np.zeros((3, 28, 28), np.float32)
    guide[1], guide[2] = up
    return Prediction(np.full((224, 224), sure, np.float32), guide)


def boxes(*wanted: tuple[float, ...]) -> np.ndarray:
    """The detector's answer for one picture: these boxes, and others that are nobody."""
    answer = np.zeros((1, 100, 5), np.float32)
    answer[0, : len(wanted)] = np.reshape(wanted, (-1, 5))
    return answer


def detector_of(answer: np.ndarray, asked: list[np.ndarray] | None = None):
    """An engine that always answers so, and keeps what it was asked."""
    return lambda pictures: ((asked.append(pictures) if asked is not None else None), (answer,))[1]


def test_of_boxes_that_lie_over_each_other_the_surest_counts():
    cells = painted(boxes((0, 0, 1, 1, 0.3), (0.5, 0, 1, 1, 0.9), (0.25, 0, 0.75, 1, 0.6))[0])
    assert cells.shape == (CELLS, CELLS)
    assert cells[50, [10, 30, 60, 100]].tolist() == pytest.approx([0.3, 0.6, 0.9, 0.9])


def test_a_standing_persons_head_is_looked_for_at_the_top_and_a_near_ones_all_around_it():
    standing = head_of(100, 50, 160, 350)
    assert standing.top < 50 and standing.bottom < 170 and standing.height == standing.width
    assert standing.left < 100 and standing.right > 160
    near = head_of(0, 20, 300, 320)
    assert near.size == pytest.approx(0.6 * 300, abs=1) and near.top < 20


def test_each_person_who_is_far_away_is_looked_for_once():
    far, same, other = (0.1, 0.1, 0.2, 0.6, 0.8), (0.11, 0.1, 0.21, 0.6, 0.7), (0.6, 0.2, 0.7, 0.8, 0.5)
    near, nobody = (0.2, 0, 1, 1, 0.9), (0.4, 0.2, 0.5, 0.8, 0.1)
    heads = Persons(detector_of(boxes(far, same, other, near, nobody)), np.zeros((200, 300, 3), np.uint8)).heads()
    assert len(heads) == 2 and all(head.within(200, 300) == head for head in heads)
    assert heads[0].left < 0.15 * 300 < heads[0].right and heads[1].left < 0.65 * 300 < heads[1].right


def test_a_long_picture_is_asked_about_in_pieces():
    asked: list[np.ndarray] = []
    persons = Persons(detector_of(boxes((0.25, 0, 0.75, 1, 0.9)), asked), np.zeros((100, 600, 3), np.uint8))
    found = persons.boxes()
    people = found[found[:, 4] > 0]
    assert len(asked) == len(people) > 3
    assert people[:, 0].min() > 0 and people[:, 2].max() < 1
    assert (people[:, 2] - people[:, 0]) == pytest.approx(0.5 * 140 / 600, abs=0.01)


@pytest.mark.parametrize("quarters", range(4))
def test_people_are_looked_for_as_their_heads_stand(quarters):
    upright = np.zeros((100, 80, 3), np.uint8)
    upright[:20, :20] = 255  # white where it begins, if it stands

    def engine(pictures: np.ndarray) -> tuple[np.ndarray]:
        return (boxes((0, 0, 0.5, 1, 0.9)) if pictures[0, 5, 5, 0] else boxes(),)

    rgb = np.ascontiguousarray(np.rot90(upright, -quarters))
    up = [(0, -1), (1, 0), (0, 1), (-1, 0)][quarters]
    persons, (height, width) = Persons(engine, rgb), rgb.shape[:2]
    everywhere = persons.certainty(Part(0, 0, height, width), seen_with(0.9, up))
    assert everywhere == pytest.approx(0.45, abs=0.01), "half of the picture is somebody's"
    other = (up[1], -up[0])
    assert persons.certainty(Part(0, 0, height, width), seen_with(0.9, other)) == 0


def sees_white_first(certainty: dict[int, float]):
    """A detector of a picture with one white corner: a person, so surely, by how often it was turned until it saw it;
    the corner is at the top left when the picture stands."""

    def engine(pictures: np.ndarray) -> tuple[np.ndarray]:
        corners = [(5, 5), (-5, 5), (-5, -5), (5, -5)]
        turned = next(turn for turn, place in enumerate(corners) if pictures[(0, *place)].all())
        return (boxes((0.45, 0.3, 0.55, 0.9, certainty.get(turned, 0.0))),)

    return engine


@pytest.mark.parametrize(
    "certainty, quarters",
    [
        ({0: 0.5, 3: 0.8}, 3),
        ({0: 0.5, 1: 0.6, 2: 0.9}, 2),
        ({0: 0.8, 1: 0.95}, 0),  # upright for certain
        ({0: 0.65, 1: 0.72}, 0),  # hardly surer
        ({1: 0.6}, 0),  # nobody, whichever way
    ],
)
def test_a_picture_is_turned_where_people_are_seen_much_more_surely_then(certainty, quarters):
    rgb = np.zeros((100, 80, 3), np.uint8)
    rgb[:20, :20] = 255
    assert Persons(sees_white_first(certainty), rgb).quarters() == quarters


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("stands", [True, False])
def test_a_scene_that_lies_is_searched_as_it_should_stand_unless_its_heads_do_not_stand_then(quarters, stands):
    def sees(pictures: np.ndarray) -> Answers:  # red, from near
        hair = np.float32((pictures[..., 0] > 127) & (pictures[..., 1] < 127))
        guide = np.zeros((len(pictures), 3, 28, 28), np.float32)
        guide[:, 2] = -1 if stands else 1
        return Answers(hair * 0.95 * (hair.mean(axis=(1, 2), keepdims=True) > 0.1), guide)

    scene = np.zeros((600, 900, 3), np.uint8)
    scene[:150, :150], scene[180:260, 410:490, 0] = 255, 255
    rgb = np.ascontiguousarray(np.rot90(scene, -quarters))
    scout = Predictor(lambda pictures: Answers(np.zeros((len(pictures), 112, 112), np.float32)), 448)
    detector = sees_white_first({0: 0.9, 1: 0.4, 2: 0.3, 3: 0.4})
    crops = HeadSearch(Predictor(sees), scout, 0.8, detector)(rgb)
    assert len(crops) == (stands or quarters == 0)
    for part, _, seen in crops:
        own = (rgb[part.slices] == (255, 0, 0)).all(axis=2)
        assert own.sum() == 80 * 80, "all of the head is in it"
        assert ((cv2.resize(seen.hair, own.shape[::-1]) > 0.5) == own).mean() > 0.97
        assert seen.quarters() == (quarters if stands else 2)


def test_where_a_head_stands_nobody_asks_whether_the_scene_lies():
    asked: list[np.ndarray] = []

    def sees(pictures: np.ndarray) -> Answers:
        guide = np.zeros((len(pictures), 3, 28, 28), np.float32)
        guide[:, 2] = -1
        return Answers(np.float32(pictures[..., 0] > 127), guide)

    rgb = np.zeros((600, 900, 3), np.uint8)
    rgb[180:260, 410:490, 0] = 255
    scout = Predictor(lambda pictures: Answers(np.zeros((len(pictures), 112, 112), np.float32)), 448)
    assert HeadSearch(Predictor(sees), scout, 0.8, detector_of(boxes(), asked))(rgb)
    assert len(asked) == 1, "the picture as it is"


def test_what_is_small_at_a_border_is_asked_about_too():
    persons = Persons(detector_of(boxes((0, 0, 1, 1, 0.9))), np.zeros((4000, 6000, 3), np.uint8))
    corner = Part(3992, 5992, 4000, 6000)
    assert persons.certainty(corner, seen_with(0.85)) == pytest.approx(0.9)


ASKED = [
    (0.95, 200, 0.0, True, 0),  # so sure that nobody is asked
    (0.85, 200, 0.0, False, 1),  # an animal's fur
    (0.85, 200, 0.9, True, 1),
    (0.85, 25, 0.0, True, 0),  # too far away for the detector
    (0.75, 200, 0.9, False, 0),  # a doubtful one that is large
    (0.75, 40, 0.9, True, 1),  # and one that is small
    (0.75, 40, 0.0, False, 1),
    (0.70, 40, 0.9, False, 0),
]


@pytest.mark.parametrize("sure, size, person, shown, asked", ASKED)
def test_where_a_person_is_a_head_is_believed_with_more_doubt_than_where_nobody_is(sure, size, person, shown, asked):
    calls: list[np.ndarray] = []
    search = HeadSearch(
        Predictor(lambda _: Answers(np.zeros(0))), None, 0.8, detector_of(boxes((0, 0, 1, 1, person)), calls)
    )
    crop = Crop(Part(0, 0, size, size), Reason.SCOUT, seen_with(sure))
    persons = search.persons(np.zeros((300, 300, 3), np.uint8))
    assert search.shows_head(crop, persons) == shown and len(calls) == asked


def test_a_face_that_the_student_sees_is_a_persons():
    search = HeadSearch(Predictor(lambda _: Answers(np.zeros(0))), None, 0.8, detector_of(boxes()))
    persons, seen = search.persons(np.zeros((200, 200, 3), np.uint8)), seen_with(0.85)
    crop = Crop(Part(0, 0, 200, 200), Reason.WHOLE, seen)
    assert not search.shows_head(crop, persons)
    seen.guide[0, 14:, 8:20] = 0.9
    assert search.shows_head(crop, persons)
    seen.guide[1:] *= 0.3  # which way is up is told with doubt
    assert not search.shows_head(crop, persons)


def test_a_person_whom_the_scout_overlooks_is_looked_at():
    rgb = np.zeros((600, 900, 3), np.uint8)
    rgb[210:240, 440:470, 0] = 255

    def sees(pictures: np.ndarray) -> Answers:  # red, from near
        hair = np.float32(pictures[..., 0] > 127)
        return Answers(hair * 0.95 * (hair.mean(axis=(1, 2), keepdims=True) > 0.05))

    person = boxes((0.46, 0.34, 0.55, 0.9, 0.8))
    for found, expected in ((person, [Reason.PERSON]), (boxes(), [])):
        scout = Predictor(lambda pictures: Answers(np.zeros((len(pictures), 112, 112), np.float32)), 448)
        search = HeadSearch(Predictor(sees), scout, 0.8, detector_of(found))
        assert [crop.reason for crop in search(rgb)][:1] == expected


def test_a_crowd_that_looks_like_hair_all_over_is_searched_where_people_are():
    def sees(pictures: np.ndarray) -> Answers:  # doubtful hair all over, and red for certain
        hair = np.maximum(0.7 * np.float32(pictures[..., 1] > 127), np.float32(pictures[..., 0] > 127))
        return Answers(hair)

    rgb = np.zeros((600, 900, 3), np.uint8)
    rgb[..., 1] = 200
    rgb[170:340, 380:540] = 255, 0, 0
    scout = Predictor(lambda pictures: Answers(np.zeros((len(pictures), 112, 112), np.float32)), 448)
    for found, expected in ((boxes((0.46, 0.34, 0.55, 0.9, 0.8)), True), (boxes(), False)):
        search = HeadSearch(Predictor(sees), scout, 0.9, detector_of(found))
        assert [crop.reason for crop in search(rgb)] == [Reason.PERSON] * expected


def test_behind_somebody_near_others_are_looked_for_where_the_detector_sees_them():
    def sees(pictures: np.ndarray) -> Answers:  # red, unless it is small
        hair = np.float32(pictures[..., 0] > 127)
        parts = [cv2.morphologyEx(one, cv2.MORPH_OPEN, np.ones((25, 25))) for one in hair]
        return Answers(np.stack(parts))

    rgb = np.zeros((600, 900, 3), np.uint8)
    rgb[60:460, 500:800, 0] = rgb[210:240, 140:170, 0] = 255
    near, far = (0.5, 0.05, 0.95, 1, 0.9), (0.13, 0.34, 0.22, 0.9, 0.8)
    scout = Predictor(lambda pictures: Answers(np.zeros((len(pictures), 112, 112), np.float32)), 448)
    for found, expected in ((boxes(near, far), 1), (boxes(near), 0)):
        search = HeadSearch(Predictor(sees), scout, 0.8, detector_of(found))
        crops = search(rgb)
        assert (
            sum(crop.part.holds(Part(210, 140, 240, 170)) and crop.reason is Reason.PERSON for crop in crops)
            == expected
        )
        assert any(crop.reason is Reason.CLOSER for crop in crops)


def test_the_shipped_detector_sees_a_person_and_nobody_in_nothing():
    engine = HairFinder(device="cpu").search.detector
    rgb = read_picture(SAMPLE).rgb8
    hair = HairFinder(device="cpu").student(rgb)
    assert Persons(engine, rgb).certainty(Part(0, 0, *rgb.shape[:2]), hair) > 0.7
    made = [Persons(engine, nothing(300, np.random.default_rng(seed))).boxes()[:, 4].max() for seed in range(5)]
    assert np.median(made) < 0.2


def test_the_processors_engine_answers_as_pytorch():
    network = of_bytes(load_network(PERSONS)).eval()
    assert isinstance(network, PersonBoxes)
    rgb = cv2.resize(read_picture(SAMPLE).rgb8, (PERSONS_SIZE, PERSONS_SIZE))[None]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(rgb)).numpy()
    (answer,) = HairFinder(device="cpu", precision="float32").search.detector(rgb)
    assert answer.shape == (1, 100, 5)
    assert np.abs(painted(answer[0]) - painted(wanted[0])).mean() < 1e-3


def test_a_box_reaches_from_its_cell_by_the_mean_of_each_distance():
    answer = torch.full((1, 45, 13, 13), -20.0)
    answer[0, 0, 4, 6] = 3.0
    for side, distance in enumerate((1, 2, 3, 4)):
        answer[0, 1 + 11 * side + distance, 4, 6] = 20.0
    found = boxes_of(answer, 32)
    best = found[0, found[0, :, 4].argmax()]
    assert best.tolist() == pytest.approx([5.5 / 13, 2.5 / 13, 9.5 / 13, 8.5 / 13, 3.0], abs=1e-4)


def test_it_is_as_large_as_the_published_one():
    assert sum(tensor.numel() for tensor in PersonDetector().parameters()) == 3_755_495
