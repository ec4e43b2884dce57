"""Which processor the networks run on, and how much of it."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UserError

if TYPE_CHECKING:  # torch takes a second to load, so it is imported where it is used
    import torch


def choose_device(asked: str = "auto") -> "torch.device":
    """The device that `asked` means: "auto" takes CUDA, else Apple's MPS, else the CPU; else any name torch knows.

    Under torchrun each rank of a machine gets a GPU of its own, unless `asked` names one.

    Raises UserError, with a line for the user, where the name is not a device or this machine does not have it.
    """
    import torch  # here, since asking for the name of a device is not worth a second of start-up to other callers

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked in ("auto", "cuda") and there["cuda"] and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    if asked == "auto":
        return torch.device(next(kind for kind, present in there.items() if present))
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise UserError(f"'{asked}' is not a device: say auto, cpu, cuda, cuda:1 or mps") from None
    beyond = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if not there.get(device.type, False) or beyond:
        raise UserError(f"this machine has no device '{asked}', or torch cannot use it: say --device auto or cpu")
    return device


def rank_and_size() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says in the environment; 0 and 1 without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_cores() -> int:
    """This process's part of the processor's cores, at least 1.

    OMP_NUM_THREADS limits it, which Ray sets for its actors; torchrun's processes on one machine share the cores out.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores = allowed_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, min(cores, int(limit)) if limit.isdecimal() else cores)


def allowed_cores() -> int:
    """How many cores this process may use, which may be few of those that the machine has: by its affinity and, in a
    container, by the quota of processor time."""
    has_affinity = hasattr(os, "sched_getaffinity")  # on Linux
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min([cores, *(max(1, math.ceil(quota)) for quota in _quotas())])


def _quotas(root: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """Cores' worth of processor time that the container may use, where that is limited: cgroups of either version."""
    quotas = []
    with suppress(OSError, ValueError):  # "max" where there is no limit
        quota, period = map(int, (root / "cpu.max").read_text().split())
        quotas.append(quota / period)
    with suppress(OSError, ValueError):  # -1 where there is none
        quota, period = (int((root / "cpu" / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        quotas += [quota / period] if quota > 0 else []
    return quotas


def fast_in_bfloat16(device: "torch.device") -> bool:
    """Whether autocast to bfloat16 makes networks faster there: a GPU or processor that computes in it natively."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


def fast_precision(device: "torch.device") -> str:
    """The name of the dtype that networks train fastest in there without losing: bfloat16, float16 or float32."""
    if fast_in_bfloat16(device):
        return "bfloat16"
    return "float16" if device.type == "cuda" else "float32"
