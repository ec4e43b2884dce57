"""Large pictures of 16 bits, which are decoded, dyed and written some rows at a time."""

import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.image import picture as pictures
from common.image.opening import PictureError, opened
from common.image.picture import read_picture
from ombre.dye_photo import dye_photo
from tests.test_dye_photo import disc, row
from tests.tools.clips import scene

SIZE = (390, 620)  # width and height: more than two strips of rows


@pytest.fixture
def large(monkeypatch):
    """All pictures count as large."""
    monkeypatch.setattr(pictures, "LARGE", 0)


def deep(channels, size=SIZE):
    rgb = scene(0, size=size).astype(np.uint16) * 257
    rgb += np.random.default_rng(0).integers(0, 200, rgb.shape, np.uint16) * (rgb < 65000)
    alpha = np.tile(np.linspace(0, 65535, size[0]).astype(np.uint16), (size[1], 1))
    return {1: rgb[..., 1], 3: rgb, 4: np.dstack([rgb, alpha])}[channels]


def png(path, pixels, *, clear=None, behind=b""):
    order = {
        2: lambda x: x,
        3: lambda x: cv2.cvtColor(x, cv2.COLOR_RGB2BGR if x.shape[2] == 3 else cv2.COLOR_RGBA2BGRA),
    }
    cv2.imwrite(str(path), order[pixels.ndim](pixels))
    data = path.read_bytes()
    chunk = pictures.png_chunks.__globals__["png_chunk"]
    if clear is not None:
        data = data[:33] + chunk(b"tRNS", np.array(clear, ">u2").tobytes()) + data[33:]
    path.write_bytes(data[:-12] + behind + data[-12:])


def as_png(channels):
    return lambda path: png(path.with_suffix(".png"), deep(channels))


def as_tiff(channels, **how):
    return lambda path: tifffile.imwrite(path.with_suffix(".tif"), deep(channels), **how)


KINDS = {
    "png": as_png(3),
    "png, grey": as_png(1),
    "png, alpha": as_png(4),
    "png, a clear colour": lambda path: png(path.with_suffix(".png"), deep(3), clear=deep(3)[300, 7]),
    "png, a clear grey": lambda path: png(path.with_suffix(".png"), deep(1), clear=deep(1)[300, 7]),
    "tiff, one strip": as_tiff(3, photometric="rgb"),
    "tiff, small strips": as_tiff(3, photometric="rgb", rowsperstrip=7, compression="zlib", predictor=True),
    "tiff, tiles": as_tiff(4, photometric="rgb", tile=(96, 160), compression="zlib", extrasamples=["unassalpha"]),
    "tiff, Motorola's order": as_tiff(3, photometric="rgb", byteorder=">", rowsperstrip=100),
    "tiff, white is 0": as_tiff(1, photometric="miniswhite", rowsperstrip=64),
    "tiff, large": as_tiff(3, photometric="rgb", bigtiff=True, rowsperstrip=50),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_whole(kind, tmp_path, large):
    KINDS[kind](tmp_path / "a")
    (path,) = tmp_path.iterdir()
    whole, parts = read_picture(path), read_picture(path, by_rows=True)
    rows = np.concatenate([*parts.rows.strips()])
    assert rows.shape == parts.rows.shape
    rgb = np.dstack([rows] * 3) if rows.ndim == 2 else rows[..., :3]
    assert rgb.dtype == whole.rgb.dtype and (rgb == whole.rgb).all()
    assert (parts.rgb == whole.rgb8).all() and parts.grey == (rows.ndim == 2)
    if rows.ndim == 3 and rows.shape[2] == 4:
        assert (rows[..., 3] == whole.alpha).all() and np.ptp(whole.alpha)
        assert (parts.alpha == pictures.to8(whole.alpha)).all()
    else:
        assert whole.alpha is None and parts.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_large_deep_picture_is_dyed_as_a_small_one(orientation, suffix, tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = pictures.Picture(
        pictures.turned(deep(3), orientation),
        metadata=pictures.Metadata(b"Exif\0\0" + exif.tobytes()),
        orientation=orientation,
    )
    source = tmp_path / f"a{suffix}"
    pictures.write_picture(source, picture)
    (plain,) = dye_photo(source, tmp_path, disc, [row(f"plain{suffix}")], 10**6)
    monkeypatch.setattr(pictures, "LARGE", 0)
    (result,) = dye_photo(source, tmp_path, disc, [row(f"rows{suffix}")], 10**6)
    monkeypatch.undo()
    before, first, second = (
        read_picture(tmp_path / name) for name in (f"a{suffix}", f"plain{suffix}", f"rows{suffix}")
    )
    assert result["status"] == plain["status"] == "ok"
    assert second.orientation == orientation and second.rgb.dtype == np.uint16
    apart = np.abs(second.rgb.astype(int) - first.rgb) / 257
    assert apart.max() < 6 and apart.mean() < 0.2  # what is looked at has 8 bits
    assert (second.rgb == before.rgb)[first.rgb == before.rgb].mean() > 0.999
    assert (second.rgb != before.rgb).mean() > 0.02


def test_a_large_deep_picture_takes_little_memory(tmp_path, large):
    most = []
    for height in (600, 600, 3000):  # the first fills caches
        png(tmp_path / "a.png", deep(4, (400, height)))
        tracemalloc.start()
        dye_photo(tmp_path / "a.png", tmp_path, disc, [row("b.png")], 10**7)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[2] - most[1] < 8 * 400 * (3000 - 600), (most[2] - most[1]) / 400 / (3000 - 600)


def test_what_lies_behind_the_pixels_goes_along(tmp_path, large):
    text = pictures.png_chunks(pictures.Metadata(texts={"Comment": "behind"}), None)
    png(tmp_path / "a.png", deep(3), behind=text)
    dye_photo(tmp_path / "a.png", tmp_path, disc, [row("b.png")], 10**6)
    assert read_picture(tmp_path / "b.png").metadata.texts == {"Comment": "behind"}


@pytest.mark.parametrize("harm", ["cut", "turned"])
def test_damage_is_a_line(harm, tmp_path, large):
    png(tmp_path / "a.png", deep(3))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data if harm == "turned" else data[: len(data) // 2])
    with pytest.raises(PictureError, match="a.png: broken or cut short"):
        read_picture(tmp_path / "a.png", by_rows=True)


@pytest.mark.parametrize("how", [dict(quality=90), dict(lossless=True), dict(quality=90, alpha=True)])
def test_a_large_webp_is_as_a_small_one(how, tmp_path, monkeypatch):
    """OpenCV and Pillow read and write alike what they have of the same library."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a long way"
    clear = how.pop("alpha", False)
    image = Image.fromarray((deep(4) >> 8).astype(np.uint8)) if clear else Image.fromarray(scene(0, size=SIZE))
    image.save(tmp_path / "a.webp", exif=exif, xmp=b"<x/>", icc_profile=b"none" * 9, **how)
    plain = read_picture(tmp_path / "a.webp")
    pictures.write_picture(tmp_path / "plain.webp", plain)
    monkeypatch.setattr(pictures, "LARGE", 0)
    large = read_picture(tmp_path / "a.webp")
    pictures.write_picture(tmp_path / "large.webp", large)
    monkeypatch.undo()
    first, second = read_picture(tmp_path / "plain.webp"), read_picture(tmp_path / "large.webp")
    assert (large.rgb == plain.rgb).all() and (large.alpha is None) == (not clear)
    assert np.abs(first.rgb.astype(int) - second.rgb).mean() < 0.5
    assert second.metadata == first.metadata and second.icc == first.icc and second.orientation == 6
    if clear:
        assert (large.alpha == plain.alpha).all() and (second.alpha == first.alpha).all()


def test_a_cut_large_webp_is_a_line(tmp_path, large):
    Image.fromarray(scene(0, size=SIZE)).save(tmp_path / "a.webp")
    data = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "b.webp").write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match="b.webp: "):
        read_picture(tmp_path / "b.webp")


def test_other_formats_and_kinds_go_the_old_way(tmp_path, large):
    pixels = deep(3)
    png(tmp_path / "a.png", pixels)
    dye_photo(tmp_path / "a.png", tmp_path, disc, [row("b.jpg"), row("b.tif")], 10**6)
    assert read_picture(tmp_path / "b.jpg").rgb.dtype == np.uint8
    assert read_picture(tmp_path / "b.tif").rgb.dtype == np.uint16
    tall = np.tile(pixels, (4, 1, 1))
    tifffile.imwrite(tmp_path / "c.tif", tall, photometric="rgb", compression="zlib", rowsperstrip=len(tall))
    with opened(tmp_path / "c.tif") as image:
        assert pictures.rows_of(image, tmp_path / "c.tif") is None
