"""Labels in an object store are brought here, with their pictures, and trained on as others are."""

import pytest

pytest.importorskip("pyarrow", reason="only a cluster writes such tables")

import pandas as pd

from common.errors import UserError
from segmentation.dataset import fetch
from segmentation.dataset.pairs import find_pairs


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in memory, with labels and pictures; what is fetched goes to a folder of the test."""
    import fsspec

    monkeypatch.setattr(fetch, "FETCHED", tmp_path / "fetched")
    files = fsspec.filesystem("memory")
    for name in ("in/a.jpg", "in/deep/b.jpg", "labels/a.png", "labels/deep/b.png"):
        files.pipe(f"/bucket/{name}", name.encode())
    rows = pd.DataFrame({
        "image": [f"memory://bucket/in/{name}" for name in ("a.jpg", "deep/b.jpg", "gone.jpg", "bad.jpg", "a.jpg")],
        "label": ["", "deep/b.png", "gone.png", "", "a.png"],
        "status": ["failed", "ok", "ok", "failed", "ok"],
        "teacher": "facexformer",
        "number": [1, 2, 3, 4, 5],
    })  # fmt: skip
    with files.open("/bucket/labels/labels.parquet/1.parquet", "wb") as file:
        rows.to_parquet(file)
    yield files, rows
    files.rm("/bucket", recursive=True)


def test_labels_and_pictures_in_a_store(store, tmp_path, capsys):
    folder = fetch.brought_here("memory://bucket/labels")
    assert "gone.jpg: left out, it or its label cannot be fetched" in capsys.readouterr().err
    pairs, problems = find_pairs(folder)
    assert [pair.name for pair in pairs] == ["a", "deep/b"] and not problems
    assert pairs[1].image.read_bytes() == b"in/deep/b.jpg" and pairs[1].label.read_bytes() == b"labels/deep/b.png"
    files, _ = store
    files.pipe("/bucket/in/a.jpg", b"changed")
    assert fetch.brought_here("memory://bucket/labels") == folder
    assert find_pairs(folder)[0][0].image.read_bytes() == b"in/a.jpg", "what is here is not fetched again"


def test_labels_here_of_pictures_in_a_store(store, tmp_path):
    _, rows = store
    (tmp_path / "labels" / "labels.parquet").mkdir(parents=True)
    rows[4:].to_parquet(tmp_path / "labels" / "labels.parquet" / "1.parquet")
    (tmp_path / "labels" / "a.png").write_bytes(b"label")
    pairs, _ = find_pairs(fetch.brought_here(tmp_path / "labels"))
    assert [(pair.image.read_bytes(), pair.label.read_bytes()) for pair in pairs] == [(b"in/a.jpg", b"label")]
    assert fetch.brought_here(tmp_path) == tmp_path, "other folders stay where they are"


def test_pictures_are_asked_for_by_the_keys_of_their_labels():
    given = "s3://KEY:SECRET@bucket/labels?endpoint_override=x"
    assert fetch._known_as("s3://bucket/in/deep", given) == "s3://KEY:SECRET@bucket/in/deep?endpoint_override=x"
    assert fetch._known_as("s3://other/in", given) == "s3://other/in"


def test_a_store_without_labels_is_told(store):
    with pytest.raises(UserError, match="memory://bucket/in: its labels.parquet cannot be read"):
        fetch.brought_here("memory://bucket/in")
