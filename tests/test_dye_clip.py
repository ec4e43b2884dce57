"""Clips dyed by the script, beside pictures."""

import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.batch.local import run_here
from common.image.moving import is_clip, is_moving_picture
from common.image.picture import PictureError
from ombre.generate_ombre_images import main
from ombre.media import animation, animation_writer
from ombre.media.animation import MovingPicture
from ombre.media.animation_writer import Kept, MovingFrame, MovingWriter
from ombre.media.video import Clip
from ombre.stage import Dye
from ombre.style import Style
from segmentation.finding.box import Part
from tests.tools.clips import SAMPLE, make_clip, scene, short_sample
from tests.tools.heads import head_of
from tests.tools.icc import rgb_profile
from tests.tools.scripts import run_script

ROOT = Path(__file__).resolve().parents[1]
WIDE = rgb_profile("Display P3")


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    return short_sample(tmp_path_factory.mktemp("clips") / "short.mkv")


def test_a_folder_of_pictures_and_clips(short, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "short.mkv").write_bytes(short.read_bytes())
    make_clip(folder / "nobody.mp4", frames=8)
    Image.fromarray(scene(0)).save(folder / "wall.png")
    (folder / "broken.mp4").write_bytes(b"nothing")
    result = run_script(
        main, folder, "--output", output, "--color", "lilac", "--format", "png", "--save-masks", tmp_path / "masks"
    )
    assert result.returncode == 1 and "broken.mp4" in result.stderr
    rows = pd.read_csv(output / "ombre.csv", keep_default_na=False).set_index("output")
    assert sorted(rows.index) == ["broken_lilac.mp4", "nobody_lilac.mp4", "short_lilac.mkv", "wall_lilac.png"]
    assert list(rows.status) == ["failed", "no hair", "ok", "no hair"]
    assert (output / "nobody_lilac.mp4").read_bytes() == (folder / "nobody.mp4").read_bytes()
    before, after = frames_of(short), frames_of(output / "short_lilac.mkv")
    assert len(after) == len(before) == int(rows.frames["short_lilac.mkv"]) and int(rows.people["short_lilac.mkv"]) >= 1
    changed = np.abs(after[5] - before[5]).max(axis=2) > 40
    assert 0.002 < changed.mean() < 0.1, "a head's hair, and little else"
    masks = sorted((tmp_path / "masks").rglob("0*.png"))
    assert f"{len(before):06}.png" in {path.name for path in masks}
    again = run_script(main, folder, "--output", output, "--color", "lilac", "--format", "png")
    assert "0 pictures dyed" in again.stdout


def test_a_drawn_mask_is_dyed_by(short, tmp_path):
    drawn = np.zeros(frames_of(short)[0].shape[:2], np.uint8)
    drawn[300:420, 450:600] = 255  # no hair there
    first = run_script(main, short, "--output", tmp_path / "a", "--save-masks", tmp_path / "masks")
    assert first.returncode == 0, first.stderr
    folder = next((tmp_path / "masks").rglob("000001.png")).parent
    for path in folder.iterdir():
        path.unlink()
    Image.fromarray(drawn).save(folder / "000004.png")
    assert run_script(main, short, "--output", tmp_path / "b", "--masks", tmp_path / "masks").returncode == 0
    before, after = frames_of(short), frames_of(next((tmp_path / "b").glob("*.mkv")))
    for number in (3, 5):  # the drawn frame, and one that follows
        assert (np.abs(after[number] - before[number])[380:415, 460:590].max(axis=2) > 20).mean() > 0.8


def found(mask: np.ndarray, parts: list[Part]) -> SimpleNamespace:
    """What a finder finds: a mask, and the parts that it was seen in."""
    return SimpleNamespace(mask=lambda: mask, guide=lambda: None, crops=[SimpleNamespace(part=part) for part in parts])


class Circle:
    """Finds a round head in the middle of whatever it is shown."""

    def __init__(self, *_: object) -> None: ...

    def mask(self, rgb: np.ndarray) -> np.ndarray:
        down, across = np.indices(rgb.shape[:2])
        return np.uint8(255 * (np.hypot(down - rgb.shape[0] / 2, across - rgb.shape[1] / 2) < rgb.shape[0] / 4))

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        return found(self.mask(rgb), [Part(0, 0, *rgb.shape[:2])])

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool) -> Part:
        mask[:] = cv2.resize(self.mask(rgb), mask.shape[::-1])
        return Part(0, 0, *mask.shape)


def stage(**settings: object) -> Dye:
    """Dyes what `Circle` finds."""
    return Dye(styles=[Style("lilac")], weights_hash="weights", **dict(find_hair=Circle, max_pixels=10**6) | settings)


def test_each_clip_damaged_at_random_has_a_row_and_a_result_or_none(tmp_path):
    rng, folder, output = np.random.default_rng(3), tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    images = [Image.fromarray(scene(number)) for number in range(4)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    kinds = [make_clip(tmp_path / "a.mkv", frames=6, sound=True), make_clip(tmp_path / "a.avi", "mpeg4", frames=6)]
    kinds += [make_clip(tmp_path / "a.mp4", frames=6), tmp_path / "a.gif"]
    for number in range(16):
        whole = kinds[number % 4]
        bytes_ = np.frombuffer(whole.read_bytes(), np.uint8).copy()
        bytes_[rng.integers(0, len(bytes_), 4 + number)] = rng.integers(0, 256, 4 + number)
        (folder / f"{number}{whole.suffix}").write_bytes(bytes_.tobytes())
    run_here(stage(), [folder], output)
    rows = pd.read_csv(output / "ombre.csv", keep_default_na=False)
    assert len(rows) == 16 and set(rows.status) == {"ok", "failed"}
    whole = {path.name for path in output.iterdir()} - {"ombre.csv"}
    assert whole == set(rows.output[rows.status == "ok"])
    assert rows.note.str.contains("damaged").any() and all(rows.error[rows.status == "failed"])


def test_a_clip_whose_frames_do_not_come_again_is_a_line(tmp_path, monkeypatch):
    decoded = Clip._decoded
    first_alone = lambda self, container: iter(()) if hasattr(self, "first") else decoded(self, container)  # noqa: E731
    monkeypatch.setattr(Clip, "_decoded", first_alone)
    rows = dyed(make_clip(tmp_path / "a.mpg", "mpeg2video", frames=3), tmp_path / "out")
    assert list(rows.status) == ["failed"] and "no frame of it can be decoded" in rows.error.iloc[0]


@pytest.mark.parametrize("size", [(1000, 16), (16, 1000)])
def test_a_strip_is_dyed_too(size, tmp_path):
    source = make_clip(tmp_path / "a.mp4", frames=3, size=size)
    assert run_here(stage(), [source], tmp_path / "out").failed == 0


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_moving_pictures_keep_delays_loops_and_transparency(suffix, tmp_path):
    images = [Image.fromarray(scene(number)).convert("RGBA") for number in range(0, 16, 4)]
    for image in images:
        image.paste((0, 0, 0, 0), (0, 0, 40, 30))
    source, target = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    delays = [40, 80, 120, 200]
    settings = dict(lossless=True) if suffix == "webp" else dict(disposal=2) if suffix == "gif" else {}
    exif = Image.Exif()
    exif[0x010E] = "waves"
    settings |= {} if suffix == "gif" else dict(icc_profile=WIDE, exif=exif)
    images[0].save(source, save_all=True, append_images=images[1:], duration=delays, loop=3, **settings)
    assert is_moving_picture(source) and is_clip(source)
    moving = MovingPicture(source, 10**6)
    with moving.writer(target, 95) as writer:
        for frame in moving.frames():
            writer.write(frame, frame.rgb(), frame.rgb(), None)
    before, after = (list(MovingPicture(path, 10**6).frames()) for path in (source, target))
    assert [frame.delay for frame in after] == delays
    with Image.open(source) as one, Image.open(target) as other:
        assert one.info["loop"] == other.info["loop"] and one.format == other.format
        assert suffix == "gif" or (other.info["icc_profile"] == WIDE and other.getexif()[0x010E] == "waves")
    for old, new in zip(before, after):
        assert np.array_equal(old.rgba[..., 3], new.rgba[..., 3])
        seen = old.rgba[..., 3] > 0
        assert np.abs(old.rgb()[seen].astype(int) - new.rgb()[seen]).mean() < 4


def gif(screen: tuple[int, int], *frames: tuple[int, int]) -> bytes:
    """A GIF of this screen whose frames, each of one colour, have these sizes, which need not fit."""
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF7, 0, 0) + bytes(range(256)) * 3
    for number, size in enumerate(frames):
        small = Image.new("P", size if size[0] < 1000 else (8, 8), 40 * number)
        data += b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + animation_writer.gif_data(small)
    return data + b";"


def test_frames_that_jut_out_are_cut_to_the_screen(tmp_path):
    (tmp_path / "a.gif").write_bytes(gif((60, 40), (60, 40), (90, 70), (60, 40)))
    assert {frame.rgba.shape for frame in MovingPicture(tmp_path / "a.gif", 10**6).frames()} == {(40, 60, 4)}
    rows = dyed(tmp_path / "a.gif", tmp_path / "out")
    assert rows.status["a_lilac.gif"] == "ok" and rows.frames["a_lilac.gif"] == 3
    assert head_of(tmp_path / "out" / "a_lilac.gif").size == (60, 40)


@pytest.mark.parametrize("data", [gif((60, 40), (60, 40), (65000, 65000)), gif((14000, 14000), (8, 8), (8, 8))])
def test_a_moving_picture_that_needs_all_memory_is_refused(data, tmp_path):
    (tmp_path / "a.gif").write_bytes(data)
    rows = dyed(tmp_path / "a.gif", tmp_path / "out", max_pixels=10**9)
    assert rows.status["a_lilac.gif"] == "failed" and "over the limit of 9.44 megapixels" in rows.error["a_lilac.gif"]


@pytest.mark.parametrize(
    ("suffix", "cut"), [("gif", "in its pixels"), ("gif", "in its head"), ("png", "in its pixels")]
)
def test_damaged_frames_are_said(suffix, cut, tmp_path):
    images = [Image.fromarray(scene(number)) for number in range(8)]
    images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], duration=40)
    data = (tmp_path / f"a.{suffix}").read_bytes()
    end = len(data) * 7 // 8
    if cut == "in its head":
        end = data.rindex(b"!\xf9\x04", 0, end) + 3
    (tmp_path / f"a.{suffix}").write_bytes(data[:end])
    tally = run_here(stage(), [tmp_path / f"a.{suffix}"], tmp_path / "out")
    (row,) = pd.read_csv(tmp_path / "out" / "ombre.csv").itertuples()
    assert row.status == "ok" and 4 <= row.frames < 8 and row.note.startswith("damaged frames: ")
    assert (tally.failed, tally.exit_code) == (0, 1)


def test_frames_times_pixels_have_a_limit(tmp_path, monkeypatch):
    (tmp_path / "a.gif").write_bytes(gif((60, 40), *[(60, 40)] * 5))
    assert MovingPicture(tmp_path / "a.gif", 10**6).expected == 5
    monkeypatch.setattr(animation, "MOST_IN_ALL", 4 * 60 * 40)
    with pytest.raises(PictureError, match="5 frames of 60 x 40 pixels are over the limit"):
        MovingPicture(tmp_path / "a.gif", 10**6)


@pytest.mark.parametrize("kind", [".gif", ".webp", ".png"])
def test_a_moving_picture_is_on_disk_before_its_last_frame_comes(kind, tmp_path):
    """And others than Pillow read it."""
    pictures = [np.dstack([scene(number), np.full(scene(0).shape[:2], 255, np.uint8)]) for number in range(6)]
    sizes = []
    with open(tmp_path / f"a{kind}", "w+b") as file:
        writer = MovingWriter(kind, file, (128, 96), Kept(0), False, 90, [])
        for number, rgba in enumerate(pictures):
            writer.write(MovingFrame(number + 1, number / 10, 100, rgba), rgba[..., :3], rgba[..., :3], None)
            sizes.append(file.tell())
        writer.close()
    assert sizes[4] > 0.6 * (tmp_path / f"a{kind}").stat().st_size and sizes == sorted(set(sizes))
    if kind == ".webp":
        frames = [frame[..., ::-1] for frame in cv2.imreadmulti(str(tmp_path / "a.webp"), flags=cv2.IMREAD_COLOR)[1]]
    else:
        frames = frames_of(tmp_path / f"a{kind}")
    assert len(frames) == 6
    for frame, rgba in zip(frames, pictures):
        assert np.abs(frame.astype(int) - rgba[..., :3]).mean() < 8


@pytest.mark.parametrize(("clips", "pictures", "at_once"), [(2, 0, 1), (1, 3, 3), (0, 1, 1), (0, 9, 4)])
def test_the_cores_go_to_as_many_pictures_as_there_are(clips, pictures, at_once, tmp_path, monkeypatch):
    for number in range(clips):
        make_clip(tmp_path / f"{number}.mp4", frames=2)
    for number in range(pictures):
        Image.fromarray(scene(number)).save(tmp_path / f"{number}.bmp")
    asked = []
    monkeypatch.setattr("ombre.stage.own_cores", lambda: 4)
    finder = stage(find_hair=lambda weights, device, streams: asked.append(streams) or Circle())
    run_here(finder, [tmp_path], tmp_path / "out")
    assert asked == [at_once]


def dyed(source: Path, output: Path, **how: object) -> pd.DataFrame:
    """The rows of ombre.csv once a clip, or a folder, is dyed by `Circle`."""
    run_here(stage(**how), [source], output)
    return pd.read_csv(output / "ombre.csv", keep_default_na=False).set_index("output")


def test_a_moving_picture_is_dyed_in_its_own_colours(tmp_path):
    images = [Image.fromarray(scene(number)) for number in range(2)]
    for name, icc in (("plain", None), ("wide", WIDE)):
        images[0].save(tmp_path / f"{name}.png", save_all=True, append_images=images[1:], icc_profile=icc)
        assert dyed(tmp_path / f"{name}.png", tmp_path / "out").status[f"{name}_lilac.png"] == "ok"
    plain, wide = (next(MovingPicture(tmp_path / "out" / f"{name}_lilac.png", 10**6).frames()).rgb().astype(int)
                   for name in ("plain", "wide"))  # fmt: skip
    assert np.abs(plain - wide).max() > 3, "the same shade has other numbers there"


def test_moving_pictures_keep_their_kind_and_stills_are_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    images = [Image.fromarray(scene(number)) for number in range(2)]
    images[0].save(folder / "a.webp", save_all=True, append_images=images[1:])
    images[0].save(folder / "b.webp")
    images[0].save(folder / "c.gif", format="PNG")
    rows = dyed(folder, tmp_path / "out", suffix=".jpg")
    assert list(rows.index) == ["a_lilac.webp", "b_lilac.jpg", "c_lilac.gif"]
    assert list(rows.status) == ["ok", "ok", "failed"] and "its suffix" in rows.error["c_lilac.gif"]


def test_a_mended_clip_stays_and_another_quality_is_another_clip(tmp_path):
    make_clip(tmp_path / "a.mp4", frames=4)
    result = tmp_path / "out" / "a_lilac.mp4"
    dyed(tmp_path / "a.mp4", tmp_path / "out")
    mended = make_clip(result, frames=3).read_bytes()
    dyed(tmp_path / "a.mp4", tmp_path / "out")
    assert result.read_bytes() == mended
    assert dyed(tmp_path / "a.mp4", tmp_path / "out", quality=20).quality["a_lilac.mp4"] == 20
    assert result.read_bytes() != mended
    result.write_bytes(b"half a clip")
    assert dyed(tmp_path / "a.mp4", tmp_path / "out", quality=20).status["a_lilac.mp4"] == "ok"
    assert len(frames_of(result)) == 4


def test_whoever_will_not_wait_for_a_clip_leaves_nothing_half_done(tmp_path):
    command = [sys.executable, str(ROOT / "ombre" / "generate_ombre_images.py"), str(SAMPLE), "--output", str(tmp_path)]
    command += ["--color", *(f"{number / 40}" for number in range(40))]  # so that it takes a while
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        while process.poll() is None and not list(tmp_path.glob(".*.part*.mkv")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert "Ctrl-C again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert "the same command goes on from here" in process.stderr.read() and process.wait() == 130
    assert not [path for path in tmp_path.iterdir() if "part" in path.name]


def test_a_still_picture_is_no_clip(tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / "a.webp")
    (tmp_path / "b.webp").write_bytes(b"nothing")
    assert not is_clip(tmp_path / "a.webp") and not is_clip(tmp_path / "b.webp") and is_clip(tmp_path / "c.mov")
