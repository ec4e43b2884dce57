"""The work on a batch: what is left of it, failures, kills, interruptions, full disks."""

import csv
import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from common import device, progress
from common.batch.local import complaint, left_to_do, work_through
from common.batch.stage import Tally
from common.batch.storage import stamp
from common.batch.table import BatchError, Table
from common.image.picture import PictureError

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ["image", "share", "status", "error"]
RESULTS = ["output", "image", "source", "weights", "result_bytes", "status", "error"]


def read_csv(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def row(name, status="ok", **more):
    return {"image": name, "status": status} | more


def run(table, items, work):
    return work_through(items, work, table, workers=2, plan=lambda name: {"image": name})


# ---- what is left ----


@pytest.fixture
def batch(tmp_path):
    """Copies pictures into a folder, as a stage does; gives the names of what it did."""
    (tmp_path / "in").mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "in" / name)

    def batch(folder="in", weights="w1", overwrite=False):
        done = []
        with Table(tmp_path / "out" / "t.csv", RESULTS, "output") as table:

            def plan(path):
                known = dict(source=stamp(path), weights=weights)
                return dict(output=path.name, image=table.relative(path), **known)

            def work(path):
                done.append(path.name)
                target = tmp_path / "out" / path.name
                target.write_bytes(path.read_bytes())
                return plan(path) | dict(result_bytes=target.stat().st_size, status="ok")

            todo, _, skipped = left_to_do(sorted((tmp_path / folder).iterdir()), plan, table, "output", overwrite)
            tally = work_through(todo, work, table, workers=1, plan=plan)
        assert tally.failed == 0 and skipped + tally.done == len(list((tmp_path / folder).iterdir()))
        return sorted(done)

    return batch


def test_what_is_done_stays_done(batch):
    assert batch() == ["a.png", "b.png"]
    assert batch() == []
    assert batch(overwrite=True) == ["a.png", "b.png"]


def test_new_content_under_an_old_name_is_done_again(batch, tmp_path, capsys):
    batch()
    path = tmp_path / "in" / "a.png"
    size, moment = path.stat().st_size, path.stat().st_mtime_ns
    Image.new("RGB", (8, 8), "lime").save(path)
    assert path.stat().st_size == size or True
    os.utime(path, ns=(moment + 1_000_000, moment + 1_000_000))
    assert batch() == ["a.png"] and "1 of these were done before, and are done again" in capsys.readouterr().err
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(moment + 1_000_000, moment + 1_000_000))
    assert batch() == ["a.png"], "another size at the same time"
    assert batch() == []


def test_other_weights_and_settings_are_done_again(batch):
    batch()
    assert batch(weights="w2") == ["a.png", "b.png"] and batch(weights="w2") == []


def test_a_missing_an_empty_and_a_broken_result_are_done_again(batch, tmp_path):
    batch()
    result = tmp_path / "out" / "a.png"
    for breaking in (result.unlink, lambda: result.write_bytes(b""), lambda: result.write_bytes(b"half a pic")):
        breaking()
        assert batch() == ["a.png"]
    whole = result.read_bytes()
    result.write_bytes(whole[: len(whole) // 2])
    assert batch() == ["a.png"] and result.read_bytes() == whole


def test_a_result_that_somebody_has_mended_stays(batch, tmp_path):
    batch()
    Image.new("RGB", (30, 30), "pink").save(tmp_path / "out" / "a.png")
    assert batch() == []


def test_a_table_that_a_spreadsheet_saved_still_counts(batch, tmp_path):
    batch()
    table = tmp_path / "out" / "t.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert batch() == []


@pytest.mark.parametrize("moved", [False, True])
def test_a_result_does_not_replace_that_of_another_picture(batch, tmp_path, moved):
    batch()
    (tmp_path / "two").mkdir()
    Image.new("RGB", (8, 8), "green").save(tmp_path / "two" / "a.png")
    if moved:
        (tmp_path / "in" / "a.png").rename(tmp_path / "elsewhere.png")
    before = (tmp_path / "out" / "a.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(BatchError, match="a.png of ../in/a.png already, which that of ../two/a.png would"):
            batch("two", overwrite=overwrite)
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    (tmp_path / "out" / "a.png").unlink()
    assert batch("two") == ["a.png"], "where there is nothing to lose"


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
    assert Tally(done=1).exit_code == 0 and Tally(done=1, unreadable=1).exit_code == 1
    assert Tally(skipped=2).rest("x.csv") == "2 were done before, 0 failed; x.csv has a row for each"
    assert Tally(left_out="3 other files").rest("x.csv").endswith("for each; left out: 3 other files")


def test_what_is_damaged_is_done_and_told(tmp_path, capsys):
    with Table(tmp_path / "t.csv", [*COLUMNS, "note"], "image") as table:
        tally = run(table, ["a.jpg", "b.jpg"], lambda name: row(name, note="damaged: grey" if name == "a.jpg" else ""))
    assert tally == Tally(done=2, damaged=1) and tally.exit_code == 1
    assert capsys.readouterr().err.splitlines() == ["a.jpg: damaged: grey"]


def test_items_of_several_rows(tmp_path, capsys):
    def work(names):
        if "c" in names:
            raise PictureError("c: broken")
        return [row(names[0]), row(names[1], "failed", error="b: too dark")]

    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        tally = work_through(
            ["ab", "cd"], work, table, workers=1, plan=lambda names: [{"image": name} for name in names]
        )
    assert tally == Tally(done=1, failed=3)
    assert [r["status"] for r in read_csv(table.path)] == ["ok", "failed", "failed", "failed"]
    assert capsys.readouterr().err.splitlines() == ["b: too dark", "c: broken"]


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


def test_a_full_disk_ends_the_run_at_once(tmp_path):
    begun = []

    def work(name):
        begun.append(name)
        try:
            raise OSError(28, "No space left on device", "out/x.jpg")
        except OSError as error:
            raise PictureError("x.jpg: cannot be written") from error

    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        with pytest.raises(BatchError, match="out/x.jpg: No space left on device; make room, and the same command"):
            run(table, [f"{n}.jpg" for n in range(100)], work)
    assert len(begun) <= 4 and not table.path.exists(), "no picture is noted as failed that has no fault"


def test_what_the_system_says_is_a_line_without_its_numbers():
    error = OSError(errno.EFBIG, os.strerror(errno.EFBIG), "/out/.a.1-2.part.mp4")
    assert complaint(error, "a.mp4") == "a.mp4: cannot be read or written: File too large"


def test_off_a_terminal_a_line_now_and_then(tmp_path, monkeypatch, capsys):
    clock = itertools.count(step=10)  # seconds, each time that one looks: three pictures in half a minute
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Table(tmp_path / "t.csv", COLUMNS, "image") as table:
        run(table, [f"{n:02}" for n in range(20)], row)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"{done} of 20 done" for done in range(3, 20, 3)]
    assert all(", 0.1 a second, about " in line and "minutes left" in line for line in lines)


SCRIPT = f"""
import os, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without it
sys.path.insert(0, {str(ROOT)!r})
from common.batch.table import Table
from common.batch.local import work_through

out = Path(sys.argv[1])
def work(name):
    time.sleep(float(sys.argv[2]))
    with open(out / "log", "a") as log:
        log.write(f"{{name}}\\n")
    return {{"image": name, "share": 0.5, "status": "ok"}}

with Table(out / "t.csv", ["image", "share", "status", "error"], "image") as table:
    names = [name for n in range(40) if not table.get(name := f"{{n:03}}.jpg")]
    print(work_through(names, work, table, workers=2, plan=lambda name: {{"image": name}}))
"""


def start(out, pause):
    command = [sys.executable, "-c", SCRIPT, str(out), str(pause)]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_lines(path, count):
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if path.exists() and len(path.read_text().splitlines()) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{path} never came to {count} lines")


def assert_complete(out):
    assert [r["image"] for r in read_csv(out / "t.csv")] == [f"{n:03}.jpg" for n in range(40)]
    assert all(r["status"] == "ok" and r["share"] == "0.5" for r in read_csv(out / "t.csv"))
    assert sorted(os.listdir(out)) == ["log", "t.csv"]


def test_killed_and_started_again(tmp_path):
    process = start(tmp_path, 0.02)
    wait_for_lines(tmp_path / "log", 12)
    process.kill()
    process.communicate(timeout=900)
    again = start(tmp_path, 0)
    output, errors = again.communicate(timeout=900)
    assert again.returncode == 0 and errors == "" and "done=40" not in output
    assert_complete(tmp_path)
    assert len((tmp_path / "log").read_text().splitlines()) - 40 <= 4, "only what was at work is done twice"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_a_right_table(tmp_path, sign):
    process = start(tmp_path, 0.5)
    wait_for_lines(tmp_path / "log", 5)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=900)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    log = sorted(line for line in (tmp_path / "log").read_text().splitlines())
    assert 5 <= len(log) < 40
    assert [r["image"] for r in read_csv(tmp_path / "t.csv")] == log, "what was at work was finished and noted"
    assert sorted(os.listdir(tmp_path)) == ["log", "t.csv"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_a_row_is_noted_waits(tmp_path, sign):
    interrupted = f"""
add = Table.add
def add_interrupted(table, row):
    Table.add = add
    signal.raise_signal({int(sign)})
    add(table, row)
Table.add = add_interrupted

with Table("""
    command = [sys.executable, "-c", SCRIPT.replace("with Table(", interrupted.lstrip(), 1), str(tmp_path), "0.01"]
    result = subprocess.run(command, text=True, capture_output=True, timeout=900)
    assert result.returncode != 0 and "KeyboardInterrupt" in result.stderr
    log = sorted((tmp_path / "log").read_text().splitlines())
    assert 0 < len(log) < 40 and [r["image"] for r in read_csv(tmp_path / "t.csv")] == log


def test_starting_is_quick():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import common.batch.local, common.weights, common.device; "
        "print(*(m for m in ('torch', 'pandas', 'tqdm', 'safetensors', 'ray') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""


def test_cores_of_a_container(tmp_path, monkeypatch):
    """Two of 64: by quota in cgroups of either version, and by affinity."""
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert device._quotas(tmp_path) == [1.5]
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("200000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert device._quotas(tmp_path) == [2.0]
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert device._quotas(tmp_path) == [] and device._quotas(tmp_path / "none") == []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(device, "_quotas", lambda: [1.5])
    assert device.own_cores() == 2
    monkeypatch.setattr(device, "_quotas", lambda: [])
    assert device.own_cores() == 64


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc alone")
def test_arrays_of_large_pictures_go_back_at_once():
    script = """
import re, numpy as np
from common.workarounds import keep_freed_memory

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])

keep_freed_memory(but_large=True)
arrays = [np.ones(48 << 20, np.uint8) for _ in range(4)]
before = resident()
del arrays[:3]  # what comes behind them is still in use
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 3 * 47 << 10
