"""Masks that do not flicker, on made frames with a finder that errs."""

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ombre.hair.people import Head, People
from ombre.render.recolour import prepare
from ombre.tracking.heads import SteadyHeads
from ombre.tracking.steady import (
    Evidence,
    Motion,
    dense_inverse_search,
    motions,
    moved,
    moving,
    places,
    seen,
    small_grey,
    steady_masks,
)
from segmentation.finding.box import Part
from tests.tools.clips import scene
from tests.tools.made_frame import Made

SIZE = 320, 240


def found(mask: np.ndarray, parts: list[Part]) -> SimpleNamespace:
    """What a finder finds: a mask, and the parts that it was seen in."""
    return SimpleNamespace(mask=lambda: mask, guide=lambda: None, crops=[SimpleNamespace(part=part) for part in parts])


class ErringFinder:
    """Finds what is drawn, and 40 % more or less of it at random, by looks at the whole."""

    def __init__(self, frames: list[Made]) -> None:
        self.frames, self.looks, self.rng = frames, 0, np.random.default_rng(0)

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        self.looks += 1
        hair = next(frame.hair for frame in self.frames if frame.rgb is rgb)
        noise = cv2.resize(self.rng.uniform(-100, 100, (6, 8)), hair.shape[::-1])
        return np.uint8(np.clip(hair * 0.8 + noise, 0, 255))

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        return found(self.mask(rgb), [Part(0, 0, *rgb.shape[:2])])

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool) -> Part:
        mask[part.slices] = self.mask(rgb)[part.slices]
        return part


class OnlyWithRoom(ErringFinder):
    """Finds what is drawn by a look that has the head in its middle, with room around: more of it in the mirror."""

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        self.looks += 1
        frame = next(frame for frame in self.frames if frame.rgb is rgb)
        left, top, width, height = cv2.boundingRect(frame.hair)
        return found(frame.hair, [Part(top - 30, left - 30, top + height + 30, left + width + 30)])

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool) -> Part:
        hair = next(frame.hair for frame in self.frames if frame.rgb is rgb)
        left, top, width, height = cv2.boundingRect(hair)
        around = top - part.top, left - part.left, part.bottom - top - height, part.right - left - width
        has_room = min(around) > 34 if mirrored else max(np.abs(np.array(around) - 30)) <= 4
        mask[part.slices] = hair[part.slices] if has_room else 0
        return part


class OftenMissing(OnlyWithRoom):
    """Sees the head at every other look at the whole alone."""

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        seen = super().find(rgb)
        return seen if self.looks % 2 else found(np.zeros_like(seen.mask()), [])


class Watched(OnlyWithRoom):
    """Notes when it looks at the whole of a frame, and finds what is drawn there if anything is."""

    def __init__(self, frames: list[Made]) -> None:
        super().__init__(frames)
        self.at: list[float] = []

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        frame = next(frame for frame in self.frames if frame.rgb is rgb)
        self.at.append(frame.seconds)
        return super().find(rgb) if frame.hair.any() else found(frame.hair, [])


def walking(count: int, seed: int = 0, start: int = 0) -> list[Made]:
    """A round head that moves to the right with the scene behind it."""
    frames = []
    for number in range(start, start + count):
        hair = np.zeros(SIZE[::-1], np.uint8)
        cv2.circle(hair, (90 + 2 * (number - start), 120), 50, 255, -1)
        frames.append(Made(number / 30, scene(number, seed, SIZE), hair))
    return frames


def wrong(masks: list[np.ndarray], frames: list[Made]) -> float:
    return float(np.mean([np.mean((mask > 127) != (frame.hair > 127)) for mask, frame in zip(masks, frames)]))


def flicker(masks: list[np.ndarray]) -> float:
    """Change from frame to frame, moved along by the 2 pixels."""
    return float(
        np.mean([np.abs(now[:, 2:] - np.float32(before[:, :-2])).mean() for before, now in zip(masks, masks[1:])])
    )


def test_masks_flicker_far_less_are_truer_and_need_fewer_looks():
    frames = walking(30)
    finder = ErringFinder(frames)
    alone = [finder.mask(frame.rgb) for frame in frames]
    finder.looks = 0
    given, masks, _ = zip(*steady_masks(frames, finder))
    assert list(given) == frames and masks[0].shape == SIZE[::-1]
    assert flicker(masks) < 0.35 * flicker(alone)
    assert wrong(masks, frames) < wrong(alone, frames)
    assert finder.looks <= 20


def test_looks_between_frame_a_head_as_the_look_at_the_whole_did_wherever_it_went():
    frames = walking(30)
    finder = OnlyWithRoom(frames)
    masks = [mask for _, mask, _ in steady_masks(frames, finder)]
    assert wrong(masks, frames) < 0.02
    assert finder.looks <= 5, "few looks at the whole"


def test_a_head_that_every_other_look_at_the_whole_misses_stays_found():
    frames = walking(60)
    masks = [mask for _, mask, _ in steady_masks(frames, OftenMissing(frames))]
    assert wrong(masks, frames) < 0.03


def entering(at: int, count: int) -> list[Made]:
    """Nobody before a still scene, until somebody walks in from the left."""
    frames = []
    for number in range(count):
        rgb, hair = scene(0, 0, SIZE), np.zeros(SIZE[::-1], np.uint8)
        if number >= at:
            cv2.circle(hair, (4 * (number - at) - 40, 120), 50, 255, -1)
            rgb[hair > 0] = scene(0, 7, SIZE)[hair > 0]
        frames.append(Made(number / 30, rgb, hair))
    return frames


def test_where_nobody_is_is_searched_less_after_a_while():
    frames = entering(120, 150)
    finder = Watched(frames)
    masks = [mask for _, mask, _ in steady_masks(frames, finder)]
    waits = np.diff([seconds for seconds in finder.at if seconds < 4])
    assert len(waits) < 18 and waits[0] < 0.11 and waits[5:] == pytest.approx(0.3, abs=0.04)
    assert masks[100].max() < 30 and masks[132].max() > 127


def test_another_scene_is_searched_at_once():
    frames = entering(200, 60) + [
        Made(2 + number / 30, scene(number, 3, SIZE), np.zeros(SIZE[::-1], np.uint8)) for number in range(30)
    ]
    finder = Watched(frames)
    assert len([*steady_masks(frames, finder)]) == 90
    assert any(abs(seconds - 2) < 0.01 for seconds in finder.at)
    assert min(np.diff([seconds for seconds in finder.at if seconds > 1.99])) < 0.15


def test_hair_that_two_of_five_looks_show_is_hair_and_what_one_does_is_not():
    sure, nothing = (seen(np.full((4, 4), value, np.uint8), 1) for value in (255, 0))
    for shown, is_hair in ((2, True), (1, False)):
        all_looks = [sure] * shown + [nothing] * (5 - shown)
        joined = reduce(Evidence.joined, all_looks)
        assert (joined.mask() > 127).all() == is_hair and joined.weight[0, 0] == 5


def test_a_part_goes_with_its_hair_and_stays_at_the_borders_that_it_touches():
    frames = walking(2)
    first, second = moving(frames)
    known = Evidence(np.float32(frames[0].hair), np.ones(SIZE[::-1], np.float32))
    parts = [Part(0, 0, 240, 320), Part(60, 30, 180, 150), Part(0, 30, 180, 150)]
    shown = list(moved(parts, first.to_next, known, SIZE[::-1]))
    assert all(type(side) is int for part in shown for side in part)
    assert shown == [parts[0], Part(60, 32, 180, 152), Part(0, 32, 180, 152)]


def test_nothing_is_left_after_a_cut_and_nothing_comes_before_it():
    frames = walking(12) + walking(12, seed=5, start=12)
    for frame in frames[12:]:
        frame.hair = np.ascontiguousarray(frame.hair[:, ::-1])
    masks = [mask for _, mask, _ in steady_masks(frames, ErringFinder(frames))]
    assert wrong(masks[8:12], frames[8:12]) < 0.12 and wrong(masks[12:16], frames[12:16]) < 0.12


def test_a_drawn_mask_holds_and_goes_with_the_motion():
    frames = walking(12)
    drawn = np.zeros(SIZE[::-1], np.uint8)
    drawn[10:60, 200:260] = 255
    masks = [
        mask for _, mask, _ in steady_masks(frames, ErringFinder(frames), lambda f: drawn if f is frames[3] else None)
    ]
    later = np.roll(drawn, 2 * 6, axis=1) > 127
    assert ((masks[9] > 127) & later).sum() > 0.9 * later.sum()
    assert ((masks[9] > 127) & ~later).sum() < 0.15 * later.sum()


def grey_scene(number: int, seed: int = 0) -> np.ndarray:
    return cv2.cvtColor(scene(number, seed, SIZE), cv2.COLOR_RGB2GRAY)


def test_motion_is_known_where_both_ways_agree():
    before, now = (small_grey(grey_scene(number)) for number in (0, 4))
    there, back = motions(before, now)
    inner = np.s_[20:-20, 20:-20]
    for motion, across in ((there, 4), (back, -4)):  # half of the 8 pixels
        away = np.abs((motion.at - places(*before.shape))[inner] - np.float32([across, 0])).max(axis=2)
        assert np.mean(away < 0.4) > 0.95
    assert back.known[inner].mean() > 0.95
    other = small_grey(grey_scene(0, seed=9))
    assert not motions(before, other)[1].known.any(), "another scene"


def hair_between(top: int, bottom: int) -> object:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[top:bottom, 100:200] = 255
    return prepare(scene(0, size=SIZE), mask, refine=False)


def test_ends_of_hair_go_with_the_head_and_do_not_jump():
    heads, still = SteadyHeads(), places(120, 160)
    known = np.ones(still.shape[:2], np.float32)
    first = heads.steadied(hair_between(40, 200), Motion(still, 0 * known), 0.0)
    assert first.people.heads == [Head(0, 160)]
    jumped = heads.steadied(hair_between(40, 230), Motion(still, known), 1 / 30)
    top, bottom = np.float64(jumped.people.heads[0]) + jumped.rows.start
    assert top == pytest.approx(40, abs=0.5) and 200 < bottom <= 200 + 0.015 * 160
    moved = heads.steadied(hair_between(60, 220), Motion(still - np.float32([0, 10]), known), 1 / 30)
    now = np.float64(moved.people.heads[0]) + moved.rows.start
    assert now == pytest.approx([60, bottom + 20], abs=2.5), "20 pixels lower, as the head is"
    other_scene = heads.steadied(hair_between(100, 150), Motion(still, 0 * known), 1 / 30)
    assert other_scene.people.heads == [Head(0, 50)]
    assert heads.counts == [1, 1, 1, 1] and isinstance(moved.people, People)


def test_the_light_of_a_scene_does_not_jump_and_another_scene_has_its_own():
    heads, still = SteadyHeads(), places(120, 160)
    known = np.ones(still.shape[:2], np.float32)
    hair = hair_between(40, 200)
    bright, dim = (hair._replace(illuminant=np.float32([1, 1, 1]) * light) for light in (1, 0.25))
    heads.steadied(bright, Motion(still, 0 * known), 0.0)
    lights = [float(heads.steadied(dim, Motion(still, known), 1 / 30).illuminant[0]) for _ in range(300)]
    assert lights[0] > 0.97 and np.all(np.diff(lights) < 0) and lights[-1] < 0.27
    cut = heads.steadied(bright, Motion(still, 0 * known), 1 / 30)
    np.testing.assert_allclose(cut.illuminant, 1)


def test_places_along_the_hair_go_with_the_head_and_do_not_jump():
    heads, still = SteadyHeads(), places(120, 160)
    known = np.ones(still.shape[:2], np.float32)

    def middle(hair):
        return float(hair.growth[len(hair.growth) // 2, hair.growth.shape[1] // 2])

    first = heads.steadied(hair_between(40, 200), Motion(still, 0 * known), 0.0)
    longer = hair_between(40, 235)
    jumped = heads.steadied(longer, Motion(still, known), 1 / 30)
    row = (120 - 40) // longer.step
    assert longer.growth[row].mean() < first.growth[row].mean() - 0.05, "the same place is less far along longer hair"
    assert jumped.growth[row].mean() == pytest.approx(first.growth[row].mean(), abs=0.01)
    for _ in range(120):
        jumped = heads.steadied(longer, Motion(still, known), 1 / 30)
    np.testing.assert_allclose(jumped.growth, longer.growth, atol=0.01)
    moved = heads.steadied(hair_between(60, 220), Motion(still - np.float32([0, 10]), known), 1 / 30)
    assert middle(moved) == pytest.approx(middle(hair_between(60, 220)), abs=0.12)
    other_scene = hair_between(100, 150)
    np.testing.assert_array_equal(
        heads.steadied(other_scene, Motion(still, 0 * known), 1 / 30).growth, other_scene.growth
    )


def test_each_thread_searches_motion_by_itself():
    """One search for two clips at once ends the process."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(dense_inverse_search).result()
    assert dense_inverse_search() is dense_inverse_search() is not other
