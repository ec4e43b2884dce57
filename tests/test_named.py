"""Which files a command line names."""

import argparse
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.batch.table import Table
from common.cli import add_batch


def named(*arguments):
    parser = argparse.ArgumentParser()
    add_batch(parser, Path("in"), Path("out"), "results")
    return parser.parse_args([*map(str, arguments)]).pictures


def test_wildcards_that_the_shell_has_left(tmp_path):
    for name in ("b.jpg", "a.jpg", "c.png", "[x].jpg"):
        (tmp_path / name).touch()
    assert named(tmp_path / "?.jpg") == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert named(tmp_path / "[x].jpg") == [tmp_path / "[x].jpg"], "what is there is meant itself"
    assert named(tmp_path / "*.gif") == [tmp_path / "*.gif"], "which is then missed by its name"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_paths_by_the_standard_input(monkeypatch, end):
    data = end.join([b"a b.jpg", b"folder/c.jpg", b""])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert named("first.jpg", "-") == [Path("first.jpg"), Path("a b.jpg"), Path("folder/c.jpg")]


def test_a_table_with_two_rows_of_a_key_is_put_in_order_when_it_is_opened(tmp_path):
    (tmp_path / "t.csv").write_text("image,status,error\nb.jpg,ok,\na.jpg,failed,\na.jpg,ok,\n")
    with Table(tmp_path / "t.csv", ["image", "status", "error"], key="image"):
        pass
    assert (tmp_path / "t.csv").read_text() == "image,status,error\na.jpg,ok,\nb.jpg,ok,\n"
