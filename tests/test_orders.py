"""What a cluster's job is made of, without a cluster: orders, lists, stores in pages, rows, who does what again."""

import logging
import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="--cluster needs requirements-cluster.txt")

import pyarrow as pa
import pyarrow.parquet

from common.batch import rows as rows_
from common.batch import s3
from common.batch.crew import GPU_CORES, Waiting, kinds_of
from common.batch.names import names_in
from common.batch.orders import Lister, Order, Picture, whole_stems
from common.batch.places import place_at
from common.batch.rows import Rows, fingerprint, fingerprints, last_rows
from common.batch.stage import Stage
from common.batch.storage import Folder, without_secrets
from common.batch.store import Store
from common.batch.table import BatchError

NOTHING = np.zeros(0, np.uint64)


@dataclass(frozen=True)
class Twice(Stage):
    """Two results of each picture."""

    table, key, result = "t", "output", "output"
    columns, numbers = ["image", "output", "share", "status", "error"], {"share"}
    weights: Path = Path(__file__)
    suffix: str | None = None

    def plan(self, item):
        return [dict(output=f"{item.result}.{number}") for number in "12"]

    def load(self, items=None):
        raise NotImplementedError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1234")
    return folder


# ---- orders ----


def test_orders_name_the_rows_that_are_left(tmp_path):
    touch(tmp_path, "in/a.jpg", "in/deep/b.jpg", "in/notes.txt", "out/a.jpg.1", "out/a.jpg.2", "out/deep/b.jpg.2")
    stage = Twice()

    def ordered(*done):
        lister = Lister(stage, Folder(tmp_path / "in"), Folder(tmp_path / "out"), np.sort(np.uint64(done)))
        orders = list(lister.orders())
        return {picture.name: picture for order in orders for picture in order.pictures}, lister

    pictures, lister = ordered()
    assert {name: picture.left for name, picture in pictures.items()} == {"a.jpg": [0, 1], "deep/b.jpg": [0, 1]}
    assert pictures["deep/b.jpg"].image == "../in/deep/b.jpg" and lister.tally.left_out == "1 other files (.txt: 1)"
    (a1, a2), (b1, b2) = (pictures[name].rows(stage) for name in ("a.jpg", "deep/b.jpg"))
    done = [fingerprint(a1, 4), fingerprint(a2, 4), fingerprint(b1, ""), fingerprint(b2, 3)]  # b2's has been cut short
    pictures, lister = ordered(*done)
    assert [picture.left for picture in pictures.values()] == [[1]] and lister.tally.skipped == 3
    (tmp_path / "out" / "a.jpg.1").unlink()
    assert ordered(*done)[0]["a.jpg"].left == [0]


def test_a_clip_is_an_order_of_its_own(tmp_path):
    @dataclass(frozen=True)
    class Moving(Twice):
        clips = True

    touch(tmp_path / "in", "a.jpg", "b.mp4", "c.jpg")
    orders = list(Lister(Moving(), Folder(tmp_path / "in"), Folder(tmp_path / "out"), NOTHING).orders())
    assert sorted([picture.name for picture in order.pictures] for order in orders) == [["a.jpg", "c.jpg"], ["b.mp4"]]


def test_the_first_orders_are_small(tmp_path):
    """A killed job keeps what came back, and a few pictures are shared out among many workers."""
    touch(tmp_path / "in", *(f"{number:04}.jpg" for number in range(1500)))
    orders = Lister(Twice(), Folder(tmp_path / "in"), Folder(tmp_path / "out"), NOTHING).orders()
    sizes = [len(order.pictures) for order in orders]
    assert sum(sizes) == 1500 and sizes[:10] == [8] * 10 and 60 <= max(sizes) <= 64
    assert sizes[:-1] == sorted(sizes[:-1])


def test_names_that_may_meet_are_named_together():
    names = ["a.jpg", "a.k/deep.jpg", "a.webp", "b.000.jpg", "b.001.jpg", "b.001.jpg.png", "b.002.jpg", "c.jpg"]
    parts = [[name for name, _ in part] for part in whole_stems(((name, "") for name in names), size=2)]
    assert [name for part in parts for name in sorted(part)] and sorted(sum(parts, [])) == sorted(names)
    of = {name: number for number, part in enumerate(parts) for name in part}
    assert of["a.jpg"] == of["a.webp"] and of["b.001.jpg"] == of["b.001.jpg.png"]
    assert len(parts) > 2


# ---- lists of names ----


def test_a_list_in_place_of_a_listing(tmp_path):
    place = Folder(tmp_path / "in")
    text = tmp_path / "names"
    text.write_text(f"{place.root}/a.jpg\nb/c.png\n/elsewhere/d.jpg\nnotes.txt\n")
    assert list(names_in(str(text), place, clips=False)) == [("a.jpg", ""), ("b/c.png", "")]
    text.write_text("b.jpg\na.jpg\n")
    with pytest.raises(BatchError, match="'a.jpg' stands behind 'b.jpg'; sort the list"):
        list(names_in(str(text), place, clips=False))
    day = datetime(2026, 1, 2, tzinfo=UTC)
    inventory = pa.table({"bucket": ["x"], "key": ["in/a.jpg"], "size": [5], "last_modified_date": [day]})
    pyarrow.parquet.write_table(inventory, tmp_path / "names.parquet")
    store = Store.__new__(Store)
    store.given = store.shown = "s3://x/in"
    store.root = "x/in"
    (entry,) = names_in(str(tmp_path / "names.parquet"), store, clips=False)
    assert entry == ("a.jpg", "5 bytes of 2026-01-02T00:00:00.000000")
    whole = (tmp_path / "names.parquet").read_bytes()
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little") - 4
    for damaged in (whole[:100], whole[:4] + bytes(pages) + whole[4 + pages :]):  # cut short, and emptied
        (tmp_path / "cut.parquet").write_bytes(damaged)
        with pytest.raises(BatchError, match="cut.parquet: is no whole Parquet file"):
            list(names_in(str(tmp_path / "cut.parquet"), store, clips=False))


# ---- a store that answers in pages ----


class Pages:
    """What boto3's client would be for a bucket with many keys under one prefix."""

    def __init__(self, keys):
        self.keys, self.calls = keys, 0

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix, Delimiter, StartAfter=""):
        keys = (key for key in self.keys() if key.startswith(Prefix) and key > StartAfter)
        part = []
        for key in keys:
            if len(part) == 1000:
                yield self._answer(part, truncated=True)
                part = []
            part.append(key)
        yield self._answer(part, truncated=False)

    def _answer(self, keys, truncated):
        self.calls += 1
        now = datetime(2026, 1, 2, tzinfo=UTC)
        return {"Contents": [dict(Key=key, Size=4, LastModified=now) for key in keys], "IsTruncated": truncated}


@pytest.fixture
def store(monkeypatch):
    """Makes a place of S3 whose keys are those that a function gives."""

    def store(keys):
        pages = Pages(keys)
        monkeypatch.setattr(s3, "_client", lambda given: pages)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        return place_at("s3://bucket/in?region=us-east-1"), pages

    return store


def test_the_first_order_of_a_flat_prefix_comes_after_few_calls(store, tmp_path):
    place, pages = store(lambda: (f"in/{number:08d}.jpg" for number in range(1_000_000)))
    orders = Lister(Twice(), place, Folder(tmp_path), NOTHING).orders()
    first = next(orders)
    assert [picture.name for picture in first.pictures[:2]] == ["00000000.jpg", "00000001.jpg"]
    assert first.pictures[0].image == "s3://bucket/in/00000000.jpg" and first.pictures[0].stamp.startswith("4 bytes of")
    assert pages.calls <= 5, "a page, and a look for tables of results"


def test_results_of_an_earlier_run_are_known_in_a_long_folder(store, tmp_path, capsys):
    def keys():
        yield "in/a.jpg"
        yield from (f"in/old/{number:05d}.jpg" for number in range(1500))
        yield "in/old/ombre.csv"

    place, _ = store(keys)
    place.__class__.is_table = lambda self, name: name.endswith("ombre.csv")  # reading it needs a real store
    try:
        names = [name for page in place.pages("old") for name, _ in page.files]
        assert names[0] == "ombre.csv" and len(names) == 1502
    finally:
        del place.__class__.is_table


def test_sizes_of_a_part_of_a_long_folder(store):
    place, pages = store(lambda: (f"in/{number:05d}.jpg" for number in range(20_000)))
    asked = [f"{number:05d}.jpg" for number in range(9_000, 9_500)]
    assert place.sizes("", [*asked, "09000.png"]) == dict.fromkeys(asked, 4) and pages.calls <= 2


# ---- rows ----


def row(name, status="ok", share=0.5):
    return dict(image=name, output=name, share=share, status=status, error="", fingerprint=fingerprint({}, name))


def test_the_last_row_is_told_by_its_number_and_files_become_few(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    first = Rows(Twice(), folder, 0)
    first.add([row("a", "failed"), row("b")])
    first.write()
    monkeypatch.setattr(rows_.secrets, "token_hex", lambda _: "0")
    done, number = fingerprints(folder, Twice())
    assert number == 2 and list(done) == [fingerprint({}, "b")]
    again = Rows(Twice(), folder, number)
    again.add([row("a", "ok")])
    again.write()
    for path in (tmp_path / "t.parquet").iterdir():  # whatever the files are called
        path.rename(path.with_name("z" + path.name if path.name.startswith("000000000001") else "a" + path.name))
    last = last_rows(folder, "t.parquet", ["image", "status"], "image")
    assert {each["image"]: each["status"] for each in last} == {"a": "ok", "b": "ok"}
    many = Rows(Twice(), Folder(tmp_path / "many"), 0)
    for start in range(0, 20_000, 50):
        many.add([row(str(number)) for number in range(start, start + 50)])
    assert len(list((tmp_path / "many" / "t.parquet").iterdir())) < 14


def test_addresses_are_shown_without_keys():
    for given, shown in {
        "s3://KEY:SECRET@bucket/in?endpoint_override=http%3A%2F%2Fx": "s3://bucket/in",
        "s3://KEY:SEC/RET@bucket/in": "s3://bucket/in",
        "s3://bucket/in/pic@2x": "s3://bucket/in/pic@2x",
        "--output=abfs://user@host/x?sas=SECRET": "--output=abfs://host/x",
        "http://127.0.0.1:80/pic@2x": "http://127.0.0.1:80/pic@2x",
        "photos/what?": "photos/what?",
    }.items():
        assert without_secrets(given) == shown
    place = place_at("s3://KEY:SECRET@bucket/in?region=us-east-1")
    assert place.shown == "s3://bucket/in" and "SECRET" not in place.without_secrets(f"no {place.given}/a.jpg")


# ---- who does what ----


def picture(name):
    return Picture(name, name, "", name, [0])


def test_what_ends_its_process_is_given_up_and_the_others_are_not():
    pictures = [picture(name) for name in "abc"]
    waiting = Waiting(iter([Order(pictures)]))
    order = waiting.next()
    assert waiting.lost(order, blame=False) == [] and waiting.lost(waiting.next(), blame=False) == []
    assert waiting.lost(waiting.next()) == [], "once may be the machine's fault"
    order = waiting.next()
    assert [each.name for each in order.pictures] == ["a", "b", "c"]
    assert waiting.lost(order) == [], "twice: its pictures come by themselves"
    singles = [waiting.next() for _ in "abc"]
    assert [each.pictures for each in singles] == [[each] for each in pictures] and not waiting.any()
    assert waiting.lost(singles[1]) == [] and waiting.lost(waiting.next()) == [pictures[1]]
    assert waiting.all_had()


def test_an_error_of_the_lister_is_raised_where_its_orders_are_waited_for():
    def orders():
        yield Order([picture("a")])
        raise BatchError("the list is not sorted")

    waiting = Waiting(orders())
    waiting.next()
    waiting.all_made.wait(10)
    with pytest.raises(BatchError, match="not sorted"):
        waiting.all_had()


@pytest.mark.parametrize(("nodes", "kinds"), [
    ([{"memory": 1e9}], [(GPU_CORES, 1), (2, 0)]),  # grows from nothing but its head
    ([{"memory": 1e9}, {"CPU": 16, "GPU": 1, "memory": 64e9}], [(16, 1), (2, 0)]),
    ([{"CPU": 8, "memory": 32e9}, {"CPU": 64, "memory": 256e9}], [(GPU_CORES, 1), (2, 0)]),
    ([{"CPU": 1, "memory": 4e9}, {"CPU": 64, "memory": 256e9}], [(GPU_CORES, 1), (2, 0), (1, 0)]),
    ([{"CPU": 16, "GPU": 1}] + [{"CPU": 64}] * 10, [(16, 1), (2, 0)]),
])  # fmt: skip
def test_workers_with_and_without_a_gpu_side_by_side(nodes, kinds):
    found = kinds_of(nodes, "auto", grows=True)
    assert [(kind.cores, kind.gpus) for kind in found] == kinds
    assert [kind.device for kind in found] == ["cuda" if gpus else "cpu" for _, gpus in kinds]
    assert [kind.gpus for kind in kinds_of(nodes, "cuda", grows=True)] == [1]
    assert {kind.gpus for kind in kinds_of(nodes, "cpu", grows=True)} == {0}


def test_no_worker_asks_for_more_memory_than_lets_all_cores_work():
    (kind,) = kinds_of([{"CPU": 8, "memory": 8e9}], "cpu", grows=False)
    assert kind.memory == 2e9


# ---- jobs on Kubernetes ----

CLUSTER = Path(__file__).resolve().parents[1] / "docs" / "cluster"


def test_the_job_for_kubernetes_is_one_that_the_script_takes():
    yaml = pytest.importorskip("yaml", reason="Ray brings it")
    from ombre.generate_ombre_images import parser

    spec = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())["spec"]
    python, script, *arguments = shlex.split(spec["entrypoint"])
    options = parser().parse_args(arguments)
    assert python == "python" and (CLUSTER.parents[1] / Path(script).relative_to("/app")).is_file()
    assert options.cluster == "auto" and options.pictures == ["s3://bucket/in"] and options.output == "s3://bucket/out"
    cluster = spec["rayClusterSpec"]
    groups = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"] and all(group["minReplicas"] <= group["maxReplicas"] for group in groups)
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *groups)]
    assert {pod["serviceAccountName"] for pod in pods} == {"ombre"}, "keys come with the machine's role"


def test_the_image_holds_what_the_job_needs():
    lines = [line.split() for line in (CLUSTER / "Dockerfile").read_text().splitlines()]
    copied = [name for words in lines if words[:1] == ["COPY"] for name in words[1:-1]]
    assert set(copied) == {"requirements.txt", "requirements-cluster.txt", "common", "segmentation", "ombre", "models"}
    assert all((CLUSTER.parents[1] / name).exists() for name in copied)
    needs = (CLUSTER.parents[1] / "requirements-cluster.txt").read_text().splitlines()
    wanted = next(line for line in needs if line.startswith("ray"))
    image = next(words[1] for words in lines if words[:1] == ["FROM"])
    assert image.partition(":")[2].startswith(wanted.split()[0].partition(">=")[2])


def test_the_nodes_of_a_cluster_do_not_talk_to_the_user(monkeypatch, capsys):
    import ray

    from common.batch import cluster

    monkeypatch.setattr(cluster.ray, "init", lambda address, **how: None)
    monkeypatch.setattr(ray._private.worker, "print_to_stdstream", ray._private.worker.print_to_stdstream)
    monkeypatch.setattr(cluster.ray._private.utils, "get_entrypoint_name", lambda: "")
    try:
        cluster._connect("auto")
        said = {"lines": ["A worker died"], "pid": "raylet", "is_err": False}
        ray._private.worker.print_to_stdstream(said, ignore_prefix=False)
        assert capsys.readouterr().out == ""
    finally:
        logging.disable(logging.NOTSET)


def test_the_code_travels_where_a_submitted_job_names_other_code(monkeypatch):
    """`ray job submit --working-dir` says so by a variable, which Ray would have clash with what we ask for."""
    from common.batch import cluster

    asked = {}
    monkeypatch.setattr(cluster.ray, "init", lambda address, **how: asked.update(how))
    monkeypatch.delenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", raising=False)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env":{"working_dir":"/some/folder"}}')
    monkeypatch.setattr(cluster.ray._private.utils, "get_entrypoint_name", lambda: "")
    monkeypatch.setattr("sys.argv", ["dye", "s3://KEY:SECRET@bucket/in"])
    try:
        cluster._connect("auto")
        assert os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] == "1"
        assert asked["runtime_env"]["working_dir"] == str(cluster.ROOT)
        assert cluster.ray._private.utils.get_entrypoint_name() == "dye s3://bucket/in"
    finally:
        logging.disable(logging.NOTSET)
