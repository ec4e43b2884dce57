"""The workers of a cluster's job: more are asked for while orders wait, and what a lost one did is done again."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ray

from common.batch.orders import Order, Picture
from common.batch.table import BatchError, Row

CORES, GPU_CORES = 2, 4  # of a worker; of one with a GPU, where no machine with one is there yet that would say
MEMORY = 2 << 30  # bytes that a worker asks for, where the machines have so much for each
AT_ONCE = 2  # orders of a worker: it goes on with the second while the first one's last picture is done
AHEAD = 64  # orders that are made before a worker is free
MOST_LOSSES = 2  # ends of a process, after which an order is parted, and a picture given up
STILLBORN = 3  # workers in a row that end before they are ready, after which the job ends
LOOK = 0.2  # seconds to wait for what comes back
PATIENCE = 60.0  # seconds without any worker, after which it is said
PAUSE = 5.0  # seconds between two looks at how many GPUs the cluster has


class Kind(NamedTuple):
    """What a worker needs of a machine."""

    cores: int
    gpus: int
    memory: int
    device: str


def kinds_of(nodes: Sequence[dict[str, float]], device: str, grows: bool) -> list[Kind]:
    """The kinds of workers for a cluster of machines with these resources, as Ray names them.

    Workers with a GPU come first, and those without work beside them. Where the cluster may grow, a GPU is asked for
    also when no machine has one yet.

    Args:
        device: "auto" takes both kinds, "cuda" those with a GPU alone, anything else those without.
    """
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    able = [node for node in nodes if node.get("CPU", 0) >= 1]
    kinds = []
    if device.startswith("cuda") or (device == "auto" and (with_gpu or grows)):
        cores = min((int(node.get("CPU", 1) // node["GPU"]) for node in with_gpu), default=GPU_CORES)
        kinds.append(Kind(max(1, cores), 1, _memory(with_gpu, max(1, cores)), "cuda"))
    if not device.startswith("cuda"):
        sizes = sorted({min(CORES, int(node["CPU"])) for node in able}, reverse=True) or [CORES]
        kinds += [Kind(each, 0, _memory(able, each), "cpu" if device == "auto" else device) for each in sizes]
    return kinds


def _memory(nodes: Sequence[dict[str, float]], cores: int) -> int:
    """Bytes for a worker of so many cores, never more than lets all cores of a machine work."""
    shares = [int(node["memory"] * cores / max(cores, node.get("CPU", 1))) for node in nodes if "memory" in node]
    return min([MEMORY, *shares])


class Waiting:
    """The orders that nobody has yet: made by a thread, some ahead, and those that come back."""

    def __init__(self, orders: Iterator[Order]) -> None:
        self.orders = orders
        self.made: queue.Queue[Order] = queue.Queue(AHEAD)
        self.back: deque[Order] = deque()
        self.error: BaseException | None = None
        self.all_made = threading.Event()
        threading.Thread(target=self._make, daemon=True).start()

    def _make(self) -> None:
        try:
            for order in self.orders:
                self.made.put(order)
        except BaseException as error:  # raised where it is waited for
            self.error = error
        self.all_made.set()

    def any(self) -> bool:
        """Whether an order is there to be had."""
        return bool(self.back) or not self.made.empty()

    def all_had(self) -> bool:
        """Whether no order is there, and none will come. Raises what making them raised."""
        ended = self.all_made.is_set()  # before the look at what is made
        if self.error:
            raise self.error
        return ended and not self.any()

    def next(self) -> Order:
        """An order that `any` has said is there."""
        return self.back.popleft() if self.back else self.made.get()

    def lost(self, order: Order, blame: bool = True) -> list[Picture]:
        """Take back an order whose process has ended; the pictures that are given up.

        An order that has been lost twice comes back picture by picture, and a picture that has been lost twice by
        itself is given up. Without `blame` the loss does not count: the machine has gone.
        """
        losses = order.losses + blame
        if losses < MOST_LOSSES:
            self.back.append(order._replace(losses=losses))
        elif len(order.pictures) > 1:
            self.back.extend(Order([picture]) for picture in order.pictures)
        else:
            return order.pictures
        return []


@dataclass(eq=False)
class Member:
    """A worker of the crew."""

    kind: Kind
    actor: "ray.actor.ActorHandle"
    node: str = ""  # the machine that it is on
    orders: dict["ray.ObjectRef", Order] = field(default_factory=dict)  # that it has
    gone: bool = False  # its process has ended

    def is_free(self) -> bool:
        """Whether it takes another order; not beside one picture alone, which may be what ends processes."""
        return (
            not self.gone
            and len(self.orders) < AT_ONCE
            and all(len(order.pictures) > 1 for order in self.orders.values())
        )


class Landed(NamedTuple):
    """An order that has come back: with its rows or, where its process has ended, without."""

    order: Order
    rows: list[Row] | None
    blamed: bool = False  # the process has ended, and its machine is still there


class Crew:
    """The workers of a job.

    Args:
        start: makes a worker's actor.
        planned: a picture's rows as far as known before the work.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        start: Callable[[Kind], "ray.actor.ActorHandle"],
        planned: Callable[[Picture], list[Row]],
    ) -> None:
        self.kinds, self.start, self.planned = kinds, start, planned
        self.coming: dict[ray.ObjectRef, Member] = {}
        self.members: list[Member] = []
        self.stillborn = 0
        self._gpus, self._next_look = 0, 0.0
        self._patient = time.monotonic() + PATIENCE

    def complaint(self) -> str:
        """What is to be said, once, where the cluster has given no worker for long; else empty."""
        if self.members or not self.coming or time.monotonic() < self._patient:
            return ""
        self._patient = float("inf")
        needs = " or ".join(f"{kind.cores} cores" + f" and {kind.gpus} GPU" * kind.gpus for kind in self.kinds)
        return f"no machine of the cluster has room for a worker yet, which asks for {needs}; waiting"

    def is_idle(self) -> bool:
        """Whether nobody has an order."""
        return not any(member.orders for member in self.members)

    def hand_out(self, waiting: Waiting) -> None:
        """Give orders to those who have too few, and ask for more workers where orders are left."""
        while waiting.any() and (free := [member for member in self.members if member.is_free()]):
            member, order = min(free, key=lambda member: len(member.orders)), waiting.next()
            if len(order.pictures) == 1 and member.orders:  # it waits for a worker of its own
                waiting.back.appendleft(order)
                break
            planned = [self.planned(picture) for picture in order.pictures]
            member.orders[member.actor.carry_out.remote(order.pictures, planned)] = order
        if waiting.any():
            self._grow()

    def _grow(self) -> None:
        """Ask for as many workers of each kind as there are: what the cluster cannot give yet, it may grow by.

        A GPU that nobody has goes to a worker of its own before others take its machine's cores.
        """
        if time.monotonic() >= self._next_look:
            self._gpus, self._next_look = int(ray.cluster_resources().get("GPU", 0)), time.monotonic() + PAUSE
        for kind in self.kinds:
            here = sum(member.kind == kind for member in self.members)
            coming = sum(member.kind == kind for member in self.coming.values())
            idle_gpus = self._gpus - here if kind.gpus else 0
            for _ in range(max(1, here, idle_gpus) - coming):
                actor = self.start(kind)
                self.coming[actor.ready.remote()] = Member(kind, actor)
            if idle_gpus > 0:
                break

    def landed(self) -> Iterator[Landed]:
        """Wait a moment; what has come back.

        Raises RayTaskError: a worker raised something. BatchError: they cannot start.
        """
        for ref in _those_ready([*self.coming, *(ref for member in self.members for ref in member.orders)]):
            if ref in self.coming:
                self._welcome(ref)
                continue
            member = next(member for member in self.members if ref in member.orders)
            order, (rows, _) = member.orders.pop(ref), _answer(ref)
            if rows is None:
                self._dismiss(member)
            yield Landed(order, rows, rows is None and _is_there(member.node))

    def _welcome(self, ref: "ray.ObjectRef") -> None:
        member = self.coming.pop(ref)
        node, error = _answer(ref)
        if node is not None:
            member.node, self.stillborn = node, 0
            self.members.append(member)
            return
        self.stillborn += 1
        if self.stillborn == STILLBORN:
            raise BatchError(
                f"{STILLBORN} workers have ended before they were ready; have the machines memory enough for the "
                f"network? Ray says: {error}"
            )

    def _dismiss(self, member: Member) -> None:
        """A worker has gone: what else it had comes back as well."""
        member.gone = True
        ray.kill(member.actor)
        self.members = [member for member in self.members if member.orders or not member.gone]


def _those_ready(refs: list["ray.ObjectRef"]) -> list["ray.ObjectRef"]:
    """All that are there, once one is, or after a moment."""
    if not refs:
        time.sleep(LOOK)
        return []
    ray.wait(refs, timeout=LOOK)
    return ray.wait(refs, num_returns=len(refs), timeout=0)[0]


def _answer(ref: "ray.ObjectRef") -> tuple[Any, str]:
    """What a worker answered, or None and why its process has ended. Raises RayTaskError: what it raised."""
    try:
        return ray.get(ref), ""
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        return None, " ".join(str(error).split())[:300]


def _is_there(machine: str) -> bool:
    return any(node["Alive"] and node["NodeID"] == machine for node in ray.nodes())
