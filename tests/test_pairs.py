"""Masks in other codings, names that are there twice, the listing, and pictures that are in two parts."""

import errno
import os
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from common.batch.storage import stamp
from common.image.picture import PictureError
from segmentation.dataset import scan
from segmentation.dataset.check import check, find_doubles, likenesses_of
from segmentation.dataset.pairs import DataError, Pair, find_pairs, gather, parts_of, read_pair, readable, split
from segmentation.training.evaluate import evaluate
from segmentation.training.manifest import part_of, write_manifest
from segmentation.training.metrics import pooled
from tests.test_labelling import damage
from tests.test_training import draw


@pytest.fixture
def folder(tmp_path):
    """Four pairs, the masks black and white."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for seed in range(4):
        picture, mask = smooth(seed)
        cv2.imwrite(str(tmp_path / "images" / f"p{seed}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 97])
        cv2.imwrite(str(tmp_path / "masks" / f"p{seed}.png"), mask)
    return tmp_path


def smooth(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture with forms as large as a photograph's."""
    _, mask = draw(seed)
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8), (64, 64)), mask


def doubles_of(pairs: list[Pair]) -> list:
    return find_doubles(pairs, ["a"] * len(pairs), likenesses_of(pairs)[0])


def recode(folder, change) -> None:
    for path in (folder / "masks").iterdir():
        change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).save(path)


def as_classes(mask: np.ndarray) -> Image.Image:
    """Hair is class 13, a palette gives the classes colours."""
    image = Image.fromarray(np.where(mask > 127, 13, 4).astype(np.uint8), "P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return image


def test_masks_of_zero_and_one(folder):
    wanted = {pair.name: read_pair(pair)[1] for pair in gather([folder])}
    recode(folder, lambda mask: Image.fromarray(mask // 255))
    with pytest.raises(DataError, match="masks of 0 and 1.*--hair-value"):
        gather([folder])
    for pair in gather([folder], hair_value=1):
        assert (read_pair(pair)[1] == wanted[pair.name]).all()
    with pytest.raises(DataError, match="no mask has the value 7"):
        gather([folder], hair_value=7)


def test_masks_of_classes_with_a_palette(folder, capsys):
    wanted = {pair.name: read_pair(pair)[1] for pair in gather([folder])}
    recode(folder, as_classes)
    with pytest.raises(DataError):
        gather([folder])
    said = capsys.readouterr().err
    assert "p0.png: a coloured mask" in said and "--hair-value" in said
    for pair in gather([folder], hair_value=13):
        assert (read_pair(pair)[1] == wanted[pair.name]).all()


def test_white_masks_with_transparency_are_named(folder, capsys):
    recode(folder, lambda mask: Image.merge("LA", [Image.new("L", mask.shape[::-1], 255), Image.fromarray(mask)]))
    with pytest.raises(DataError):
        gather([folder])
    assert "p0.png: a mask with transparency" in capsys.readouterr().err


def test_greys_in_three_channels_are_greys(folder):
    wanted = {pair.name: read_pair(pair)[1] for pair in gather([folder])}
    recode(folder, lambda mask: Image.fromarray(np.dstack([mask] * 3)))
    for pair in gather([folder]):
        assert (read_pair(pair)[1] == wanted[pair.name]).all()


def test_half_the_size_is_the_same_shape(folder):
    recode(folder, lambda mask: Image.fromarray(mask[::2, ::2]))
    assert len(gather([folder])) == 4
    recode(folder, lambda mask: Image.fromarray(mask[:20]))
    with pytest.raises(DataError, match="32 x 20 pixels, its picture 64 x 64"):
        gather([folder])


def test_two_pictures_of_one_name_are_named(folder):
    cv2.imwrite(str(folder / "images" / "p1.png"), smooth(9)[0])
    pairs, problems = find_pairs(folder)
    assert [pair.name for pair in pairs] == ["p0", "p2", "p3"]
    assert len(problems) == 1 and "p1.jpg" in problems[0] and "p1.png" in problems[0]


def test_the_flat_folder_takes_any_format(tmp_path):
    picture, mask = smooth(0)
    cv2.imwrite(str(tmp_path / "face_7.jpg"), picture)
    cv2.imwrite(str(tmp_path / "parsing_hair_label_7.png"), mask)
    assert [pair.name for pair in gather([tmp_path])] == ["7"]


def test_pairs_are_looked_through_once(folder, monkeypatch):
    assert len(gather([folder])) == 4

    def looked(place):
        raise AssertionError(f"{place} is decoded again")

    monkeypatch.setattr("segmentation.dataset.pairs.facts_of", looked)
    assert len(gather([folder])) == 4
    monkeypatch.undo()
    (folder / "images" / "p2.jpg").write_bytes(b"broken")
    assert len(gather([folder])) == 3


def test_pictures_are_known_by_their_heads(folder, monkeypatch, capsys):
    whole = (folder / "images" / "p2.jpg").read_bytes()
    turned = Image.open(folder / "images" / "p3.jpg").crop((0, 0, 64, 32))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned.save(folder / "images" / "p3.jpg", exif=exif)
    Image.open(folder / "masks" / "p3.png").crop((0, 0, 32, 64)).save(folder / "masks" / "p3.png")
    with monkeypatch.context() as patch:
        patch.setattr("segmentation.dataset.pairs.read_picture", None)
        assert len(gather([folder])) == 4, "none is decoded, and the turned one has its mask's shape"
    (folder / "images" / "p2.jpg").write_bytes(whole[: len(whole) // 2])
    assert len(gather([folder])) == 3
    assert "p2.jpg: broken or cut short" in capsys.readouterr().err


def test_check_decodes_all_of_them(folder, capsys):
    picture = Image.open(folder / "images" / "p2.jpg")
    picture.save(folder / "images" / "p2.png")
    (folder / "images" / "p2.jpg").unlink()
    whole = (folder / "images" / "p2.png").read_bytes()
    middle = len(whole) // 2
    (folder / "images" / "p2.png").write_bytes(whole[:middle] + b"!" * 40 + whole[middle + 40 :])
    pairs = gather([folder])
    assert len(pairs) == 4 and [pair.name for pair in readable(pairs)] == ["p0", "p1", "p3"]
    assert "nothing is measured on it" in capsys.readouterr().err
    assert check({"train": [folder], "val": []}, None) == 1
    said = capsys.readouterr()
    assert "p2.png: broken or cut short" in said.err and "1 files left out" in said.out


def test_check_tells_of_damaged_pictures(folder, capsys):
    damage(folder / "images" / "p2.jpg", (64, 64))
    assert check({"train": [folder], "val": []}, None) == 1
    said = capsys.readouterr()
    assert "p2.jpg: damaged: " in said.err and said.out.endswith("0 files left out, 1 damaged\n")


def test_links_to_nothing_and_pipes_are_left_out_alone(folder, capsys):
    for path, replaced in ((folder / "images" / "p0.jpg", "gone"), (folder / "masks" / "p1.png", "p1.png")):
        path.unlink()
        path.symlink_to(replaced)
    (folder / "masks" / "p2.png").unlink()
    os.mkfifo(folder / "masks" / "p2.png")
    assert check({"train": [folder], "val": []}, None) == 1
    said = capsys.readouterr()
    assert "p0.jpg: is a link to gone, which is not there" in said.err and "p1.png: is a link that leads" in said.err
    assert "p2.png: is no file but a folder, a pipe or a device" in said.err and said.out.startswith(
        f"{folder}: 1 pairs"
    )


def test_a_folder_within_that_cannot_be_read_is_told(folder, monkeypatch):
    (folder / "images" / "deep").mkdir()
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    pairs, problems = find_pairs(folder)
    assert len(pairs) == 4 and problems == [f"{folder / 'images' / 'deep'}: cannot be read: Permission denied"]


def test_a_folder_that_cannot_be_written_is_listed_in_the_cache(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(scan, "NAME", "images/p0.jpg/.pairs.csv")  # below a file: nothing can be written there
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert len(gather([folder])) == 4
    assert len(pd.read_csv(scan.cache_of(folder))) == 4


def test_copies_and_mirror_images_are_found(folder, tmp_path, capsys):
    other = tmp_path / "other"
    for part in ("images", "masks"):
        (other / part).mkdir(parents=True)
    picture = cv2.imread(str(folder / "images" / "p1.jpg"))
    copies = {"mirror": picture[:, ::-1], "small": cv2.resize(cv2.imread(str(folder / "images" / "p2.jpg")), (40, 40))}
    for name, copy in copies.items():
        cv2.imwrite(str(other / "images" / f"{name}.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 60])
        cv2.imwrite(str(other / "masks" / f"{name}.png"), np.full(copy.shape[:2], 255, np.uint8))
    pairs = gather([folder, other])
    found = {(double.second.name, double.first.name, double.mirrored) for double in doubles_of(pairs)}
    assert found == {("mirror", "p1", True), ("small", "p2", False)}
    assert check({"train": [folder], "val": [other]}, None) == 1
    said = capsys.readouterr()
    assert "mirror.jpg (val): the mirror image of" in said.err and "2 of them in two parts" in said.out
    assert check({"train": [folder], "val": []}, None) == 0


def test_plain_pictures_are_no_copies_of_each_other(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((64, 64, 3), 200, np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), np.full((64, 64), 255, np.uint8))
    assert doubles_of(gather([tmp_path])) == []


def test_a_share_of_nothing_is_no_figure():
    bald = dict(name="a", tp=0, fp=0, fn=0, tn=100, mse=0.0, iou=1.0, boundary_f1=1.0)
    figures = pooled(pd.DataFrame([bald]))
    assert figures["iou"] == figures["dice"] == 1
    assert np.isnan(figures["recall"]) and np.isnan(figures["precision"])
    wrong = pooled(pd.DataFrame([bald | dict(fp=10, tn=90, iou=0.0)]))
    assert wrong["iou"] == wrong["dice"] == wrong["precision"] == 0 and np.isnan(wrong["recall"])
    missed = pooled(pd.DataFrame([bald | dict(fn=10, tn=90, iou=0.0)]))
    assert missed["iou"] == missed["recall"] == 0 and np.isnan(missed["precision"])


def test_both_figures_are_told_and_why_they_differ(folder, tmp_path, capsys):
    """One look sees what is drawn, the finder takes nothing of it: the student's figures are its own."""
    pairs = gather([folder])
    drawn = {read_pair(pair)[0].tobytes(): read_pair(pair)[1] for pair in pairs}
    nothing = lambda rgb: np.zeros(rgb.shape[:2], np.uint8)  # noqa: E731
    out = tmp_path / "figures"
    metrics = evaluate(pairs, nothing, out, one_look=lambda rgb: drawn[rgb.tobytes()], weights="sha256:1")
    assert metrics.loc[("all", "one look"), "iou"] == 1 and metrics.loc[("all", "finder"), "iou"] == 0
    table = pd.read_csv(out / "metrics.csv", dtype=str, keep_default_na=False)
    assert table.by.tolist() == ["one look", "finder"] and table.precision.tolist() == ["1.0", ""]
    assert set(table.weights) == {"sha256:1"}
    assert pd.read_csv(out / "pictures.csv").iou_one_look.tolist() == [1.0] * 4
    assert "in 4 of 4 pictures with hair none is found: one look shows some in 4" in capsys.readouterr().err
    evaluate(pairs, nothing, out, one_look=nothing)
    assert "nothing in them reaches one half" in capsys.readouterr().err
    evaluate(pairs, lambda rgb: drawn[rgb.tobytes()], out, one_look=nothing)
    assert "none is found" not in capsys.readouterr().err


def test_what_a_run_has_trained_on_is_left_out_of_its_figures(tmp_path, capsys):
    pairs = [Pair(f"p{n}", tmp_path / f"{n}.png", tmp_path / f"{n}.png") for n in range(6)]
    weights = tmp_path / "run" / "best.safetensors"
    weights.parent.mkdir()
    assert part_of(pairs, weights, None, 0) == pairs
    rows = [("train", 0), ("train", 1), ("val", 2), ("test", 3), ("val", 4), ("test", 4)]
    rows = [dict(part=part, name=f"p{n}", image=tmp_path.resolve() / f"{n}.png") for part, n in rows]
    pd.DataFrame(rows).to_csv(weights.parent / "split.csv", index=False)
    assert [pair.name for pair in part_of(pairs, weights, None, 0)] == ["p3", "p4", "p5"]
    said = capsys.readouterr().err
    assert (
        "3 of 6 pictures were trained on" in said and "1 of the 3 pictures trained or chose these weights too" in said
    )
    assert [pair.name for pair in part_of(pairs, weights, "test", 0)] == ["p3", "p4"]
    assert part_of(pairs, weights, "all", 0) == pairs
    with pytest.raises(DataError, match="--part all"):
        part_of(pairs[:2], weights, None, 0)


def test_a_run_knows_its_pictures_again_elsewhere(folder, tmp_path):
    pairs = gather([folder])
    run = tmp_path / "run"
    write_manifest(run, {}, {}, {"train": pairs[:2], "val": pairs[2:3], "test": pairs[3:]}, "cpu")
    moved = tmp_path / "moved"
    moved.mkdir()
    for part in ("images", "masks"):
        (folder / part).rename(moved / part)
    pairs = gather([moved])
    assert [pair.name for pair in part_of(pairs, run / "best.safetensors", None, 0)] == ["p3"]
    (moved / "images" / "p0.jpg").write_bytes((moved / "images" / "p0.jpg").read_bytes() + b"\0")
    found = part_of(pairs, run / "best.safetensors", None, 0)
    assert [pair.name for pair in found] == ["p0", "p3"], "another picture of the same name"


def test_names_that_are_no_utf8_go_through_every_table(folder, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9")
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        (folder / part / f"p0{suffix}").rename(folder / part / f"{name}{suffix}")
    pairs = gather([folder])
    assert pairs[0].name == name and gather([folder]) == pairs
    write_manifest(tmp_path / "run", {}, {}, {"train": pairs[:3], "val": pairs[3:], "test": pairs[3:]}, "cpu")
    assert part_of(pairs, tmp_path / "run" / "best.safetensors", None, 0) == pairs[3:]
    evaluate(pairs, lambda rgb: rgb[..., 0], tmp_path / "figures")
    assert "caf?" in (tmp_path / "figures" / "pictures.csv").read_text()


def test_a_fault_that_has_passed_is_forgotten(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("segmentation.dataset.pairs.read_mask", failing)
        with pytest.raises(DataError):
            gather([folder])
    assert len(gather([folder])) == 4


def failing(*_: object) -> None:
    raise PictureError("the disk is away")


def test_labels_to_measure_on_are_decoded_before_hours_have_gone(folder, capsys):
    label = folder / "masks" / "p1.png"
    label.write_bytes(label.read_bytes()[:-40])
    assert [pair.name for pair in readable(find_pairs(folder)[0])] == ["p0", "p2", "p3"]


def rows_of_labels() -> list[dict]:
    """Four pictures that are labelled, and one that could not be read."""
    names = [dict(image=f"images/p{n}.jpg", label=f"masks/p{n}.png") for n in range(4)]
    failed = dict(image="images/broken.jpg", label="", teacher="", status="failed")
    return [*(row | dict(teacher="facexformer", status="ok") for row in names), failed]


def test_a_table_of_the_labelling(folder):
    pd.DataFrame(rows_of_labels()).to_csv(folder / "labels.csv", index=False)
    pairs, problems = find_pairs(folder)
    assert [pair.name for pair in pairs] == [f"masks/p{n}" for n in range(4)] and "broken.jpg" in problems[0]


def test_a_table_of_the_labelling_by_a_cluster(folder, capsys):
    """What failed has no label, what was done again counts once."""
    pytest.importorskip("pyarrow", reason="only a cluster writes such tables")
    rows = rows_of_labels()
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    pairs, _ = find_pairs(folder)
    (folder / "labels.csv").unlink()
    (folder / "labels.parquet").mkdir()
    pd.DataFrame([dict(row, status="failed", label="") for row in rows[:2]]).to_parquet(
        folder / "labels.parquet" / "1.parquet"
    )
    pd.DataFrame(rows).to_parquet(folder / "labels.parquet" / "2.parquet")
    assert find_pairs(folder)[0] == pairs and capsys.readouterr().err == ""
    rows[0]["teacher"] = "student"
    pd.DataFrame(rows).to_parquet(folder / "labels.parquet" / "2.parquet")
    find_pairs(folder)
    assert "3 by facexformer, 1 by student" in capsys.readouterr().err
    (folder / "labels.parquet" / "2.parquet").write_bytes(b"half")
    with pytest.raises(DataError, match="labels.parquet"):
        find_pairs(folder)


def test_the_last_of_several_rows_is_told_by_its_number(folder):
    """Whatever the files are called: clocks differ."""
    pytest.importorskip("pyarrow", reason="only a cluster writes such tables")
    (folder / "labels.parquet").mkdir()
    rows = [dict(row, number=number + 10) for number, row in enumerate(rows_of_labels())]
    pd.DataFrame(rows).to_parquet(folder / "labels.parquet" / "a.parquet")
    before = [dict(row, status="failed", label="", number=number) for number, row in enumerate(rows)]
    pd.DataFrame(before).to_parquet(folder / "labels.parquet" / "b.parquet")
    pd.DataFrame(rows_of_labels()[:1]).assign(status="failed").to_parquet(folder / "labels.parquet" / "c.parquet")
    pairs, _ = find_pairs(folder)
    assert len(pairs) == sum(row["status"] == "ok" for row in rows)


def test_what_a_table_of_a_cluster_needs_is_told(folder, monkeypatch):
    (folder / "labels.parquet").mkdir()
    (folder / "labels.parquet" / "1.parquet").touch()
    monkeypatch.delitem(sys.modules, "common.batch.rows", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        find_pairs(folder)


# ---- labels that cannot be what they are taken for ----


def test_masks_of_two_other_values_are_told(folder):
    recode(folder, lambda mask: Image.fromarray(np.where(mask > 127, 128, 0).astype(np.uint8)))
    with pytest.raises(DataError, match="masks of two values, 128 the greater.*--hair-value"):
        gather([folder])
    assert len(gather([folder], hair_value=128)) == 4
    recode(folder, lambda mask: Image.fromarray(np.where(mask > 127, 17, 200).astype(np.uint8)))
    with pytest.raises(DataError, match="the greatest value of its masks is 200"):
        check({"train": [folder], "val": []}, None)


def test_soft_masks_that_end_before_255_are_shares(folder):
    recode(folder, lambda mask: Image.fromarray(cv2.GaussianBlur(mask, (0, 0), 4) // 8 * 7))
    assert len(gather([folder])) == 4


def test_inverted_masks_are_told(folder):
    recode(folder, lambda mask: Image.fromarray(255 - mask))
    with pytest.raises(DataError, match="more hair at the border.*inverted.*--hair-value 0"):
        gather([folder])
    wanted = {pair.name: 255 - cv2.imread(str(pair.label), 0) for pair in find_pairs(folder)[0]}
    assert all((read_pair(pair)[1] == wanted[pair.name]).all() for pair in gather([folder], hair_value=0))


def test_empty_masks_are_told_and_those_of_nobody_go_with_others(folder, tmp_path, capsys):
    nobody = tmp_path / "nobody"
    for part in ("images", "masks"):
        (nobody / part).mkdir(parents=True)
    cv2.imwrite(str(nobody / "images" / "a.png"), smooth(9)[0])
    cv2.imwrite(str(nobody / "masks" / "a.png"), np.zeros((64, 64), np.uint8))
    for ask in (lambda: parts_of([nobody], None, None, 0), lambda: check({"train": [nobody], "val": []}, None)):
        with pytest.raises(DataError, match="all 1 labels are empty"):
            ask()
    assert len(parts_of([nobody, folder], None, None, 0)["train"]) == 5
    assert "all its 1 masks are empty, as of pictures of nobody" in capsys.readouterr().err


@pytest.mark.parametrize("factor", [1, 257])
def test_masks_of_16_bits_are_read(folder, factor):
    wanted = {pair.name: read_pair(pair)[1] for pair in gather([folder])}
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), 0).astype(np.uint16) * factor)
    for pair in gather([folder]):
        assert (read_pair(pair)[1] == wanted[pair.name]).all()
    for pair in gather([folder], hair_value=255 * factor):
        assert (read_pair(pair)[1] == wanted[pair.name]).all()


def test_masks_of_a_square_picture_as_it_is_stored(folder, capsys):
    """Of four the EXIF of one turns the picture, and its mask was drawn on the pixels as they are stored."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture, mask = np.full((64, 64, 3), 220, np.uint8), np.zeros((64, 64), np.uint8)
    picture[4:30, 20:60], mask[4:30, 20:60] = 30, 255
    Image.fromarray(picture).save(folder / "images" / "p1.jpg", exif=exif, quality=95)
    cv2.imwrite(str(folder / "masks" / "p1.png"), mask)
    assert [pair.name for pair in gather([folder])] == ["p0", "p2", "p3"]
    assert "p1.png: fits its picture's pixels as they are stored" in capsys.readouterr().err
    cv2.imwrite(str(folder / "masks" / "p1.png"), np.rot90(mask, -1))
    assert len(gather([folder])) == 4


def test_a_misfit_by_exif_is_named(folder, capsys):
    picture = Image.open(folder / "images" / "p1.jpg").crop((0, 0, 64, 32))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture.save(folder / "images" / "p1.jpg", exif=exif)
    Image.open(folder / "masks" / "p1.png").crop((0, 0, 64, 32)).save(folder / "masks" / "p1.png")
    assert len(gather([folder])) == 3
    assert "it fits the picture before its EXIF turns it" in capsys.readouterr().err


def test_where_most_labels_do_not_fit_none_is_trusted(folder):
    for number in range(3):
        path = folder / "masks" / f"p{number}.png"
        Image.open(path).crop((0, 0, 64, 20)).save(path)
    for ask in (lambda: gather([folder]), lambda: check({"train": [folder], "val": []}, None)):
        with pytest.raises(DataError, match="3 of 4 labels do not fit their pictures"):
            ask()


# ---- labels of the labelling stage ----


@pytest.fixture
def labelled(folder) -> pd.DataFrame:
    """The rows of the four pictures' labels, all that the labelling notes of a file."""
    rows = []
    for number in range(4):
        image, label = folder / "images" / f"p{number}.jpg", folder / "masks" / f"p{number}.png"
        label.write_bytes(label.read_bytes() + b"\0" * number)  # no two of a size
        row = dict(
            image=f"images/{image.name}", label=f"masks/{label.name}", width=64, height=64, teacher="facexformer"
        )
        rows.append(row | dict(source=stamp(image), result_bytes=label.stat().st_size, teacher="facexformer"))
    return pd.DataFrame(rows).assign(status="ok", error="")


def write(rows: pd.DataFrame, folder) -> None:
    rows.to_csv(folder / "labels.csv", index=False)


def test_who_made_the_labels_is_known(folder, labelled):
    assert {pair.maker for pair in gather([folder])} == {"drawn masks"}
    write(labelled, folder)
    assert {pair.maker for pair in gather([folder])} == {"facexformer"}


def test_pictures_that_have_changed_since_are_left_out(folder, labelled, capsys):
    write(labelled, folder)
    assert len(gather([folder])) == 4 and capsys.readouterr().err == ""
    cv2.imwrite(str(folder / "images" / "p1.jpg"), smooth(9)[0])
    wide = labelled.assign(width=[64, 64, 80, 64])
    write(wide, folder)
    assert [pair.name for pair in gather([folder])] == ["masks/p0", "masks/p3"]
    said = capsys.readouterr().err
    assert "p1.jpg: has changed since it was labelled" in said
    assert "p2.jpg: was 80 x 64 pixels when it was labelled and is 64 x 64" in said
    cv2.imwrite(str(folder / "images" / "p0.jpg"), smooth(10)[0])
    with pytest.raises(DataError, match="3 of 4 pictures have changed since they were labelled"):
        gather([folder])


def test_a_copy_has_another_time_alone(folder, labelled, capsys):
    write(labelled, folder)
    for path in (folder / "images").iterdir():
        os.utime(path, (1, 1))
    assert len(gather([folder])) == 4 and capsys.readouterr().err == ""


def test_shuffled_rows_and_mended_labels_are_told_apart(folder, labelled, capsys):
    write(labelled.assign(label=np.roll(labelled.label, 1)), folder)
    with pytest.raises(DataError, match="shuffled"):
        gather([folder])
    write(labelled, folder)
    for number in range(4):
        path = folder / "masks" / f"p{number}.png"
        path.write_bytes(path.read_bytes() + b"\0" * 1000)
    assert len(gather([folder])) == 4
    assert "4 of 4 labels have changed since they were made; taken as mended" in capsys.readouterr().err


def test_one_label_of_two_pictures_is_left_out(folder, labelled, capsys):
    write(labelled.assign(label=["masks/p0.png", "masks/p0.png", "masks/p2.png", "masks/p3.png"]), folder)
    assert [pair.name for pair in gather([folder])] == ["masks/p2", "masks/p3"]
    assert "p1.jpg: its label masks/p0.png is that of 2 pictures" in capsys.readouterr().err


def test_rows_without_a_label_and_with_links_to_nothing_are_left_out(folder, labelled):
    write(labelled.assign(label=["", *labelled.label[1:]]), folder)
    (folder / "images" / "p1.jpg").unlink()
    (folder / "images" / "p1.jpg").symlink_to("gone")
    pairs, problems = find_pairs(folder)
    assert [pair.name for pair in pairs] == ["masks/p2", "masks/p3"]
    assert problems[0] == "images/p0.jpg: its row names no label" and "p1.jpg: is a link to gone" in problems[1]


def test_a_missing_column_is_told(folder, labelled):
    write(labelled.drop(columns="label"), folder)
    with pytest.raises(DataError, match="no column 'label'"):
        gather([folder])


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t").replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.title().replace("Images/P", "images/p").replace("Masks/P", "masks/p").replace(".J", ".j")
        .replace(".P", ".p"),
        lambda text: text + ",,,,\n,,,,\n",
        lambda text: text.replace(",ok", ",ok "),
    ],
    ids=["semicolons", "tabs", "no last end", "capitals", "empty rows", "blanks"],
)  # fmt: skip
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_from_a_spreadsheet(folder, edit, coding):
    table = pd.DataFrame(rows_of_labels()[:4])[["image", "label", "teacher", "status"]].assign(error="")
    text = table.to_csv(index=False)
    (folder / "labels.csv").write_bytes(edit(text).encode(coding))
    assert [pair.name for pair in find_pairs(folder)[0]] == [f"masks/p{n}" for n in range(4)]


def test_a_torn_last_line_does_not_count(folder):
    text = pd.DataFrame(rows_of_labels()[:4])[["image", "label", "teacher", "status"]].to_csv(index=False)
    (folder / "labels.csv").write_text(text.rstrip("\n")[:-12])
    assert len(find_pairs(folder)[0]) == 3


def test_labels_that_never_reach_one_half_are_told(folder, labelled):
    recode(folder, lambda mask: Image.fromarray(np.minimum(cv2.GaussianBlur(mask, (0, 0), 3), 120)))
    write(labelled.drop(columns="result_bytes"), folder)
    for ask in (lambda: gather([folder]), lambda: check({"train": [folder], "val": []}, None)):
        with pytest.raises(DataError, match="none of its labels reaches one half, the greatest value is 120") as told:
            ask()
        assert "--hair-value" not in str(told.value)


# ---- the split ----


def pairs_named(count: int, tmp_path) -> list[Pair]:
    return [Pair(f"p{n:04d}", tmp_path / f"{n}.png", tmp_path / f"{n}.png") for n in range(count)]


def test_the_split_is_exact(tmp_path, capsys):
    parts = split(pairs_named(4930, tmp_path), 0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 3944, "val": 493, "test": 493}
    assert len({pair for part in parts.values() for pair in part}) == 4930
    assert parts != split(pairs_named(4930, tmp_path), 1) and capsys.readouterr().err == ""


def test_small_parts_are_told(tmp_path, capsys):
    assert {name: len(part) for name, part in split(pairs_named(50, tmp_path), 0).items()}["val"] == 5
    assert "5 pictures choose the epoch and 5 are measured on" in capsys.readouterr().err


def test_few_pictures_more_move_few_others(tmp_path):
    few, many = split(pairs_named(500, tmp_path), 3), split(pairs_named(505, tmp_path), 3)
    assert sum(len(set(few[name]) - set(many[name])) for name in few) <= 5
