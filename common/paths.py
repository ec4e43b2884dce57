"""Where things lie in this project."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS, DATA = ROOT / "models", ROOT / "data"
