"""A folder worked through: names, resuming, ranks, kills and interruptions."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from common.batch import (
    BatchError,
    Source,
    Table,
    Tally,
    find_pictures,
    output_names,
    rank_and_size,
    shard,
    work_through,
)
from common.pictures import PictureError

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ["image", "share", "status", "error"]


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(sources):
    return [source.name for source in sources]


def read_csv(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def row(name, status="ok", **more):
    return {"image": name, "status": status} | more


def run(table, items, work, **more):
    return work_through(items, work, table, workers=2, describe=lambda name: {"image": name}, **more)


# ---- what there is to do ----


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
    sources = find_pictures([tmp_path])
    assert names_of(sources) == ["a.png", "b.JPG", "sub/d.tiff", "sub/deep/c.webp"]
    assert sources[3].path == tmp_path / "sub" / "deep" / "c.webp"


def test_a_file_given_by_name_counts_whatever_it_is_called(tmp_path):
    touch(tmp_path, "scan", ".dot.jpg")
    assert names_of(find_pictures([tmp_path / "scan", str(tmp_path / ".dot.jpg")])) == ["scan", ".dot.jpg"]


def test_each_file_once(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "in/b.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    given = ["in/b.jpg", "in", tmp_path / "in" / "a.jpg", "alias", "in/../in/b.jpg"]
    assert names_of(find_pictures(given)) == ["b.jpg", "a.jpg"]


def test_a_link_to_a_picture_is_a_picture_of_its_own(tmp_path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    assert names_of(find_pictures([tmp_path])) == ["a.jpg", "b.jpg"]


def test_equal_names_take_as_much_of_the_path_as_tells_them_apart(tmp_path):
    touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/b.jpg", "x/same/c.jpg", "y/same/c.jpg")
    given = [tmp_path / name for name in ("one", "two", "x/same", "y/same")]
    names = names_of(find_pictures(given))
    assert names == ["one/a.jpg", "two/a.jpg", "b.jpg", "x/same/c.jpg", "y/same/c.jpg"]
    # a longer name may meet one that was there before
    touch(tmp_path, "z/one/a.jpg")
    names = names_of(find_pictures([tmp_path / "one", tmp_path / "two", tmp_path / "z"]))
    assert len(set(names)) == 4 and names[0].endswith("/one/a.jpg") and names[3] == "z/one/a.jpg"


def test_nothing_to_do(tmp_path):
    with pytest.raises(BatchError, match="missing: there is no such file or folder"):
        find_pictures([touch(tmp_path, "a.jpg"), tmp_path / "missing"])
    touch(tmp_path, "empty/notes.txt")
    with pytest.raises(BatchError, match="empty: there are no pictures in this folder"):
        find_pictures([tmp_path / "empty"])


def test_results_are_not_taken_for_pictures(tmp_path):
    touch(tmp_path, "a.jpg", "results/a.jpg", "other/results/b.jpg")
    assert names_of(find_pictures([tmp_path], output=tmp_path / "results")) == ["a.jpg", "other/results/b.jpg"]
    with pytest.raises(BatchError, match="another --output"):
        find_pictures([tmp_path], output=tmp_path)


def test_output_names():
    def named(*names):
        return list(output_names([Source(Path("/in") / name, name) for name in names], ".png").values())

    assert named("a/x.jpg", "x.jpg", "y.tar.webp", "z") == ["a/x.png", "x.png", "y.tar.png", "z.png"]
    assert named("x.jpg", "x.webp", "y.jpg") == ["x.jpg.png", "x.webp.png", "y.png"]
    assert len(set(named("x.jpg", "x.webp", "x.jpg.png", "x.jpg.png.bmp"))) == 4


def test_ranks_share_the_work(monkeypatch):
    items = list(range(10))
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert rank_and_size() == (0, 1) and shard(items) == items
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in "012":
        monkeypatch.setenv("RANK", rank)
        parts += shard(items)
    assert sorted(parts) == items


# ---- the table ----


def test_a_table_is_sorted_whole_and_alone(tmp_path):
    path = tmp_path / "out" / "t.csv"
    with Table(path, COLUMNS, "image") as table:
        table.add(row("b.jpg", share=np.float64(0.25)))
        table.add(row('a, "quoted".jpg', share=1))
        table.add(row("ünï\udcff.jpg", "failed", error="b.jpg: no\tgood"))
        assert not path.exists() and [r["image"] for r in table.rows()][1] == "b.jpg"
    rows = read_csv(path)
    assert [r["image"] for r in rows] == ['a, "quoted".jpg', "b.jpg", "ünï\udcff.jpg"]
    assert [r["share"] for r in rows] == ["1", "0.25", ""] and rows[2]["error"] == "b.jpg: no\tgood"
    assert os.listdir(path.parent) == ["t.csv"]
    with pytest.raises(ValueError, match="no columns"), Table(path, COLUMNS, "image") as table:
        table.add(row("c.jpg", typo=1))


def test_the_last_row_for_a_key_counts_and_others_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,status,note\nold.jpg,ok,by hand\na.jpg,failed,\n")
    with Table(path, COLUMNS, "image") as table:
        assert table.finished("old.jpg") and not table.finished("a.jpg") and not table.finished("new.jpg")
        table.add(row("a.jpg", "failed"))
        assert not table.finished("a.jpg")
        table.add(row("a.jpg", share=0.5))
        assert table.finished("a.jpg") and table.finished("a.jpg", share=0.5) and not table.finished("a.jpg", share=0.6)
    rows = {r["image"]: r for r in read_csv(path)}
    assert rows["a.jpg"]["status"] == "ok" and rows["old.jpg"]["note"] == "by hand" and len(rows) == 2
    with Table(path, COLUMNS, "image") as table:
        assert table.finished("a.jpg", share=0.5), "numbers are known again after they were text"


def test_an_untouched_table_is_not_written_again(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,status\nold.jpg,ok\n")
    before = path.stat()
    with Table(path, COLUMNS, "image"):
        pass
    assert path.stat().st_ino == before.st_ino and os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.parametrize("content", ["name,value\na,1\n", "", "image,share\na.jpg,1\n", "\0\1\2"])
def test_another_kind_of_file_is_not_touched(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(BatchError, match="not a table of this command"):
        Table(path, COLUMNS, "image")
    assert path.read_text() == content and os.listdir(tmp_path) == ["t.csv"]


def test_what_a_killed_run_left_is_merged(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,status\na.jpg,failed\n")
    (tmp_path / ".t.csv.rank0.part").write_text('{"image": "a.jpg", "status": "ok"}\n{"image": "b.jpg", "sta')
    (tmp_path / ".t.csv.rank5.part").write_text('{"image": "c.jpg", "status": "ok"}\n')
    with Table(path, COLUMNS, "image") as table:
        assert [r["image"] for r in read_csv(path)] == ["a.jpg", "c.jpg"]
        assert table.finished("a.jpg") and not table.finished("b.jpg") and table.finished("c.jpg")
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_second_run_of_the_same_rank_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("common.table.HANDOVER", 0.2)
    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        with pytest.raises(BatchError, match="another run is writing this table"):
            Table(tmp_path / "t.csv", COLUMNS, "image")
        monkeypatch.setenv("RANK", "1")
        with Table(tmp_path / "t.csv", COLUMNS, "image") as other:
            table.add(row("a.jpg"))
            other.add(row("b.jpg"))
            assert len(other.rows()) == 2
        assert [r["image"] for r in read_csv(table.path)] == ["b.jpg"], "the first still writes its own"
    assert [r["image"] for r in read_csv(table.path)] == ["a.jpg", "b.jpg"]
    assert os.listdir(tmp_path) == ["t.csv"]


def test_files_are_named_from_the_tables_folder(tmp_path):
    touch(tmp_path, "in/a.jpg", "real/out/x")
    (tmp_path / "out").symlink_to(tmp_path / "real" / "out")
    with Table(tmp_path / "out" / "t.csv", COLUMNS, "image") as table:
        name = table.relative(tmp_path / "in" / "a.jpg")
    assert name == "../../in/a.jpg" and (tmp_path / "out" / name).samefile(tmp_path / "in" / "a.jpg")


# ---- the work ----


def test_a_batch(tmp_path, capsys):
    def work(name):
        if name == "bad.jpg":
            raise PictureError("bad.jpg: broken")
        if name == "bug.jpg":
            raise KeyError("of\nours")
        return row(name, "no hair" if name == "bald.jpg" else "ok")

    items = ["a.jpg", "bad.jpg", "bald.jpg", "bug.jpg"]
    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        tally = run(table, items, work)
    assert tally == Tally(done=2, failed=2) and tally.exit_code == 1
    rows = {r["image"]: r for r in read_csv(table.path)}
    assert {name: r["status"] for name, r in rows.items()} == dict(zip(items, ["ok", "failed", "no hair", "failed"]))
    assert rows["bad.jpg"]["error"] == "bad.jpg: broken" and "bug.jpg: KeyError" in rows["bug.jpg"]["error"]
    said = sorted(capsys.readouterr().err.splitlines())
    assert said == sorted([rows["bad.jpg"]["error"], rows["bug.jpg"]["error"]]), "a line each, and no bar"

    done = []
    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        tally = run(table, items, lambda name: done.append(name) or row(name), skip=table.finished)
    assert tally == Tally(done=2, skipped=2) and tally.exit_code == 0 and sorted(done) == ["bad.jpg", "bug.jpg"]
    assert all(r["status"] == "ok" and r["error"] == "" for r in read_csv(table.path) if r["image"] in done)


def test_items_of_several_rows(tmp_path, capsys):
    def rows_of(names):
        return [{"image": name} for name in names]

    def work(names):
        if "c" in names:
            raise PictureError("c: broken")
        return [row(names[0]), row(names[1], "failed", error="b: too dark")]

    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        tally = work_through(
            ["ab", "cd", "ef"], work, table, workers=1, describe=rows_of, skip=lambda names: "e" in names
        )
    assert tally == Tally(done=1, skipped=2, failed=3)
    assert [r["status"] for r in read_csv(table.path)] == ["ok", "failed", "failed", "failed"]
    assert capsys.readouterr().err.splitlines() == ["b: too dark", "c: broken"]


def test_a_result_does_not_replace_that_of_another_picture(tmp_path):
    touch(tmp_path, "one/a.jpg", "two/a.jpg")
    columns = ["output", "image", "status", "error"]

    def attempt(folder):
        with Table(tmp_path / "out" / "t.csv", columns, "output") as table:

            def describe(source):
                return {"output": source.name, "image": table.relative(source.path)}

            return work_through(
                find_pictures([tmp_path / folder]),
                lambda source: row("", **describe(source)),
                table,
                workers=1,
                describe=describe,
                skip=lambda source: table.finished(source.name),
            )

    assert attempt("one").done == 1 and attempt("one").skipped == 1
    with pytest.raises(BatchError, match="a.jpg of ../one/a.jpg already"):
        attempt("two")
    (tmp_path / "one" / "a.jpg").unlink()  # moved elsewhere, as people do
    assert attempt("two").skipped == 1


def test_few_items_are_in_flight(tmp_path):
    lock, begun, ended, most = threading.Lock(), [0], [0], [0]

    def work(name):
        with lock:
            begun[0] += 1
            most[0] = max(most[0], begun[0] - ended[0])
        time.sleep(0.002)
        with lock:
            ended[0] += 1
        return row(name)

    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        tally = run(table, [f"{n:03}" for n in range(60)], work)
    assert tally.done == 60 and most[0] == 2


SCRIPT = f"""
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without it
sys.path.insert(0, {str(ROOT)!r})
from common.batch import Table, shard, work_through

out = Path(sys.argv[1])
def work(name):
    time.sleep(float(sys.argv[2]))
    with open(out / "log", "a") as log:
        log.write(f"{{name}} {{os.environ.get('RANK')}}\\n")
    return {{"image": name, "share": 0.5, "status": "ok"}}

with Table(out / "t.csv", ["image", "share", "status", "error"], "image") as table:
    names = shard([f"{{n:03}}.jpg" for n in range(40)])
    print(work_through(names, work, table, workers=2, describe=lambda name: {{"image": name}}, skip=table.finished))
"""


def start(out, pause, rank=0, size=1):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out), str(pause)],
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(size)},
    )


def wait_for_lines(path, count):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and len(path.read_text().splitlines()) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{path} never came to {count} lines")


def assert_complete(out):
    assert [r["image"] for r in read_csv(out / "t.csv")] == [f"{n:03}.jpg" for n in range(40)]
    assert all(r["status"] == "ok" and r["share"] == "0.5" for r in read_csv(out / "t.csv"))
    assert sorted(os.listdir(out)) == ["log", "t.csv"]


def test_two_ranks_at_once_make_one_table(tmp_path):
    ranks = [start(tmp_path, 0.01, rank, 2) for rank in (0, 1)]
    for process in ranks:
        assert "done=20" in process.communicate(timeout=120)[0] and process.returncode == 0
    assert_complete(tmp_path)
    assert len((tmp_path / "log").read_text().splitlines()) == 40, "each by one rank"


@pytest.mark.parametrize("size", [1, 2])
def test_killed_and_started_again(tmp_path, size):
    ranks = [start(tmp_path, 0.02, rank, size) for rank in range(size)]
    wait_for_lines(tmp_path / "log", 12)
    ranks[-1].kill()
    ranks[-1].communicate(timeout=60)
    for process in ranks[:-1]:
        process.communicate(timeout=120)
    again = start(tmp_path, 0, size - 1, size)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0 and errors == ""
    assert_complete(tmp_path)
    log = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert len(log) - 40 <= 2, "only what was at work when it was killed is done twice"
    assert "skipped=0" not in output


def test_fewer_ranks_finish_what_more_began(tmp_path):
    ranks = [start(tmp_path, 0.02, rank, 2) for rank in (0, 1)]
    wait_for_lines(tmp_path / "log", 10)
    for process in ranks:
        process.kill()
        process.communicate(timeout=60)
    output, _ = start(tmp_path, 0).communicate(timeout=120)
    assert "failed=0" in output
    assert_complete(tmp_path)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_a_right_table(tmp_path, sign):
    process = start(tmp_path, 0.05)
    wait_for_lines(tmp_path / "log", 5)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    log = sorted(line.split()[0] for line in (tmp_path / "log").read_text().splitlines())
    assert 5 <= len(log) < 40
    assert [r["image"] for r in read_csv(tmp_path / "t.csv")] == log, "what was at work was finished and noted"
    assert sorted(os.listdir(tmp_path)) == ["log", "t.csv"]


def test_starting_is_quick():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import common.batch, common.pictures, common.weights, "
        "common.device; print(*(m for m in ('torch', 'pandas', 'tqdm', 'safetensors') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""
