"""The page without a browser: what is chosen, painted, kept, undone and taken home."""

import shlex
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from common.image.picture import Picture, PictureError, read_mask, read_picture, write_picture
from common.workarounds import give_back_memory
from ombre.media.source import opened
from ombre.page import clips, results
from ombre.page.choosing import START, changed, command
from ombre.page.complaints import complaint
from ombre.page.jobs import Stopped, Turns
from ombre.page.picture import VIEW_PIXELS, dyed, prepared
from ombre.page.steps import Look
from ombre.page.strokes import Stroke, paint, stroke_from
from ombre.page.texts import TEXTS, language_of
from ombre.page.visitors import MOST_PICTURES, TooManyPictures, Visitor, Visitors
from ombre.style import Style
from tests.tools.clips import SIZE, make_clip
from tests.tools.page import half_hair, two_heads, write_photo

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "ombre" / "preview.py"


def zipped(visitor: Visitor) -> list[bytes]:
    with visitor.jobs.begun("all", "", len(visitor.pictures)) as job:
        return list(results.zipped(visitor, job, TEXTS["en"], SimpleNamespace(find=half_hair)))


@pytest.fixture
def visitors(tmp_path):
    return Visitors(tmp_path / "visitors", SimpleNamespace(find=half_hair), 10**7)


@pytest.fixture
def photo(tmp_path):
    """A PNG of 300 x 200, brown with some noise."""
    return write_photo(tmp_path / "anna.png", 200, 300)


@pytest.fixture
def visitor(visitors, photo):
    visitor = visitors.of("session")
    visitors.add(visitor, photo)
    return visitor


def test_a_command_gives_the_same_style():
    style = Style("rose gold>#aabbcc", ombre_height=0.55, lightness=-0.2, reverse=True)
    words = shlex.split(command(style, "an na.jpg"))
    assert words[:3] == ["python", "ombre/generate_ombre_images.py", "an na.jpg"]
    sys.path.insert(0, str(ROOT))
    from ombre.generate_ombre_images import parser

    options = parser().parse_args(words[2:])
    again = dict(vars(options), color=options.color[0], ombre_height=options.ombre_height[0])
    assert style == Style(**{name: again[name] for name in style.row()})


@pytest.mark.parametrize(
    "name, value",
    [
        ("ombre_height", 1.1),
        ("lightness", float("nan")),
        ("upper", ""),
        ("upper", "a>b"),
        ("lower", "mud"),
        ("strength", "x"),
    ],
)
def test_what_no_control_gives_is_refused(name, value):
    with pytest.raises(ValueError):
        changed(START, name, value)


def test_colours_are_called_one_way():
    two = changed(changed(START, "upper", "로즈 골드"), "lower", "#AABBCC")
    assert two.color == "rose gold>#aabbcc"
    assert changed(two, "lower", "").color == "rose gold" and changed(two, "upper", "0.90").color == "0.9>#aabbcc"


def test_strokes_fit_every_size():
    strokes = (stroke_from({"hair": True, "radius": 0.1, "points": [[0.2, 0.5], [0.8, 0.5]]}),)
    small, large = (paint(np.zeros((side, side), np.uint8), strokes) for side in (100, 800))
    shrunk = large.reshape(100, 8, 100, 8).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 3  # of 255: half a pixel around the edge
    assert small[50, 50] == 255 and small[50, 95] == 0 and small[65, 50] == 0
    assert np.isclose((small > 127).mean(), 0.6 * 0.2 + np.pi * 0.1**2, rtol=0.05)


def test_a_dab_is_a_disc_and_paint_goes_out_again():
    dab = Stroke(True, 0.1, ((0.5, 0.5),))
    mask = paint(np.zeros((100, 100), np.uint8), (dab,))
    assert np.isclose((mask > 127).mean(), np.pi * 0.1**2, rtol=0.1)
    assert not paint(mask, (Stroke(False, 0.2, ((0.5, 0.5),)),)).any()


@pytest.mark.parametrize(
    "data",
    [{}, {"hair": True, "radius": 0.1, "points": []}, {"hair": 1, "radius": 0, "points": [[0, 0]]}]
    + [{"hair": True, "radius": 0.1, "points": points} for points in ([[0, 9]], [[0, float("nan")]], [[1]], 7)],
)
def test_no_stroke_is_refused(data):
    with pytest.raises(ValueError):
        stroke_from(data)


def test_the_languages_say_the_same_things():
    assert TEXTS["en"].keys() == TEXTS["ko"].keys()
    assert all(text.count("{") == TEXTS["ko"][key].count("{") for key, text in TEXTS["en"].items())


@pytest.mark.parametrize(
    "accepted, language",
    [("", "en"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("de,en;q=0.5,ko;q=0.3", "en"), ("fr", "en"), ("en;q=x,ko", "ko")],
)
def test_language_of_a_browser(accepted, language):
    assert language_of(accepted) == language


def test_changes_of_one_control_are_undone_together(visitor):
    for height in (0.5, 0.4, 0.3):
        visitor.change("ombre_height", height, moving=True)
    visitor.change("upper", "blue")
    visitor.change("upper", "platinum")
    visitor.undo()
    assert visitor.step.style.color == "blue"
    visitor.undo()
    assert visitor.step.style == Style("pink", 0.3)
    visitor.undo()
    assert visitor.step.style == START
    visitor.undo()
    assert visitor.step.style == START and visitor.shown


def test_what_was_undone_is_done_again_until_something_else_is(visitor):
    for color in ("blue", "mint"):
        visitor.change("upper", color)
    for _ in range(2):
        visitor.undo()
    assert visitor.step.style == START and visitor.redoable
    visitor.redo()
    assert visitor.step.style.color == "blue"
    visitor.redo()
    assert visitor.step.style.color == "mint" and not visitor.redoable
    visitor.undo()
    visitor.change("upper", "red")
    visitor.redo()
    assert visitor.step.style.color == "red" and not visitor.redoable


def test_a_shade_is_seen_small_beside_the_one_that_is_chosen(visitor):
    visitor.change("color", "copper>platinum")
    number = visitor.step.number
    assert visitor.small(number) == visitor.small(number, "copper>platinum") != visitor.small(number, "mint")
    assert visitor.step.style.color == "copper>platinum"
    with pytest.raises(ValueError):
        visitor.small(number, "no colour")


def test_paint_changes_the_picture_and_is_undone_where_it_was(visitors, visitor, photo):
    before = visitor.after()
    visitor.paint(Stroke(True, 0.2, ((0.8, 0.8),)))
    painted = visitor.after()
    assert painted != before
    first = visitor.shown
    visitors.add(visitor, photo)
    assert visitor.shown != first
    visitor.undo()
    assert visitor.shown == first and visitor.after() == before


@pytest.fixture
def pair(visitors, photo):
    """A visitor with a picture of two people, and where their hair is."""
    visitors.finder.find = two_heads
    visitor = visitors.of("pair")
    visitors.add(visitor, photo)
    return visitor, [(person.x, person.y) for person in visitor.people()]


def test_one_of_two_people_gets_an_own_style_which_is_undone_and_done_again(visitors, pair, photo):
    visitor, (left, right) = pair
    visitor.choose_person(0.74, 0.4)
    assert visitor.step.person == right and visitor.step.chosen == START
    visitor.change("upper", "blue")
    visitor.change("ombre_height", 0.9)
    assert visitor.step.chosen == Style("blue", 0.9) and visitor.step.style == START
    visitor.choose_person(*left)
    assert visitor.step.chosen == START
    visitors.add(visitor, photo)
    assert visitor.step.person is None
    visitor.undo()
    assert visitor.step.number == 1 and visitor.step.look(1).own[0].style == Style("blue")
    visitor.choose_person(*right)
    assert visitor.step.chosen == Style("blue")
    visitor.redo()
    assert visitor.step.look(1).own[0].style == Style("blue", 0.9)
    visitor.choose_everybody()
    visitor.change("upper", "mint")  # everybody is everybody, and each one's height stays
    assert visitor.step.style == Style("mint") and visitor.step.look(1).own[0].style == Style("mint", 0.9)
    visitor.remove()
    visitor.remove()
    assert visitor.step.person is None


def test_a_person_s_own_colour_is_seen_and_taken_home(pair, tmp_path):
    visitor, (left, right) = pair
    visitor.choose_person(*right)
    visitor.change("upper", "blue")
    assert visitor.small(1) != visitor.small(1, "copper")
    shown, look = visitor.shown, visitor.step.look(1)
    seen = dyed(shown, prepared(shown, ()), look)
    made = results.write_dyed(shown, look, tmp_path, None)
    assert made.name == "anna_pink_and_blue.png"
    assert np.abs(read_picture(made).rgb.astype(int) - seen).max() <= 1
    by_person = [seen[100:140, x - 20 : x + 20].mean(axis=(0, 1)) for x in (75, 225)]
    assert np.subtract(*by_person)[0] > 5 > -5 > np.subtract(*by_person)[2]  # redder, less blue
    text = zipfile.ZipFile(BytesIO(b"".join(zipped(visitor)))).read("command.txt").decode()
    assert text.startswith(f"# {TEXTS['en']['command_alike']}\npython")


def test_a_person_is_the_same_after_more_hair_was_painted(pair):
    """Then the place that is deepest in the hair is another one, and the style that was chosen is not lost."""
    visitor, (left, right) = pair
    visitor.choose_person(*right)
    visitor.change("upper", "blue")
    visitor.paint(Stroke(True, 0.15, ((right[0], right[1] + 0.2),)))
    moved = visitor.people()[1]
    assert (moved.x, moved.y) != right
    visitor.choose_everybody()
    visitor.choose_person(moved.x, moved.y)
    assert visitor.step.person == right and visitor.step.chosen == Style("blue")


def test_a_short_clip_is_seen_by_a_frame_and_taken_home_whole(visitors, visitor, tmp_path):
    clip = make_clip(tmp_path / "walk.mp4", frames=12, sound=True)
    shown = visitors.add(visitor, clip)
    assert (shown.width, shown.height, shown.frames) == (*SIZE, 12) and visitor.people() == []
    visitor.change("upper", "blue")
    assert visitor.after()
    visitor.paint(Stroke(True, 0.2, ((0.8, 0.8),)))
    assert not visitor.step.painted(shown.number)
    reached, look = [], visitor.step.look(shown.number)
    made = results.write_dyed_clip(shown, look, tmp_path / "out", visitors.finder, reached.append)
    assert made.name == "walk_blue.mp4" and reached == list(range(12))
    with av.open(made) as dyed, av.open(clip) as natural:
        assert len(dyed.streams.audio) == len(natural.streams.audio) == 1
        pairs = list(zip(dyed.decode(video=0), natural.decode(video=0)))
    assert len(pairs) == 12
    for pair in pairs:
        blue, before = (frame.to_ndarray(format="rgb24").astype(int) for frame in pair)
        assert (blue - before)[60:, 10:50, 2].mean() > (blue - before)[60:, 10:50, 0].mean() + 10
    names = zipfile.ZipFile(BytesIO(b"".join(zipped(visitor)))).namelist()
    assert names == ["anna_blue.png", "walk_blue.mp4", "command.txt"]


def test_a_clip_that_is_stopped_leaves_no_file(visitors, visitor, tmp_path):
    shown = visitors.add(visitor, make_clip(tmp_path / "walk.mp4", frames=6))

    def stop(done: int) -> None:
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        results.write_dyed_clip(shown, Look(), tmp_path / "out", visitors.finder, stop)
    assert not list((tmp_path / "out").iterdir())


def test_clips_that_are_too_long_or_too_large_are_a_sentence(visitors, visitor, tmp_path, monkeypatch):
    clip, texts = make_clip(tmp_path / "walk.mp4", frames=6), TEXTS["en"]
    assert str(clips.MOST_FRAMES) in texts["bad_clip"] and "1920 x 1080" in texts["bad_clip"]
    shown = visitors.add(visitor, clip)
    for limit, value in (("MOST_FRAMES", 5), ("MOST_PIXELS", 128 * 96 - 1)):
        with monkeypatch.context() as patch, pytest.raises(PictureError) as caught:
            patch.setattr(clips, limit, value)
            visitors.add(visitor, clip)
        assert complaint(caught.value, "walk.mp4", texts) == texts["bad_clip"].format(name="walk.mp4")
    monkeypatch.setattr(clips, "opened_short", lambda path: opened(path, 10**9))  # one that does not say how long it is
    monkeypatch.setattr(clips, "MOST_FRAMES", 5)
    with pytest.raises(PictureError, match="more than 5 frames"):
        results.write_dyed_clip(shown, Look(), tmp_path / "out", visitors.finder, lambda done: None)


def test_a_clip_shows_a_frame_with_somebody(tmp_path):
    clip = opened(make_clip(tmp_path / "late.mp4", frames=70), 10**9)
    looks = []

    def find(rgb: np.ndarray) -> SimpleNamespace:
        looks.append(rgb)
        return half_hair(rgb) if len(looks) == 3 else SimpleNamespace(mask=lambda: np.zeros(rgb.shape[:2], np.uint8))

    assert clips.still_of(clip, find) is looks[2] and (looks[0] != looks[2]).any()


def test_a_large_picture_is_looked_at_smaller_and_taken_home_whole(visitors, visitor, tmp_path):
    large = tmp_path / "large.png"
    rgb = np.full((1500, 2000, 3), (90, 60, 40), np.uint8)
    write_picture(large, Picture(rgb))
    shown = visitors.add(visitor, large)
    view = shown.view()[0]
    assert 0.98 * VIEW_PIXELS < view.shape[0] * view.shape[1] <= 1.01 * VIEW_PIXELS
    made = results.write_dyed(shown, Look(), tmp_path / "out", None)
    assert read_picture(made).rgb.shape == rgb.shape


def test_a_result_is_that_of_the_script_and_holds_what_was_painted(visitor, tmp_path):
    strokes = (Stroke(False, 0.3, ((0.25, 0.9),)),)
    plain = results.write_dyed(visitor.shown, Look(), tmp_path / "plain", None)
    painted = results.write_dyed(visitor.shown, Look(START, strokes), tmp_path / "painted", ".jpg")
    assert plain.name == "anna_pink.png" and painted.name == "anna_pink.jpg"
    original = read_picture(visitor.shown.file).rgb
    assert (read_picture(plain).rgb[180, 75] != original[180, 75]).any()
    mask = read_mask(results.write_used_mask(visitor.shown, strokes, tmp_path))
    assert mask[180, 75] == 0 and mask[20, 75] == 255


def test_all_in_one_file(visitors, visitor, photo):
    visitor.paint(Stroke(True, 0.1, ((0.8, 0.8),)))
    visitors.add(visitor, photo)
    pieces = zipped(visitor)
    assert len(pieces) >= 3  # it comes as it is made
    archive = zipfile.ZipFile(BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    assert archive.namelist() == [
        "anna_pink.png",
        "masks/anna.png",
        "anna_pink_2.png",
        "masks/anna_2.png",
        "command.txt",
    ]
    assert "--masks masks --refine-masks --color pink" in archive.read("command.txt").decode()


def test_masks_are_called_as_the_command_looks_for_them(visitors, visitor, photo):
    visitor.paint(Stroke(True, 0.1, ((0.8, 0.8),)))
    other = photo.with_suffix(".jpg")
    write_picture(other, read_picture(photo))
    visitors.add(visitor, other)
    names = zipfile.ZipFile(BytesIO(b"".join(zipped(visitor)))).namelist()
    assert {"masks/anna.png.png", "masks/anna.jpg.png"} <= set(names)


def test_a_broken_picture_leaves_nothing(visitors, visitor, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(PictureError, match="broken.jpg"):
        visitors.add(visitor, broken)
    assert len(visitor.pictures) == 1 and len(list(visitor.folder.iterdir())) == 1


def test_limits(visitors, visitor, photo, tmp_path):
    visitors.max_pixels = 1000
    with pytest.raises(PictureError, match="over the limit"):
        visitors.add(visitor, photo)
    visitor.pictures = dict.fromkeys(range(MOST_PICTURES))
    with pytest.raises(TooManyPictures):
        visitors.add(visitor, photo)


def test_visitors_are_apart_and_leave_nothing(visitors, tmp_path, photo):
    one, other = visitors.of("one"), visitors.of("other")
    for visitor in (one, other):
        upload = visitor.incoming("upload.png")
        upload.write_bytes(photo.read_bytes())
        visitors.add(visitor, upload, own=True)
        assert not upload.exists()
    one.change("upper", "blue")
    assert other.step.style == START and one.token != other.token
    visitors.leave("one")
    assert not one.folder.exists() and visitors.by_token(one.token) is None
    assert other.after()
    visitors.leave("other")
    assert not other.folder.exists() and len(visitors) == 0


def test_work_ends_with_the_visitor_or_a_stop(tmp_path, photo):
    looked = []

    def leaves_meanwhile(rgb: np.ndarray) -> np.ndarray:
        looked.append(1)
        visitors.leave("session") if len(looked) == 2 else visitor.jobs.stop()
        return half_hair(rgb)

    visitors = Visitors(tmp_path / "visitors", SimpleNamespace(find=leaves_meanwhile), 10**7)
    visitor = visitors.of("session")
    for _ in range(3):  # stopped, left, gone
        with pytest.raises(Stopped):
            visitors.add(visitor, photo)
        assert not visitor.pictures and not list(visitor.folder.glob("*/*"))
    assert len(looked) == 2 and not visitor.folder.exists()


def test_a_zip_ends_with_its_visitor(visitors, visitor, photo):
    visitors.add(visitor, photo)
    with visitor.jobs.begun("all", "", 2) as job:
        pieces = results.zipped(visitor, job, TEXTS["en"], SimpleNamespace(find=half_hair))
        next(pieces)
        assert visitor.jobs.rows() == [{"kind": "all", "name": "", "done": 0, "total": 2, "waits": False, "percent": 0}]
        visitors.leave("session")
        with pytest.raises(Stopped):
            list(pieces)


def test_who_waits_for_a_turn_can_stop(visitor):
    turns = Turns(1)
    with visitor.jobs.begun("dyed", "a", 1) as first, visitor.jobs.begun("dyed", "b", 1) as second:
        with turns.taken(first):
            threading.Timer(0.05, visitor.jobs.stop).start()
            with pytest.raises(Stopped), turns.taken(second):
                raise AssertionError("two at once")


def test_nobody_at_work_is_noticed_once(visitors, visitor, monkeypatch):
    visitor.after()
    assert not visitors.go_idle()
    monkeypatch.setattr("ombre.page.visitors.IDLE", 0.0)
    with visitor.jobs.begun("dyed", "a", 1):
        assert not visitors.go_idle()
    assert visitors.go_idle() and not visitors.go_idle()
    visitor.change("upper", "blue")
    assert visitors.go_idle() and visitor.after()


def test_what_was_freed_goes_back_to_the_system():
    resident = Path("/proc/self/statm")
    if not resident.exists():
        pytest.skip("no /proc here")
    size = lambda: int(resident.read_text().split()[1]) * 4096 / 2**20  # noqa: E731
    blocks = [bytearray(100_000) for _ in range(1500)]  # below what gets pages of its own
    top = blocks[-1]  # noqa: F841 in use, above what is freed
    del blocks
    before = size()
    give_back_memory()
    assert size() < before - 100


def test_a_clear_place_is_no_white_hair(visitors, visitor, tmp_path):
    """Dyed as in the download: only then is it laid on white."""
    path = tmp_path / "clear.png"
    rgb = np.random.default_rng(1).integers(-20, 20, (200, 300, 3)) + [90, 60, 40]
    alpha = np.full((200, 300), 255, np.uint8)
    alpha[:, :60] = 0
    rgb[:, :60] = 255
    write_picture(path, Picture(np.uint8(rgb), alpha=alpha))
    shown = visitors.add(visitor, path)
    seen = dyed(shown, prepared(shown, ()), Look())
    made = read_picture(results.write_dyed(shown, Look(), tmp_path / "out", None)).rgb
    assert (seen[:, :60] == 255).all()
    assert np.abs(np.int16(seen[:, 60:]) - made[:, 60:]).max() <= 1
    assert (made[180, 100] != rgb[180, 100]).any()


def test_a_name_like_an_option_is_a_name_in_the_command(visitors, photo):
    odd = photo.with_name("--output=zz.png")
    odd.write_bytes(photo.read_bytes())
    visitor = visitors.of("odd")
    visitors.add(visitor, odd)
    words = shlex.split(results.command_of(visitor))
    from ombre.generate_ombre_images import OUTPUT, parser

    options = parser().parse_args(words[2:])
    assert [str(place) for place in options.pictures] == ["--output=zz.png"] and options.output == OUTPUT


def test_four_visitors_at_once(visitors, photo):
    seen = {}

    def visit(name: str) -> None:
        visitor = visitors.of(name)
        visitors.add(visitor, photo)
        for color in ("blue", "platinum", name):
            visitor.change("upper", color)
            seen[name] = visitor.after()

    names = ["blue", "copper", "mint", "plum"]
    threads = [threading.Thread(target=visit, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen.values())) == 4
    alone = visitors.of("alone")
    visitors.add(alone, photo)
    for name in names:
        alone.change("upper", name)
        assert alone.after() == seen[name]


def test_a_port_that_is_taken_is_said_in_a_line():
    pytest.importorskip("uvicorn")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        done = subprocess.run([sys.executable, SCRIPT, "--no-browser", "--port", port], capture_output=True, text=True)
    assert done.returncode == 2 and f"127.0.0.1:{port}" in done.stderr and "Traceback" not in done.stderr
