"""A picture's numbers: out of a file that Pillow has opened, and into the order in which a format stores them.

Pillow decodes what has 8 bits a channel; OpenCV what has 16, which Pillow would cut to 8.
"""

import os
import struct
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from common.image import tiff

MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))  # Pillow's, 8 bits
END_OF_JPEG = b"\xff\xd9"
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation -> cv2.flip's code; 5..8 are transposed as well

Pixels = tuple[np.ndarray, np.ndarray | None, bool]  # rgb (H, W, 3), alpha (H, W) or None, whether the file is grey


class UnsupportedError(ValueError):
    """A kind of pixels that is not read; the message says which."""


def decode(image: Image.Image, path: Path, deep: bool) -> Pixels:
    """The pixels of a picture that Pillow has opened; `deep`: it has 16 bits a channel. Raises UnsupportedError, and
    whatever Pillow raises over a broken file."""
    if image.format in ("JPEG", "MPO") and image.mode == "RGB" and (rgb := decode_jpeg(path)) is not None:
        return rgb, None, False
    image.load()
    return decode16(image, path) if deep else decode8(image)


def decode8(image: Image.Image) -> Pixels:
    """A loaded picture of 8 bits, uint8. Raises UnsupportedError."""
    if image.mode not in MODES:
        raise UnsupportedError(f"values of the kind '{image.mode}'")
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.extractChannel(rgba, 3), grey
    if grey:
        return cv2.cvtColor(np.asarray(image.convert("L")), cv2.COLOR_GRAY2RGB), None, True
    if image.mode == "CMYK":
        image = _srgb_from_cmyk(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), None, False


def decode_jpeg(path: Path) -> np.ndarray | None:
    """(H, W, 3) of a coloured JPEG, the same as Pillow's and a quarter faster; None where OpenCV cannot read it, or
    would pass over that it is cut short."""
    data = np.fromfile(path, np.uint8)
    whole = data[-2:].tobytes() == END_OF_JPEG
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION) if whole else None


def is_deep(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel."""
    if image.format == "PNG":
        return ";16" in image.tile[0].args
    return image.format == "TIFF" and image.mode != "CMYK" and max(image.tag_v2.get(tiff.BITS, (1,))) == 16


def decode16(image: Image.Image, path: Path) -> Pixels:
    """The same of 16 bits, uint16, the pixels as they lie in the file; `image` is loaded, so the file is whole."""
    data = np.fromfile(path, np.uint8)
    tags = image.tag_v2 if image.format == "TIFF" else {}
    if tags.get(tiff.EXTRA_SAMPLES) == (tiff.PREMULTIPLIED,) or tags.get(tiff.PLANAR) == tiff.IN_PLANES:
        raise UnsupportedError("16-bit colours in planes, or multiplied with their alpha,")
    if tags:
        tiff.lay_flat(data)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise UnsupportedError("16-bit pictures of this kind")
    if grey := pixels.ndim == 2:
        rgb = cv2.cvtColor(~pixels if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_0 else pixels, cv2.COLOR_GRAY2RGB)
    else:
        rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    alpha = cv2.extractChannel(pixels, 3) if image.mode == "RGBA" else None
    if "transparency" in image.info:  # one colour that is clear
        clear = (rgb == np.array(image.info["transparency"], np.uint16)).all(axis=2)
        alpha = np.where(clear, 0, 65535).astype(np.uint16)
    return rgb, alpha, grey


def _srgb_from_cmyk(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # rarely needed

    try:
        own = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        return ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):  # no profile, or one that is of no use
        return image.convert("RGB")


def jpeg_settings(image: JpegImagePlugin.JpegImageFile) -> dict | None:
    """With these, what was not changed is rounded as it was, and hardly moves."""
    if image.mode == "CMYK":
        return None  # its tables are not meant for YCbCr
    # -1 is grey, or a layout that Pillow cannot write: then colour keeps its full resolution
    return {"qtables": image.quantization, "subsampling": max(0, JpegImagePlugin.get_sampling(image))}


def is_lossy_webp(path: str | os.PathLike) -> bool:
    """WebP is RIFF: the pixels lie in a chunk 'VP8 ' (lossy) or 'VP8L', the first or after some of metadata."""
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            file.seek(size + size % 2, os.SEEK_CUR)
    return True


@lru_cache(maxsize=1)
def learn_heif() -> None:
    """Pillow reads and writes HEIC from here on."""
    import pillow_heif  # rarely needed

    pillow_heif.register_heif_opener()


def turned(pixels: np.ndarray, orientation: int, back: bool = False) -> np.ndarray:
    """(H, W) or (H, W, C) as stored -> upright by the EXIF orientation, or `back`."""
    across = orientation >= 5
    if across and not back:
        pixels = cv2.transpose(pixels)
    if orientation in FLIPS:
        pixels = cv2.flip(pixels, FLIPS[orientation])
    return cv2.transpose(pixels) if across and back else pixels


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as it looks on white paper."""
    weight = alpha[..., None].astype(np.uint16)
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def by_opencv(suffix: str, pixels: np.ndarray) -> bytes:
    """A file of the format of `suffix`, of (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""
    if pixels.ndim == 3:  # to OpenCV's order
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(suffix, pixels)
    if not done:
        raise ValueError(f"OpenCV makes no {suffix} of it")
    return data.tobytes()


def to8(values: np.ndarray) -> np.ndarray:
    """uint8 or uint16 -> uint8, rounded."""
    return values if values.dtype == np.uint8 else cv2.convertScaleAbs(values, alpha=1 / 257)
