"""Files are whole or absent."""

import os
import stat
import time

import pytest

from common.files import remove_leftovers, replacing


def test_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    for text in ("first", "second"):
        with replacing(path) as part:
            assert part.parent == path.parent and part.name.startswith(".") and part.suffix == ".txt"
            part.write_text(text)
            assert not path.exists() or path.read_text() == "first"
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, interruption):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(interruption), replacing(path) as part:
        part.write_text("half of the n")
        raise interruption
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt"):
        1 / 0
    assert os.listdir(tmp_path) == []


def test_the_longest_names_and_the_usual_permissions(tmp_path):
    path = tmp_path / ("ä" * 125 + ".txt")  # 254 bytes
    with replacing(path) as part:
        part.write_text("x")
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_leftovers_go_and_nothing_else(tmp_path):
    for age in (0, 3600):
        for name in ("a.png", ".b.part.png", "longer name.csv", "c"):
            with replacing(tmp_path / name) as part:
                part.write_text("a whole file")
        stay = set(os.listdir(tmp_path))
        left = []
        for name in ("a.png", "no suffix"):
            with replacing(tmp_path / "elsewhere" / name) as part:
                left.append(tmp_path / part.name)
        for path, written in zip(left, (time.time() - 7200, time.time() - 60)):
            path.touch()
            os.utime(path, (written, written))
        remove_leftovers(tmp_path, age)
        assert set(os.listdir(tmp_path)) == stay | {"elsewhere"} | ({left[1].name} if age else set())
        left[1].unlink(missing_ok=True)
    remove_leftovers(tmp_path / "nowhere")
