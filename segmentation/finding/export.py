"""The networks in OpenVINO's form: made once from those in PyTorch, kept beside the weights."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from common.paths import ROOT
from common.progress import say
from common.weights import WeightsError, sha256
from common.workarounds import without_telemetry

NETWORKS = sorted((ROOT / "segmentation" / "networks").glob("*.py"))
REFUSED = 3  # a process's exit code: its last line is for the user
CONVERT = f"""
import sys
from pathlib import Path
from common.errors import UserError
from segmentation.finding.export import convert
try:
    convert(*map(Path, sys.argv[1:]))
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit({REFUSED})
"""
MODEL, PARTS, SUMS = "model.xml", ("model.xml", "model.bin"), "sha256"


def exported(weights: Path) -> Path:
    """The OpenVINO form of these weights: made where it is not there yet, anew when it, the weights or the network
    change.

    It lies beside the weights or, where that folder cannot be written, in the user's cache.
    """
    code = hashlib.sha256(b"".join(path.read_bytes() for path in NETWORKS)).hexdigest()
    name = f"{weights.stem[:40]}-{sha256(weights)[:16]}-{code[:8]}"
    folders = [weights.parent / ".exported", Path.home() / ".cache" / "ombre-hair"]
    for folder in folders:
        if is_whole(folder / name):
            return folder / name / MODEL
    for folder in folders:
        try:
            put(weights, folder / name)
        except OSError:
            if not is_whole(folder / name):
                continue
        return folder / name / MODEL
    raise WeightsError(f"{weights}: no place to keep its exported form; make {folders[0]} or {folders[1]} writable")


def put(weights: Path, folder: Path) -> None:
    """Export weights into a folder, whole or not at all. Raises OSError, also where another start has just done so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        export(weights, Path(temporary) / folder.name)
        if folder.exists() and not is_whole(folder):
            shutil.rmtree(folder)
        os.rename(Path(temporary) / folder.name, folder)


def is_whole(folder: Path) -> bool:
    """Whether an export is there as it was written."""
    try:
        return (folder / SUMS).read_text() == sums(folder)
    except (OSError, UnicodeDecodeError):
        return False


def sums(folder: Path) -> str:
    """The checksums of an export's files, as `sha256sum` writes them."""
    return "".join(f"{sha256(folder / part)}  {part}\n" for part in PARTS)


def export(weights: Path, folder: Path) -> None:
    """As `convert`, in a process of its own: what PyTorch and the converter take of memory ends with it."""
    say(f"preparing {weights.name} for this processor, once")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-c", CONVERT, str(weights), str(folder)]
    child = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    if child.returncode:
        said = (child.stderr.strip().splitlines() or [f"its process ended with {child.returncode}"])[-1]
        if child.returncode != REFUSED:
            said = f"{weights}: cannot be prepared for this processor: {said}; is there memory enough?"
        raise WeightsError(said)


def convert(weights: Path, folder: Path) -> None:
    """Write the network of some weights as `model.xml` and `model.bin` for OpenVINO, their checksums beside them.

    Raises WeightsError."""
    with without_telemetry():
        import openvino as ov
        from openvino.tools.ovc import convert_model
    import torch

    from segmentation.networks.registry import load_network, of_bytes

    network = load_network(weights)
    example = torch.zeros(1, network.side, network.side, 3, dtype=torch.uint8)  # a fixed batch of one is the fastest
    with warnings.catch_warnings(), without_telemetry():
        warnings.simplefilter("ignore")  # tracing speaks of checks that a fixed input size makes idle
        # what is traced is not traced again to be compared, which takes as long
        traced = torch.jit.trace(of_bytes(network).eval(), example, check_trace=False)
        model = convert_model(traced, example_input=example, input=[ov.PartialShape(example.shape)])
    folder.mkdir()
    ov.save_model(model, folder / MODEL, compress_to_fp16=False)
    (folder / SUMS).write_text(sums(folder))
