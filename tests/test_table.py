"""The table of a batch: rows that are safe at once, known again, and harmless in a spreadsheet."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from common.batch import table as table_module
from common.batch.table import BatchError, Table, is_table, read_rows, same, write_csv

COLUMNS = ["image", "share", "status", "error"]


def read_csv(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def row(name, status="ok", **more):
    return {"image": name, "status": status} | more


def test_a_row_is_there_at_once_and_in_the_end_they_are_sorted(tmp_path):
    path = tmp_path / "out" / "t.csv"
    with Table(path, COLUMNS, "image") as table:
        table.add(row("b.jpg", share=np.float64(0.25)))
        assert [r["image"] for r in read_csv(path)] == ["b.jpg"]
        table.add(row('a, "quoted".jpg', share=1))
        table.add(row("ünï\udcff.jpg", "failed", error="b.jpg: no\tgood"))
        table.add(row("two\nlines.jpg"))
    rows = read_csv(path)
    assert [r["image"] for r in rows] == ['a, "quoted".jpg', "b.jpg", "two\\x0alines.jpg", "ünï\\xff.jpg"]
    assert [r["share"] for r in rows] == ["1", "0.25", "", ""] and rows[3]["error"] == "b.jpg: no\\x09good"
    assert os.listdir(path.parent) == ["t.csv"]
    with Table(path, COLUMNS, "image") as table:
        assert table.get("two\nlines.jpg")["status"] == "ok" and table.get("ünï\udcff.jpg")["status"] == "failed"
        with pytest.raises(ValueError, match="no columns"):
            table.add(row("c.jpg", typo=1))


def test_the_last_row_for_a_key_counts_and_others_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,status,note\nold.jpg,ok,by hand\na.jpg,failed,\n")
    with Table(path, COLUMNS, "image") as table:
        assert table.get("old.jpg")["note"] == "by hand" and table.get("new.jpg") is None
        table.add(row("a.jpg", "failed"))
        table.add(row("a.jpg", share=0.5))
        assert table.get("a.jpg") == {"image": "a.jpg", "share": "0.5", "status": "ok", "error": "", "note": ""}
        assert len(read_csv(path)) == 4 and len(read_rows(path, "image")) == 2
    rows = {r["image"]: r for r in read_csv(path)}
    assert rows["a.jpg"]["status"] == "ok" and rows["old.jpg"]["note"] == "by hand" and len(rows) == 2


def test_an_untouched_table_is_not_written_again(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,share,status,error\nold.jpg,,ok,\n")
    before = path.stat()
    with Table(path, COLUMNS, "image"):
        pass
    assert path.stat().st_ino == before.st_ino and os.listdir(tmp_path) == ["t.csv"]
    with Table(tmp_path / "new.csv", COLUMNS, "image"):
        pass
    assert os.listdir(tmp_path) == ["t.csv"], "none where nothing was noted"


@pytest.mark.parametrize("content", ["name,value\na,1\n", "image,share\na.jpg,1\n", "\0\1\2\n", "my notes"])
def test_another_kind_of_file_is_not_touched(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(BatchError, match="not a table of this command"):
        Table(path, COLUMNS, "image")
    assert path.read_text() == content and os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.parametrize("end", ["b.jpg,0.5,o", "b.jpg,0.5,ok,", '"b\n', '"b.jpg', "b", "\n", "b.jpg,1\n"])
def test_a_torn_last_line_does_no_harm(tmp_path, end):
    path = tmp_path / "t.csv"
    path.write_text("image,share,status,error\na.jpg,0.25,ok,\n" + end)
    with Table(path, COLUMNS, "image") as table:
        assert table.get("a.jpg")["share"] == "0.25" and len(list(table.rows())) == 1
        table.add(row("c.jpg"))
        assert [r["image"] for r in read_csv(path)] == ["a.jpg", "c.jpg"]
    assert [r["image"] for r in read_csv(path)] == ["a.jpg", "c.jpg"]


def test_a_table_torn_in_its_first_line_is_begun_anew(tmp_path):
    (tmp_path / "t.csv").write_text("image,sha")
    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        table.add(row("a.jpg"))
    assert [r["image"] for r in read_csv(tmp_path / "t.csv")] == ["a.jpg"]


def test_a_full_disk_leaves_no_part_of_a_row(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write = os.write
    with Table(path, COLUMNS, "image") as table:
        table.add(row("a.jpg"))
        room = [9]

        def little(file, data):
            if not room[0]:
                raise OSError(28, "No space left on device")
            taken, room[0] = write(file, data[: room[0]]), 0
            return taken

        monkeypatch.setattr(os, "write", little)
        with pytest.raises(OSError, match="No space"):
            table.add(row("b.jpg"))
        monkeypatch.undo()
        table.add(row("c.jpg"))
        assert [r["image"] for r in read_csv(path)] == ["a.jpg", "c.jpg"]


def test_results_of_a_cluster_are_not_mixed_with_others(tmp_path):
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(BatchError, match="by a cluster"):
        Table(tmp_path / "t.csv", COLUMNS, "image")


def test_what_a_spreadsheet_saved_still_counts(tmp_path):
    path = tmp_path / "t.csv"
    with Table(path, COLUMNS, "image") as table:
        table.add(row("ä, b.jpg", share=1.0))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"1.0", b"1").replace(b"\n", b"\r\n"))
    with Table(path, COLUMNS, "image") as table:
        assert same(table.get("ä, b.jpg")["share"], 1.0)
        table.add(row("c.jpg"))
        assert len(list(table.rows())) == 2
    assert [r["image"] for r in read_csv(path)] == ["c.jpg", "ä, b.jpg"]
    assert same(False, "FALSE") and same("True", "TRUE") and not same(False, "TRUE") and not same("a", "A")
    assert same("0.333333333333333", 1 / 3) and not same("0.3", 0.31) and not same("", 0) and same("", "")


@pytest.mark.parametrize("name", ["=1+1.jpg", "+a.jpg", "-a.jpg", "@a.jpg", "'=quoted.jpg"])
def test_no_cell_is_a_formula_and_names_come_back(tmp_path, name):
    path = tmp_path / "t.csv"
    with Table(path, COLUMNS, "image") as table:
        table.add(row(name, share=-0.5, error="=cmd()"))
        assert table.get(name)["error"] == "=cmd()"
    written = read_csv(path)[0]
    assert written["image"] == "'" + name and written["error"] == "'=cmd()" and written["share"] == "-0.5"
    with Table(path, COLUMNS, "image") as table:
        assert table.get(name) == {"image": name, "share": "-0.5", "status": "ok", "error": "=cmd()"}
        table.add(row("b.jpg"))
    assert {r["image"] for r in read_rows(path, "image")} == {name, "b.jpg"}
    assert len([r for r in read_csv(path) if r["image"] == "'" + name]) == 1


HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from common.batch.table import Table
with Table({path!r}, ["image", "status"], "image") as table:
    print("mine", flush=True)
    sys.stdin.readline()
    table.add({{"image": "first", "status": "ok"}})
    {kill}
"""


@pytest.mark.parametrize("kill", ["pass", "import os; os.kill(os.getpid(), 9)"])
def test_a_second_run_says_what_it_waits_for_and_finds_the_firsts_rows(tmp_path, monkeypatch, kill):
    path = tmp_path / "t.csv"
    code = HOLD.format(root=str(Path(__file__).resolve().parents[1]), path=str(path), kill=kill)
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "mine\n"
    said = []

    def let_it_end(text):
        said.append(text)
        first.communicate("\n")

    monkeypatch.setattr("common.batch.table.say", let_it_end)
    with Table(path, COLUMNS, "image") as table:
        assert table.get("first")["status"] == "ok"
    assert len(said) == 1 and said[0].startswith(f"{path}: another run is at work in this folder; waiting")
    assert os.listdir(tmp_path) == ["t.csv"]


def test_what_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "t.csv").mkdir()
    for folder, reason in (("file", "File exists"), ("file/deep", "Not a directory"), ("taken", "is no file")):
        with pytest.raises(BatchError, match=f"t.csv: .*{reason}"):
            Table(tmp_path / folder / "t.csv", COLUMNS, "image")
    assert os.listdir(tmp_path / "taken") == ["t.csv"], "the lock is gone"


def test_files_are_named_from_the_tables_folder(tmp_path):
    for name in ("in/a.jpg", "real/out/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "out").symlink_to(tmp_path / "real" / "out")
    with Table(tmp_path / "out" / "t.csv", COLUMNS, "image") as table:
        name = table.relative(tmp_path / "in" / "a.jpg")
        assert table.relative(tmp_path / "out" / "b.jpg") == "b.jpg"
    assert name == "../../in/a.jpg" and (tmp_path / "out" / name).samefile(tmp_path / "in" / "a.jpg")


def test_a_table_is_known_by_its_first_line(tmp_path):
    path = tmp_path / "t.csv"
    with Table(path, COLUMNS, "image") as table:
        table.add(row("a.jpg"))
    assert is_table(path) and not is_table(tmp_path / "none.csv")
    path.write_text("image,label\n")
    assert not is_table(path)


@pytest.mark.parametrize(
    "name", ["cr\rname.jpg", "lf\nname.jpg", "latin\udce9.jpg", "a\\x0d.jpg", "é\\u.jpg", "\ud800.jpg"]
)
def test_a_name_of_any_bytes_is_one_row_for_any_reader(tmp_path, name):
    path = tmp_path / "t.csv"
    with Table(path, ["image", "status", "error"], key="image") as table:
        table.add(dict(image="a.jpg", status="ok"))
        table.add(dict(image=name, status="failed", error=f"{name}: broken"))
    rows = pandas.read_csv(path, keep_default_na=False)
    assert len(rows) == 2 and len(path.read_bytes().splitlines()) == 3 and path.read_bytes().decode()
    with Table(path, ["image", "status", "error"], key="image") as table:
        assert table.get(name) == dict(image=name, status="failed", error=f"{name}: broken")
    write_csv(path, ["image"], [[name]])
    assert table_module.read_csv(path) == [dict(image=name)]
