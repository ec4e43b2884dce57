"""Colour profiles: the dye is as true in a picture's own space as in sRGB."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000

from common.image.icc import SRGB, colour_ready, in_srgb8, space_of
from common.image.picture import Picture, PictureError, read_picture
from common.image.pixels import learn_heif
from ombre.dye_photo import write
from ombre.render.recolour import ombre
from ombre.style import Style
from tests.tools.icc import grey_profile, rgb_profile

WIDE = ["Display P3", "Adobe RGB", "ProPhoto"]


def hair_picture():
    """Streaky ginger hair on skin, and its drawn mask."""
    rng = np.random.default_rng(5)
    mask = np.zeros((160, 140), np.uint8)
    mask[20:150, 20:120] = 255
    streaks = cv2.GaussianBlur(rng.normal(0, 60, mask.shape), (0, 0), sigmaX=1, sigmaY=12)[..., None]
    hair = np.clip(np.array([150, 95, 60]) + streaks, 2, 253).astype(np.uint8)
    return np.where(mask[..., None] > 0, hair, np.uint8([210, 170, 150])), mask


def converted(rgb, source, target):
    profiles = (ImageCms.ImageCmsProfile(BytesIO(icc)) for icc in (source, target))
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(rgb), *profiles))


def lab(rgb):
    return cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)


@pytest.mark.parametrize("color", ["0.36", "0.9", "platinum", "burgundy", "copper>mint"])
@pytest.mark.parametrize("name", WIDE)
def test_a_picture_dyed_in_its_own_space_looks_as_in_srgb(name, color):
    rgb, mask = hair_picture()
    srgb, icc = rgb_profile("sRGB"), rgb_profile(name)
    own = converted(rgb, srgb, icc)
    plain = lab(ombre(rgb, mask, Style(color, 0.8, 0.3), refine=False))
    dyed = ombre(own, mask, Style(color, 0.8, 0.3), refine=False, space=space_of(icc))
    away = deltaE_ciede2000(lab(converted(dyed, icc, srgb)), plain)[mask > 0]
    assert away.mean() < 1.5 and np.percentile(away, 95) < 2.5
    wrong = ombre(own, mask, Style(color, 0.8, 0.3), refine=False)
    assert deltaE_ciede2000(lab(converted(wrong, icc, srgb)), plain)[mask > 0].mean() > 1.2 * away.mean()
    np.testing.assert_array_equal(dyed[mask == 0], own[mask == 0])


@pytest.mark.parametrize("name", WIDE)
def test_sixteen_bits_of_a_space_are_dyed_like_eight(name):
    rgb, mask = hair_picture()
    space = space_of(rgb_profile(name))
    own = converted(rgb, rgb_profile("sRGB"), rgb_profile(name))
    dyed, deep = (
        ombre(picture, mask, Style("rose", 0.9, 0.3), space=space) for picture in (own, own.astype(np.uint16) * 257)
    )
    assert np.abs(deep / 257 - dyed).mean() < 0.6
    assert len(np.unique(deep)) > 400


def test_srgb_by_any_name_is_srgb():
    assert space_of(None) is SRGB and space_of(rgb_profile("sRGB")) is SRGB
    made_by_littlecms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert space_of(made_by_littlecms) is SRGB


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_with_a_profile_becomes_srgb(dtype):
    most = np.iinfo(dtype).max
    grey = np.repeat(np.linspace(0, most, 64).astype(dtype)[None, :, None], 3, axis=2)
    ready, space, note = colour_ready(Picture(grey, grey=True, icc=grey_profile(1.0)))
    assert space is SRGB and note == "" and ready.icc is None
    assert abs(int(ready.rgb[0, 32, 0]) - 0.74 * most) < 0.02 * most, "half the light is at 0.735 in sRGB"
    np.testing.assert_array_equal(in_srgb8(Picture(grey, icc=grey_profile(1.0))), ready.rgb if most == 255 else
                                  Picture(ready.rgb).rgb8)  # fmt: skip


@pytest.mark.parametrize("icc", [b"a profile", rgb_profile("ProPhoto")[:300], b"\0" * 200])
def test_what_is_no_profile_is_said_and_kept(icc):
    rgb, _ = hair_picture()
    ready, space, note = colour_ready(Picture(rgb, icc=icc))
    assert space is SRGB and ready.icc == icc and "cannot be used" in note and "\n" not in note
    np.testing.assert_array_equal(in_srgb8(Picture(rgb, icc=icc)), rgb)


@pytest.mark.parametrize("name", WIDE)
def test_a_format_without_room_for_a_profile_gets_srgb(name, tmp_path):
    rgb, _ = hair_picture()
    own = converted(rgb, rgb_profile("sRGB"), rgb_profile(name))
    write(tmp_path / "a.bmp", Picture(own, icc=rgb_profile(name)))
    assert deltaE_ciede2000(lab(read_picture(tmp_path / "a.bmp").rgb), lab(rgb)).mean() < 0.5
    assert deltaE_ciede2000(lab(own), lab(rgb)).mean() > 1
    write(tmp_path / "a.png", Picture(own, icc=rgb_profile(name)))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").rgb, own)


def naming(path, primaries, transfer, icc=None):
    """A picture of the path's kind that names a colour space by code points, besides a profile."""
    image = Image.fromarray(hair_picture()[0])
    if path.suffix == ".png":
        chunk = b"cICP" + bytes((primaries, transfer, 0, 1))
        file = BytesIO()
        image.save(file, "PNG", icc_profile=icc)
        data = file.getvalue()
        chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(data[:33] + chunk + data[33:])
        return path
    learn_heif()
    image.save(path)
    data = path.read_bytes()
    place = data.index(b"colrnclx") + 8
    path.write_bytes(data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :])
    return path


@pytest.mark.parametrize("name", ["a.png", "a.avif", "a.heic"])
def test_a_space_that_is_named_without_a_profile_is_said_and_hdr_refused(name, tmp_path):
    for primaries, said in ((1, ""), (12, "Display P3")):
        picture = read_picture(naming(tmp_path / name, primaries, 13))
        _, space, note = colour_ready(picture)
        assert space is SRGB and (said in note if said else note == "")
    with pytest.raises(PictureError, match="HDR .PQ. "):
        read_picture(naming(tmp_path / name, 9, 16))


def test_hdr_is_refused_beside_a_profile_too(tmp_path):
    """Which is there for those who do not know code points."""
    with pytest.raises(PictureError, match="HDR .HLG. is not supported here"):
        read_picture(naming(tmp_path / "a.png", 9, 18, rgb_profile("sRGB")))
    assert read_picture(naming(tmp_path / "a.png", 12, 13, rgb_profile("sRGB"))).named_space == ""
