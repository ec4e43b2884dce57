"""Weights on disk and from afar: read without running code, checked, named in every complaint."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from common.errors import UserError
from common.files import replacing

if TYPE_CHECKING:  # torch takes a second to load, so it is imported where it is used
    import torch

NAMED = 5  # tensors named in a complaint; the others are counted
CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without a byte


class WeightsError(UserError):
    """Weights that cannot be had; the message is for the user, names the file and says what to do."""


def load_state_dict(path: str | os.PathLike) -> dict:
    """What a weights file holds, on the CPU: names -> tensors, for a checkpoint of parts a dictionary of those.

    `.safetensors` is read by safetensors, anything else by torch, which refuses all but plain tensors: a weights file
    does not get to run code. Raises WeightsError: not there, broken, or more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file; put it there or name another with --weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has errors of its own over a broken file
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise WeightsError(
            f"{path}: cannot be read as weights{reason}: the file is broken, cut short, or holds more than tensors, "
            "which could be a program; get it again"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(
            f"{path}: holds a {type(state).__name__}, where names with tensors are expected; save the "
            "model's state_dict()"
        )
    return state


def safetensors_metadata(path: str | os.PathLike) -> dict[str, str]:
    """What a readable `.safetensors` says of itself; nothing for other files."""
    if Path(path).suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return file.metadata() or {}


def load_strict(model: "torch.nn.Module", state: dict, path: str | os.PathLike) -> None:
    """Load `state` (names -> tensors, read from `path`) into `model`; every tensor must be there, in its shape, and
    hold nothing but numbers.

    Raises WeightsError that names what is missing, unexpected, misshapen or no number; the model is then as it was.
    """
    expected = model.state_dict()
    faults = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "misshapen": [
            f"{name} {_shape(state[name])}, not {_shape(wanted)}"
            for name, wanted in expected.items()
            if name in state and _shape(state[name]) != _shape(wanted)
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {_some(names)}" for kind, names in faults.items() if names)
        raise WeightsError(f"{path}: these are not weights of {type(model).__name__}: {listed}")
    if spoilt := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        raise WeightsError(
            f"{path}: holds values that are no numbers (NaN or infinite), in {_some(spoilt)}; get them again, or "
            "train them again with a lower --learning-rate or --clip 1"
        )
    model.load_state_dict(state)


def sha256(path: str | os.PathLike) -> str:
    """The checksum of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(path: str | os.PathLike) -> str:
    """What tables call weights: these alone have this name. Raises WeightsError: not there, or not to be read."""
    if not os.path.isfile(path):
        raise WeightsError(f"{path}: there is no such weights file; put it there or name another with --weights")
    try:
        return f"sha256:{sha256(path)[:12]}"
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def fetch(url: str, path: str | os.PathLike, sha256: str | None = None, otherwise: str = "") -> None:
    """Download `url` to `path`, whole or not at all, with a progress bar on a terminal.

    The sum is checked where one is given. Only https is taken, and http from this machine itself. Raises WeightsError
    with the address, the place to put the file by hand, and `otherwise`, the sentence on what else the user can do.
    """
    path = Path(path)
    try:
        with replacing(path) as part:
            found = _download(url, part, path.name)
            if sha256 and found != sha256.lower():
                raise ValueError(f"its SHA-256 is {found}, not {sha256}")
    except (OSError, ValueError) as error:  # URLError, timeouts and refused connections are OSErrors
        reason = _one_line(error).removeprefix("<urlopen error ").removesuffix(">")
        if hasattr(error, "close"):  # an HTTPError holds its connection open
            error.close()
        raise WeightsError(
            f"{path.name} could not be fetched ({reason}). Download {url} and put it at {path}"
            + (f". {otherwise}" if otherwise else "")
        ) from error


def _download(url: str, part: Path, name: str) -> str:
    """The SHA-256 of what came.

    By hand, since pooch brings `requests`, does not look where it is sent on to, reads the file again for its sum, and
    draws its bar into logs.
    """
    import urllib.request  # these two take a while to load, and are rarely needed

    from tqdm import tqdm

    digest = hashlib.sha256()
    _demand_safe(url)
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open(part, "wb") as file:
        _demand_safe(answer.url)  # it may have been sent on
        size = int(answer.headers.get("Content-Length") or 0)
        with tqdm(total=size or None, unit="B", unit_scale=True, desc=name, disable=None) as bar:
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                bar.update(file.write(chunk))
        if size and file.tell() != size:
            raise ValueError(f"the connection ended after {file.tell():,} of {size:,} bytes")
    return digest.hexdigest()


def _demand_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1"):
        raise ValueError("only https addresses are fetched")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _shape(value: object) -> tuple | str:
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
