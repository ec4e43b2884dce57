"""Damaged files in every format, dyed where memory is limited: has each a row, does anything hang, does anything crash?

    python benchmarks/damaged.py [--pictures 2000] [--clips 300] [--seed 0] [--keep DIR]

Whole files are made of a sample, small, in the kinds that people have; copies of them are cut short, have bytes turned,
a span emptied or doubled, or the head of another file, all by one seed. The script dyes them in parts under a limit of
its address space. A file that breaks a rule is named, and kept with --keep. The exit code is 1 where one did.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageCms

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from common.image.hdr import PQ
from common.image.hdr_files import Hdr
from common.image.picture import Picture, write_picture
from common.image.pixels import learn_heif
from tests.tools.clips import make_clip

SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
SAMPLE = ROOT / "data" / "samples" / "ginger_wavy.jpg"
SIZE = 120, 144  # of the files
FRAMES = 5
HEAD = 600  # bytes in which half of all turned bytes lie: there is said what the file is
LONGEST = 60  # seconds without a row
LOOK = 0.5  # seconds between two looks at the table
OURS = re.compile(r"^(\S*in/|out: |Error|left out|preparing|\d)")  # how lines of the script begin
UNEXPECTED = r"\w*([Ee]rror|Exception|Warning): "  # what follows a file's name where an error is none of the script's

Damage = Callable[[bytes, np.random.Generator], bytes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000, metavar="N")
    parser.add_argument("--clips", type=int, default=300, metavar="N", help="moving pictures among them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", type=int, default=250, metavar="N", help="files of one run")
    parser.add_argument("--memory", type=int, default=4_000_000, metavar="KB", help="of address space, for a run")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files go that break a rule")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found = Found()
    with tempfile.TemporaryDirectory() as place:
        pictures, clips = whole_files(Path(place, "whole"))
        todo = [*spread(pictures, options.pictures), *spread(clips, options.clips)]
        for start in range(0, len(todo), options.part):
            folder = Path(place, f"{start:05d}")
            (folder / "in").mkdir(parents=True)
            for number, whole in enumerate(todo[start : start + options.part], start):
                how = list(DAMAGES)[rng.integers(len(DAMAGES))]
                damaged = DAMAGES[how](whole.read_bytes(), rng)
                (folder / "in" / f"{number:05d}_{whole.stem}_{how}{whole.suffix}").write_bytes(damaged)
            found.add(folder, run(folder, options.memory), options.keep)
            done = min(start + options.part, len(todo))
            print(f"{done:,} of {len(todo):,}, {len(found.broken_rules)} broke a rule", flush=True)
            shutil.rmtree(folder)
    print(markdown(found.table()))
    print("\n".join(found.broken_rules) or "no rule was broken")
    return int(bool(found.broken_rules))


def spread(files: list[Path], count: int) -> list[Path]:
    return [files[number % len(files)] for number in range(count)]


# ---- whole files ----


def whole_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Still pictures and clips in every kind."""
    folder.mkdir()
    learn_heif()
    rgb = Image.open(SAMPLE).resize(SIZE)
    clear = rgb.copy()
    clear.putalpha(Image.linear_gradient("L").resize(SIZE))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Camera"
    more = dict(exif=exif, icc_profile=icc)
    moved = [rgb.rotate(3 * number) for number in range(FRAMES)]
    moving = dict(save_all=True, append_images=moved[1:], duration=40)
    stills: dict[str, tuple[Image.Image, dict]] = {
        "plain.jpg": (rgb, {}),
        "progressive.jpg": (rgb, dict(progressive=True, **more)),
        "grey.jpg": (rgb.convert("L"), {}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "plain.png": (rgb, more),
        "clear.png": (clear, {}),
        "palette.png": (rgb.quantize(64), {}),
        "lossy.webp": (rgb, more),
        "lossless.webp": (clear, dict(lossless=True)),
        "plain.avif": (rgb, more),
        "plain.heic": (rgb, more),
        "clear.heic": (clear, {}),
        "plain.tif": (rgb, more),
        "lzw.tif": (clear, dict(compression="tiff_lzw")),
        "deflate.tif": (rgb, dict(compression="tiff_deflate")),
        "jpeg.tif": (rgb, dict(compression="jpeg")),
        "plain.bmp": (rgb, {}),
        "palette.bmp": (rgb.quantize(64), {}),
    }
    for name, (image, settings) in stills.items():
        image.save(folder / name, **settings)
    cv2.imwrite(str(folder / "deep.png"), np.asarray(rgb, np.uint16)[..., ::-1] * 257)
    cv2.imwrite(str(folder / "deep.tif"), np.asarray(rgb, np.uint16)[..., ::-1] * 257)
    wide = np.asarray(rgb, np.uint16) * 257
    write_picture(folder / "deep.avif", Picture(wide))
    write_picture(folder / "deep.heic", Picture(wide, bits=12))
    for name in ("hdr.png", "hdr.heic", "hdr.avif"):
        write_picture(folder / name, Picture(wide, hdr=Hdr(PQ, 9, 9, {})))
    gain = io.BytesIO()
    rgb.convert("L").resize((30, 36)).save(
        gain, "JPEG", xmp=b"<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>"
    )
    (folder / "gain.jpg").write_bytes((folder / "progressive.jpg").read_bytes() + gain.getvalue())
    pictures = sorted(folder.iterdir())
    for name in ("moving.gif", "moving.webp", "moving.png"):
        moved[0].save(folder / name, **moving)
    rgb.save(folder / "still.gif")
    make_clip(folder / "h264.mp4", sound=True, frames=FRAMES)
    make_clip(folder / "mpeg4.avi", "mpeg4", frames=FRAMES)
    make_clip(folder / "h264.mov", sound=True, rotation=90, frames=FRAMES)
    make_clip(folder / "h264.mkv", frames=FRAMES)
    make_clip(folder / "vp8.webm", "libvpx", frames=FRAMES)
    make_clip(folder / "prores.mov", "prores_ks", "yuv422p10le", frames=FRAMES)
    make_clip(folder / "mpeg2.mpg", "mpeg2video", frames=FRAMES)
    make_clip(folder / "deep.mp4", "libx265", "yuv420p10le", frames=FRAMES)
    return pictures, sorted(set(folder.iterdir()) - set(pictures))


# ---- damage ----


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Its first part, down to nothing."""
    return data[: rng.integers(len(data))]


def turned(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are others; half of them lie in its head."""
    damaged = np.frombuffer(data, np.uint8).copy()
    count = int(2 ** rng.uniform(0, 6))
    ends = np.where(rng.random(count) < 0.5, min(HEAD, len(data)), len(data))
    damaged[rng.integers(ends)] = rng.integers(256, size=count)
    return damaged.tobytes()


def emptied(data: bytes, rng: np.random.Generator) -> bytes:
    """A span of zeros, as of a copy that was broken off."""
    start = int(rng.integers(len(data)))
    length = min(int(2 ** rng.uniform(2, 14)), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def doubled(data: bytes, rng: np.random.Generator) -> bytes:
    """A span stands twice, and all behind it is moved."""
    start = int(rng.integers(len(data)))
    return data[:start] + data[start : start + int(2 ** rng.uniform(0, 10))] + data[start:]


def swapped(data: bytes, rng: np.random.Generator) -> bytes:
    """Its head is that of another kind."""
    heads = [b"\xff\xd8\xff\xe0\0\x10JFIF", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\x7fWEBPVP8 ", b"II*\0\x08\0\0\0"]
    heads += [b"\0\0\0\x1cftypheic", b"\0\0\0\x1cftypavif", b"\0\0\0\x18ftypmp42", b"GIF89a\xff\xff\xff\xff", b"BM"]
    heads += [
        b"\x1aE\xdf\xa3",
        b"MM\0*",
        b"MM\0+\0\x08\0\0",
        b"II+\0\x08\0\0\0",
        b"\0\0\0\x0cJXL ",
        b"RIFF\0\0\1\0AVI LIST",
    ]
    head = heads[rng.integers(len(heads))]
    return head + data[len(head) :]


DAMAGES: dict[str, Damage] = {each.__name__: each for each in (cut, turned, emptied, doubled, swapped)}


# ---- a run, and what it left ----


@dataclass
class Run:
    """What a run of the script said, and how it ended."""

    code: int
    said: str
    slowest: float  # seconds, the longest time without a row
    hung: bool


def run(folder: Path, memory: int) -> Run:
    """Dye what is in `in/`, under a limit of address space in kilobytes; a run without a row for LONGEST is ended."""
    command = f'ulimit -v {memory}; exec "$@"'
    python = [sys.executable, str(SCRIPT), "in", "--output", "out"]
    with open(folder / "said", "w") as said:
        process = subprocess.Popen(["bash", "-c", command, "-", *python], cwd=folder, stdout=said, stderr=said)
    rows, last, slowest, hung = 0, time.monotonic(), 0.0, False
    while process.poll() is None and not hung:
        time.sleep(LOOK)
        now = rows_in(folder / "out" / "ombre.csv")
        if now != rows:
            rows, last = now, time.monotonic()
        slowest = max(slowest, time.monotonic() - last)
        if hung := slowest > LONGEST:
            process.kill()
    return Run(process.wait(), (folder / "said").read_text(errors="replace"), slowest, hung)


def rows_in(table: Path) -> int:
    return table.read_bytes().count(b"\n") if table.is_file() else 0


@dataclass
class Found:
    """How all files fared, and what broke a rule."""

    rows: list[pd.DataFrame] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, folder: Path, ended: Run, keep: Path | None) -> None:
        """Look at what a run left."""
        self.slowest = max(self.slowest, ended.slowest)
        given = sorted(path.name for path in (folder / "in").iterdir())
        table = folder / "out" / "ombre.csv"
        rows = pd.read_csv(table, keep_default_na=False) if table.is_file() else pd.DataFrame(columns=COLUMNS)
        rows["name"] = [Path(image).name for image in rows.image]
        self.rows.append(rows)
        wrong = {name: "has no row" for name in set(given) - set(rows.name)}
        wrong |= {name: "has several rows" for name in rows.name[rows.name.duplicated()]}
        for row in rows.itertuples():
            if row.status == "failed" and re.search(f"{re.escape(row.name)}: {UNEXPECTED}", row.error):
                wrong[row.name] = f"nobody expected {row.error}"
            elif row.status != "failed" and not (folder / "out" / row.output).is_file():
                wrong[row.name] = "has no result"
        general = [f"a run ended with {ended.code}"] if ended.code not in (0, 1) else []
        general += [f"a run gave no row for {LONGEST} s"] if ended.hung else []
        general += ["a traceback"] if "Traceback" in ended.said else []
        general += [f"a line without a name: {line}" for line in strangers(ended.said, given)]
        if keep and (wrong or general):
            keep.mkdir(parents=True, exist_ok=True)
            for name in wrong or given:
                shutil.copy(folder / "in" / name, keep)
            (keep / f"{folder.name}.said").write_text(ended.said)
        self.broken_rules += [f"{name}: {what}" for name, what in sorted(wrong.items())]
        self.broken_rules += [f"{folder.name}: {what}" for what in general]

    def table(self) -> list[dict[str, object]]:
        """How many of each kind were dyed, and how many of those are noted as damaged."""
        rows = pd.concat(self.rows)
        kinds = rows.name.str.replace(r"^\d+_(\w+?)_(\w+)(\.\w+)$", r"\1\3", regex=True)
        said = [
            {
                "kind": kind,
                "files": len(of),
                "refused": int((of.status == "failed").sum()),
                "dyed or copied": int((of.status != "failed").sum()),
                "of these noted as damaged": int(of.note.str.contains("damaged").sum()),
            }
            for kind, of in rows.groupby(kinds)
        ]
        total = {"kind": f"all; at most {self.slowest:.0f} s without a row"}
        return [*said, total | {name: sum(row[name] for row in said) for name in list(said[0])[1:]}]


COLUMNS = ["image", "output", "status", "error", "note"]


def strangers(said: str, given: list[str]) -> list[str]:
    """Lines that are not the script's own: those name a file, or come at the end."""
    stems = [Path(name).stem for name in given]
    lines = [line.strip() for part in said.splitlines() for line in part.split("\r") if line.strip()]
    return [line for line in lines if not OURS.match(line) and not any(stem in line for stem in stems)][:5]


if __name__ == "__main__":
    sys.exit(main())
