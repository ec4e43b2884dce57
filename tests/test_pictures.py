"""Pictures come back as they went in, and what is not a picture is refused in one line."""

import os
import struct
import zlib
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from common.image.metadata import Metadata
from common.image.picture import Picture, PictureError, read_mask, read_picture, write_mask, write_picture

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
    assert Image.open(tmp_path / name).format == Image.open(source).format
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
    assert Image.open(tmp_path / "c.jpg").layer[0][1:3] == (1, 1), "without tables to follow: no subsampling"


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
    assert Image.open(tmp_path / ("same" + name)).mode == "L"
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
    assert Image.open(tmp_path / "b.jpg").mode == "RGB"


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
    assert Image.open(tmp_path / name).mode == "L" and read_picture(tmp_path / name).icc == bytes(icc)


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
    assert Image.open(tmp_path / "b.JPG").format == "JPEG"


def test_a_photograph_with_a_preview_behind_it_is_one_picture(tmp_path):
    frames = [Image.fromarray(colours()), Image.fromarray(255 - colours())]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:], quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(picture.rgb.astype(int) - colours()).mean() < 6
    write_picture(tmp_path / "b.jpg", picture)
    assert Image.open(tmp_path / "b.jpg").format == "JPEG"


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
def test_heic_and_avif_cut_short_or_broken(tmp_path, capfd, name):
    write_picture(tmp_path / name, Picture(colours()))
    whole = (tmp_path / name).read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        refusal(tmp_path / name)
    assert capfd.readouterr().err == ""


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
