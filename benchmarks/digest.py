"""What the three stages make of the samples, a line each: a change that should change no result leaves all lines alone.

    python benchmarks/digest.py > before.txt
    python benchmarks/digest.py | diff before.txt -        once something has been changed

Pictures and labels by a hash of their files, clips by one of their decoded frames.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data" / "samples"
CLIPS = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
STAGES = {
    "labels": ["segmentation/run_segmentation.py", "--teacher", "student"],
    "masks": ["segmentation/run_seg_model_ohlora_v4.py", "predict"],
    "dyed": ["ombre/generate_ombre_images.py", "--color", "0.5", "copper>platinum"],
}


def main() -> None:
    """Run each stage on the samples and print the hashes of what it makes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (script, *options) in STAGES.items():
            output = Path(folder, name)
            command = [sys.executable, ROOT / script, *options, SAMPLES, "--output", output]
            if name == "dyed":  # colours take all words that follow them
                command = [sys.executable, ROOT / script, SAMPLES, *options, "--output", output]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            for path in sorted(path for path in output.rglob("*") if path.suffix not in (".csv", ".lock")):
                if path.is_file():
                    print(name, path.relative_to(output), digest(path))


def digest(path: Path) -> str:
    """A short hash of a file, of a clip one of its frames."""
    hashed = hashlib.sha256()
    for part in frames(path) if path.suffix in CLIPS else [path.read_bytes()]:
        hashed.update(part)
    return hashed.hexdigest()[:16]


def frames(path: Path) -> Iterator[bytes]:
    """The decoded frames of a clip."""
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            yield frame.to_ndarray().tobytes()


if __name__ == "__main__":
    main()
