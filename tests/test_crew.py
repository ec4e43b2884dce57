"""A cluster's job to its end on workers in threads, which end as processes do: nothing is lost, nothing is for ever."""

import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("ray", reason="--cluster needs requirements-cluster.txt")

import ray

from common.batch import cluster, crew, worker
from common.batch.cluster import Job
from common.batch.crew import Crew, Kind, Waiting
from common.batch.orders import Lister
from common.batch.rows import Rows, fingerprints, last_rows
from common.batch.stage import Stage
from common.batch.storage import Folder
from common.batch.table import BatchError
from common.image.picture import PictureError

NOTHING = np.zeros(0, np.uint64)


class EndedError(BaseException):
    """What a process would not survive."""


@dataclass(frozen=True)
class Copy(Stage):
    """Copies pictures; one called poison ends its process, one called broken cannot be read."""

    table, key, result = "t", "output", "output"
    columns, numbers = ["image", "output", "source", "result_bytes", "status", "error"], {"result_bytes"}
    weights: Path = Path(__file__)
    suffix: str | None = None
    device: str = "cpu"
    deadly: tuple[str, ...] = ("poison.jpg",)

    def plan(self, item):
        return [dict(output=item.result)]

    def load(self, items=None):
        def copy(item, output, rows):
            if Path(item.source.path).name in self.deadly:
                raise EndedError
            if "broken" in item.source.path:
                raise PictureError(f"{item.source.path}: is broken")
            target = output / rows[0]["output"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(item.source.path, target)
            note = "damaged: grey" if "hurt" in item.source.path else ""
            return [rows[0] | dict(result_bytes=target.stat().st_size, status="ok", note=note)]

        return copy


class Actor:
    """A worker in threads: once one of its calls ends the process, all of them do."""

    def __init__(self, place, work):
        self.machine, self.work, self.dead = place, work, threading.Event()
        self.pool = ThreadPoolExecutor(3)
        self.ready = SimpleNamespace(remote=lambda: self.pool.submit(self._call, lambda: work.ready()))
        self.carry_out = SimpleNamespace(remote=lambda *order: self.pool.submit(self._call, work.carry_out, *order))

    def _call(self, call, *arguments):
        try:
            answer = call(*arguments)
        except EndedError:
            self.dead.set()
        except Exception as error:
            raise ray.exceptions.RayTaskError("f", "", error) from error
        if self.dead.is_set():
            raise ray.exceptions.ActorDiedError()
        return answer


@pytest.fixture
def machines(monkeypatch):
    """Names of machines that are there; what of Ray a crew asks is answered by threads."""
    there = {"m"}

    def wait_for(refs, num_returns=1, timeout=None):
        done = wait(refs, timeout, FIRST_COMPLETED).done
        return [ref for ref in refs if ref in done], []

    stub = SimpleNamespace(
        wait=wait_for,
        get=Future.result,
        kill=lambda actor: actor.dead.set(),
        nodes=lambda: [dict(Alive=True, NodeID=name) for name in there],
        cluster_resources=lambda: {"CPU": 4},
        exceptions=ray.exceptions,
        get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "m"),
    )
    monkeypatch.setattr(crew, "ray", stub)
    monkeypatch.setattr(worker, "ray", stub)
    nobody = SimpleNamespace(inc=lambda *_: None, observe=lambda *_: None)
    monkeypatch.setattr(worker, "statistics", lambda: SimpleNamespace(results=nobody, seconds=nobody))
    return there


def carried_out(folder, stage=None, before=NOTHING, number=0):
    """The tally of a job, the rows that it left, and the actors that it had."""
    stage = stage or Copy()
    source, target = Folder(folder / "in"), Folder(folder / "out")
    actors = []

    def start(kind):
        actors.append(Actor("m", worker.Worker(stage, source, target, kind.device)))
        return actors[-1]

    lister = Lister(stage, source, target, before)
    members = Crew([Kind(2, 0, 0, "cpu")], start, lambda picture: picture.rows_left(stage))
    job = Job(stage, source, Waiting(lister.orders()), members, Rows(stage, target, number))
    job.carry_out()
    rows = last_rows(target, "t.parquet", ["image", "output", "status", "error"], "output")
    return job.tally, {row["output"]: row for row in rows}, actors


@pytest.fixture
def folder(tmp_path):
    for number in range(100):
        path = tmp_path / "in" / f"{number // 10}" / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    return tmp_path


def test_all_is_done_and_known_again(folder, machines, capsys):
    (folder / "in" / "broken.jpg").touch()
    (folder / "in" / "1" / "015.jpg").rename(folder / "in" / "1" / "hurt.jpg")
    tally, rows, _ = carried_out(folder)
    assert tally.damaged == 1
    assert (tally.done, tally.failed) == (100, 1) and len(rows) == 101
    assert "in/broken.jpg: is broken" in rows["broken.jpg"]["error"] and "is broken" in capsys.readouterr().err
    assert (folder / "out" / "3" / "034.jpg").read_bytes() == b"34"
    done, number = fingerprints(Folder(folder / "out"), Copy())
    (folder / "out" / "5" / "050.jpg").unlink()
    tally, rows, _ = carried_out(folder, before=done, number=number)
    assert (tally.done, tally.failed) == (1, 1), "what is missing, and what failed"


def test_a_picture_that_ends_its_process_is_given_up_after_few_tries(folder, machines):
    (folder / "in" / "4" / "poison.jpg").touch()
    tally, rows, actors = carried_out(folder)
    assert (tally.done, tally.failed) == (100, 1)
    assert rows["4/poison.jpg"]["status"] == "failed" and "has ended, twice" in rows["4/poison.jpg"]["error"]
    assert sum(actor.dead.is_set() for actor in actors) <= 4, "two with its order, two with it alone"


def test_a_machine_that_goes_is_not_the_pictures_fault(folder, machines, monkeypatch):
    """Each time that the picture is met its machine goes, until it stays."""
    (folder / "in" / "4" / "poison.jpg").touch()
    machines.clear()
    lost = []
    monkeypatch.setattr(crew, "_is_there", lambda machine: lost.append(machine) or len(lost) > 6)
    tally, rows, _ = carried_out(folder)
    assert (tally.done, tally.failed) == (100, 1) and 7 <= len(lost) <= 20


def test_a_picture_alone_has_a_worker_of_its_own(machines):
    """So that it is known whose fault it is when the process ends."""
    actor = SimpleNamespace(carry_out=SimpleNamespace(remote=lambda pictures, planned: object()))
    members = Crew([Kind(1, 0, 0, "cpu")], lambda kind: actor, lambda picture: [])
    members._grow = lambda: None
    one = crew.Member(members.kinds[0], actor)
    members.members = [one]
    waiting = Waiting(iter([]))
    waiting.back.extend([crew.Order(["a", "b"]), crew.Order(["c"]), crew.Order(["d", "e"])])
    members.hand_out(waiting)
    assert [order.pictures for order in one.orders.values()] == [["a", "b"]], "the single one waits"
    one.orders.clear()
    members.hand_out(waiting)
    assert [order.pictures for order in one.orders.values()] == [["c"]], "nothing goes beside it"
    one.orders.clear()
    members.hand_out(waiting)
    assert [order.pictures for order in one.orders.values()] == [["d", "e"]] and not waiting.any()


def test_what_a_worker_raises_ends_the_job_and_rows_stay(folder, machines, monkeypatch):
    monkeypatch.setattr(worker, "demand_room", lambda error: (_ for _ in ()).throw(BatchError("the disk is full")))
    (folder / "in" / "9" / "broken.jpg").touch()
    with pytest.raises(ray.exceptions.RayTaskError):
        carried_out(folder)
    assert cluster._cause(ray.exceptions.RayTaskError("f", "", BatchError("full"))).args == ("full",)


def test_workers_that_end_before_they_are_ready_end_the_job(folder, machines, monkeypatch):
    def load(self, items=None):
        raise EndedError

    monkeypatch.setattr(Copy, "load", load)
    with pytest.raises(BatchError, match="3 workers have ended before they were ready"):
        carried_out(folder)
