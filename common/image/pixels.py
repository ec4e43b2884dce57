"""A picture's numbers: out of a file that Pillow has opened, and into the order in which a format stores them.

Pillow decodes what has 8 bits a channel, libjpeg JPEGs; OpenCV what has 16, which Pillow would cut to 8.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from common.image import jpeg, tiff, webp
from common.image.rows import ROWS, Rows, strips_of

MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))  # Pillow's, 8 bits
STRIP = 256  # rows
TOO_SHORT = "it ends before its pixels do"
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation -> cv2.flip's code; 5..8 are transposed as well

HEIF_SETTINGS = {"enc_params": {"preset": "medium"}}  # of the encoder: half of its own time, 2 % more bytes

Pixels = tuple[np.ndarray, np.ndarray | None, bool]  # rgb (H, W, 3), alpha (H, W) or None, whether the file is grey


class UnsupportedError(ValueError):
    """A kind of pixels that is not read; the message says which."""


def decode(image: Image.Image, path: Path, deep: bool) -> Pixels:
    """The pixels of a picture that Pillow has opened; `deep`: it has 16 bits a channel. Raises UnsupportedError, and
    whatever Pillow raises over a broken file."""
    if isinstance(image, TiffImageFile) and tiff.is_plain_ycc(image):
        return _decode_ycc(image, path)
    image.load()
    return decode16(image, path) if deep else decode8(image)


def decode_jpeg(image: Image.Image, data: bytes) -> tuple[Pixels, str]:
    """The same of a JPEG, whose file's bytes are `data`, and how it is damaged, or "".

    By libjpeg itself, a quarter faster than by Pillow, which would not say so."""
    colorspace = {"RGB": "RGB", "L": "GRAY"}.get(image.mode, "CMYK")
    pixels, damage = jpeg.decode(data, colorspace, image.width * image.height)
    if pixels is None or image.mode not in ("RGB", "L", "CMYK"):
        del pixels
        image.load()
        return decode8(image), damage
    if image.mode == "CMYK":
        inks = Image.fromarray(np.invert(pixels, out=pixels), "CMYK")  # Adobe's way round, as Pillow takes all of them
        inks.info = image.info
        return decode8(inks), damage
    if image.mode == "L":
        return (cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), None, True), damage
    return (pixels, None, False), damage


def decode8(image: Image.Image) -> Pixels:
    """A loaded picture of 8 bits, uint8. Raises UnsupportedError."""
    if image.mode not in MODES:
        raise UnsupportedError(f"values of the kind '{image.mode}'")
    grey = image.mode in ("1", "L", "LA")
    if image.mode == "CMYK":
        image = _srgb_from_cmyk(image)
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if image.has_transparency_data else None
    for top in range(0, height, STRIP):  # so that there is one whole copy beside Pillow's
        rows = slice(top, min(top + STRIP, height))
        part = image.crop((0, top, width, rows.stop))
        if alpha is None:
            rgb[rows] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
        else:
            rgba = np.asarray(part if part.mode == "RGBA" else part.convert("RGBA"))
            rgb[rows], alpha[rows] = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.extractChannel(rgba, 3)
    return rgb, alpha, grey


def is_deep(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return ";16" in str(image.tile[0].args)
    return isinstance(image, TiffImageFile) and image.mode != "CMYK" and max(image.tag_v2.get(tiff.BITS, (1,))) == 16


def decode16(image: Image.Image, path: Path) -> Pixels:
    """The same of 16 bits, uint16, the pixels as they lie in the file; `image` is loaded, so the file is whole."""
    transparency, mode = image.info.get("transparency"), image.mode
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    image.im = None  # type: ignore[assignment]  # its 8 bits are no longer needed; Pillow's close() does it so as well
    data = np.fromfile(path, np.uint8)
    if tags.get(tiff.EXTRA_SAMPLES) == (tiff.PREMULTIPLIED,) or tags.get(tiff.PLANAR) == tiff.IN_PLANES:
        raise UnsupportedError("16-bit colours in planes, or multiplied with their alpha,")
    if tags:
        tiff.lay_flat(data)
    else:
        _demand_checksums(data.data)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    del data
    if pixels is None or pixels.dtype != np.uint16:
        raise UnsupportedError("16-bit pictures of this kind")
    if grey := pixels.ndim == 2:
        turned_over = tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_0
        rgb = cv2.cvtColor(np.invert(pixels) if turned_over else pixels, cv2.COLOR_GRAY2RGB)
    else:
        rgb = _rgb_of(pixels)
    alpha = cv2.extractChannel(pixels, 3) if mode == "RGBA" else None
    if transparency is not None:  # one colour that is clear
        clear = (rgb == np.array(transparency, np.uint16)).all(axis=2)
        alpha = np.where(clear, 0, 65535).astype(np.uint16)
    return rgb, alpha, grey


def _decode_ycc(image: TiffImageFile, path: Path) -> Pixels:
    """The same, upright, of a TIFF of 8 bits in YCbCr that is not compressed, of which Pillow makes no sense."""
    data, orientation = np.fromfile(path, np.uint8), image.tag_v2.get(tiff.ORIENTATION, 1)
    tiff.lay_flat(data)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its pixels cannot be decoded")
    return turned(_rgb_of(pixels), orientation), None, False


def decode_webp(path: Path) -> Pixels:
    """The same of a large WebP that does not move."""
    pixels = webp.decode(str(path))
    alpha = cv2.extractChannel(pixels, 3) if pixels.shape[2] == 4 else None
    return _rgb_of(pixels), alpha, False


def encode_webp(pixels: np.ndarray, quality: int | None, settings: dict) -> bytes:
    """A large WebP of (H, W, 3) or (H, W, 4) uint8 in any order of memory; `quality` None: lossless. `settings` as
    Pillow takes them."""
    exif = (settings.get("exif") or b"").removeprefix(b"Exif\0\0")
    bgr = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), STRIP):
        strip = np.ascontiguousarray(pixels[top : top + STRIP])
        bgr[top : top + STRIP] = cv2.cvtColor(strip, (cv2.COLOR_RGB2BGR, cv2.COLOR_RGBA2BGRA)[pixels.shape[2] - 3])
    how = webp.LOSSLESS if quality is None else quality
    return webp.encode(bgr, how, settings.get("icc_profile"), exif, settings.get("xmp"))


def decode_rows(rows: Rows) -> Pixels:
    """The same in 8 bits, uint8, of a large picture of 16."""
    height, width = rows.shape[:2]
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if len(rows.shape) == 3 and rows.shape[2] == 4 else None
    top = 0
    for strip in map(to8, rows.strips()):
        here = slice(top, top + len(strip))
        rgb[here] = cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB) if strip.ndim == 2 else strip[..., :3]
        if alpha is not None:
            alpha[here] = strip[..., 3]
        top = here.stop
    return rgb, alpha, len(rows.shape) == 2


def _demand_checksums(png: memoryview) -> None:
    """Raise ValueError or struct.error where a chunk of a PNG's pixels is not as its checksum says: Pillow passes over
    the last one, of which libpng would complain on stderr."""
    place, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        if name == b"IDAT" and struct.unpack_from(">I", png, end) != (zlib.crc32(png[place + 4 : end]),):
            raise ValueError("its pixels do not fit their checksum")
        place = end + 4


def _rgb_of(pixels: np.ndarray) -> np.ndarray:
    """OpenCV's order, (H, W, 3) or (H, W, 4) -> (H, W, 3) RGB, in place where that can be."""
    if pixels.shape[2] == 4:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
    for top in range(0, len(pixels), STRIP):
        pixels[top : top + STRIP] = cv2.cvtColor(pixels[top : top + STRIP], cv2.COLOR_BGR2RGB)
    return pixels


def _srgb_from_cmyk(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # rarely needed

    with suppress(KeyError, OSError, ImageCms.PyCMSError):  # no profile, or one that is of no use
        own = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        if result := ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB"):
            return result
    return image.convert("RGB")


def jpeg_settings(image: JpegImagePlugin.JpegImageFile) -> dict | None:
    """With these, what was not changed is rounded as it was, and hardly moves."""
    if image.mode == "CMYK" or not image.quantization:
        return None  # its tables are not meant for YCbCr; a lossless one has none
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


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W) or (H, W, C) as stored -> upright by the EXIF orientation."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    if orientation in FLIPS:
        pixels = cv2.flip(pixels, FLIPS[orientation])
    return pixels


def turned_view(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright (H, W) or (H, W, C) -> as it is stored by the EXIF orientation, in the same memory."""
    flip = FLIPS.get(orientation)
    if flip is not None:
        pixels = pixels[:: -1 if flip <= 0 else 1, :: -1 if flip else 1]
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


def to_pillow(pixels: np.ndarray) -> Image.Image:
    """(H, W), (H, W, 3) or (H, W, 4) uint8, in any order of memory, as Pillow's, which is one whole copy."""
    if pixels.flags.c_contiguous:
        return Image.fromarray(pixels)
    height, width = pixels.shape[:2]
    image = Image.new({1: "L", 3: "RGB", 4: "RGBA"}[pixels.size // (height * width)], (width, height))
    for top in range(0, height, STRIP):
        image.paste(Image.fromarray(np.ascontiguousarray(pixels[top : top + STRIP])), (0, top))
    return image


def write_png(file: BinaryIO, pixels: np.ndarray | Rows, chunks: bytes) -> None:
    """A PNG of (H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8 or uint16 in any order of memory, in strips of rows, with
    `chunks` behind its head: for pictures so large that a second copy of them is too much."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if len(pixels.shape) == 3 else 1
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + chunks)
    deflate, step = zlib.compressobj(1), channels * pixels.dtype.itemsize
    for part in strips_of(pixels, ROWS if isinstance(pixels, Rows) else STRIP):
        strip = np.ascontiguousarray(part, dtype=pixels.dtype.newbyteorder(">"))
        rows = strip.view(np.uint8).reshape(len(strip), width * step)
        lines = np.ones((len(strip), 1 + width * step), np.uint8)  # each begins with the number of its filter: Sub
        lines[:, 1:] = rows
        lines[:, 1 + step :] -= rows[:, :-step]
        file.write(png_chunk(b"IDAT", deflate.compress(lines.data)))
    file.write(png_chunk(b"IDAT", deflate.flush()) + png_chunk(b"IEND", b""))


def chunks_in_png(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each chunk of a PNG: name and length, the file standing at its data. Raises ValueError: it is cut short."""
    place = 8
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError(TOO_SHORT)
        length, name = struct.unpack(">I4s", head)
        yield name, length
        if name == b"IEND":
            return
        place += 12 + length


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


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
