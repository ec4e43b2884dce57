"""Several processes in one training, as torchrun starts them; one process is the same with a size of 1."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from common.device import rank_and_size
from common.errors import UserError

Answer = TypeVar("Answer")


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """The processes of this training, ready to exchange tensors that lie on `device`.

    Where a UserError ends all of them, the first one raises it, and the others leave without a word.
    """
    if rank_and_size()[1] == 1:
        yield
        return
    if device.type == "cuda":
        demand_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count())
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
        dist.barrier()
    except UserError:
        if rank_and_size()[0]:
            raise SystemExit(2) from None
        raise
    finally:
        dist.destroy_process_group()


def demand_gpus(processes: int, there: int) -> None:
    """Raise UserError, in the first process, where this machine has fewer GPUs than processes; the others leave."""
    if processes <= there:
        return
    if rank_and_size()[0]:
        raise SystemExit(2)
    raise UserError(f"{processes} processes for {there} GPUs: each needs its own; say --nproc-per-node {there}")


def decided_by_the_first(decide: Callable[[], Answer]) -> Answer:
    """What `decide` gives in the first process, in all of them; a UserError there is one everywhere."""
    rank, size = rank_and_size()
    if size == 1:
        return decide()
    payload: list = [None, None]
    if rank == 0:
        try:
            payload = [decide(), None]
        except UserError as error:
            payload = [None, str(error)]
    dist.broadcast_object_list(payload, src=0)
    if payload[1] is not None:
        raise UserError(payload[1])
    return payload[0]


def summed(values: list[float], device: torch.device) -> list[float]:
    """Each value's sum over the processes."""
    if rank_and_size()[1] == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return tensor.tolist()


def gathered(values: list[float]) -> list[list[float]]:
    """Every process's list, in their order."""
    rank, size = rank_and_size()
    if size == 1:
        return [values]
    lists: list[list[float]] = [[]] * size
    dist.all_gather_object(lists, values)
    return lists


def from_the_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite each tensor by the first process's."""
    if rank_and_size()[1] > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
