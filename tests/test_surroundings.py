"""The dyeing script where its surroundings fail it: a line for the user each, and the right exit code."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ombre.generate_ombre_images import main
from segmentation import run_segmentation
from tests.tools.scripts import run_script

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
STUDENT = ROOT / "segmentation" / "run_seg_model_ohlora_v4.py"
PASS_OVER = "-dac_override,-dac_read_search"


@pytest.fixture
def place():
    """A folder with a small picture in `in/`."""
    folder = Path(tempfile.mkdtemp())
    (folder / "in").mkdir()
    Image.new("RGB", (60, 40), (180, 170, 150)).save(folder / "in" / "wall.jpg")
    yield folder
    for path in [folder, *folder.iterdir(), folder / "in" / "closed"]:
        if path.is_dir():
            path.chmod(0o777)
    shutil.rmtree(folder)


def run(*arguments, script=SCRIPT, ordinary=False, **more):
    """Where permissions are tested without root's right to pass them over."""
    command = [sys.executable, str(script), *map(str, arguments)]
    if ordinary and os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read and write everything, and there is no setpriv to change that")
        command = ["setpriv", f"--inh-caps={PASS_OVER}", f"--bounding-set={PASS_OVER}", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, **more)


def assert_one_line(result, *words):
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert all(word in line for word in words), line


@pytest.mark.parametrize("script", [SCRIPT, STUDENT], ids=["dye", "predict"])
def test_an_output_that_cannot_be_written(place, script):
    (place / "file").touch()
    (place / "locked").mkdir(0o555)
    (place / "kept").mkdir()
    table = place / "kept" / ("masks.csv" if script == STUDENT else "ombre.csv")
    table.write_text("image,output,mask,status,error\n")
    table.chmod(0o444)
    arguments = ("predict",) if script == STUDENT else ()
    for output, reason in (("file", "File exists"), ("locked", "Permission denied"), ("kept", "Permission denied")):
        result = run(*arguments, place / "in", "--output", place / output, script=script, ordinary=True)
        assert_one_line(result, output, reason, "choose another --output")


def test_an_input_that_cannot_be_read(place):
    (place / "in" / "closed").mkdir()
    shutil.copy(place / "in" / "wall.jpg", place / "in" / "closed" / "b.jpg")
    (place / "in" / "closed").chmod(0)
    result = run(place / "in", "--output", place / "out", ordinary=True)
    assert result.returncode == 1 and f"{place}/in/closed: is left out: Permission denied" in result.stderr
    assert len(pd.read_csv(place / "out" / "ombre.csv")) == 1
    result = run(place / "in" / "closed", "--output", place / "out2", ordinary=True)
    assert_one_line(result, "in/closed: cannot be read: Permission denied")


@pytest.mark.parametrize("weights", ["closed.safetensors", "broken.safetensors", "broken.pth", "none.pth"])
def test_weights_that_cannot_be_read(place, weights):
    if weights != "none.pth":
        (place / weights).write_bytes(b"these are no weights")
    if weights.startswith("closed"):
        (place / weights).chmod(0)
    arguments = place / "in", "--output", place / "out", "--weights", place / weights
    result = run(*arguments, ordinary=True) if weights.startswith("closed") else run_script(main, *arguments)
    said = result.stderr.splitlines()
    assert result.returncode == 2 and weights in said[-1] and "weights_only" not in result.stderr
    assert len([line for line in said if not line.startswith("preparing")]) == 1


@pytest.mark.parametrize("arguments", [[""], ["in", "--output", ""], ["in", "--weights", ""]])
@pytest.mark.parametrize("main", [main, run_segmentation.main], ids=["dye", "label"])
def test_an_empty_argument_is_refused(place, main, arguments):
    result = run_script(main, *arguments, cwd=place)
    assert result.returncode == 2 and "named by an empty text" in result.stderr.splitlines()[-1]
    assert os.listdir(place) == ["in"]


def test_torchrun_is_told_what_shares_out_pictures_now(place, monkeypatch):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    result = run_script(main, place / "in", "--output", place / "out")
    assert_one_line(result, "torchrun", "--cluster")


def test_closed_streams_and_readers_that_have_gone(place):
    def with_shell(command):
        line = f"{sys.executable} {SCRIPT} {place}/in --output {place}/out --overwrite {command}"
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=900)

    (place / "in" / "bad.jpg").write_text("no picture")
    for redirection in (">&-", "2>&-", ">&- 2>&-"):
        result = with_shell(redirection)
        assert result.returncode == 1 and "Traceback" not in result.stderr + result.stdout
        assert len(pd.read_csv(place / "out" / "ombre.csv")) == 2
    result = with_shell("2> >(exit) | true; exit ${PIPESTATUS[0]}")
    assert result.returncode == 1 and result.stderr == ""


def test_a_pipe_and_a_name_near_the_longest_are_rows(place):
    os.mkfifo(place / "in" / "pipe.jpg")
    shutil.copy(place / "in" / "wall.jpg", place / "in" / ("n" * 251 + ".jpg"))
    result = run_script(main, place / "in", "--output", place / "out")
    (line,) = result.stderr.splitlines()
    assert result.returncode == 1 and "is no file but a folder, a pipe" in line
    rows = pd.read_csv(place / "out" / "ombre.csv")
    assert sorted(rows.status) == ["failed", "no hair", "no hair"]
    assert len({name for name in rows.output[rows.status == "no hair"] if (place / "out" / name).is_file()}) == 2
    again = run_script(main, place / "in", "--output", place / "out")
    assert again.returncode == 1 and "2 were done before, 1 failed" in again.stdout and "ms each" not in again.stdout


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(place):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("a small disk is mounted by root alone")
    for number in range(12):
        Image.effect_noise((200, 200), 90).save(place / "in" / f"{number:02}.bmp")
    command = f"""mkdir {place}/disk && mount -t tmpfs -o size=300k none {place}/disk || exit 77
        dye() {{ {sys.executable} {SCRIPT} {place}/in --output {place}/disk/out; }}
        dye; echo first $?; grep -c failed {place}/disk/out/ombre.csv
        mount -o remount,size=20m {place}/disk; dye; echo second $?
        cp {place}/disk/out/ombre.csv {place}/table; ls -A {place}/disk/out | grep -v csv | wc -l"""
    result = subprocess.run(["unshare", "-m", "bash", "-c", command], capture_output=True, text=True, timeout=900)
    if result.returncode == 77:
        pytest.skip("mounting is forbidden here")
    said = result.stdout.splitlines()
    assert said[:2] == ["first 2", "0"] and said[-2:] == ["second 0", "13"], said
    assert "No space left on device; make room, and the same command goes on" in result.stderr.splitlines()[0]
    assert " 0 were done before" not in said[2] and len(pd.read_csv(place / "table")) == 13
    assert result.stderr.count("\n") == 1


def test_a_file_system_that_is_only_read(place):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("a disk is mounted by root alone")
    command = f"""mkdir {place}/disk && mount -t tmpfs -o ro none {place}/disk || exit 77
        exec {sys.executable} {SCRIPT} {place}/in --output {place}/disk/out"""
    result = subprocess.run(["unshare", "-m", "bash", "-c", command], capture_output=True, text=True, timeout=900)
    if result.returncode == 77:
        pytest.skip("mounting is forbidden here")
    assert_one_line(result, "disk/out", "Read-only file system")


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Path:
    """A folder of pictures that take a while."""
    folder = tmp_path_factory.mktemp("noise")
    picture = Image.effect_noise((900, 900), 90).convert("RGB")
    for number in range(40):
        picture.rotate(9 * number).save(folder / f"{number:02}.bmp")
    return folder


@pytest.mark.parametrize("after", [0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8, 1.1])
def test_ctrl_c_at_any_moment_is_a_line(noise, place, after):
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(noise), "--output", str(place / "out")],
        stderr=subprocess.PIPE,
        text=True,
        # shells start what runs in the background without Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=900)
    listens = SCRIPT.read_text().splitlines().index("    leave_on_ctrl_c()") + 1
    reached = re.search(rf'{SCRIPT}", line (\d+), in <module>', said)
    if "Traceback" in said and (not reached or int(reached[1]) < listens):
        pytest.skip("the first lines of the script had not run yet")
    assert process.returncode in (130, -signal.SIGINT)
    lines = [line for line in said.splitlines() if "Ctrl-C again" not in line]  # where the machine is slow
    assert lines in (["stopped; the same command goes on from here"], [])
    assert not list(place.glob("out/.*"))


def test_on_a_terminal_there_is_a_bar(place):
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(place / "in"), "--output", str(place / "out")], stderr=follower
    )
    os.close(follower)
    said = b""
    with suppress(OSError):  # the terminal's other end is closed when the script has ended
        while part := os.read(leader, 10000):
            said += part
    os.close(leader)
    assert process.wait(timeout=900) == 0 and b"1/1" in said
