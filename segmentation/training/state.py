"""What is kept of a run, so that it goes on after a kill to the same numbers: its files, its lock, its checkpoints."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from common.device import rank_and_size
from common.errors import UserError
from common.files import remove_leftovers, replacing
from common.progress import say
from segmentation.dataset.pairs import Pair
from segmentation.networks.network import Network
from segmentation.training.recipe import Recipe

BEST, STATE, BEFORE = "best.safetensors", "state.pt", "state.before.pt"
HISTORY, PLOT, MANIFEST, SPLIT = "history.csv", "history.png", "run.json", "split.csv"
BOARD, TEST = "tensorboard", "test"  # folders
PARTS = ("settings", "progress", "model", "average", "optimizer", "scaler")  # of a checkpoint


class RunError(UserError):
    """The run cannot be begun or go on as asked; the message says what to do."""


@dataclass
class Progress:
    """How far a run is: `step` steps of the epoch after the finished ones, with each process's losses in these."""

    epoch: int = 0
    step: int = 0
    losses: list[list[float]] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)  # a row a finished epoch


@dataclass
class Learner:
    """The network and all else that a training changes."""

    model: Network
    average: AveragedModel  # of the weights
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # does nothing but for float16
    measured: Network  # what is validated and kept: the average or the network

    @classmethod
    def of(cls, model: Network, optimizer: torch.optim.Optimizer, recipe: Recipe, dtype: torch.dtype) -> "Learner":
        """A learner at the start; `model` lies on its device."""
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
        scaler = torch.amp.GradScaler(next(model.parameters()).device.type, enabled=dtype == torch.float16)
        copy = cast(Network, average.module)  # of the model
        return cls(model, average, optimizer, scaler, copy if recipe.ema else model)


@contextmanager
def held(run: Path) -> Iterator[None]:
    """The run's folder for this training alone: the first of its processes holds it.

    Raises RunError: another one trains in it.
    """
    if rank_and_size()[0]:
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{run}: another training is at work in this folder; wait for it or name another --output"
        ) from None
    try:
        remove_leftovers(run)
        yield
    finally:
        lock.release()


def clear(run: Path) -> None:
    """Remove what an earlier run in this folder has left."""
    files = [BEST, STATE, BEFORE, HISTORY, PLOT, MANIFEST, SPLIT, f"{TEST}/metrics.csv", f"{TEST}/pictures.csv"]
    for path in [*(run / name for name in files), *run.glob(f"{BOARD}/events.out.tfevents.*")]:
        path.unlink(missing_ok=True)


def fingerprint(pairs: Sequence[Pair]) -> str:
    """A short hash of which pairs these are: their names and the sizes of their files."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(repr((pair.name, pair.hair_value, *pair.sizes)).encode())
    return digest.hexdigest()[:16]


def keep_state(run: Path, settings: dict, progress: Progress, learner: Learner) -> None:
    """Write the checkpoint; the one before it is kept as well."""
    state = dict(
        settings=settings, progress=vars(progress), model=learner.model.state_dict(),
        average=learner.average.state_dict(), optimizer=learner.optimizer.state_dict(),
        scaler=learner.scaler.state_dict(),
    )  # fmt: skip
    data = io.BytesIO()  # a full disk is then an OSError, where torch would hide what it is
    torch.save(state, data)
    with replacing(run / STATE) as path:
        path.write_bytes(data.getbuffer())
        if (run / STATE).exists():
            os.replace(run / STATE, run / BEFORE)


def averaged(state: Path) -> dict[str, Tensor]:
    """The average of the weights in a checkpoint, by the network's own names."""
    average = torch.load(state, weights_only=True, map_location="cpu")["average"]
    return {name.removeprefix("module."): tensor for name, tensor in average.items() if name.startswith("module.")}


def resume(run: Path, settings: dict, learner: Learner) -> Progress:
    """Put the last checkpoint back into place; how far it is, which is nowhere where the run is new.

    Raises RunError: the checkpoints are broken, or of a run with other settings.
    """
    state = newest(run)
    if state is None:
        return Progress()
    try:
        demand_same(run, state["settings"], settings, state["progress"])
        learner.model.load_state_dict(state["model"])
        learner.average.load_state_dict(state["average"])
        learner.optimizer.load_state_dict(state["optimizer"])
        learner.scaler.load_state_dict(state["scaler"])
        progress = Progress(**state["progress"])
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RunError(
            f"{run}: holds a run of another version ({reason}); start over with --overwrite, or name another --output"
        ) from error
    if progress.history and not (run / BEST).is_file():
        raise RunError(
            f"{run / BEST}: the best weights of this run are gone, its state has the last ones alone; put them back, "
            "start over with --overwrite, or name another --output"
        )
    return progress


def newest(run: Path) -> dict | None:
    """The last checkpoint, or the one before where the last is broken; None where there is none. Raises RunError."""
    there = [run / name for name in (STATE, BEFORE) if (run / name).is_file()]
    for path in there:
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")  # runs no code, whatever it holds
        except Exception as error:  # torch has errors of its own over a broken file
            say(f"{path}: cannot be read as the state of a run ({' '.join(str(error).split())[:100]})")
            continue
        if isinstance(state, dict) and all(isinstance(state.get(part), dict) for part in PARTS):
            return state
        say(f"{path}: is no state of a run of this version")
    if there:
        raise RunError(f"{run}: holds no state to go on from; start over with --overwrite, or name another --output")
    return None


def demand_same(run: Path, old: dict, new: dict, progress: dict) -> None:
    """Raise RunError where a run was begun with other settings than it is to go on with.

    `patience` may change, and `epochs` may grow: always where the rate does not depend on them, after the last one too.
    """
    others = {name: value for name, value in old.items() if value != new.get(name)}
    others.pop("patience", None)
    if {old.get("warm_start"), new.get("warm_start")} == {"imagenet", "lite0"}:  # it has begun, and only so it differs
        others.pop("warm_start", None)
    finished = progress["epoch"] >= old["epochs"]
    if new["epochs"] > old["epochs"] and (finished or new["schedule"] == "exponential"):
        others.pop("epochs", None)
    if others:
        was = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in others.items())
        raise RunError(
            f"{run} holds a run with other settings ({was}): go on with those, name another --output, or start over "
            "with --overwrite"
        )
