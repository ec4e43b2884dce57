"""Still pictures in HDR: they stay so, in their own light and primaries, and the dye is as light as in SDR."""

import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from common.image.hdr import hdr_space
from common.image.hdr_files import Hdr, write_heif
from common.image.metadata import Metadata
from common.image.picture import Picture, PictureError, read_picture, write_picture
from common.image.pixels import png_chunk, to8
from ombre.dye_photo import dye_photo
from tests.test_dye_photo import disc, row
from tests.tools.clips import scene

PQ, HLG = 16, 18
LIGHT = b"cLLI", struct.pack(">II", 10_000_000, 4_000_000)


def in_hdr(transfer, primaries=9):
    """A scene in numbers of HDR, (H, W, 3) uint16."""
    srgb = scene(0).astype(np.float64).reshape(-1, 3) / 255
    return np.rint(65535 * hdr_space(transfer, primaries).from_srgb(srgb)).astype(np.uint16).reshape(scene(0).shape)


def png(path, pixels, transfer, primaries=9, deep=True):
    _, data = cv2.imencode(".png", pixels[..., ::-1] if deep else to8(pixels)[..., ::-1])
    data = data.tobytes()
    path.write_bytes(data[:33] + png_chunk(b"cICP", bytes((primaries, transfer, 0, 1))) + png_chunk(*LIGHT) + data[33:])


def dyed(path, name, **how):
    (result,) = dye_photo(path, path.parent, disc, [row(name) | how], 10**6)
    return result, read_picture(path.parent / name, hdr=True)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("deep", [True, False])
def test_a_png_stays_hdr(transfer, deep, tmp_path):
    pixels = in_hdr(transfer)
    png(tmp_path / "a.png", pixels, transfer, deep=deep)
    result, after = dyed(tmp_path / "a.png", "b.png", color="platinum", ombre_height=1.0)
    before = read_picture(tmp_path / "a.png", hdr=True)
    assert result["status"] == "ok" and result["note"] == ""
    assert after.hdr == before.hdr == Hdr(transfer, 9, 0, dict([LIGHT]))
    assert after.rgb.dtype == np.uint16
    changed = (after.rgb != before.rgb).any(axis=2)
    assert 0.05 < changed.mean() < 0.6 and not changed[:10].any() and not changed[-10:].any()
    plain = Picture(scene(0))
    write_picture(tmp_path / "sdr.png", plain)
    _, sdr = dyed(tmp_path / "sdr.png", "sdr_b.png", color="platinum", ombre_height=1.0)
    shown = hdr_space(transfer, 9).to_srgb8(to8(after.rgb)).astype(int)
    assert np.abs(shown[changed].mean(axis=0) - sdr.rgb[changed].mean(axis=0)).max() < 8
    assert np.abs(sdr.rgb[changed].mean(axis=0) - scene(0)[changed].mean(axis=0)).max() > 16


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_heic_stays_hdr(transfer, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with open(tmp_path / "a.heic", "wb") as file:
        write_heif(file, in_hdr(transfer), 10, Hdr(transfer, 9, 9, {}), {"exif": exif.tobytes(), "quality": 95})
    before = read_picture(tmp_path / "a.heic", hdr=True)
    result, after = dyed(tmp_path / "a.heic", "b.heic")
    assert result["status"] == "ok"
    assert after.hdr[:3] == before.hdr[:3] == (transfer, 9, 9) and after.bits == before.bits == 10
    assert after.rgb.shape == before.rgb.shape and after.orientation == before.orientation
    apart = np.abs(after.rgb.astype(int) - before.rgb).max(axis=2) / 257
    assert apart[:20].mean() < 3 and apart.max() > 20
    again, png_of_it = dyed(tmp_path / "a.heic", "c.png")
    assert again["status"] == "ok" and png_of_it.hdr.transfer == transfer


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_avif_stays_hdr(transfer, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    made = Picture(in_hdr(transfer), metadata=Metadata(exif.tobytes()), orientation=orientation)
    write_picture(tmp_path / "a.avif", replace(made, hdr=Hdr(transfer, 9, 9, {})))
    before = read_picture(tmp_path / "a.avif", hdr=True)
    assert np.abs(before.rgb.astype(int) - made.rgb).mean() < 2 * 257
    result, after = dyed(tmp_path / "a.avif", "b.avif")
    assert result["status"] == "ok" and result["note"] == "" and after.hdr == before.hdr == Hdr(transfer, 9, 9, {})
    assert after.rgb.shape == before.rgb.shape and after.orientation == before.orientation == orientation
    apart = np.abs(after.rgb.astype(int) - before.rgb).max(axis=2) / 257
    assert apart[:20].mean() < 3 and apart.max() > 20
    for name in ("c.png", "c.heic"):
        again, other = dyed(tmp_path / "a.avif", name)
        assert again["status"] == "ok" and other.hdr.transfer == transfer


def test_an_hdr_avif_that_is_not_plain_says_what_to_do(tmp_path, monkeypatch):
    write_picture(tmp_path / "a.avif", Picture(in_hdr(PQ), hdr=Hdr(PQ, 9, 9, {"content_light_level": {}})))
    monkeypatch.setattr("common.image.avif.decode", lambda *_: None)
    with pytest.raises(PictureError, match="save it as HEIC, or as PNG of 16 bits"):
        read_picture(tmp_path / "a.avif", hdr=True)


def test_hdr_goes_before_a_profile_and_is_not_flattened(tmp_path):
    png(tmp_path / "a.png", in_hdr(PQ), PQ)
    with pytest.raises(PictureError, match=r"HDR .PQ. has room in PNG, HEIC and"):
        dyed(tmp_path / "a.png", "b.jpg")
    assert not (tmp_path / "b.jpg").exists()
    with pytest.raises(PictureError, match="HDR .PQ. is not supported here"):
        read_picture(tmp_path / "a.png")


def test_code_points_behind_a_long_text_are_found(tmp_path):
    png(tmp_path / "a.png", in_hdr(PQ), PQ)
    data = (tmp_path / "a.png").read_bytes()
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(range(256)) * 400, 0))
    (tmp_path / "a.png").write_bytes(data[:33] + text + data[33:])
    assert read_picture(tmp_path / "a.png", hdr=True).hdr.transfer == PQ


def test_large_ones_too(tmp_path, monkeypatch):
    png(tmp_path / "a.png", in_hdr(HLG), HLG)
    monkeypatch.setattr("common.image.picture.LARGE", 0)
    _, after = dyed(tmp_path / "a.png", "b.png")
    assert after.hdr.transfer == HLG and after.rgb.dtype == np.uint16
    assert (after.rgb[:10] == in_hdr(HLG)[:10]).all() and (after.rgb != in_hdr(HLG)).any()
