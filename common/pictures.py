"""Pictures in and out: what a photograph carries besides its colours stays with it.

Pillow decodes what has 8 bits a channel; OpenCV what has 16, which Pillow would cut to 8.
"""

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from common import tiff
from common.files import replacing

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
SUFFIXES = frozenset(FORMATS)
DEFAULT_MAX_PIXELS = 200_000_000  # the largest that telephones take today
MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))  # Pillow's, 8 bits
PNG_HEAD = 33  # bytes before the first chunk that may be another
EXIF_PREFIX = b"Exif\0\0"
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation -> cv2.flip's code; 5..8 are transposed as well

Image.MAX_IMAGE_PIXELS = None  # `read_picture` has a limit of its own, which its caller can set
Image.core.set_blocks_max(4)  # memory that Pillow keeps for the next picture: decoding takes a quarter less time
warnings.filterwarnings("ignore", module=r"PIL\.")  # a picture is read or refused, in one line of ours
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class PictureError(Exception):
    """A picture that cannot be read or written; the message is one line for the user and names the file."""


@dataclass(frozen=True)
class Picture:
    """A picture as a person sees it, and what it takes to write it back as it was.

    `dataclasses.replace(picture, rgb=...)` gives the same photograph in other colours. The arrays may be read-only.
    """

    rgb: np.ndarray  # (H, W, 3) uint8 or uint16, upright: the EXIF orientation is applied
    alpha: np.ndarray | None = None  # (H, W), same dtype; None where the picture has no transparency
    grey: bool = False  # the file has one colour channel
    icc: bytes | None = None  # colour profile
    exif: bytes | None = None  # as in the file, orientation tag included, with a JPEG's prefix
    orientation: int = 1  # 1..8, how the file's pixels lie; what `exif` says
    jpeg: dict | None = None  # quantisation tables and subsampling of a JPEG, as Pillow takes them
    lossless: bool = True  # False for JPEG and for WebP's lossy kind

    @property
    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, rounded where the picture has 16 bits: what the networks look at."""
        return _to8(self.rgb)


# ---- reading ----


def read_picture(path: str | os.PathLike, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read a JPEG, PNG, WebP, BMP or TIFF file, by its content, whatever its name says.

    Raises PictureError: not there, not a picture, broken or cut short, several frames, values that are not of 8 or 16
    bits, or more than `max_pixels`, which is looked at before anything is decoded.
    """
    with _opened(Path(path), max_pixels) as image:
        kind = "JPEG" if image.format == "MPO" else image.format  # a photograph with a preview behind it
        exif = tiff.exif_of(image) if kind == "TIFF" else None
        deep = _is_deep(image)
        image.load()
        rgb, alpha, grey = _decode16(image, Path(path)) if deep else _decode8(image, Path(path))
        exif = exif or _with_prefix(image.info.get("exif"))  # a PNG's may lie behind its pixels
        orientation = tiff.exif_tags(exif).get(tiff.ORIENTATION)
        if orientation not in range(1, 9):
            orientation = 1
        if deep or kind != "TIFF":  # Pillow turns the pixels of a TIFF itself
            rgb, alpha = _turned(rgb, orientation), None if alpha is None else _turned(alpha, orientation)
        return Picture(
            rgb,
            alpha,
            grey,
            exif=exif,
            orientation=orientation,
            icc=None if image.mode == "CMYK" else image.info.get("icc_profile"),
            jpeg=_jpeg_settings(image) if kind == "JPEG" else None,
            lossless=kind != "JPEG" and not (kind == "WEBP" and _is_lossy_webp(path)),
        )


@contextmanager
def _opened(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """The file as Pillow opens it, not yet decoded, fit to be; every error within becomes a PictureError."""
    if not os.path.isfile(path):
        what = "is no file but a folder, a pipe or a device" if os.path.exists(path) else "there is no such file"
        raise PictureError(f"{path}: {what}")
    try:
        # By name Pillow would map the file into memory, and scramble turned RGBA TIFFs.
        with open(path, "rb") as file, Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise PictureError(
                    f"{path}: {width} x {height} pixels are over the limit of {max_pixels / 1e6:g} "
                    "megapixels; if you trust the file, raise it with --max-megapixels"
                )
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise PictureError(f"{path}: holds {image.n_frames} frames or pages; save the one you want by itself")
            if image.format == "TIFF":
                tiff.demand_whole(image, path)
            yield image
    except PictureError:
        raise
    except UnidentifiedImageError:
        what = (
            "is empty"
            if path.stat().st_size == 0
            else "is not a JPEG, PNG, WebP, BMP or TIFF picture of 8 or 16 bits a channel, or broken at its start"
        )
        raise PictureError(f"{path}: {what}; convert it or leave it out") from None
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error, over a broken file
        if isinstance(error, OSError) and error.errno:
            raise PictureError(f"{path}: cannot be read: {error.strerror}") from error
        reason = _one_line(error)
        raise PictureError(f"{path}: broken or cut short ({reason}); copy it again or leave it out") from error


def _decode8(image: Image.Image, path: Path) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """rgb (H, W, 3) uint8, alpha (H, W) or None, and whether the file is grey."""
    if image.mode not in MODES:
        raise _unsupported(path, f"values of the kind '{image.mode}'")
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.extractChannel(rgba, 3), grey
    if grey:
        return cv2.cvtColor(np.asarray(image.convert("L")), cv2.COLOR_GRAY2RGB), None, True
    if image.mode == "CMYK":
        image = _srgb_from_cmyk(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), None, False


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel."""
    if image.format == "PNG":
        return ";16" in image.tile[0].args
    return image.format == "TIFF" and image.mode != "CMYK" and max(image.tag_v2.get(tiff.BITS, (1,))) == 16


def _decode16(image: Image.Image, path: Path) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """The same in uint16, the pixels as they lie in the file; `image` is loaded, so the file is known to be whole."""
    data = np.fromfile(path, np.uint8)
    tags = image.tag_v2 if image.format == "TIFF" else {}
    if tags.get(tiff.EXTRA_SAMPLES) == (tiff.PREMULTIPLIED,) or tags.get(tiff.PLANAR) == tiff.IN_PLANES:
        raise _unsupported(path, "16-bit colours in planes, or multiplied with their alpha,")
    if tags:
        tiff.lay_flat(data)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise _unsupported(path, "16-bit pictures of this kind")
    if grey := pixels.ndim == 2:
        rgb = cv2.cvtColor(~pixels if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_0 else pixels, cv2.COLOR_GRAY2RGB)
    else:
        rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    alpha = cv2.extractChannel(pixels, 3) if image.mode == "RGBA" else None
    if "transparency" in image.info:  # one colour that is clear
        clear = (rgb == np.array(image.info["transparency"], np.uint16)).all(axis=2)
        alpha = np.where(clear, 0, 65535).astype(np.uint16)
    return rgb, alpha, grey


def _unsupported(path: Path, what: str) -> PictureError:
    return PictureError(f"{path}: {what} are not supported; save it as a PNG of 8 or 16 bits a channel")


def _with_prefix(exif: bytes | None) -> bytes | None:
    """EXIF data as in a JPEG, which Pillow also takes for the other formats."""
    return exif and EXIF_PREFIX + exif.removeprefix(EXIF_PREFIX)


def _srgb_from_cmyk(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # rarely needed

    try:
        own = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        return ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):  # no profile, or one that is of no use
        return image.convert("RGB")


def _jpeg_settings(image: JpegImagePlugin.JpegImageFile) -> dict | None:
    """With these, what was not changed is rounded as it was, and hardly moves."""
    if image.mode == "CMYK":
        return None  # its tables are not meant for YCbCr
    # -1 is grey, or a layout that Pillow cannot write: then colour keeps its full resolution
    return {"qtables": image.quantization, "subsampling": max(0, JpegImagePlugin.get_sampling(image))}


def _is_lossy_webp(path: str) -> bool:
    """WebP is RIFF: the pixels lie in a chunk 'VP8 ' (lossy) or 'VP8L', the first or after some of metadata."""
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            file.seek(size + size % 2, os.SEEK_CUR)
    return True


def _turned(pixels: np.ndarray, orientation: int, back: bool = False) -> np.ndarray:
    """(H, W) or (H, W, C) as stored -> upright, or `back`."""
    across = orientation >= 5
    if across and not back:
        pixels = cv2.transpose(pixels)
    if orientation in FLIPS:
        pixels = cv2.flip(pixels, FLIPS[orientation])
    return cv2.transpose(pixels) if across and back else pixels


# ---- writing ----


def write_picture(path: str | os.PathLike, picture: Picture) -> None:
    """Write in the format of the suffix of `path`, whole or not at all.

    PNG, TIFF and BMP are lossless, WebP where its source was; a JPEG takes the tables of the JPEG it came from, else
    quality 95. 16 bits stay in PNG and TIFF, transparency everywhere but in JPEG, where it is laid on white. The ICC
    profile and EXIF go along, and the pixels lie as the orientation tag says (upright in BMP, which has no tags).

    Raises PictureError where the format is unknown, cannot hold the picture, or the file cannot be written.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PictureError(f"{path}: cannot be written: end its name in {', '.join(FORMATS)}")
    try:
        with replacing(path) as part:
            _write_as(kind, picture, part)
    except Exception as error:  # encoders, too, raise anything, over metadata that is broken
        reason = getattr(error, "strerror", None) or _one_line(error)
        raise PictureError(f"{path}: cannot be written: {reason}") from error


def _write_as(kind: str, picture: Picture, path: Path) -> None:
    pixels = _channels(picture, kind)
    if kind == "BMP":
        path.write_bytes(_by_opencv(".bmp", pixels))
        return
    pixels = _turned(pixels, picture.orientation, back=True)
    # a profile is for grey or for RGB, and a picture of the other kind must not have it
    icc = picture.icc if picture.icc and is_for_grey(picture.icc) == (pixels.ndim == 2) else None
    if kind in ("PNG", "TIFF"):
        path.write_bytes((_png if kind == "PNG" else tiff.encode)(pixels, icc, picture.exif))
        return
    if kind == "JPEG":
        settings = picture.jpeg or {"quality": 95, "subsampling": 0}
    else:
        settings = {"lossless": picture.lossless, "exact": True} | ({} if picture.lossless else {"quality": 95})
    # To a path, not to memory: so Pillow lets other threads run meanwhile.
    Image.fromarray(pixels).save(path, kind, exif=picture.exif or b"", icc_profile=icc, **settings)


def _channels(picture: Picture, kind: str) -> np.ndarray:
    """What a format stores: (H, W, 4) with alpha, (H, W) for what was grey and still is, else (H, W, 3)."""
    rgb = picture.rgb if kind in ("PNG", "TIFF") else picture.rgb8
    if picture.alpha is not None:
        alpha = picture.alpha if picture.alpha.dtype == rgb.dtype else _to8(picture.alpha)
        return _on_white(rgb, alpha) if kind == "JPEG" else cv2.merge([rgb, alpha])
    storable = kind != "WEBP" and (picture.icc is None or is_for_grey(picture.icc))
    if picture.grey and storable and (rgb[..., :1] == rgb[..., 1:]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return rgb


def _on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as it looks on white paper."""
    weight = alpha[..., None].astype(np.uint16)
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _png(pixels: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    """By OpenCV, which writes 16 bits and is three times as fast as Pillow; what goes along is put behind the head."""
    data = _by_opencv(".png", pixels)
    profile = _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)) if icc else b""
    tags = _chunk(b"eXIf", exif.removeprefix(EXIF_PREFIX)) if exif else b""
    return data[:PNG_HEAD] + profile + tags + data[PNG_HEAD:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _by_opencv(suffix: str, pixels: np.ndarray) -> bytes:
    if pixels.ndim == 3:  # to OpenCV's order
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(suffix, pixels)
    if not done:
        raise ValueError(f"OpenCV makes no {suffix} of it")
    return data.tobytes()


def is_for_grey(icc: bytes) -> bool:
    return icc[16:20] == b"GRAY"


def _to8(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else cv2.convertScaleAbs(values, alpha=1 / 257)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# ---- masks ----


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """(H, W) uint8 from a picture of one channel (of several: their luma). Raises PictureError as `read_picture`."""
    with _opened(Path(path)) as image:
        if image.mode not in MODES:
            raise _unsupported(path, f"masks of the kind '{image.mode}'")
        return np.asarray(image if image.mode == "L" else image.convert("L"))


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """(H, W) uint8 -> a picture of one channel of 8 bits, whole or not at all. Raises PictureError."""
    write_picture(path, Picture(cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB), grey=True))
