"""The ombre script as a user starts it: formats, bad files, resuming, settings."""

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.weights import short_hash
from ombre import generate_ombre_images as script
from segmentation import run_seg_model_ohlora_v4 as student
from tests.tools.clips import short_sample
from tests.tools.heads import head_of
from tests.tools.scripts import Done, run_script

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "ombre" / "generate_ombre_images.py"
ASTRONAUT = ROOT / "data" / "samples" / "astronaut.jpg"
PORTRAIT = ASTRONAUT.with_name("brown_long.jpg")  # in which the finder looks but once


def run(*arguments: object) -> Done:
    return run_script(script.main, *arguments)


def rows(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "ombre.csv", keep_default_na=False).set_index("output")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a good picture at each depth, named alike."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    Image.open(PORTRAIT).resize((512, 512)).save(folder / "a.jpg", quality=95)
    Image.open(ASTRONAUT).crop((150, 0, 350, 260)).save(folder / "deep" / "a.png")
    return folder


@pytest.mark.parametrize("option", ["--masks", "--save-masks", "--settings", "--debug"])
def test_what_stays_on_this_machine_is_no_address(folder, tmp_path, option):
    result = run(folder, "--output", tmp_path / "out", option, "s3://KEY:SECRET@bucket/there")
    assert result.returncode == 2 and "Traceback" not in result.stderr and "SECRET" not in result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert "s3://bucket/there: is not on this machine" in line


def test_without_arguments_from_elsewhere_the_samples_are_dyed(tmp_path, monkeypatch):
    """Some of them, into another folder than data/ombre, so that nobody's results are touched."""
    samples, output = tmp_path / "samples", tmp_path / "ombre"
    samples.mkdir()
    for name in ("brown_long.jpg", "two_women.jpg"):
        shutil.copy(script.SAMPLES / name, samples)
    short_sample(samples / "learn.mkv")
    monkeypatch.setattr(script, "SAMPLES", samples)
    monkeypatch.setattr(script, "OUTPUT", output)
    result = run_script(script.main, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (output / "contact_sheet.jpg").is_file() and str(output) in result.stdout.splitlines()[-1]
    assert list(rows(output).status) == ["ok"] * 15
    assert all((output / name).is_file() for name in rows(output).index)


def test_several_colours_by_name_and_number(folder, tmp_path):
    """By a process of its own, from another folder."""
    output = tmp_path / "out"
    command = [sys.executable, SCRIPT, folder, "--output", output, "--color", "pink", "0.5"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=tmp_path)
    assert result.returncode == 0 and result.stderr.count("\n") <= 1, "quiet when not on a terminal"
    assert sorted(rows(output).index) == ["a_0.5.jpg", "a_pink.jpg", "deep/a_0.5.png", "deep/a_pink.png"]
    before, pink, blue = (
        pixels(path) for path in (folder / "deep" / "a.png", output / "deep/a_pink.png", output / "deep/a_0.5.png")
    )
    assert np.abs(pink - blue).max() > 60
    changed = (before != pink).any(axis=-1)
    assert 0.02 < changed.mean() < 0.5, "hair changes, what is not hair stays to the bit"
    assert not (changed ^ (before != blue).any(axis=-1)).any() or 0.02 < (before != blue).any(axis=-1).mean() < 0.5


def test_what_is_done_is_skipped_until_settings_change(folder, tmp_path):
    output = tmp_path / "out"
    assert "2 pictures dyed" in run(folder, "--output", output).stdout
    times = {path: path.stat().st_mtime_ns for path in output.rglob("a_*")}
    again = run(folder, "--output", output)
    assert "0 pictures dyed" in again.stdout and "2 were done before" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in times} == times
    (output / "a_0.9.jpg").unlink()
    killed = output / "deep" / ".a_0.9.1-00112233.part.png"  # what a run that was killed has left
    killed.touch()
    assert "1 pictures dyed" in run(folder, "--output", output).stdout and not killed.exists()
    heights = run(folder, "--output", output, "--ombre-height", "0.3", "0.6").stdout
    assert "2 pictures dyed" in heights and "2 were done before" in heights, "another height is another result"
    assert {path: path.stat().st_mtime_ns for path in times if path.name != "a_0.9.jpg"}.items() <= times.items()
    assert "2 pictures dyed" in run(folder, "--output", output, "--ombre-height", "0.3", "--overwrite").stdout
    assert sorted(rows(output).index) == ["a_0.9.jpg", "a_0.9_h0.3.jpg", "deep/a_0.9.png", "deep/a_0.9_h0.3.png"]


def test_a_table_gives_each_picture_its_own_looks(folder, tmp_path):
    output, settings = tmp_path / "out", tmp_path / "looks.csv"
    settings.write_text(
        "image,color,ombre_height,reverse,remark\n"
        "pictures/a.jpg,코퍼>platinum,0.4,,two\npictures/a.jpg,,,yes,\nelsewhere.jpg,red,,,\n",
        encoding="utf-8-sig",
    )
    result = run(folder, "--output", output, "--settings", settings, "--color", "mint", "--sheet")
    assert result.returncode == 0 and "elsewhere.jpg" in result.stderr
    assert sorted(rows(output).index) == ["a_copper_to_platinum_h0.4.jpg", "a_mint_roots.jpg", "deep/a_mint.png"]
    assert rows(output).color["a_copper_to_platinum_h0.4.jpg"] == "copper>platinum"
    sheet = head_of(output / "contact_sheet.jpg")
    assert sheet.height > 2 * 320 and sheet.width > 3 * 200
    again = run(folder, "--output", tmp_path / "again", "--settings", output / "ombre.csv")
    assert again.returncode == 0
    assert list(rows(tmp_path / "again").index) == list(rows(output).index), "ombre.csv is such a table"
    settings.write_text("image,ombre_height\npictures/a.jpg,0.3\n")
    several = run(folder, "--output", tmp_path / "several", "--settings", settings, "--color", "mint", "pink")
    assert several.returncode == 0
    assert set(rows(tmp_path / "several").index) >= {"a_mint_h0.3.jpg", "a_pink_h0.3.jpg", "deep/a_pink.png"}
    for line, said in [("pictures/a.jpg,mud", "line 2: color 'mud'"), (",red", "line 2 has no 'image'")]:
        settings.write_text(f"image,color\n{line}\n")
        result = run(folder, "--output", output, "--settings", settings)
        assert result.returncode == 2 and said in result.stderr


def test_a_sheet_passes_over_what_has_gone_or_changed(folder, tmp_path):
    output = tmp_path / "out"
    assert run(folder, "--output", output, "--color", "pink").returncode == 0
    (folder / "a.jpg").unlink()
    Image.open(folder / "deep" / "a.png").crop((0, 0, 150, 200)).save(folder / "deep" / "a.png")
    result = run(folder, "--output", output, "--color", "mint", "--sheet")
    assert result.returncode == 0, result.stderr
    assert head_of(output / "contact_sheet.jpg").height < 400, "one picture, as it is now and in mint"


def test_saved_masks_are_no_pictures_to_dye(folder, tmp_path):
    where = "--output", folder / "dyed", "--save-masks", folder / "masks"
    assert run(folder, *where).returncode == 0 and (folder / "masks" / "deep" / "a.png").is_file()
    result = run(folder, "--output", folder / "dyed", "--color", "mint")
    assert result.returncode == 0 and sorted(rows(folder / "dyed").index) == [
        "a_0.9.jpg", "a_mint.jpg", "deep/a_0.9.png", "deep/a_mint.png",
    ]  # fmt: skip


def test_bad_files_are_told_and_the_rest_goes_on(folder, tmp_path):
    output = tmp_path / "out"
    (folder / "text.jpg").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(ASTRONAUT.read_bytes()[:20000])
    Image.new("L", (3000, 1000)).save(folder / "huge.png")
    result = run(folder, "--output", output, "--max-megapixels", "2")
    table = rows(output)
    failed = table[table.status == "failed"]
    assert result.returncode == 1
    assert sorted(failed.index) == ["cut_0.9.jpg", "empty_0.9.png", "huge_0.9.png", "text_0.9.jpg"]
    for name in ("text.jpg", "empty.png", "cut.jpg", "huge.png"):
        assert len([line for line in result.stderr.splitlines() if name in line]) == 1
    assert "--max-megapixels" in failed.error["huge_0.9.png"]
    assert (table.status == "ok").sum() == 2 and not (output / "cut_0.9.jpg").exists()


def test_masks_go_out_are_mended_by_hand_and_come_in(folder, tmp_path):
    """What was saved gives the same result again, and what a person mended is what is dyed."""
    masks, predicted = tmp_path / "masks", tmp_path / "predicted"
    found = run(folder, "--output", tmp_path / "found", "--save-masks", masks, "--format", "png")
    assert found.returncode == 0, found.stderr
    assert run_script(student.main, "predict", folder, "--output", predicted).returncode == 0
    names = {path.relative_to(masks) for path in masks.rglob("*.png")}
    assert names == {path.relative_to(predicted) for path in predicted.rglob("*.png")} and len(names) == 2
    mask = Image.open(masks / "a.png")
    assert mask.mode == "L" and mask.size == head_of(folder / "a.jpg").size

    given = tmp_path / "given"
    assert run(folder, "--output", given, "--masks", masks, "--format", "png").returncode == 0
    for name in ("a_0.9.png", "deep/a_0.9.png"):
        np.testing.assert_array_equal(pixels(given / name), pixels(tmp_path / "found" / name))

    share = np.asarray(mask).copy()
    share[:, : share.shape[1] // 2] = 0
    Image.fromarray(share).save(masks / "a.png")
    again = run(folder, "--output", given, "--masks", masks, "--format", "png")
    assert "1 pictures dyed" in again.stdout and "1 were done before" in again.stdout
    changed = (pixels(given / "a_0.9.png") != pixels(folder / "a.jpg")).any(axis=-1)
    assert changed.any() and not changed[share == 0].any()
    assert "2 pictures dyed" in run(folder, "--output", given, "--masks", predicted, "--refine-masks").stdout


def test_a_saved_mask_that_is_gone_is_made_again(folder, tmp_path):
    output, masks = tmp_path / "out", tmp_path / "masks"
    run(folder, "--output", output)
    assert "2 pictures dyed" in run(folder, "--output", output, "--save-masks", masks).stdout
    assert "2 were done before" in run(folder, "--output", output, "--save-masks", masks).stdout
    assert "2 were done before" in run(folder, "--output", output).stdout
    (masks / "a.png").unlink()
    assert "1 pictures dyed" in run(folder, "--output", output, "--save-masks", masks).stdout
    assert (masks / "a.png").is_file()


def test_masks_that_do_not_fit_are_told(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.new("L", (10, 20)).save(masks / "a.png")
    result = run(folder, "--output", tmp_path / "out", "--masks", masks)
    assert result.returncode == 1
    assert "a.png: the mask has 10 x 20 pixels and its picture 512 x 512" in result.stderr
    assert "there is no mask for this picture" in rows(tmp_path / "out").error["deep/a_0.9.png"]
    for wrong in (["--masks", tmp_path / "none"], ["--refine-masks"], ["--masks", masks, "--save-masks", masks]):
        result = run(folder, "--output", tmp_path / "out2", *wrong)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1


def test_little_dye_and_no_hair_are_counted_by_themselves(folder, tmp_path):
    """Much doubt in most of the hair: what is sure of it is dyed, and a person is told to look."""
    masks = tmp_path / "masks"
    doubt = np.full((512, 512), 9, np.uint8)
    doubt[20:40, 200:240] = 255
    for name, mask in (("a.png", doubt), ("deep/a.png", np.zeros((260, 200), np.uint8))):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(masks / name)
    result = run(folder, "--output", tmp_path / "out", "--masks", masks, "--refine-masks", "--ombre-height", "1")
    assert result.returncode == 0 and set(rows(tmp_path / "out").status) == {"little dyed", "no hair"}
    last = result.stdout.splitlines()[-1]
    assert "0 pictures dyed" in last and "1 little dyed" in last and "1 no hair" in last


def test_without_hair_the_picture_is_copied(tmp_path):
    source = tmp_path / "wall.jpg"
    Image.new("RGB", (200, 100), (180, 170, 150)).save(source)
    result = run(source, "--output", tmp_path / "out")
    assert result.returncode == 0 and "0 pictures dyed" in result.stdout and "1 no hair" in result.stdout
    assert rows(tmp_path / "out").status.item() == "no hair"
    assert (tmp_path / "out" / "wall_0.9.jpg").read_bytes() == source.read_bytes()


def test_height_nought_changes_nothing(folder, tmp_path):
    assert run(folder, "--output", tmp_path / "out", "--ombre-height", "0").returncode == 0
    assert (tmp_path / "out" / "a_0.9_h0.jpg").read_bytes() == (folder / "a.jpg").read_bytes()
    assert set(rows(tmp_path / "out").status) == {"ok"}


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "bmp", "tiff"])
def test_alpha_profile_and_orientation_stay(form, tmp_path):
    source, output = tmp_path / f"turned.{form}", tmp_path / "out"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    picture = Image.open(ASTRONAUT).crop((150, 0, 350, 260)).transpose(Image.Transpose.ROTATE_90)
    alpha = Image.linear_gradient("L").resize(picture.size)
    if form in ("png", "webp", "tiff"):
        picture.putalpha(alpha)
    extra = {} if form == "bmp" else dict(exif=exif, icc_profile=b"a profile")
    picture.save(source, **extra | (dict(lossless=True, exact=True) if form == "webp" else {}))
    assert run(source, "--output", output).returncode == 0
    before, after = (Image.open(BytesIO(path.read_bytes())) for path in (source, output / f"turned_0.9.{form}"))
    assert after.size == before.size and after.format == before.format and after.mode == before.mode
    if form != "bmp":
        assert after.getexif()[0x0112] == 6 and after.info["icc_profile"] == b"a profile"
        assert rows(output).status.item() == "ok" and "colour profile cannot be used" in rows(output).note.item()
    if form in ("png", "webp", "tiff"):
        assert np.array_equal(np.asarray(after)[..., 3], np.asarray(before)[..., 3])


@pytest.mark.parametrize(("arguments", "said"), [
    (["--color", "pink", "README.md"], "put pictures before the options"),
    (["--color", "1.5"], "1.5"), (["--color", "mud"], "mud"), (["--ombre-height", "-0.1"], "-0.1"),
    (["--ombre-grad-height", "2"], "2 is not a number from 0 to 1"),
    (["--color", "m" * 5000], "m" * 5000),
    (["--weights", "none.safetensors"], "none.safetensors"),
])  # fmt: skip
def test_wrong_arguments_are_told(arguments, said, folder, tmp_path):
    result = run(folder, "--output", tmp_path / "out", *arguments)
    assert result.returncode == 2 and said in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    for given in ("empty", "nowhere"):
        result = run(tmp_path / given, "--output", tmp_path / "out")
        assert result.returncode == 2 and given in result.stderr


def test_new_content_under_an_old_name_is_dyed(folder, tmp_path):
    output = tmp_path / "out"
    assert "2 pictures dyed" in run(folder, "--output", output).stdout
    Image.open(ASTRONAUT).crop((150, 0, 350, 260)).rotate(180).save(folder / "deep" / "a.png")
    again = run(folder, "--output", output)
    assert "1 pictures dyed" in again.stdout and "1 of these were done before, and are done again" in again.stderr
    before, after = pixels(folder / "deep" / "a.png"), pixels(output / "deep" / "a_0.9.png")
    assert (before == after).all(axis=-1).mean() > 0.5
    table = rows(output)
    assert set(table.weights) == {short_hash(ROOT / "models" / "hair_student.safetensors")}
    assert (table.result_bytes == [(output / name).stat().st_size for name in table.index]).all()


def test_pictures_named_alike_but_for_the_suffix_get_two_results(tmp_path):
    source, output = tmp_path / "s", tmp_path / "out"
    source.mkdir()
    shutil.copy(PORTRAIT, source / "x")
    Image.open(ASTRONAUT).crop((150, 0, 350, 260)).save(source / "x.png")
    assert run(source / "x", source / "x.png", "--output", output).returncode == 0
    sizes = {row.image: head_of(output / name).size for name, row in rows(output).iterrows()}
    assert sizes == {"../s/x": head_of(PORTRAIT).size, "../s/x.png": (200, 260)}


def test_starting_up_imports_neither_torch_nor_training(tmp_path):
    code = (
        f"import sys, runpy; sys.argv = ['x', '--help']\ntry: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'timm', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout + result.stderr
