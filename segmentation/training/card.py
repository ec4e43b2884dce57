"""The model card that goes with weights: what they take and give, what they were made of, how good they are."""

import json
from pathlib import Path

import pandas as pd

from common.files import replacing
from common.weights import sha256
from segmentation.networks.resize import INPUT_SIZE
from segmentation.training.state import MANIFEST, TEST

TEXT = """# {name}

Finds hair in photographs: EffiSegNet (arXiv 2407.16298) on EfficientNet-B0, 3.9 million parameters.

| | |
| --- | --- |
| input `rgb` | (N, {size}, {size}, 3) uint8, RGB, the whole picture in a square; it is normalised inside |
| output `hair` | (N, {size}, {size}) float32, probability of hair; hair from 0.5 on |
| weights | `{file}`, SHA-256 `{sum}` |
{forms}

## Made of

{made}

## How good

{figures}

## Terms

Weights inherit the terms of the pictures and of the teacher that they were trained with. Whoever passes them on has to
know these; nothing here says that they are free.
"""


def write_card(weights: Path, forms: dict[str, tuple[Path, float]], folder: Path) -> Path:
    """Write `NAME.md` beside exported weights, from what lies beside the weights they come from; its path."""
    run = weights.parent
    rows = [
        f"| {form} | `{path.name}`, within {difference:.1g} of PyTorch's answers |"
        for form, (path, difference) in forms.items()
    ]
    text = TEXT.format(
        name=weights.stem, file=weights.name, sum=sha256(weights), size=INPUT_SIZE, forms="\n".join(rows),
        made=made_of(run), figures=figures_of(run),
    )  # fmt: skip
    path = folder / f"{weights.stem}.md"
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def made_of(run: Path) -> str:
    """The run's pictures, settings and code, in words."""
    try:
        manifest = json.loads((run / MANIFEST).read_text())
        data, start = manifest["data"], manifest["starts"][-1]
        pictures = ", ".join(f"{part['pictures']} {name} (hash `{part['hash']}`)" for name, part in data.items())
        recipe = ", ".join(f"{name} {value}" for name, value in manifest["recipe"].items())
        return f"Pictures: {pictures}.\n\nRecipe: {recipe}.\n\nCode: commit `{start['git_commit']}`, {start['time']}."
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return f"There is no `{MANIFEST}` beside these weights, so this is not known here."


def figures_of(run: Path) -> str:
    """The run's figures on the pictures set aside, as a table."""
    try:
        table = pd.read_csv(run / TEST / "metrics.csv")
    except (OSError, ValueError):
        return "There are no figures beside these weights; `run_seg_model_ohlora_v4.py evaluate` measures them."
    lines = [list(table.columns), ["---"] * len(table.columns), *table.round(4).astype(str).values.tolist()]
    return "On the pictures set aside:\n\n" + "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
