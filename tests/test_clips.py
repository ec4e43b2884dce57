"""Clips in and out: what is not dyed stays, what is broken is told."""

import os
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from common.image.hdr import HdrSpace, hdr_space
from common.image.moving import is_clip
from common.image.picture import PictureError
from ombre.media.video import Clip
from ombre.media.video_frame import UPRIGHT, ClipFrame, changed, matrix_of, pixels_of
from tests.tools.clips import SIZE, make_clip, scene

BOX = np.s_[20:61, 31:90]
LARGE = 10**8
LOCKED = dict(encryption_scheme="cenc-aes-ctr", encryption_key="0" * 32, encryption_kid="1" * 32)


def copy(
    source: Path, target: Path, color: tuple[int, int, int] | None = None, quality: int = 90
) -> tuple[Clip, list[str]]:
    """Read and write a clip, with BOX in another colour or with nothing changed."""
    clip = Clip(source, LARGE)
    with clip.writer(target, quality) as writer:
        for frame in clip.frames():
            before = frame.rgb()
            after = before.copy()
            if color:
                after[BOX] = np.array(color) * (np.iinfo(before.dtype).max // 255)
            writer.write(frame, before, after, BOX if color else None)
    return clip, writer.notes


def what_it_is(path: Path) -> dict:
    with av.open(path) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        first = frames[0]
        return dict(
            codec=video.codec.canonical_name, pix_fmt=video.pix_fmt, size=(first.width, first.height),
            times=[round(float(frame.pts * frame.time_base), 3) for frame in frames], rotation=first.rotation,
            tags=(first.colorspace, first.color_range, first.color_trc), shape=video.sample_aspect_ratio,
            title=container.metadata.get("title"),
            streams=[one.type for one in container.streams if one.type != "data"],
            chapters=[(one["start"] * one["time_base"], one["metadata"]) for one in container.chapters()],
        )  # fmt: skip


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "more"), [
    ("turned.mp4", "libx264", "yuv420p", dict(rotation=90, sound=True, shape=Fraction(4, 3))),
    ("full.mov", "libx264", "yuvj420p", dict(tags=(5, 1, 2), sound=True)),
    ("deep.mkv", "libx265", "yuv420p10le", dict(options={"x265-params": "log-level=error"})),
    ("web.webm", "libvpx-vp9", "yuv420p", dict(tags=(5, 1, 1))),
    ("new.mp4", "libsvtav1", "yuv420p10le", dict(rotation=90, sound=True)),
    ("old.avi", "mpeg4", "yuv420p", dict(tags=(5, 1, 1))),
])  # fmt: skip
def test_what_is_not_dyed_stays(name, codec, pix_fmt, more, tmp_path):
    steady = name.endswith("avi")  # which knows no times
    times = None if steady else np.cumsum([0] + [100 + 60 * (number % 3) for number in range(19)]).tolist()
    source = make_clip(tmp_path / name, codec, pix_fmt, times=times, **more)
    clip, notes = copy(source, tmp_path / f"out_{name}")
    assert what_it_is(tmp_path / f"out_{name}") == what_it_is(source) and clip.damaged == 0 and notes == []
    if more.get("sound"):
        assert packets(tmp_path / f"out_{name}", "audio") == packets(source, "audio")
    assert steady or [title["title"] for _, title in what_it_is(tmp_path / f"out_{name}")["chapters"]] == ["one", "two"]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler") or os.geteuid(), reason="root alone may work in real time")
def test_a_clip_in_av1_leaves_cores_to_other_programs(tmp_path):
    """SVT-AV1 leaves its caller, and whatever that begins later, the highest real-time priority."""
    source = make_clip(tmp_path / "a.mp4", "libsvtav1", frames=2)
    copy(source, tmp_path / "b.mp4")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("tags", [(1, 1, 1), (5, 1, 1), (1, 1, 2), (9, 1, 1)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
def test_the_box_gets_its_colour_and_the_rest_stays_to_the_bit(pix_fmt, tags, tmp_path):
    """Before encoding: the planes themselves."""
    frame = next(Clip(make_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, tags=tags, frames=2), LARGE).frames())
    assert matrix_of(frame.raw) == tags[0]
    before = frame.rgb()
    after, scale = before.copy(), np.iinfo(before.dtype).max // 255
    after[BOX] = np.array([200, 40, 120]) * scale
    now = type(frame)(1, 0.0, changed(frame.raw, before, after, BOX, UPRIGHT)).rgb()
    inner = now[24:56, 36:86] / scale
    assert np.abs(inner - [200, 40, 120]).max() <= 2
    outside = np.ones(now.shape[:2], bool)
    outside[16:64, 28:92] = False
    assert np.array_equal(now[outside], before[outside])


@pytest.mark.parametrize("width", [64, 65])
@pytest.mark.parametrize(("pix_fmt", "most"), [("yuv420p", 255), ("yuv420p10le", 1023), ("yuv444p10le", 1023)])
def test_frames_of_odd_sides_have_their_colours(pix_fmt, most, width):
    raw = av.VideoFrame(width, 40, pix_fmt)
    for plane, shares in zip(raw.planes, [(0.4, 0.35), (0.385, 0.68), (0.75, 0.39)]):
        for half, share in zip(np.split(pixels_of(plane, most), 2), shares):
            half[...] = round(share * most)
    seen = ClipFrame(1, 0.0, raw).rgb8().astype(int)
    assert np.abs(seen[:18] - (201, 60, 41)).max() < 5 and np.abs(seen[22:] - (40, 90, 178)).max() < 5


@pytest.mark.parametrize("frames", [1, 2])
def test_shortest_clips_are_written_as_hevc(frames, tmp_path):
    """x265 gives their packets any time, so that a single try would not tell."""
    source = make_clip(tmp_path / "a.mov", "png", "rgb24", frames=frames)
    for number in range(8):
        copy(source, tmp_path / f"{number}.mp4")
        found = what_it_is(tmp_path / f"{number}.mp4")
        assert found["codec"] == "hevc" and len(found["times"]) == frames and max(found["times"]) < 0.1


def test_a_turned_clip_is_dyed_where_it_is_seen(tmp_path):
    copy(make_clip(tmp_path / "a.mp4", rotation=90), tmp_path / "b.mp4", (250, 20, 20))
    seen = next(Clip(tmp_path / "b.mp4", LARGE).frames()).rgb()
    assert seen.shape[:2] == SIZE
    assert np.abs(seen[28:52, 40:80].mean(axis=(0, 1)) - [250, 20, 20]).max() < 6


def laid(a: int, b: int, c: int, d: int) -> list[int]:
    """A display matrix: x' = a x + c y, y' = b x + d y."""
    one = 1 << 16
    return [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize(("matrix", "seen"), [
    (laid(1, 0, 0, 1), lambda rgb: rgb), (laid(-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
    (laid(1, 0, 0, -1), lambda rgb: rgb[::-1]), (laid(-1, 0, 0, -1), lambda rgb: rgb[::-1, ::-1]),
    (laid(0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)), (laid(0, -1, 1, 0), lambda rgb: np.rot90(rgb)),
    (laid(0, 1, 1, 0), lambda rgb: rgb.swapaxes(0, 1)),
    (laid(0, -1, -1, 0), lambda rgb: np.rot90(rgb, 2).swapaxes(0, 1)),
])  # fmt: skip
def test_a_mirrored_clip_is_seen_and_dyed_as_players_show_it(matrix, seen, tmp_path):
    source = make_clip(tmp_path / "a.mov", frames=2, laid=matrix)
    frame = next(Clip(source, LARGE).frames())
    assert np.array_equal(frame.rgb(), seen(frame.raw.to_ndarray(format="rgb24")))
    copy(source, tmp_path / "b.mov", (250, 20, 20))
    after = next(Clip(tmp_path / "b.mov", LARGE).frames()).rgb()
    assert np.abs(after[28:52, 40:80].mean(axis=(0, 1)) - [250, 20, 20]).max() < 6


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_stays_hdr(transfer, tmp_path):
    """In 10 bits, with its tags and the screen that it was made on."""
    params = "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):"
    options = {"x265-params": params + "max-cll=900,300"}
    source = make_clip(tmp_path / "a.mp4", "libx265", "yuv420p10le", frames=3, tags=(9, transfer, 1), options=options)
    clip, notes = copy(source, tmp_path / "b.mp4")
    assert what_it_is(tmp_path / "b.mp4") == what_it_is(source) and notes == []
    assert isinstance(clip.space, HdrSpace)
    before, after = (next(Clip(path, LARGE).frames()).raw for path in (source, tmp_path / "b.mp4"))
    for name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert bytes(before.side_data.get(name)) == bytes(after.side_data.get(name))


def test_hdr_without_an_encoder_of_10_bits_is_refused(tmp_path):
    source = make_clip(tmp_path / "a.mkv", "libx265", "yuv420p10le", frames=3, tags=(9, 18, 1))
    clip = Clip(source, LARGE)
    with pytest.raises(PictureError, match="HLG needs 10 bits"), clip.writer(tmp_path / "c.wmv", 75) as writer:
        raise AssertionError(writer.pix_fmt)


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("primaries", [9, 12, 1])
def test_sdrs_colours_come_back_from_hdr_as_they_were(primaries, transfer):
    space = hdr_space(transfer, primaries)
    colours = np.random.default_rng(2).integers(30, 256, (400, 3))
    numbers = space.from_srgb(colours / 255)
    back = space.to_srgb8(np.uint8(np.rint(255 * numbers)))
    assert np.abs(back.astype(int) - colours).mean() < 3
    white = {16: 0.5806, 18: 0.75}[transfer]  # BT.2408, table 1
    assert np.abs(space.from_srgb(np.ones((1, 3))) - white).max() < 0.002


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "kept"), [
    ("a.mov", "qtrle", "argb", "prores"), ("a.mkv", "ffv1", "bgra", "ffv1"),
    ("a.mov", "png", "rgba", "prores"), ("a.avi", "png", "rgba", "ffv1"),
])  # fmt: skip
def test_transparency_stays_in_a_codec_that_holds_it(name, codec, pix_fmt, kept, tmp_path):
    rgba = np.dstack([scene(0), np.full(SIZE[::-1], 255, np.uint8)])
    rgba[:, :40, 3] = 0
    with av.open(tmp_path / name, "w") as output:
        video = output.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = *SIZE, pix_fmt
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    _, notes = copy(tmp_path / name, tmp_path / f"b{name}", (200, 40, 120))
    assert what_it_is(tmp_path / f"b{name}")["codec"] == kept and "without its transparency" not in notes
    with av.open(tmp_path / f"b{name}") as container:
        after = next(container.decode(video=0)).to_ndarray(format="rgba").astype(int)
    assert after[:, :36, 3].max() < 8 and after[:, 44:, 3].min() > 247
    assert np.abs(after[28:52, 50:80, :3].mean(axis=(0, 1)) - [200, 40, 120]).max() < 6


def test_transparency_that_no_codec_of_the_file_holds_is_told(tmp_path):
    source = make_clip(tmp_path / "a.mp4", "png", "rgba", frames=2)
    _, notes = copy(source, tmp_path / "b.mp4")
    assert "without its transparency" in notes


def test_which_track_plays_first_stays(tmp_path):
    source = make_clip(tmp_path / "a.mp4", frames=4, sound=True)
    wanted = [av.stream.Disposition.default, av.stream.Disposition(0), av.stream.Disposition.default]
    with av.open(source) as clip, av.open(tmp_path / "b.mkv", "w") as output:
        streams = [clip.streams.video[0], clip.streams.audio[0], clip.streams.audio[0]]
        copies = [output.add_stream_from_template(stream) for stream in streams]
        for stream, how in zip(copies, wanted):
            stream.disposition = how
        for packet in clip.demux():
            if packet.dts is not None:
                for stream in copies[:1] if packet.stream.type == "video" else copies[1:]:
                    packet.stream = stream
                    output.mux(packet)
    for name in ("c.mkv", "c.mp4"):
        copy(tmp_path / "b.mkv", tmp_path / name)
        with av.open(tmp_path / name) as container:
            assert [bool(stream.disposition & 1) for stream in container.streams] == [True, False, True]


def test_what_a_telephone_notes_stays(tmp_path):
    notes = {"com.apple.quicktime.location.ISO6709": "+48.1-011.5/", "com.android.version": "14", "title": "At sea"}
    with av.open(make_clip(tmp_path / "a.mov", frames=3)) as clip:
        out = av.open(tmp_path / "b.mov", "w", container_options={"movflags": "use_metadata_tags"})
        with out as output:
            output.metadata.update(notes)
            stream = output.add_stream_from_template(clip.streams.video[0])
            for packet in clip.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
    copy(tmp_path / "b.mov", tmp_path / "c.mov")
    with av.open(tmp_path / "c.mov") as container:
        assert notes.items() <= dict(container.metadata).items()


def fields(path: Path) -> tuple[int, set[bool]]:
    """Which field is the first, by FFmpeg's number, and whether frames are marked as woven of two."""
    with av.open(path) as container:
        marks = {frame.interlaced_frame for frame in container.decode(video=0)}
        return container.streams.video[0].codec_context.field_order, marks


def woven(path: Path, first: str, codec: str = "libx264", pix_fmt: str = "yuv420p") -> Path:
    """A clip of fields, of which the top ("tff") or the bottom ("bff") one is the first."""
    with av.open(path, "w") as output:
        options = {"flags": "+ildct+ilme"} | ({"x264-params": f"{first}=1"} if codec == "libx264" else {})
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        stream.codec_context.field_order = {"tff": 2, "bff": 3}[first]
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(scene(number)).reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph = av.filter.Graph()
            source = graph.add_buffer(width=SIZE[0], height=SIZE[1], format=frame.format, time_base=Fraction(1, 25))
            graph.link_nodes(source, graph.add("setfield", f"mode={first}"), graph.add("buffersink")).configure()
            graph.push(frame)
            output.mux(stream.encode(graph.pull()))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [
    ("a.mp4", "libx264", "yuv420p"), ("a.mts", "libx264", "yuv420p"), ("a.mpg", "mpeg2video", "yuv420p"),
    ("a.mov", "prores_ks", "yuv422p10le"), ("a.mkv", "ffv1", "yuv420p"),
])  # fmt: skip
def test_interlaced_clips_stay_so_with_their_order(name, codec, pix_fmt, first, tmp_path):
    source = woven(tmp_path / name, first, codec, pix_fmt)
    _, notes = copy(source, tmp_path / f"b_{name}", color=(200, 40, 90))
    assert notes == [] and fields(source) == ({"tff": 2, "bff": 3}[first], {True})
    assert fields(tmp_path / f"b_{name}") == fields(source)


def test_fields_that_are_no_longer_told_apart_are_said(tmp_path):
    _, notes = copy(woven(tmp_path / "a.mp4", "tff"), tmp_path / "b.webm")
    assert notes == ["as vp9, since h264 cannot be written", "no longer marked as interlaced"]


def test_the_colours_of_a_field_are_its_own(tmp_path):
    frame = next(Clip(woven(tmp_path / "a.mkv", "tff", "ffv1"), LARGE).frames())
    before = frame.rgb()
    after = before.copy()
    after[::2] = (250, 20, 20)  # the upper field alone
    whole = tuple(slice(0, side) for side in before.shape[:2])
    planes = [changed(frame.raw, before, now, whole, UPRIGHT).planes for now in (before, after)]
    for old, new in zip(*planes):
        differ = np.abs(pixels_of(new, 255).astype(int) - pixels_of(old, 255)).max(axis=1)
        assert differ[::2].max() > 9 and not differ[1::2].any()


@pytest.mark.parametrize(("name", "codec", "as_well"), [
    ("a.3gp", "libx264", "h264"), ("a.mts", "libx264", "h264"), ("a.mpg", "mpeg2video", "mpeg2video"),
    ("a.wmv", "wmv2", "wmv2"), ("a.flv", "flv", "h264"),
])  # fmt: skip
def test_clips_of_older_kinds_keep_them(name, codec, as_well, tmp_path):
    source = make_clip(tmp_path / name, codec, frames=6)
    assert is_clip(source)
    copy(source, tmp_path / f"b{name}", (200, 40, 120))
    with av.open(tmp_path / f"b{name}") as container:
        assert container.streams.video[0].codec.canonical_name == as_well and len([*container.decode(video=0)]) == 6


def test_another_codec_where_the_own_cannot_be_kept(tmp_path):
    source = make_clip(tmp_path / "a.avi", "msmpeg4")
    _, notes = copy(source, tmp_path / "b.avi")
    assert what_it_is(tmp_path / "b.avi")["codec"] == "h264" and "msmpeg4" in notes[0]


def test_odd_sides_need_no_codec_that_takes_even_ones_alone(tmp_path):
    _, notes = copy(make_clip(tmp_path / "a.avi", "msmpeg4", size=(127, 95)), tmp_path / "b.avi")
    assert what_it_is(tmp_path / "b.avi")["size"] == (127, 95) and "msmpeg4" in notes[0]


def test_an_editors_clip_stays_transparent_in_its_codec(tmp_path):
    """ProRes 4444, which is decoded with more bits than it is encoded from."""
    source = make_clip(tmp_path / "a.mov", "prores_ks", "yuva444p10le", frames=3)
    _, notes = copy(source, tmp_path / "b.mov", (200, 40, 120))
    assert what_it_is(tmp_path / "b.mov") == what_it_is(source) and notes == []


def test_subtitles_are_copied_and_a_rate_that_cannot_be_true_is_not_believed(tmp_path):
    """A file put together of streams says 3000 frames a second, its times 30."""
    text = b"1\n00:00:00,100 --> 00:00:00,400\nHello\n\n2\n00:00:00,450 --> 00:00:00,600\nBye\n\n"
    with (
        av.open(make_clip(tmp_path / "a.mkv", options={"bf": "0"})) as pictures,
        av.open(BytesIO(text), format="srt") as words,
        av.open(tmp_path / "b.mkv", "w") as both,
    ):
        streams = pictures.streams.video[0], words.streams.subtitles[0]
        copies = [both.add_stream_from_template(stream) for stream in streams]
        for container, stream in zip((pictures, words), copies):
            for packet in container.demux(0):
                if packet.dts is not None:
                    packet.stream = stream
                    both.mux(packet)
    with av.open(tmp_path / "b.mkv") as container:
        assert container.streams.video[0].average_rate == 3000
    _, notes = copy(tmp_path / "b.mkv", tmp_path / "c.mkv")
    assert packets(tmp_path / "c.mkv", "subtitles") == [b"Hello", b"Bye"] and notes == []
    assert what_it_is(tmp_path / "c.mkv")["times"] == what_it_is(tmp_path / "b.mkv")["times"]


def test_frames_that_change_their_size_midway_are_brought_to_the_first_ones(tmp_path):
    parts = [make_clip(tmp_path / f"{number}.ts", frames=5, size=size) for number, size in enumerate((SIZE, (96, 64)))]
    (tmp_path / "a.mp4").write_bytes(b"".join(part.read_bytes() for part in parts))
    copy(tmp_path / "a.mp4", tmp_path / "b.mp4", (200, 40, 120))
    frames = list(Clip(tmp_path / "b.mp4", LARGE).frames())
    assert len(frames) == 10 and {frame.rgb().shape[:2] for frame in frames} == {SIZE[::-1]}


def test_quality_is_size(tmp_path):
    source = make_clip(tmp_path / "a.mp4")
    for quality in (20, 90):
        copy(source, tmp_path / f"{quality}.mp4", quality=quality)
    assert (tmp_path / "20.mp4").stat().st_size < 0.7 * (tmp_path / "90.mp4").stat().st_size


@pytest.mark.parametrize(("make", "said"), [
    (lambda path: make_clip(path, **LOCKED), "encrypted"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_text("words" * 1000), "no clip"),
    (lambda path: path.write_bytes(make_clip(path).read_bytes()[:700]), "no clip"),
    (lambda path: make_clip(path, size=(64, 4000)), "too large"),
    (lambda path: make_clip(path, frames=300, times=list(range(300))), "frames a second"),
])  # fmt: skip
def test_what_cannot_be_dyed_is_one_line(make, said, tmp_path):
    make(tmp_path / "a.mp4")
    with pytest.raises(PictureError, match="a.mp4") as raised:
        Clip(tmp_path / "a.mp4", 200_000)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_sound_alone_is_no_clip(tmp_path):
    with av.open(tmp_path / "a.mkv", "w") as output:
        audio = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    with pytest.raises(PictureError, match="no video stream"):
        Clip(tmp_path / "a.mkv", LARGE)


def test_damage_is_counted_or_told_and_never_hangs(tmp_path):
    """Bytes set at random: each clip is copied with what can be decoded, or refused in a line."""
    rng = np.random.default_rng(0)
    whole = np.frombuffer(make_clip(tmp_path / "a.mkv", frames=30).read_bytes(), np.uint8)
    copied = damaged = 0
    for number in range(16):
        bytes_ = whole.copy()
        bytes_[rng.integers(0, len(bytes_), 1 + number)] = rng.integers(0, 256, 1 + number)
        (tmp_path / "b.mkv").write_bytes(bytes_.tobytes())
        try:
            clip, _ = copy(tmp_path / "b.mkv", tmp_path / "c.mkv")
        except PictureError:
            assert not (tmp_path / "c.mkv").exists() or copied
            continue
        copied += 1
        damaged += clip.damaged > 0
        assert what_it_is(tmp_path / "c.mkv")["times"]
    assert copied >= 8 and damaged >= 3


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    source = make_clip(tmp_path / "a.mp4")
    clip = Clip(source, LARGE)
    with pytest.raises(KeyboardInterrupt), clip.writer(tmp_path / "b.mp4", 75) as writer:
        for frame in clip.frames():
            writer.write(frame, frame.rgb(), frame.rgb(), None)
            raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
    assert clip.writers == []


def with_data_first(source: Path, target: Path) -> Path:
    """The clip with a data track before its others, as cameras write one, and its sound before its video."""
    with av.open(source) as clip, av.open(target, "w") as output:
        notes = output.add_data_stream("timed_id3")
        copies = {
            stream.index: output.add_stream_from_template(stream)
            for stream in (clip.streams.audio + clip.streams.video)
        }
        packet = av.Packet(b"lens 35 mm")
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream = Fraction(1, 1000), notes
        output.mux(packet)
        for packet in clip.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    return target


def test_each_of_several_results_has_the_sound(tmp_path):
    source = with_data_first(make_clip(tmp_path / "a.mp4", sound=True), tmp_path / "b.ts")
    assert [stream.type for stream in av.open(source).streams] == ["data", "audio", "video"]
    clip = Clip(source, LARGE)
    with clip.writer(tmp_path / "c.mp4", 90) as one, clip.writer(tmp_path / "d.mp4", 90) as other:
        for frame in clip.frames():
            for writer in (one, other):
                writer.write(frame, frame.rgb(), frame.rgb(), None)
            notes = one.notes
    assert notes == ["without its data track"]
    sound = packets(tmp_path / "a.mp4", "audio")
    assert sound and packets(tmp_path / "c.mp4", "audio") == sound == packets(tmp_path / "d.mp4", "audio")


@pytest.mark.parametrize("codec", ["vp9", "vp8"])
def test_a_webm_stays_transparent(codec, tmp_path):
    rgba = np.dstack([scene(0), np.full(SIZE[::-1], 255, np.uint8)])
    rgba[:, :40, 3] = 0
    with av.open(tmp_path / "a.webm", "w") as output:
        encoder = {"vp9": "libvpx-vp9", "vp8": "libvpx"}[codec]
        video = output.add_stream(encoder, rate=25, options={"auto-alt-ref": "0"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuva420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    clip, notes = copy(tmp_path / "a.webm", tmp_path / "b.webm", (200, 40, 120))
    assert notes == [] and clip.damaged == 0
    again = Clip(tmp_path / "b.webm", LARGE)
    assert what_it_is(tmp_path / "b.webm")["times"] == [0, 0.04, 0.08]
    assert what_it_is(tmp_path / "b.webm")["codec"] == codec
    frames = [frame.raw.to_ndarray(format="rgba").astype(int) for frame in again.frames()]
    assert len(frames) == 3
    for after in frames:
        assert after[:, :36, 3].max() < 12 and after[:, 44:, 3].min() > 243
        assert np.abs(after[28:52, 50:80, :3].mean(axis=(0, 1)) - [200, 40, 120]).max() < 12
