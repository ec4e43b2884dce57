"""What a batch of pictures is: the files, their names and their results' names."""

import os

import pytest

from common.batch import discover
from common.batch.discover import Source, find_pictures, result_names
from common.batch.table import BatchError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(inputs, *outputs):
    found = find_pictures(inputs, *outputs)
    assert found.unreadable == 0
    return [source.name for source in found.sources]


def test_folders_at_any_depth_sorted(tmp_path):
    touch(
        tmp_path,
        "b.JPG",
        "a.png",
        "sub/deep/c.webp",
        "sub/d.tiff",
        ".a.123.part.jpg",
        ".git/e.jpg",
        "notes.txt",
        "f.gif",
    )
    assert names_of([tmp_path]) == ["a.png", "b.JPG", "sub/d.tiff", "sub/deep/c.webp"]
    assert find_pictures([tmp_path])[0][3].path == str(tmp_path / "sub" / "deep" / "c.webp")


def test_what_is_left_out_is_counted(tmp_path):
    touch(tmp_path, "a.jpg", "b.HEIC", "c.jfif", "notes.txt", "x/more.txt", "x/clip.mov", "x/README", ".hidden.txt")
    assert names_of([tmp_path]) == ["a.jpg", "b.HEIC", "c.jfif"]
    assert find_pictures([tmp_path]).left_out == "4 other files (.txt: 2, without a suffix: 1, .mov: 1)"


def test_raw_files_count_where_they_can_be_read(tmp_path, monkeypatch):
    touch(tmp_path, "a.dng", "b.NEF")
    monkeypatch.setattr(discover, "find_spec", lambda name: name == "rawpy")
    assert names_of([tmp_path]) == ["a.dng", "b.NEF"]
    assert named("a.dng", suffix=None) == ["a.dng.png"]
    monkeypatch.setattr(discover, "find_spec", lambda name: None)
    with pytest.raises(BatchError, match=r"no pictures .*; but 2 other files \(.dng: 1, .nef: 1\)"):
        find_pictures([tmp_path])


def test_a_link_that_leads_back_to_itself_is_said(tmp_path):
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    with pytest.raises(BatchError, match="a.jpg: is a link that leads back to itself"):
        find_pictures([tmp_path / "a.jpg"])


def test_a_file_given_by_name_counts_whatever_it_is_called(tmp_path):
    touch(tmp_path, "scan", ".dot.jpg")
    assert names_of([tmp_path / "scan", str(tmp_path / ".dot.jpg")]) == ["scan", ".dot.jpg"]


def test_each_file_once(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "in/b.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    given = ["in/b.jpg", "in", tmp_path / "in" / "a.jpg", "alias", "in/../in/b.jpg"]
    assert names_of(given) == ["b.jpg", "a.jpg"]


def test_a_link_to_a_picture_is_a_picture_of_its_own(tmp_path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    assert names_of([tmp_path]) == ["a.jpg", "b.jpg"]


def test_equal_names_take_as_much_of_the_path_as_tells_them_apart(tmp_path):
    touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/b.jpg", "x/same/c.jpg", "y/same/c.jpg")
    given = [tmp_path / name for name in ("one", "two", "x/same", "y/same")]
    names = names_of(given)
    assert names == ["one/a.jpg", "two/a.jpg", "b.jpg", "x/same/c.jpg", "y/same/c.jpg"]
    # a longer name may meet one that was there before
    touch(tmp_path, "z/one/a.jpg")
    names = names_of([tmp_path / "one", tmp_path / "two", tmp_path / "z"])
    assert len(set(names)) == 4 and names[0].endswith("/one/a.jpg") and names[3] == "z/one/a.jpg"


def test_nothing_to_do(tmp_path):
    with pytest.raises(BatchError, match="missing: there is no such file or folder"):
        find_pictures([touch(tmp_path, "a.jpg"), tmp_path / "missing"])
    touch(tmp_path, "empty/notes.txt")
    with pytest.raises(BatchError, match="empty: there are no pictures in this folder"):
        find_pictures([tmp_path / "empty"])


def test_results_are_not_taken_for_pictures(tmp_path):
    touch(tmp_path, "a.jpg", "results/a.jpg", "other/results/b.jpg")
    assert names_of([tmp_path], tmp_path / "results") == ["a.jpg", "other/results/b.jpg"]
    with pytest.raises(BatchError, match="another --output"):
        find_pictures([tmp_path], tmp_path)


def named(*names, suffix=".png"):
    return list(result_names([Source(f"/in/{name}", name) for name in names], suffix).values())


def test_result_names():
    assert named("a/x.jpg", "x.jpg", "y.tar.webp", "z") == ["a/x.png", "x.png", "y.tar.png", "z.png"]
    assert named("x.jpg", "x.webp", "y.jpg") == ["x.jpg.png", "x.webp.png", "y.png"]
    assert len(set(named("x.jpg", "x.webp", "x.jpg.png", "x.jpg.png.bmp"))) == 4


def test_a_picture_keeps_its_format_and_never_anothers_name():
    assert named("s/x", "s/x.png", "y.JPG", suffix=None) == ["s/x.png.png", "s/x.png", "y.JPG"]
    assert named("x", "x.gif", "x.png", suffix=None) == ["x.png.png", "x.gif.png", "x.png"]
    assert named("x", suffix=None) == ["x.png"]
    assert len(set(named("x", "x.png", "x.png.png", "x.png.png.png", suffix=None))) == 4


def test_linked_folders_are_followed_each_once(tmp_path):
    touch(tmp_path, "in/a.jpg", "in/sub/b.jpg", "elsewhere/c.jpg", "results/d.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "sub" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "results")
    assert names_of([tmp_path / "in"], tmp_path / "results") == ["a.jpg", "again/c.jpg", "sub/b.jpg"]
    assert names_of([tmp_path / "in" / "sub", tmp_path / "in"]) == [
        "b.jpg",
        "up/a.jpg",
        "up/again/c.jpg",
        "up/out/d.jpg",
    ]


def test_an_earlier_runs_results_are_left_out_and_said(tmp_path, capsys):
    touch(tmp_path, "a.jpg", "dyed/a_0.9.jpg", "dyed/deep/b_0.9.jpg", "kaggle/c.jpg")
    (tmp_path / "dyed" / "ombre.csv").write_text("image,output,status,error\n")
    (tmp_path / "kaggle" / "labels.csv").write_text("file,class\nc.jpg,1\n")
    assert names_of([tmp_path]) == ["a.jpg", "kaggle/c.jpg"]
    said = f"{tmp_path / 'dyed'}: is left out: it holds the results of an earlier run (ombre.csv)\n"
    assert capsys.readouterr().err == said
    left_out = "1 other files (.csv: 1), 1 folders with results of an earlier run"
    assert find_pictures([tmp_path]).left_out == left_out
    assert names_of([tmp_path / "dyed"]) == ["a_0.9.jpg", "deep/b_0.9.jpg"], "given by name they are pictures"


def test_a_folder_that_cannot_be_read_is_said_and_counted(tmp_path, monkeypatch, capsys):
    touch(tmp_path, "a.jpg", "closed/b.jpg", "open/c.jpg")
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    sources, unreadable, left_out = find_pictures([tmp_path])
    assert [source.name for source in sources] == ["a.jpg", "open/c.jpg"] and unreadable == 1
    assert left_out == "1 folders that cannot be read"
    assert capsys.readouterr().err == f"{tmp_path / 'closed'}: is left out: Permission denied\n"
    with pytest.raises(BatchError, match="closed: cannot be read: Permission denied"):
        find_pictures([tmp_path / "closed"])


def test_a_pipe_is_no_picture(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BatchError, match="pipe: is neither a file nor a folder"):
        find_pictures([tmp_path / "pipe"])
