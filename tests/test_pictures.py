"""Pictures come back as they went in, and what is not a picture is refused in one line."""

import errno
import os
import struct
import sys
import zlib
from base64 import b85decode
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, MpoImagePlugin, TiffImagePlugin

from common.batch.local import demand_room
from common.batch.table import BatchError
from common.image import jpeg, raw, tiff
from common.image import picture as picture_module
from common.image.cicp import bits_of_avif
from common.image.gain_map import levelled
from common.image.metadata import Metadata
from common.image.picture import Picture, PictureError, read_mask, read_picture, write_mask, write_picture
from common.image.pixels import jpeg_settings, learn_heif
from common.workarounds import open_encoder
from ombre.media import source as moving
from tests.tools.heads import head_of

H, W = 48, 65
PNG = b"\x89PNG\r\n\x1a\n"
LOSSLESS = ["a.png", "a.tif", "a.bmp", "a.webp"]
ORIENTATION, MAKE, EXPOSURE = 0x0112, 0x010F, 0x829A


def colours(dtype=np.uint8, channels=3):
    """(H, W, channels) of smooth colour with grain, so that JPEG behaves as with a photograph."""
    rng = np.random.default_rng(3)
    top = np.iinfo(dtype).max
    smooth = cv2.resize(rng.random((6, 8, channels)), (W, H), interpolation=cv2.INTER_CUBIC)
    return (np.clip(smooth + rng.normal(0, 0.02, smooth.shape), 0, 1) * top).astype(dtype)


@lru_cache(maxsize=1)  # LittleCMS writes the second into it
def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation=1):
    tags = Image.Exif()
    tags[ORIENTATION], tags[MAKE] = orientation, "Camera"
    tags[0x8769] = {EXPOSURE: 0.5}
    return tags.tobytes()


def tags_of(path):
    with Image.open(path) as image:
        tags = image.getexif()
        return tags.get(ORIENTATION), tags.get(MAKE), tags.get_ifd(0x8769).get(EXPOSURE)


def save(path, pixels, **settings):
    Image.fromarray(pixels).save(path, **settings)
    return path


def refusal(path, *args):
    with pytest.raises(PictureError) as caught:
        read_picture(path, *args)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


# ---- there and back ----


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_keep_every_pixel(tmp_path, name):
    source = save(tmp_path / ("in" + name), colours(), **({"lossless": True} if name.endswith("webp") else {}))
    picture = read_picture(source)
    write_picture(tmp_path / name, picture)
    np.testing.assert_array_equal(picture.rgb, colours())
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name).convert("RGB")), colours())
    assert head_of(tmp_path / name).format == head_of(source).format
    assert os.stat(tmp_path / name).st_size < 1.3 * colours().nbytes


@pytest.mark.parametrize("name", LOSSLESS)
def test_alpha_is_kept_also_where_it_is_clear(tmp_path, name):
    rgba = colours(channels=4)
    rgba[:10, :, 3] = 0
    write_picture(tmp_path / name, Picture(rgba[..., :3].copy(), rgba[..., 3].copy()))
    picture = read_picture(tmp_path / name)
    np.testing.assert_array_equal(picture.rgb, rgba[..., :3])
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_come_back_exactly(tmp_path, name, channels):
    pixels = colours(np.uint16, channels).squeeze()
    cv2.imwrite(str(tmp_path / name), pixels)  # OpenCV's order, so blue comes first
    picture = read_picture(tmp_path / name)
    assert picture.rgb.dtype == np.uint16 and picture.grey == (channels == 1)
    rgb = np.repeat(pixels[..., None], 3, 2) if channels == 1 else pixels[..., 2::-1]
    np.testing.assert_array_equal(picture.rgb, rgb)
    np.testing.assert_array_equal(picture.rgb8, np.rint(rgb / 257))
    for output in ("b.png", "b.tif"):
        write_picture(tmp_path / output, replace(picture, icc=None))
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / output), cv2.IMREAD_UNCHANGED), pixels)
        again = read_picture(tmp_path / output)
        np.testing.assert_array_equal(again.rgb, picture.rgb)
        assert (again.alpha is None) == (channels != 4) and (channels != 4 or (again.alpha == picture.alpha).all())
    for output in ("b.jpg", "b.webp", "b.bmp"):
        write_picture(tmp_path / output, picture)
        assert read_picture(tmp_path / output).rgb.dtype == np.uint8


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_written_again_hardly_moves(tmp_path, subsampling):
    soft = cv2.GaussianBlur(colours(), (0, 0), 2) // 2 + 64
    source = save(tmp_path / "a.jpg", soft, quality=83, subsampling=subsampling)
    picture = read_picture(source)
    write_picture(tmp_path / "b.jpg", picture)
    first, second = Image.open(source), Image.open(tmp_path / "b.jpg")
    assert second.quantization == first.quantization and second.layer == first.layer
    moved = np.abs(np.asarray(first).astype(int) - np.asarray(second))
    assert moved.mean() < (0.1, 0.5, 1)[subsampling]
    write_picture(tmp_path / "c.jpg", replace(picture, jpeg=None))
    assert head_of(tmp_path / "c.jpg").layer[0][1:3] == (1, 1), "without tables to follow: no subsampling"


@pytest.mark.parametrize("settings", [{"progressive": True}, {"quality": 30, "subsampling": 2}, {"keep_rgb": True}])
def test_kinds_of_jpeg(tmp_path, settings):
    source = save(tmp_path / "a.jpg", colours(), **settings)
    picture = read_picture(source)
    np.testing.assert_array_equal(picture.rgb, np.asarray(Image.open(source)))
    write_picture(tmp_path / "b.jpg", picture)
    assert np.abs(read_picture(tmp_path / "b.jpg").rgb.astype(int) - picture.rgb).mean() < 3


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("metadata", [{}, {"icc_profile": b"x" * 131, "exif": b"Exif\0\0" + b"y" * 20}])
def test_webp_stays_lossless_or_not(tmp_path, lossless, metadata):
    picture = read_picture(save(tmp_path / "a.webp", colours(), lossless=lossless, quality=80, **metadata))
    assert picture.lossless == lossless
    write_picture(tmp_path / "b.webp", picture)
    again = read_picture(tmp_path / "b.webp")
    assert again.lossless == lossless and (again.rgb == picture.rgb).all() == lossless


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif"])
def test_grey_stays_grey_until_it_is_coloured(tmp_path, name):
    grey = np.ascontiguousarray(colours()[..., 0])
    picture = read_picture(save(tmp_path / name, grey))
    assert picture.grey and picture.rgb.shape == (H, W, 3) and (picture.rgb[..., :1] == picture.rgb).all()
    write_picture(tmp_path / ("same" + name), picture)
    assert head_of(tmp_path / ("same" + name)).mode == "L"
    dyed = picture.rgb.copy()
    dyed[10:20, 10:20] = (200, 30, 90)
    write_picture(tmp_path / ("dyed" + name), replace(picture, rgb=dyed))
    again = read_picture(tmp_path / ("dyed" + name))
    assert not again.grey
    assert np.abs(again.rgb[14, 14].astype(int) - (200, 30, 90)).max() < 12


def test_palettes_bits_and_keyed_transparency(tmp_path):
    palette = Image.fromarray(colours()).quantize(16)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "palette.png").rgb, np.asarray(palette.convert("RGB")))
    palette.save(tmp_path / "clear.png", transparency=3)
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png").alpha == 0, np.asarray(palette) == 3)
    bits = Image.fromarray(colours()[..., 0] > 127)
    for name in ("bits.png", "bits.tif", "bits.bmp"):
        bits.save(tmp_path / name)
        picture = read_picture(tmp_path / name)
        np.testing.assert_array_equal(picture.rgb[..., 1] == 255, np.asarray(bits))
        assert picture.grey and set(np.unique(picture.rgb)) == {0, 255}
    both = Image.fromarray(colours(channels=2), "LA")
    both.save(tmp_path / "both.png")
    picture = read_picture(tmp_path / "both.png")
    np.testing.assert_array_equal(picture.alpha, np.asarray(both)[..., 1])


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels, kind, extra=b""):
    """A PNG of 16 bits of a kind that no library here writes. kind: PNG's colour type."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bit_grey_with_alpha_and_keyed_transparency(tmp_path):
    pixels = colours(np.uint16, 2)
    (tmp_path / "a.png").write_bytes(png(pixels, 4))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.rgb, np.repeat(pixels[..., :1], 3, 2))
    np.testing.assert_array_equal(picture.alpha, pixels[..., 1])
    pixels = colours(np.uint16)
    (tmp_path / "b.png").write_bytes(png(pixels, 2, chunk(b"tRNS", pixels[5, 7].astype(">u2").tobytes())))
    picture = read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(picture.alpha == 0, (pixels == pixels[5, 7]).all(2))


def test_tiff_kinds(tmp_path):
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        source = save(tmp_path / "a.tif", colours(), compression=compression)
        np.testing.assert_array_equal(read_picture(source).rgb, np.asarray(Image.open(source)))
    grey = colours(np.uint16)[..., 0].copy()
    source = save(tmp_path / "a.tif", grey)
    data = bytearray(source.read_bytes())
    tag = data.index(struct.pack("<HHI", 262, 3, 1))  # photometric interpretation
    data[tag + 8] = 0  # white is 0
    source.write_bytes(data)
    np.testing.assert_array_equal(read_picture(source).rgb[..., 0], 65535 - grey)


def test_cmyk_becomes_rgb(tmp_path):
    cmyk = Image.fromarray(colours()).convert("CMYK")
    cmyk.save(tmp_path / "a.jpg", quality=95, icc_profile=srgb())  # a profile that cannot be its own
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(picture.rgb.astype(int) - colours()).mean() < 8
    assert picture.icc is None and picture.jpeg is None
    write_picture(tmp_path / "b.jpg", picture)
    assert head_of(tmp_path / "b.jpg").mode == "RGB"


ARITHMETIC = (  # made by jpegtran of libjpeg-turbo, in three channels and in four
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00;&K2L=TQ2L}fU2?z=d6b%du3k(?&6Au&}8Xq1V8XO!TBrYc)A}k{u94I#_EHE)NG&CP4IXyTsJT5ad"
    "GXL8ELjeg12@DGi7!3^=G9erxGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBW?k01*fP2mlZR0TBQK5di}c"
    "0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zf#07uY^dAWlW+adqi",
    "|JeWT01iQ9Z(?NtWB>pF0095n07C!>1_lQP1qcTR2MGxX3Jeqt3=0bk84?o@6df8L9vvDS93UhvCm<p$BODwkHz_PIF*GzZA166II5IpgGc+>)"
    "$p91x00;mO1Va%3O%VWD5dcdO0RPMY1^^Hc1^?Or4g^C0O#oQ{O8@{r0Mev{BsIBV79kX_(*M~",
)


@pytest.mark.parametrize("text", ARITHMETIC)
def test_a_jpeg_with_arithmetic_coding(tmp_path, text):
    (tmp_path / "a.jpg").write_bytes(b85decode(text))
    picture = read_picture(tmp_path / "a.jpg")
    for half, colour in ((picture.rgb[:, :8], (200, 60, 40)), (picture.rgb[:, 8:], (40, 90, 180))):
        assert half.shape == (8, 8, 3) and np.abs(half.astype(int) - colour).max() < 5
    write_picture(tmp_path / "b.jpg", picture)
    assert np.abs(read_picture(tmp_path / "b.jpg").rgb.astype(int) - picture.rgb).max() < 5


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_in_ycc_that_is_not_compressed(tmp_path, orientation):
    file, tags = BytesIO(), TiffImagePlugin.ImageFileDirectory_v2()
    tags[ORIENTATION] = orientation
    Image.fromarray(colours()).convert("YCbCr").save(file, "TIFF", tiffinfo=tags)
    (tmp_path / "a.tif").write_bytes(file.getvalue())
    picture = read_picture(tmp_path / "a.tif")
    upright = colours() if orientation == 1 else np.rot90(colours(), -1)
    assert np.abs(picture.rgb.astype(int) - upright).max() < 4 and picture.orientation == orientation
    (tmp_path / "a.tif").write_bytes(file.getvalue()[:4000])
    refusal(tmp_path / "a.tif")


def test_a_tiff_with_too_few_strips_is_refused(tmp_path):
    data = bytearray(tiff_of(colours(), {}))
    rows = data.index(struct.pack("<HHI", 278, 4, 1))
    struct.pack_into("<I", data, rows + 8, H // 2)  # of the one strip that there is
    (tmp_path / "a.tif").write_bytes(data)
    assert "fewer strips" in refusal(tmp_path / "a.tif")


def test_a_print_of_16_bits(tmp_path):
    inks = np.asarray(Image.fromarray(colours()).convert("CMYK")).astype(np.uint16) * 257
    with open(tmp_path / "a.tif", "wb") as file:
        tiff.write(file, inks, None, None, {})
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[data.index(struct.pack("<HHI", 262, 3, 1)) + 8] = 5  # inks
    data[data.index(struct.pack("<HH", 338, 3)) : data.index(struct.pack("<HH", 338, 3)) + 2] = b"\x4d\x01"
    (tmp_path / "a.tif").write_bytes(data)
    picture = read_picture(tmp_path / "a.tif")
    assert np.abs(picture.rgb.astype(int) - colours()).max() < 3
    assert picture.left_out == ("its inks (CMYK) and 16 bits a channel: it is RGB of 8 bits now",)


def test_what_is_clear_is_white_in_a_jpeg(tmp_path):
    alpha = np.full((H, W), 255, np.uint8)
    alpha[:, :32] = 0
    write_picture(tmp_path / "a.jpg", Picture(np.zeros((H, W, 3), np.uint8), alpha))
    seen = read_picture(tmp_path / "a.jpg").rgb
    assert seen[:, :24].min() > 250 and seen[:, 40:].max() < 5


# ---- what goes along ----


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "deep.png", "deep.tif"])
def test_orientation(tmp_path, name, orientation):
    path = tmp_path / name
    upright = colours(np.uint16 if name.startswith("deep") else np.uint8)
    turn = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
        7: "TRANSVERSE",
        8: "ROTATE_270",
    }.get(orientation)  # from upright to how the camera stored it
    lying = np.asarray(Image.fromarray(colours()).transpose(Image.Transpose[turn])) if turn else colours()
    if name.startswith("deep"):
        write_picture(path, Picture(upright, metadata=Metadata(exif(orientation)), orientation=orientation))
        assert np.array_equal(read_picture(path).rgb, upright)
    else:
        save(
            path,
            lying,
            exif=exif(orientation),
            **({"quality": 95} if name == "a.jpg" else {"lossless": True} if name == "a.webp" else {}),
        )
    picture = read_picture(path)
    assert picture.orientation == orientation and picture.rgb.shape == (H, W, 3)
    assert np.abs(picture.rgb.astype(int) - upright).mean() < (6 if name == "a.jpg" else 0.001)

    output = tmp_path / ("again" + path.suffix)
    write_picture(output, picture)
    assert tags_of(output) == (orientation, "Camera", 0.5)
    again = read_picture(output)
    assert again.rgb.shape == (H, W, 3) and np.abs(again.rgb.astype(int) - picture.rgb).mean() < 2
    with Image.open(output) as image:
        size = (image.tag_v2[256], image.tag_v2[257]) if path.suffix == ".tif" else image.size
    assert size == (lying.shape[1], lying.shape[0]), "the pixels lie as the tag says"


def test_bmp_has_no_tags_and_lies_upright(tmp_path):
    write_picture(tmp_path / "a.bmp", Picture(colours(), metadata=Metadata(exif(6)), orientation=6))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.bmp")), colours())


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_icc_and_exif_go_along(tmp_path, name, deep):
    picture = Picture(colours(np.uint16 if deep else np.uint8), icc=srgb(), metadata=Metadata(exif()), orientation=1)
    write_picture(tmp_path / name, picture)
    again = read_picture(tmp_path / name)
    assert again.icc == srgb() and tags_of(tmp_path / name) == (1, "Camera", 0.5)
    if not name.endswith("tif"):
        assert again.metadata.exif == exif(), "byte for byte"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_grey_profile_is_only_for_grey(tmp_path, name):
    icc = bytearray(srgb())
    icc[16:20] = b"GRAY"
    grey = np.repeat(colours()[..., :1], 3, 2)
    picture = Picture(grey, grey=True, icc=bytes(icc))
    write_picture(tmp_path / name, replace(picture, rgb=colours()))
    assert read_picture(tmp_path / name).icc is None
    write_picture(tmp_path / name, picture)
    assert head_of(tmp_path / name).mode == "L" and read_picture(tmp_path / name).icc == bytes(icc)


def test_broken_exif_and_icc_are_no_obstacle(tmp_path, capfd):
    junk = b"Exif\0\0MM\0*\xff\xff\xff\xff nothing of sense"
    source = save(tmp_path / "a.jpg", colours(), exif=junk, icc_profile=b"neither has this")
    picture = read_picture(source)
    assert picture.orientation == 1
    for name in ("b.jpg", "b.png", "b.tif", "b.webp", "b.bmp"):
        write_picture(tmp_path / name, picture)
        again = read_picture(tmp_path / name)
        assert again.rgb.shape == (H, W, 3) and again.icc == (None if name == "b.bmp" else b"neither has this")
    assert read_picture(tmp_path / "b.jpg").metadata.exif == read_picture(tmp_path / "b.png").metadata.exif == junk
    assert capfd.readouterr().err == ""


def test_the_content_says_what_it_is_and_the_suffix_what_it_becomes(tmp_path):
    save(tmp_path / "a.jpg", colours(), format="PNG")
    picture = read_picture(tmp_path / "a.jpg")
    np.testing.assert_array_equal(picture.rgb, colours())
    write_picture(tmp_path / "b.JPG", picture)
    assert head_of(tmp_path / "b.JPG").format == "JPEG"


def test_a_photograph_with_a_preview_behind_it_is_one_picture(tmp_path):
    frames = [Image.fromarray(colours()), Image.fromarray(255 - colours())]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:], quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(picture.rgb.astype(int) - colours()).mean() < 6
    write_picture(tmp_path / "b.jpg", picture)
    assert head_of(tmp_path / "b.jpg").format == "JPEG"


JPEG_BLOCKS = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption8BIM\x04\x0c\0\0\0\0\0\x04face"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\xec\x83\x81</x:xmpmeta>"


@pytest.mark.parametrize("name", ["a.jpg", "a.jfif", "a.png", "a.tif", "a.webp", "a.avif", "a.heic", "a.bmp"])
def test_density_xmp_iptc_and_comments_stay(tmp_path, name):
    segment = b"\xff\xed" + struct.pack(">H", len(JPEG_BLOCKS) + 2) + JPEG_BLOCKS
    save(tmp_path / "source.jpg", colours(), quality=95, dpi=(300, 300), xmp=XMP, comment=b"at the sea", extra=segment)
    write_picture(tmp_path / name, read_picture(tmp_path / "source.jpg"))
    kept = read_picture(tmp_path / name).metadata
    kind = name.split(".")[1]
    if kind in ("jpg", "jfif", "png", "tif", "bmp"):
        assert np.abs(np.array(kept.dpi) - 300).max() < 0.1
    if kind != "bmp":
        assert kept.xmp == XMP
    if kind in ("jpg", "jfif", "tif"):
        assert kept.iptc == b"\x1c\x02\x78\0\x07caption"
    if kind in ("jpg", "jfif", "png"):
        assert kept.texts == {"Comment": "at the sea"}
    assert b"face" not in (tmp_path / name).read_bytes(), "Photoshop's thumbnail shows the picture as it was"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif", "a.heic", "a.tif"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_goes_and_the_rest_of_exif_stays(tmp_path, name, order):
    """IFD0 with the camera's name and a link to IFD1, which names the thumbnail."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    camera = struct.pack(order + "HHI", MAKE, 2, 4) + b"Cam\0"
    first = struct.pack(order + "H", 1) + camera + struct.pack(order + "I", 26)
    second = struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, 20, 0)
    data = b"Exif\0\0" + mark + struct.pack(order + "I", 8) + first + second + b"the picture as it was"
    source = save(tmp_path / "source.jpg", colours(), exif=data)
    assert b"the picture as it was" in source.read_bytes()
    write_picture(tmp_path / name, read_picture(source))
    assert b"the picture as it" not in (tmp_path / name).read_bytes()
    tags = Image.Exif()
    tags.load(read_picture(tmp_path / name).metadata.exif)
    assert tags[MAKE] == "Cam" and not tags.get_ifd(1)
    if name in ("a.jpg", "a.png"):
        assert data[6:28] + bytes(4) + data[32:62] in (tmp_path / name).read_bytes(), "only the link and the pixels go"


@pytest.mark.parametrize("comment", ["\uc6b0\ub9ac".encode("cp949"), "d\xe9j\xe0".encode("latin-1"), b"\xff\x00x"])
def test_comments_of_any_encoding_stay_byte_for_byte(tmp_path, comment):
    segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    source = save(tmp_path / "a.jpg", colours(), comment=b"first", extra=segment)
    write_picture(tmp_path / "b.jpg", read_picture(source))
    assert sorted(read_picture(tmp_path / "b.jpg").metadata.comments) == sorted([b"first", comment])
    write_picture(tmp_path / "b.png", read_picture(source))
    assert "first" in read_picture(tmp_path / "b.png").metadata.texts["Comment"]


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_exif_that_a_jpeg_has_no_room_for_leaves_its_notes_and_not_the_picture(tmp_path, name):
    tags = Image.Exif()
    tags[ORIENTATION], tags[MAKE] = 6, "Camera"
    tags[0x8769] = {EXPOSURE: 0.5, 0x927C: b"n" * 70_000, 0x9003: "2024:05:06 07:08:09"}
    picture = Picture(
        colours(), metadata=Metadata(b"Exif\0\0" + tags.tobytes().removeprefix(b"Exif\0\0")), orientation=6
    )
    notes = write_picture(tmp_path / name, picture)
    assert tags_of(tmp_path / name) == (6, "Camera", 0.5)
    if name == "a.jpg":
        assert "without parts of its EXIF" in notes[0] and (tmp_path / name).stat().st_size < 65_000
        assert read_picture(tmp_path / name).rgb.shape == (H, W, 3)
    else:
        assert notes == []


def test_xmp_beyond_a_segment_stays(tmp_path):
    large = XMP.replace(b"\xec", b"much" * 40_000 + b"\xec")
    write_picture(tmp_path / "a.jpg", Picture(colours(), metadata=Metadata(xmp=large)))
    first = read_picture(tmp_path / "a.jpg")
    assert first.metadata.extended_xmp == large and b"HasExtendedXMP" in first.metadata.xmp
    assert write_picture(tmp_path / "b.jpg", first) == []
    assert read_picture(tmp_path / "b.jpg").metadata.extended_xmp == large
    assert write_picture(tmp_path / "b.png", first) == ["without its extended XMP"]


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_png_with_large_text_is_whole(tmp_path, name):
    path = save(tmp_path / "a.png", colours())
    large = zlib.compress(b"history " * 400_000)
    head = {b"zTXt": b"Notes\0\0", b"iTXt": b"Notes\0\1\0\0\0", b"iCCP": b"profile\0\0"}[name]
    path.write_bytes(path.read_bytes()[:33] + chunk(name, head + large) + path.read_bytes()[33:])
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.rgb, colours())
    write_picture(tmp_path / "b.png", picture)
    assert read_picture(tmp_path / "b.png").rgb.shape == (H, W, 3)


# ---- what lies behind a picture ----

MOTION = b'<x:xmpmeta xmlns:x=\'adobe:ns:meta/\'><rdf:Description GCamera:MotionPhoto="1" a:b="kept"/></x:xmpmeta>'
GAIN = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description hdrgm:Version=\"1.0\"><C:Directory><rdf:Seq><rdf:li>"
    b'<C:Item I:Semantic="GainMap" I:Length="%d"/></rdf:li></rdf:Seq></C:Directory></rdf:Description></x:xmpmeta>'
)


def jpeg_bytes(pixels, **settings):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **settings)
    return file.getvalue()


@pytest.mark.parametrize(("tail", "said"), [
    (b"\0\0\0\x18ftypmp42" + b"clip" * 99, "the clip of a motion photo"),
    (b"SEFH and more", "what lies behind the picture"),
    (None, "further pictures or depths"),
])  # fmt: skip
def test_what_lies_behind_a_jpeg_is_said_and_no_longer_announced(tmp_path, tail, said):
    tail = jpeg_bytes(255 - colours()) if tail is None else tail
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes(colours(), xmp=MOTION) + tail)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.left_out == (said,) and write_picture(tmp_path / "b.jpg", picture) == [f"without {said}"]
    again = read_picture(tmp_path / "b.jpg")
    assert again.left_out == () and b"Motion" not in again.metadata.xmp and b'a:b="kept"' in again.metadata.xmp


def with_gain(folder):
    """An Ultra HDR JPEG: its map is a checkerboard, in a quarter of the size."""
    light = np.uint8(40 + 160 * (np.indices((H // 4, W // 4)).sum(axis=0) % 2))
    gain = jpeg_bytes(
        light, xmp=b"<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Gamma='1'/>", quality=95
    )
    (folder / "a.jpg").write_bytes(jpeg_bytes(colours(), xmp=GAIN % len(gain)) + gain)
    return folder / "a.jpg", gain


def test_a_gain_map_goes_along_and_is_level_where_the_picture_has_changed(tmp_path):
    path, gain = with_gain(tmp_path)
    picture = read_picture(path)
    assert picture.gain_map == gain and picture.left_out == ()
    dyed = picture.rgb.copy()
    dyed[:, :32] = (200, 30, 90)
    level = levelled(gain, picture.rgb, dyed)
    assert write_picture(tmp_path / "b.jpg", replace(picture, rgb=dyed, gain_map=level)) == []
    data = (tmp_path / "b.jpg").read_bytes()
    again = read_picture(tmp_path / "b.jpg")
    assert data.endswith(level) and again.gain_map == level and b'Length="%d"' % len(level) in again.metadata.xmp
    with MpoImagePlugin.MpoImageFile(tmp_path / "b.jpg") as image:  # the multi-picture format tells it, too
        assert image.n_frames == 2
        image.seek(1)
        light = np.asarray(image.convert("L")).astype(int)
    assert np.ptp(light[:, :6]) < 24 and np.ptp(light[:, 12:]) > 120
    assert b"hdr-gain-map" in level, "what says how it is meant"


def test_a_gain_map_that_another_format_has_no_room_for_is_said(tmp_path):
    path, _ = with_gain(tmp_path)
    assert write_picture(tmp_path / "b.png", read_picture(path)) == ["without its gain map"]
    assert b"hdrgm" not in (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("said", ["its gain map", "further pictures or depths"])
def test_what_a_heic_has_besides_is_said(tmp_path, said):
    learn_heif()
    frames = [Image.fromarray(colours()), Image.fromarray(255 - colours())]
    more = frames[1:] if "further" in said else []
    frames[0].save(tmp_path / "a.heic", save_all=True, append_images=more)
    if said == "its gain map":  # a picture derived from two
        (tmp_path / "a.heic").write_bytes((tmp_path / "a.heic").read_bytes() + b"\0\0\0\x0cfreetmap")
    picture = read_picture(tmp_path / "a.heic")
    assert picture.left_out == (said,) and write_picture(tmp_path / "b.heic", picture) == [f"without {said}"]
    assert read_picture(tmp_path / "b.heic").left_out == ()


def test_the_depth_of_a_heic_is_said(tmp_path):
    """Which no library here writes, so that it is told by what Pillow's plug-in says of one."""
    path = save(tmp_path / "a.png", colours())
    with_depth = SimpleNamespace(format="HEIF", info={"depth_images": [1]})
    assert picture_module.besides(with_depth, path) == ("its depth",)


# ---- damage that libraries pass over ----


@pytest.mark.parametrize("settings", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_damaged_jpeg_is_read_and_said_to_be(tmp_path, capfd, mode, settings):
    big = np.kron(colours(), np.ones((6, 6, 1), np.uint8))
    Image.fromarray(big).convert(mode).save(tmp_path / "a.jpg", quality=95, **settings)
    assert read_picture(tmp_path / "a.jpg").damage == ""
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(range(200)) * 2
    (tmp_path / "a.jpg").write_bytes(data)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.damage and picture.rgb.shape == big.shape
    assert capfd.readouterr().err == ""


def test_padding_before_the_end_of_a_jpeg_is_no_damage(tmp_path, capfd):
    data = jpeg_bytes(colours())
    (tmp_path / "a.jpg").write_bytes(data[:-2] + bytes(40) + data[-2:])
    assert read_picture(tmp_path / "a.jpg").damage == "" and capfd.readouterr().err == ""


def test_a_jpeg_of_very_many_passes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg, "MOST_SCANNED", 10**5)
    data = jpeg_bytes(colours(), progressive=True)
    last = data.rindex(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(data[:-2] + data[last:-2] * 70 + data[-2:])
    assert "passes over its pixels" in refusal(tmp_path / "a.jpg")


# ---- camera raw and kinds of TIFF ----


def test_a_tiff_that_is_compressed_as_webp_is_not_called_broken(tmp_path):
    file = tmp_path / "a.tif"
    Image.fromarray(colours()).save(file)
    data = bytearray(file.read_bytes())
    struct.pack_into("<H", data, data.index(struct.pack("<HHI", 259, 3, 1)) + 8, 50001)
    file.write_bytes(data)
    with pytest.raises(PictureError, match="TIFFs that are compressed as WebP are not supported; save it as a PNG"):
        read_picture(file)


def tiff_of(pixels, tags, big=False):
    file = BytesIO()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    Image.fromarray(pixels).save(file, "TIFF", tiffinfo=info, big_tiff=big)
    return file.getvalue()


@pytest.mark.parametrize(("name", "tags"), [
    ("a.dng", {254: 1, 330: 8, 50706: b"\1\4\0\0"}), ("a.tif", {254: 1, 330: 8}), ("a.nef", {330: 8}),
])  # fmt: skip
def test_the_preview_of_a_raw_file_is_not_the_picture(tmp_path, name, tags):
    (tmp_path / name).write_bytes(tiff_of(colours(), tags))
    assert "raw file" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "head", [b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", b"II*\0\x10\0\0\0CR\2\0"]
)
def test_raw_files_of_other_kinds_are_told(tmp_path, head):
    (tmp_path / "a.raw").write_bytes(head + bytes(100))
    assert "raw file" in refusal(tmp_path / "a.raw")


def test_a_broken_raw_file_is_told_in_words(tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100))
    assert "cannot be read (Unsupported file format" in refusal(tmp_path / "a.cr3")


def test_a_raw_file_is_developed_at_full_size_in_16_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "develop", lambda path, max_pixels: colours(np.uint16))
    (tmp_path / "a.dng").write_bytes(tiff_of(colours(), {50706: b"\1\4\0\0"}))
    write_picture(tmp_path / "a.tif", read_picture(tmp_path / "a.dng"))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb, colours(np.uint16))


def test_a_tiff_with_reduced_copies_is_one_picture(tmp_path):
    pages = [Image.fromarray(colours()), Image.fromarray(colours()[::2, ::2])]
    for kind, told in ((1, True), (0, False)):
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[254] = kind
        pages[1].encoderinfo = {"tiffinfo": info}
        pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
        if told:
            np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb, colours())
        else:
            assert "2 frames or pages" in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_bigtiff_of_16_bits(tmp_path, orientation):
    pixels = colours(np.uint16)[..., 0].copy()
    (tmp_path / "a.tif").write_bytes(tiff_of(pixels, {ORIENTATION: orientation}, big=True))
    upright = pixels if orientation == 1 else np.rot90(pixels, -1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").rgb[..., 0], upright)


def test_hif_is_heif(tmp_path):
    write_picture(tmp_path / "a.hif", Picture(colours()))
    assert (tmp_path / "a.hif").read_bytes()[4:8] == b"ftyp" and read_picture(tmp_path / "a.hif").rgb.shape == (H, W, 3)


def test_jpeg_xl_is_read_or_names_what_it_needs(tmp_path, monkeypatch):
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(50))
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    assert "pip install pillow-jxl-plugin" in refusal(tmp_path / "a.jxl")
    monkeypatch.undo()
    pytest.importorskip("pillow_jxl")
    write_picture(tmp_path / "b.jxl", Picture(colours(), lossless=False))
    assert np.abs(read_picture(tmp_path / "b.jxl").rgb.astype(int) - colours()).mean() < 6


def test_a_heic_of_a_sparse_file_is_not_read(tmp_path):
    write_picture(tmp_path / "a.heic", Picture(colours()))
    os.truncate(tmp_path / "a.heic", 2_000_000_000)
    assert "2000 MB are more than any picture" in refusal(tmp_path / "a.heic")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_png_is_written_in_strips(tmp_path, monkeypatch, dtype, channels):
    monkeypatch.setattr(picture_module, "LARGE", 1000)
    pixels = colours(dtype, max(channels, 3))
    alpha = pixels[..., 3].copy() if channels == 4 else None
    rgb = np.repeat(pixels[..., :1], 3, 2) if channels == 1 else pixels[..., :3].copy()
    made = Picture(rgb, alpha, grey=channels == 1, metadata=Metadata(exif(6)), orientation=6, icc=None)
    write_picture(tmp_path / "a.png", made)
    again = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(again.rgb, rgb)
    assert tags_of(tmp_path / "a.png")[0] == 6 and again.grey == (channels == 1)
    assert alpha is None or (again.alpha == alpha).all()


# ---- what telephones write ----


@pytest.mark.parametrize("name", ["a.avif", "a.heic", "a.heif"])
def test_heic_and_avif_come_back_nearly_as_they_were(tmp_path, name):
    rgb = cv2.GaussianBlur(colours(), (0, 0), 2)
    picture = Picture(rgb, icc=srgb(), metadata=Metadata(exif()), lossless=False)
    write_picture(tmp_path / name, picture)
    again = read_picture(tmp_path / name)
    assert np.abs(again.rgb.astype(int) - rgb).mean() < 6 and not again.lossless and again.icc == srgb()
    assert (tmp_path / name).read_bytes()[4:8] == b"ftyp"
    tags = Image.Exif()
    tags.load(again.metadata.exif)
    assert tags[MAKE] == "Camera" and tags.get_ifd(0x8769)[EXPOSURE] == 0.5
    alpha = np.full((H, W), 255, np.uint8)
    alpha[:, :32] = 0
    write_picture(tmp_path / name, replace(picture, alpha=alpha))
    clear = read_picture(tmp_path / name).alpha
    assert clear[:, :28].max() < 20 and clear[:, 40:].min() > 235


def heic_of(path, pixels, bits):
    """A HEIC of (H, W, 3) or (H, W, 4) uint16, in so many bits, or of its greys."""
    mode = {2: "L;16", 3: "RGB;16", 4: "RGBA;16"}[pixels.shape[2] if pixels.ndim == 3 else 2]
    pillow_heif.encode(mode, pixels.shape[1::-1], pixels.tobytes(), path, bit_depth=bits, quality=95, exif=exif(6))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [10, 12])
def test_a_heic_of_more_than_8_bits_keeps_them(tmp_path, bits, channels):
    fine = np.linspace(20_000, 22_000, W * H).reshape(H, W)  # 8 values of 8 bits, 31 of 10, 125 of 12
    pixels = np.repeat(fine[..., None], channels, 2).astype(np.uint16).squeeze()
    pixels[:8, :8] = 65535
    heic_of(tmp_path / "a.heic", pixels, bits)
    before = read_picture(tmp_path / "a.heic")
    assert before.rgb.dtype == np.uint16 and before.rgb.shape == (W, H, 3) and before.rgb.max() == 65535
    assert write_picture(tmp_path / "b.heic", before) == []
    after = read_picture(tmp_path / "b.heic")
    assert after.bits == before.bits == bits and tags_of(tmp_path / "b.heic") == tags_of(tmp_path / "a.heic")
    assert (after.alpha is None) == (channels < 4) and len(np.unique(after.rgb[9:])) > 20
    assert np.abs(after.rgb.astype(int) - before.rgb).mean() < 64, "a quarter of a step of 8 bits"
    write_picture(tmp_path / "b.png", before)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").rgb, before.rgb)


def test_16_bits_become_10_in_a_heic(tmp_path):
    write_picture(tmp_path / "a.heic", Picture(colours(np.uint16)))
    assert read_picture(tmp_path / "a.heic").bits == 10


def avif_of(path, pixels, matrix=6):
    """An AVIF in 10 bits of (H, W, 3) uint8, as FFmpeg alone writes it."""
    with av.open(str(path), "w", format="avif") as file:
        stream = file.add_stream("libsvtav1", rate=1, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p10le"
        pixels = np.ascontiguousarray(pixels)
        stream.codec_context.colorspace = matrix
        open_encoder(stream.codec_context)
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=stream.pix_fmt, dst_colorspace=matrix)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 48), (64, 47), (65, 47), (5, 4)])
def test_16_bits_become_10_in_an_avif(tmp_path, width, height):
    soft = cv2.resize(colours(np.uint16), (width, height), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(soft, (0, 0), 3)
    write_picture(tmp_path / "a.avif", Picture(soft))
    picture = read_picture(tmp_path / "a.avif")
    assert picture.rgb.shape == soft.shape and np.abs(picture.rgb.astype(int) - soft).mean() < 2 * 257


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler") or os.geteuid(), reason="root alone may work in real time")
def test_an_avif_of_10_bits_leaves_cores_to_other_programs(tmp_path):
    """SVT-AV1 leaves its caller, and whatever that begins later, the highest real-time priority."""
    write_picture(tmp_path / "a.avif", Picture(colours(np.uint16)))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_an_avif_of_10_bits_keeps_them(tmp_path, matrix):
    soft = cv2.GaussianBlur(colours()[:, :64], (0, 0), 3)
    avif_of(tmp_path / "a.avif", soft, matrix=matrix)
    before = read_picture(tmp_path / "a.avif")
    assert before.rgb.dtype == np.uint16 and before.bits == 10
    assert np.abs(before.rgb8.astype(int) - soft).mean() < 2, "nearer than Pillow's"
    kept = replace(before, metadata=Metadata(exif(6), xmp=XMP), orientation=6, icc=srgb())
    assert write_picture(tmp_path / "b.avif", kept) == []
    after = read_picture(tmp_path / "b.avif")
    assert after.rgb.dtype == np.uint16 and after.rgb.shape == before.rgb.shape and after.orientation == 6
    assert np.abs(after.rgb.astype(int) - before.rgb).mean() < 1.5 * 257 and after.icc == srgb()
    assert after.metadata.xmp == XMP and tags_of(tmp_path / "b.avif") == (6, "Camera", 0.5)
    with Image.open(tmp_path / "b.avif") as image:
        lying = np.rot90(after.rgb8)
        assert image.size == lying.shape[1::-1]
        assert np.abs(np.asarray(image).astype(int) - lying).mean() < 2, "so others see it"


def test_an_avif_of_10_bits_and_transparency_or_of_no_size_has_8(tmp_path):
    rgba = colours(np.uint16, 4)
    write_picture(tmp_path / "a.avif", Picture(rgba[..., :3].copy(), rgba[..., 3].copy()))
    write_picture(tmp_path / "b.avif", Picture(rgba[:3, :3, :3].copy()))
    for name in ("a.avif", "b.avif"):
        assert read_picture(tmp_path / name).rgb.dtype == np.uint8


def test_a_large_avif_has_8_bits_and_says_so(tmp_path, monkeypatch):
    avif_of(tmp_path / "a.avif", colours()[:, :64])
    small = read_picture(tmp_path / "a.avif")
    assert small.rgb.dtype == np.uint16
    monkeypatch.setattr("common.image.picture.LARGE", 1000)
    large = read_picture(tmp_path / "a.avif")
    assert large.rgb.dtype == np.uint8 and "its 10 bits a channel: it has 8 now" in large.left_out
    write_picture(tmp_path / "b.avif", small)
    assert bits_of_avif(tmp_path / "b.avif") == 8


def test_the_bits_that_an_avif_loses_are_said(tmp_path, monkeypatch):
    avif_of(tmp_path / "a.avif", colours()[:, :64])
    monkeypatch.setattr("common.image.avif.decode", lambda *_: None)  # as where it lies in tiles
    picture = read_picture(tmp_path / "a.avif")
    assert write_picture(tmp_path / "b.avif", picture) == ["without its 10 bits a channel: it has 8 now"]
    data = bytearray((tmp_path / "a.avif").read_bytes())
    data[data.index(b"av1C") + 6] |= 0x20
    (tmp_path / "a.avif").write_bytes(data)
    assert bits_of_avif(tmp_path / "a.avif") == 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.avif", "a.heic"])
def test_heic_and_avif_lie_as_they_did(tmp_path, name, orientation):
    rgb = cv2.GaussianBlur(colours(), (0, 0), 2)
    write_picture(tmp_path / name, Picture(rgb, metadata=Metadata(exif(orientation)), orientation=orientation))
    picture = read_picture(tmp_path / name)
    assert picture.rgb.shape == rgb.shape and np.abs(picture.rgb.astype(int) - rgb).mean() < 6, (
        "colour has half the resolution"
    )
    write_picture(tmp_path / "b.jpg", picture)
    again = read_picture(tmp_path / "b.jpg")
    assert again.rgb.shape == rgb.shape and np.abs(again.rgb.astype(int) - rgb).mean() < 7


@pytest.mark.parametrize("name", ["a.heic", "a.avif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_heic_and_avif_cut_short_or_broken(tmp_path, capfd, name, dtype):
    write_picture(tmp_path / name, Picture(colours(dtype)))
    whole = (tmp_path / name).read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        refusal(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("missing", [1, 30, 10**9])
def test_a_jpeg_of_which_the_disk_took_a_part_is_none(tmp_path, monkeypatch, missing):
    whole = Image.Image.save

    def until_the_disk_is_full(image, path, *args, **settings):
        whole(image, path, *args, **settings)
        os.truncate(path, max(0, os.path.getsize(path) - missing))

    monkeypatch.setattr(Image.Image, "save", until_the_disk_is_full)
    with pytest.raises(PictureError, match="No space left") as raised:
        write_picture(tmp_path / "a.jpg", Picture(colours()))
    assert not os.listdir(tmp_path)
    with pytest.raises(BatchError, match="make room"):
        demand_room(raised.value)


# ---- refusals ----


def test_what_is_no_picture(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for place in (tmp_path, tmp_path / "pipe.jpg"):
        assert "is no file but a folder, a pipe or a device" in refusal(place)
    for name, content, words in [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"Dear diary", "is not a JPEG"),
        ("noise.png", os.urandom(5000), "is not a JPEG"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert words in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("a.jpg", "a.jpg", "is a link that leads back to itself"),
        ("a.jpg", "b.jpg", "is a link to b.jpg, which is not there"),
    ],
)
def test_links_to_nothing(tmp_path, name, target, words):
    (tmp_path / name).symlink_to(target)
    assert words in refusal(tmp_path / name)


def test_what_may_not_be_read(tmp_path, monkeypatch):
    save(tmp_path / "a.jpg", colours())

    def locked(path, *how):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("builtins.open", locked)
    assert refusal(tmp_path / "a.jpg").endswith("a.jpg: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.jpg", b"GIF89a", "is a GIF; end its name in .gif"),
        ("a.jpg", b"\0\0\0\x18ftypmp42", "is a clip; end its name in .mp4"),
        ("a.png", b"\0\0\0\x14ftypqt  ", "is a clip; end its name in .mov"),
        ("a.png", b"\n<!DOCTYPE HTML><html>", "is a web page"),
        ("a.jpg", b"8BPS\0\1", "is a Photoshop document; convert it"),
        ("a.jpg", b"%PDF-1.7", "is a PDF"),
        ("a.png", b"<svg xmlns=''/>", "is an SVG drawing"),
        ("a.jpg", b"\xff\xd8\xff\xc1\0\x0b\x0c\0\4\0\4\1\1\x11\0", "is a JPEG of 12 bits a channel"),
        ("a.jpg", b"\xff\xd8\xff\xf7\0\x0b\x08\0\4\0\4\1\1\x11\0", "is JPEG-LS"),
        ("a.tif", b"II*\0\x08\0\0\0\0\0", "is a TIFF"),
        ("a.jpeg", b"\xff\xd8\xff\xd9", "broken at its start"),
        ("a.hif", b"\0\0\0\x18ftypheic", "broken"),
    ],
)
def test_what_is_another_kind_of_file_is_told(tmp_path, name, head, words):
    (tmp_path / name).write_bytes(head + bytes(40))
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.gif", b"\xff\xd8\xff\xd9", "is a JPEG; end its name in .jpg"),
        ("a.gif", b"\0\0\0\x18ftypmp42", "is a clip; end its name in .mp4"),
        ("a.gif", b"", "is empty"),
        ("a.mp4", b"", "is empty"),
        ("a.mov", b"\0\0\0\x18ftypmp42", "is no clip that can be read"),
    ],
)
def test_what_is_no_clip_is_told(tmp_path, name, head, words):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(PictureError, match=words):
        moving.opened(tmp_path / name, 10**6)


def test_a_lossless_jpeg_has_no_tables_to_write_by(tmp_path):
    with Image.open(save(tmp_path / "a.jpg", colours())) as image:
        image.quantization = {}
        assert jpeg_settings(image) is None


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_a_print_becomes_rgb_and_that_is_said(tmp_path, name):
    Image.fromarray(colours()).convert("CMYK").save(tmp_path / name)
    assert write_picture(tmp_path / f"b{name}", read_picture(tmp_path / name)) == [
        "without its inks (CMYK): it is RGB now"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.webp", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("deep.png", {}),
        ("deep.tif", {}),
    ],
)
def test_files_cut_short(tmp_path, capfd, settings):
    name, how = settings
    path = tmp_path / name
    if name.startswith("deep"):
        write_picture(path, Picture(colours(np.uint16)))
    else:
        save(path, colours(), **how)
    whole = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9, 0.97):
        path.write_bytes(whole[: int(len(whole) * share)])
        refusal(path)
    assert capfd.readouterr().err == "", "no library complains besides"


@pytest.mark.parametrize("packed", ["tiff_lzw", "tiff_deflate"])
def test_libtiff_says_nothing_without_the_files_name(tmp_path, capfd, packed):
    save(tmp_path / "a.tif", colours(), compression=packed)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[60 : len(data) - 300] = bytes(len(data) - 360)
    (tmp_path / "a.tif").write_bytes(data)
    assert "broken or cut short" in refusal(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


def test_the_last_checksum_of_a_deep_png(tmp_path, capfd):
    cv2.imwrite(str(tmp_path / "a.png"), colours(np.uint16))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[-13] ^= 1  # the last byte of the pixels' checksum, before IEND
    (tmp_path / "a.png").write_bytes(data)
    assert "broken or cut short" in refusal(tmp_path / "a.png")
    assert capfd.readouterr().err == ""


def test_broken_inside(tmp_path):
    path = save(tmp_path / "a.png", colours())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert "broken" in refusal(path)


def bomb(width, height):
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_bombs_are_not_decoded(tmp_path):
    (tmp_path / "a.png").write_bytes(bomb(100_000, 100_000))
    message = refusal(tmp_path / "a.png")
    assert "100000 x 100000" in message and "200 megapixels" in message and "--max-megapixels" in message
    assert "0.003 megapixels" in refusal(save(tmp_path / "b.png", colours()), 3000)
    assert read_picture(tmp_path / "b.png", H * W).rgb.shape == (H, W, 3)


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.tif"])
def test_several_frames(tmp_path, name):
    frames = [Image.fromarray(colours()), Image.fromarray(255 - colours())]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    assert "2 frames" in refusal(tmp_path / name)


def test_values_that_are_not_of_8_or_16_bits(tmp_path):
    assert "not supported" in refusal(save(tmp_path / "a.tif", colours()[..., 0].astype(np.float32)))
    assert "not supported" in refusal(save(tmp_path / "b.tif", colours()[..., 0].astype(np.int32)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = save(tmp_path / "a.png", colours())
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(PictureError, match="end its name in .jpg"):
        write_picture(tmp_path / "a.gif", Picture(colours()))
    with pytest.raises(PictureError, match="a.webp: cannot be written"):
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 20_000, 3), np.uint8)))
    (tmp_path / "file").write_text("")
    with pytest.raises(PictureError, match="cannot be written"):
        write_picture(tmp_path / "file" / "a.png", Picture(colours()))
    assert os.listdir(tmp_path) == ["file"]


# ---- masks ----


def test_masks(tmp_path):
    mask = colours()[..., 0].copy()
    write_mask(tmp_path / "m.png", mask)
    image = Image.open(tmp_path / "m.png")
    assert image.mode == "L" and image.format == "PNG"
    np.testing.assert_array_equal(np.asarray(image), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)
    Image.fromarray(mask > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "bits.png"), np.where(mask > 127, 255, 0))
    (tmp_path / "text.png").write_text("no mask")
    with pytest.raises(PictureError):
        read_mask(tmp_path / "text.png")
