"""A table of settings, as whatever spreadsheet has saved it."""

import os

import pytest

from common.batch.table import BatchError
from ombre.style import Style, read_styles

NAMES = ["사진.jpg", "two.jpg"]
TABLE = "image,color,ombre_height\n사진.jpg,lilac,0.4\ntwo.jpg,copper,\n"


def semicolons(text):
    return text.replace("0.4", "0,4").replace(",", ";").replace("0;4", "0,4")


SAVED = [
    TABLE.encode(),
    TABLE.encode("utf-8-sig"),
    semicolons(TABLE).encode("utf-8-sig"),
    ("sep=;\n" + semicolons(TABLE)).encode(),
    TABLE.replace(",", "\t").encode("utf-16"),
    TABLE.encode("cp949"),
    semicolons(TABLE).encode("cp949"),
    TABLE.replace("image,color", "Image, Color").encode(),
    TABLE.replace("\n", "\r\n").encode(),
]


@pytest.mark.parametrize("data", SAVED)
def test_tables_of_any_spreadsheet(tmp_path, data):
    for name in NAMES:
        (tmp_path / name).touch()
    (tmp_path / "s.csv").write_bytes(data)
    styles = read_styles(tmp_path / "s.csv", [Style()])
    first, second = (styles[str(tmp_path.resolve() / name)][0] for name in NAMES)
    assert (first.color, first.ombre_height) == ("lilac", 0.4)
    assert (second.color, second.ombre_height) == ("copper", Style.ombre_height)


@pytest.mark.parametrize(("data", "said"), [
    (b"picture,color\na.jpg,lilac\n", "no column 'image' in its first line (picture,color)"),
    ("image,color\n사진.jpg,lilac\n".encode("cp949"), "save it as 'CSV UTF-8'"),
    (b"image,color\n,lilac\n", "line 2 has no 'image'"),
    (b"image,ombre_height\na.jpg,high\n", "line 2: ombre_height 'high' is not a number"),
    (b"", "no column 'image'"),
])  # fmt: skip
def test_what_cannot_be_told_is_a_line(tmp_path, data, said):
    (tmp_path / "s.csv").write_bytes(data)
    with pytest.raises(BatchError) as raised:
        read_styles(tmp_path / "s.csv", [Style()])
    assert said in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("stem", ["x" * 251, "가" * 83, "x" * 250 + "\udcff"])
def test_a_name_that_would_be_too_long_is_cut_and_told_apart(stem):
    style = Style("platinum", ombre_height=0.4)
    name = style.name(f"a/{stem}.jpg")
    folder, _, own = name.rpartition("/")
    assert folder == "a" and own.endswith("_platinum_h0.4.jpg") and len(os.fsencode(own)) <= 255
    assert own[:40] == stem[:40] and own != style.name(f"a/{stem[:-1]}y.jpg").rpartition("/")[2]
