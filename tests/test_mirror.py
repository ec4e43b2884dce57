"""The mirror without a browser: frames as they come, dyed in order; the newest alone; cameras of this machine."""

import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ombre import generate_ombre_images
from ombre.media import live
from ombre.media.live import CameraError, LiveFrame, LiveFrames, camera
from ombre.render.recolour import dye_hair
from ombre.show import window
from ombre.style import Style
from ombre.tracking.mirror import APART, Watcher, mirrored
from ombre.tracking.steady import moving
from segmentation.finding.box import Part
from segmentation.finding.hair_finder import SHIPPED_WEIGHTS

SIZE = 120, 160


class Finder:
    """Finds hair in the left half, and counts its looks; searches wait for `go_on`."""

    def __init__(self) -> None:
        self.looks, self.searches = 0, 0
        self.go_on = threading.Event()
        self.go_on.set()

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        self.searches += 1
        self.go_on.wait(60)
        mask = np.zeros(rgb.shape[:2], np.uint8)
        mask[:, : rgb.shape[1] // 2] = 255
        return SimpleNamespace(mask=lambda: mask, crops=[SimpleNamespace(part=Part(0, 0, *rgb.shape[:2]))])

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool = False) -> Part:
        self.looks += 1
        mask[:, : mask.shape[1] // 2] = 255
        return Part(0, 0, *mask.shape)


def picture(seed: int = 0) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (*SIZE, 3)), (0, 0), 2)
    return np.uint8(np.clip(np.roll(noise, seed, axis=0) * 2 + (90, 60, 40), 0, 255))


def frames(count: int):
    return (LiveFrame(number / 20, lambda number=number: picture(number % 3)) for number in range(count))


def test_frames_come_dyed_in_order_and_few_are_looked_at():
    finder = Finder()
    seen = list(mirrored(frames(12), finder))
    assert [frame.seconds for frame, _ in seen] == [number / 20 for number in range(12)]
    assert 1 < finder.looks <= 12 / APART and finder.searches == 1
    for frame, hair in seen:
        dyed = dye_hair(hair, Style("blue"))
        changed = (dyed != frame.rgb).any(axis=2)
        assert changed[-20:, :60].mean() > 0.9 and not changed[:, 100:].any()


def test_no_frame_waits_for_a_search_and_its_heads_are_followed():
    finder = Finder()
    finder.go_on.clear()
    coming = mirrored(frames(30), finder)
    for _ in range(10):
        assert next(coming)[1] is not None  # by a look at the whole
    assert (finder.looks, finder.searches) == (1, 1)
    finder.go_on.set()
    while finder.looks == 1:
        next(coming)  # StopIteration, were the heads not looked at


def test_another_scene_is_looked_at_at_once():
    finder, other = Finder(), 255 - picture()[::-1]
    cut = [LiveFrame(number / 20, lambda number=number: picture() if number < 3 else other) for number in range(6)]
    watcher, looks = Watcher(finder), []
    for step in moving(cut):
        watcher.look(step)
        looks.append(finder.looks)
    watcher.search.close()
    assert looks[0] == 1 and looks[3] == looks[2] + 1


def test_who_is_slow_gets_the_newest_frame_and_each_but_once():
    source = LiveFrames()
    for number in range(3):
        source.put(LiveFrame(number, picture))
    coming = iter(source)
    assert next(coming).seconds == 2
    later = threading.Timer(0.05, source.put, [LiveFrame(9, picture)])
    later.start()
    assert next(coming).seconds == 9
    source.close()
    assert next(coming, None) is None


class Capture:
    """A camera that gives `there` frames and is then unplugged."""

    there = 3

    def __init__(self, number: int) -> None:
        self.number, self.left = number, self.there

    def isOpened(self) -> bool:
        return self.number == 0

    def read(self):
        self.left -= 1
        return self.left >= 0, picture()[..., ::-1]

    def release(self) -> None:
        self.number = -1


@pytest.fixture
def capture(monkeypatch):
    monkeypatch.setattr(live.cv2, "VideoCapture", Capture)


def test_a_camera_that_is_not_there_is_a_sentence(capture):
    with pytest.raises(CameraError, match="camera 7 cannot be opened: plug it in"), camera(7):
        pass


def test_a_lost_camera_ends_its_frames(capture):
    with camera(0) as source:
        seen = list(source)
    assert len(seen) <= Capture.there
    assert all((frame.rgb == picture()).all() for frame in seen)


@pytest.fixture
def screen(monkeypatch, capture):
    """A window whose keys are pressed one after the other; what it shows, (H, W, 3) BGR, is appended to the list."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(Capture, "there", 10**9)
    shown = []
    monkeypatch.setattr(window.cv2, "imshow", lambda title, bgr: shown.append(bgr))
    keys = iter([-1, ord(" "), -1, ord("q")])
    monkeypatch.setattr(window.cv2, "waitKey", lambda wait: next(keys))
    monkeypatch.setattr(window.cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(window.cv2, "destroyAllWindows", lambda: None)
    return shown


def test_the_window_shows_the_mirrored_dye_and_goes_on_by_keys(screen):
    window.show(0, Finder(), [Style("blue"), Style("#ff0000")])
    assert len(screen) == 4
    unchanged = picture()[:, ::-1, ::-1][:, :60]
    assert all((bgr[:, :60] == unchanged).all() for bgr in screen)  # hair is on the left, and so right in a mirror
    blue, red = (bgr[-20:, -60:].reshape(-1, 3).mean(axis=0) for bgr in (screen[0], screen[2]))
    assert blue[0] > red[0] and red[2] > blue[2]


def test_the_script_opens_the_window_with_the_styles_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(generate_ombre_images, "show", lambda *how: asked.append(how))
    monkeypatch.setattr(generate_ombre_images, "HairFinder", lambda *how: how)
    assert generate_ombre_images.main(["--camera", "0", "--color", "platinum", "mint", "--ombre-height", "0.4"]) == 0
    ((number, finder, styles),) = asked
    assert number == 0 and finder[0] == SHIPPED_WEIGHTS
    assert styles == [Style("platinum", 0.4), Style("mint", 0.4)]
    assert generate_ombre_images.main(["a.jpg", "--camera", "0"]) == 2
    assert "leave the pictures out" in capsys.readouterr().err


def test_without_a_screen_the_page_is_named(monkeypatch, capsys):
    monkeypatch.setattr(generate_ombre_images, "HairFinder", lambda *how: how)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(window.sys, "platform", "linux")
    assert generate_ombre_images.main(["--camera", "0"]) == 2
    assert "preview.py --camera shows the same in a browser" in capsys.readouterr().err
