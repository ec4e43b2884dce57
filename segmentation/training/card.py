"""The model card that goes with weights: how they are used, what they were made of, how good they are, their terms."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from common.files import replacing
from common.paths import DATA, ROOT
from common.weights import sha256, short_hash
from segmentation.finding.formats import RUNS, Form
from segmentation.finding.hair_finder import SCOUT, SHIPPED_WEIGHTS
from segmentation.networks.network import Network
from segmentation.networks.registry import load_student
from segmentation.networks.resize import SCOUT_SIZE
from segmentation.training.manifest import processor
from segmentation.training.state import MANIFEST, TEST

TEXT = """# {name}

Finds hair in photographs. Network: EffiSegNet (arXiv 2407.16298) on {encoder}, {parameters:.1f} million parameters,
decoder with {upsampling} upsampling. Weights: `{file}`, SHA-256 `{sum}`.

## Files

| | file | MB | differs from PyTorch by | ms a look |
| --- | --- | --- | --- | --- |
{forms}

The time of a look is that of one picture, the median of {runs}, on this machine: {processor}, {cores} cores.
ONNX and OpenVINO files were asked through OpenVINO, in float32.

## How to use it

| | |
| --- | --- |
| input `rgb` | (N, {side}, {side}, 3) uint8, RGB; it is normalised inside |
| output `hair` | (N, {side}, {side}) float32, probability of hair; hair from 0.5 on |

```python
{example}```

- **Upright.** Telephones store pictures turned and say so in EXIF: turn them first (`exif_transpose`).
- **Squash, no letterbox.** The whole picture is squeezed into the square, whatever its shape. It was trained so.
  A picture longer than twice its width is better cut into overlapping parts.
- **Means, no samples.** A large picture is shrunk by the mean of the pixels that each new one covers: `squash`.
- **Enlarge the probability, then cut.** The mask is brought to the picture's size bilinearly; 128 and more is hair.

**Small heads.** One look shows heads of a third of the picture's height and more. In scenes `{scout}` finds where
to look: it takes (1, {scout_side}, {scout_side}, 3) as above and gives the probability of hair
(1, {scout_out}, {scout_out}), coarsely. Cut a square round each piece of it that is over 0.4, with 0.4 of its size
as room on each side, and give each square to the student.

## Made of

{made}

## How good

{figures}

## Terms

{terms}
"""

EXAMPLE = """import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def squash(image, side):
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        sums = np.concatenate([0.0 * image[:1], np.cumsum(image, axis=0, dtype=float)])
        at = np.linspace(0, len(image), side + 1)
        whole = np.minimum(at.astype(int), len(image) - 1)
        edges = sums[whole] + (at - whole)[:, None, None] * image[whole]
        image = np.moveaxis(np.diff(edges, axis=0) * side / len(image), 0, axis)
    return np.rint(image).astype(np.uint8)


picture = ImageOps.exif_transpose(Image.open("portrait.jpg")).convert("RGB")
student = onnxruntime.InferenceSession("{onnx}")
hair = student.run(["hair"], {{"rgb": squash(np.asarray(picture), {side})[None]}})[0][0]
mask = Image.fromarray(np.rint(255 * hair).astype(np.uint8)).resize(picture.size, Image.Resampling.BILINEAR)
mask.save("hair.png")
"""

RESEARCH = "**Research and non-commercial use only.** "
OF_SHIPPED = (
    RESEARCH
    + "The weights come of the student that this project ships, or of another one, whose terms go on. The shipped "
    "student was trained on CelebAMask-HQ, Figaro1k and other sets that are for that alone; models/README.md of the "
    "project lists them."
)
OF_TEACHER = (
    RESEARCH
    + "The teacher of the labels, FaceXFormer (its code is under the MIT licence), was trained on CelebAMask-HQ "
    "among others, which is for that alone."
)
OF_OTHERS = (
    "Weights inherit the terms of the pictures and of the masks that they were trained on. These were the maker's own, "
    "and the maker has to say which terms they have: until then take them for research and non-commercial use only."
)


def write_card(weights: Path, forms: list[Form], folder: Path) -> Path:
    """Write `NAME.md` beside exported weights, from what lies beside the weights they come from; its path."""
    student = load_student(weights)
    manifest = manifest_of(weights.parent)
    text = TEXT.format(
        name=weights.stem, file=weights.name, sum=sha256(weights), side=student.side, encoder=encoder_of(student),
        parameters=sum(parameter.numel() for parameter in student.parameters()) / 1e6, upsampling=student.upsampling,
        forms="\n".join(map(row_of, forms)), runs=RUNS, processor=processor(), cores=os.cpu_count(),
        example=EXAMPLE.format(onnx=f"{weights.stem}.onnx", side=student.side), scout=f"{SCOUT.stem}.onnx",
        scout_side=SCOUT_SIZE, scout_out=SCOUT_SIZE // 4, made=made_of(weights, manifest), figures=figures_of(weights),
        terms=terms_of(weights, manifest),
    )  # fmt: skip
    path = folder / f"{weights.stem}.md"
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def row_of(form: Form) -> str:
    """A form as a row of the card's table."""
    files = [form.path] if form.path.is_file() else [path for path in form.path.rglob("*") if path.is_file()]
    files += [form.path.with_suffix(".bin")] if form.path.suffix == ".xml" else []
    size = sum(path.stat().st_size for path in files) / 1e6
    difference = "" if form.difference is None else f"{form.difference:.1g}"
    time = "" if form.milliseconds is None else f"{form.milliseconds:.1f}"
    return f"| {form.name} | `{form.path.name}` | {size:.1f} | {difference} | {time} |"


def encoder_of(student: Network) -> str:
    """Which EfficientNet this is, as it is written."""
    return student.encoder_name.replace("efficientnet-b", "EfficientNet-B")


def manifest_of(run: Path) -> dict:
    """What the run in this folder was made of; empty where nothing says it."""
    try:
        manifest = json.loads((run / MANIFEST).read_text())
        return manifest if {"data", "recipe", "starts"} <= manifest.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}


def is_shipped(weights: Path) -> bool:
    """Whether these are the weights that the project ships."""
    return sha256(weights) == sha256(SHIPPED_WEIGHTS)


def labels_of(manifest: dict) -> dict[str, int]:
    """Who made the labels that a run was trained on -> how many; nothing where its manifest does not say it."""
    return manifest.get("data", {}).get("train", {}).get("labels", {})


def made_of(weights: Path, manifest: dict) -> str:
    """The run's labels, pictures, settings and code, in words."""
    if is_shipped(weights):
        return (
            "The student that this project ships. Labels: drawn masks, and what earlier students of the project see, "
            "half and half; `models/README.md` of the project names the pictures and the command."
        )
    if not manifest:
        return f"There is no `{MANIFEST}` beside these weights, so this is not known here."
    data, start = manifest["data"], manifest["starts"][-1]
    labels = ", ".join(f"{count} by {who}" for who, count in labels_of(manifest).items()) or "not noted"
    pictures = ", ".join(f"{part['pictures']} {name} (hash `{part['hash']}`)" for name, part in data.items())
    recipe = ", ".join(f"{name} {value}" for name, value in manifest["recipe"].items())
    return (
        f"Labels of the pictures trained on: {labels}. They are probabilities of hair; drawn masks are 0 or 1.\n\n"
        f"Pictures: {pictures}.\n\nRecipe: {recipe}.\n\nCode: commit `{start['git_commit']}`, {start['time']}."
    )


def figures_of(weights: Path) -> str:
    """These weights' own figures, as a table: of their run's test, of `evaluate`, or of the project's report."""
    for folder in (weights.parent / TEST, DATA / "runs" / "evaluation"):
        try:
            table = pd.read_csv(folder / "metrics.csv")
        except (OSError, ValueError):
            continue
        if "weights" in table and set(table.weights) == {short_hash(weights)}:
            return markdown_of(table.drop(columns="weights"))
    report = ROOT / "test_result.md"
    if is_shipped(weights) and report.is_file():
        return report.read_text(encoding="utf-8").split("\n## ")[1].partition("\n")[2].strip()
    return (
        "Nobody has measured these weights here: `run_seg_model_ohlora_v4.py evaluate --weights FILE --data DIR` does, "
        "and the next `export` writes it here."
    )


def markdown_of(table: pd.DataFrame) -> str:
    """Figures as a table in Markdown."""
    numbers = table.select_dtypes("number").columns
    cells = table.astype(object)
    for name in numbers:
        cells[name] = ["" if np.isnan(value) else f"{value:.4g}" for value in table[name]]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells.astype(str).values.tolist()]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        "On the pictures set aside, threshold 0.5. One look is what the files above answer; finder is the project's "
        f"own way, with several looks:\n\n{rows}"
    )


def terms_of(weights: Path, manifest: dict) -> str:
    """Under which terms these weights may be used, as far as it is known."""
    teachers = " ".join(labels_of(manifest))
    start = str(manifest.get("recipe", {}).get("warm_start", ""))
    if is_shipped(weights) or "student" in teachers or start.endswith((".safetensors", ".pth")):
        return OF_SHIPPED
    return OF_TEACHER if "facexformer" in teachers else OF_OTHERS
