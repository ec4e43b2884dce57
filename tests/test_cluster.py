"""The same work on Ray: results and rows as those of a plain run, here and in an object store, after kills too."""

import logging
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ombre.generate_ombre_images import main
from segmentation import run_segmentation
from tests.tools.clips import make_clip, scene
from tests.tools.nodes import SETTINGS, cluster, object_store
from tests.tools.processes import kill
from tests.tools.same_results import files_of, rows_of
from tests.tools.scripts import run_script

pytest.importorskip("ray", reason="--cluster needs requirements-cluster.txt")

ROOT = Path(__file__).resolve().parents[1]
DYE = ROOT / "ombre" / "generate_ombre_images.py"
LABEL = ROOT / "segmentation" / "run_segmentation.py"
SAMPLES = ROOT / "data" / "samples"
MAIN = {DYE: main, LABEL: run_segmentation.main}


def run(script, *arguments):
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path):
    """Pictures at two depths, one without hair, one broken, two of one stem."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    portrait = Image.open(SAMPLES / "ginger_wavy.jpg")  # one look each
    portrait.resize((512, 512)).save(folder / "portrait.jpg")
    portrait.resize((200, 200)).save(folder / "deep" / "a.png")
    portrait.resize((200, 150)).save(folder / "deep" / "a.jpg")
    Image.new("RGB", (60, 40), (180, 170, 150)).save(folder / "deep" / "wall.bmp")
    (folder / "broken.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def store():
    """A server that speaks as S3 does; the environment says where."""
    if not find_spec("moto"):
        yield
        return
    with object_store() as keys, pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def address(store, tmp_path_factory):
    """Of a cluster, one for all tests, as it takes a while to start; it knows the store."""
    with pytest.MonkeyPatch.context() as patch, cluster(1, tmp_path_factory.mktemp("node") / "log", 2) as (_, address):
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        yield address


@pytest.mark.parametrize("script", [DYE, LABEL], ids=["dye", "label"])
def test_a_cluster_does_what_a_plain_run_does_and_goes_on(folder, tmp_path, address, script):
    more = ["--teacher", "student"] if script == LABEL else ["--color", "0.5", "copper"]
    table = "labels" if script == LABEL else "ombre"
    make_clip(folder / "clip.mp4", sound=True)
    frames = [Image.fromarray(scene(number)) for number in range(3)]
    if script == DYE:  # labels are made of pictures alone
        frames[0].save(folder / "deep" / "moving.webp", save_all=True, append_images=frames[1:])
    plain, there = tmp_path / "plain", tmp_path / "there"
    assert run_script(MAIN[script], folder, "--output", plain, *more).returncode == 1
    result = run(script, folder, "--output", there, *more, "--cluster", address)
    assert result.returncode == 1, result.stderr
    assert (
        f"{folder}/broken.jpg: is not a JPEG" in result.stderr
        and f"{1 if script == LABEL else 2} failed" in result.stdout
    )
    assert files_of(there) == files_of(plain)
    assert rows_of(there / f"{table}.parquet") == rows_of(plain / f"{table}.csv")

    Image.open(SAMPLES / "ginger_wavy.jpg").resize((222, 150)).save(folder / "deep" / "a.jpg")  # another picture
    missing = there / ("portrait.png" if script == LABEL else "deep/a_0.5.png")
    missing.unlink()
    (folder / "broken.jpg").unlink()
    again = run(script, folder, "--output", there, *more, "--cluster", address)
    assert ("1 other files (.mp4: 1)" in again.stdout) == (script == LABEL)
    assert again.returncode == 0 and missing.is_file(), again.stderr
    assert f"{9 if script == DYE else 2} were done before, 0 failed" in again.stdout
    elsewhere = run_script(MAIN[script], folder / "deep", "--output", there, *more, "--cluster", address)
    assert elsewhere.returncode == 2 and f"holds the results of {folder}; choose another" in elsewhere.stderr


def test_pictures_and_results_in_an_object_store(folder, tmp_path, address):
    pytest.importorskip("moto", reason="moto[server] is not installed")
    from pyarrow import fs

    files, _ = fs.FileSystem.from_uri("s3://bucket?allow_bucket_creation=true")
    files.create_dir("bucket")
    make_clip(folder / "deep" / "clip.mp4", frames=5)
    fs.copy_files(str(folder), "bucket/in", destination_filesystem=files)
    more = ["s3://bucket/in", "--output", "s3://bucket/out", "--cluster", address]
    result = run(DYE, *more)
    assert result.returncode == 1 and "s3://bucket/in/broken.jpg: is not a JPEG" in result.stderr, result.stderr
    fs.copy_files("bucket/out", str(tmp_path / "copied"), source_filesystem=files)
    run_script(main, folder, "--output", tmp_path / "plain")
    assert files_of(tmp_path / "copied") == files_of(tmp_path / "plain")
    rows = pd.read_parquet(tmp_path / "copied" / "ombre.parquet")
    assert sorted(rows.status) == ["failed", "no hair", "no hair", "ok", "ok", "ok"] and rows.image.is_unique
    assert all(image.startswith("s3://bucket/in/") for image in rows.image)
    again = run(DYE, *more)
    assert "5 were done before, 1 failed" in again.stdout, again.stderr


def test_a_killed_job_is_taken_up_where_it_was(folder, tmp_path, address):
    portrait = Image.open(SAMPLES / "ginger_wavy.jpg").resize((200, 200))
    for number in range(45):
        portrait.save(folder / f"{number:03}.jpg")
    there, plain = tmp_path / "there", tmp_path / "plain"
    command = [sys.executable, str(DYE), str(folder), "--output", str(there), "--cluster", address]
    log = tmp_path / "job.log"
    with log.open("w") as output:
        job = subprocess.Popen(command, start_new_session=True, stdout=output, stderr=output)
    end = time.monotonic() + 300
    while not (rows := list(there.glob("ombre.parquet/[0-9]*.parquet"))) and job.poll() is None:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    assert rows and job.poll() is None, log.read_text()
    kill(job)
    noted = len(pd.read_parquet(there / "ombre.parquet"))
    assert 0 < noted < 50
    again = run(DYE, folder, "--output", there, "--cluster")  # a Ray of its own
    assert again.returncode == 1, again.stderr
    before = int(re.search(r"(\d+) were done before", again.stdout)[1])
    assert noted - 1 <= before < 50  # the broken picture's row may be among those that were noted
    run_script(main, folder, "--output", plain)
    assert files_of(there) == files_of(plain)
    assert rows_of(there / "ombre.parquet") == rows_of(plain / "ombre.csv")
    rows = pd.read_parquet(there / "ombre.parquet")
    assert not rows[rows.status != "failed"].output.duplicated().any()


@pytest.mark.parametrize(("arguments", "said"), [
    (["in", "deep", "--cluster"], "takes one folder"), (["s3://bucket/in"], "only --cluster reads"),
    (["in", "--list", "names"], "--list goes with --cluster"),
])  # fmt: skip
def test_what_a_cluster_cannot_do_is_told(folder, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(folder.parent)
    assert main([*arguments, "--output", "out"]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_what_a_cluster_does_not_find_is_told(folder, tmp_path):
    nowhere = run_script(main, tmp_path / "nowhere", "--output", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert nowhere.returncode == 2 and "no such folder" in nowhere.stderr.splitlines()[-1]
    nobody = run_script(main, folder, "--output", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert nobody.returncode == 2 and "no Ray cluster at '127.0.0.1:1'" in nobody.stderr.splitlines()[-1]
    assert not logging.root.manager.disable  # which a connection turns off
