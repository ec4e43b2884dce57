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
from PIL import ExifTags, Image, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from common.files import replacing

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF",
           ".tiff": "TIFF"}
SUFFIXES = frozenset(FORMATS)
READABLE = "JPEG, PNG, WebP, BMP or TIFF"
DEFAULT_MAX_PIXELS = 200_000_000  # the largest that telephones take today

MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))  # Pillow's, 8 bits
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation -> cv2.flip's code; 5..8 are transposed as well
ORIENTATION = ExifTags.Base.Orientation
# Of a TIFF's tags these describe the photograph; the others the layout of its file.
TIFF_EXIF = ("ImageDescription", "Make", "Model", "Orientation", "XResolution", "YResolution", "ResolutionUnit",
             "Software", "DateTime", "Artist", "HostComputer", "Rating", "RatingPercent", "Copyright", "XPTitle",
             "XPComment", "XPAuthor", "XPKeywords", "XPSubject")
SUB_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)

Image.core.set_blocks_max(4)  # Pillow keeps that much memory for the next picture: decoding takes a quarter less time
Image.MAX_IMAGE_PIXELS = None  # `read_picture` has a limit of its own, which its caller can set
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
    exif: bytes | None = None  # as in the file, orientation tag included
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

    Raises PictureError: not there, not a picture, broken or cut short, several frames, 32-bit values, or more than
    `max_pixels`, which is looked at before anything is decoded.
    """
    path = Path(path)
    with _opened(path, max_pixels) as image:
        kind = "JPEG" if image.format == "MPO" else image.format  # telephones put a preview behind the photograph
        exif = _tiff_exif(image) if kind == "TIFF" else None  # before Pillow turns the pixels and forgets the tag
        deep = kind in ("PNG", "TIFF") and image.mode != "CMYK" and ";16" in str(image.tile[0].args)
        image.load()
        rgb, alpha, grey = _decode16(image, path) if deep else _decode8(image)
        exif = exif or image.info.get("exif")
        orientation = _orientation(exif)
        if deep or kind != "TIFF":
            rgb, alpha = (values if values is None else _turned(values, orientation) for values in (rgb, alpha))
        return Picture(rgb, alpha, grey, exif=exif, orientation=orientation,
                       icc=None if image.mode == "CMYK" else image.info.get("icc_profile"),
                       jpeg=_jpeg_settings(image) if kind == "JPEG" else None,
                       lossless=kind != "JPEG" and not (kind == "WEBP" and _is_lossy_webp(path)))


@contextmanager
def _opened(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """The Pillow picture of a file, not yet decoded, fit to be; every error within is a PictureError."""
    if not path.is_file():
        raise PictureError(f"{path}: there is no such file")
    try:
        with Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise PictureError(f"{path}: {width} x {height} pixels are over the limit of {max_pixels / 1e6:g} "
                                   "megapixels; if you trust the file, raise it with --max-megapixels")
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise PictureError(f"{path}: holds {image.n_frames} frames or pages; save the one you want by itself")
            yield image
    except PictureError:
        raise
    except UnidentifiedImageError:
        what = "is empty" if path.stat().st_size == 0 else f"is not a {READABLE} picture, or broken at its start"
        raise PictureError(f"{path}: {what}; convert it or leave it out") from None
    except Exception as error:  # decoders raise anything from SyntaxError to struct.error over a broken file
        if isinstance(error, OSError) and error.errno:
            raise PictureError(f"{path}: cannot be read: {error.strerror}") from error
        raise PictureError(f"{path}: broken or cut short ({_one_line(error)}); copy it again or leave it out") from error


def _decode8(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """rgb (H, W, 3) uint8, alpha (H, W) or None, and whether the file is grey."""
    if image.mode not in MODES:
        raise ValueError(f"values of the kind '{image.mode}' are not supported, save it with 8 or 16 bits a channel")
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), cv2.extractChannel(rgba, 3), grey
    if grey:
        return cv2.cvtColor(np.asarray(image.convert("L")), cv2.COLOR_GRAY2RGB), None, True
    if image.mode == "CMYK":
        image = _srgb_from_cmyk(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), None, False


def _decode16(image: Image.Image, path: Path) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """The same in uint16, in the file's own orientation. `image` is the file as Pillow sees it, loaded without error."""
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    if image.format == "TIFF":
        _lay_flat(data)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("a kind of 16-bit picture that is not supported")
    if pixels.ndim == 2:
        if image.format == "TIFF" and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
            pixels = ~pixels  # white is 0
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), None, True
    if pixels.shape[2] == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), None, False
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
    return rgb, cv2.extractChannel(pixels, 3) if image.mode == "RGBA" else None, False


def _lay_flat(data: np.ndarray) -> None:
    """Set the orientation tag of a classic TIFF, as bytes, to 1: OpenCV 5 fails on 16-bit pictures that lie turned."""
    order = "<" if bytes(data[:2]) == b"II" else ">"
    start, = struct.unpack_from(order + "I", data, 4)
    entries, = struct.unpack_from(order + "H", data, start)
    for entry in range(start + 2, start + 2 + 12 * entries, 12):
        if struct.unpack_from(order + "H", data, entry) == (ORIENTATION,):
            struct.pack_into(order + "H", data, entry + 8, 1)


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
    # -1 is grey, or a layout that Pillow cannot write: then the colours keep their full size
    return {"qtables": image.quantization, "subsampling": max(0, JpegImagePlugin.get_sampling(image))}


def _is_lossy_webp(path: Path) -> bool:
    """WebP is RIFF: the pixels lie in a chunk 'VP8 ' (lossy) or 'VP8L', first or after ones of metadata."""
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            file.seek(size + size % 2, os.SEEK_CUR)
    return True


def _tiff_exif(image: TiffImagePlugin.TiffImageFile) -> bytes:
    source, exif = image.getexif(), Image.Exif()
    for tag in (ExifTags.Base[name] for name in TIFF_EXIF):
        if tag in source:
            exif[tag] = source[tag]
    for directory in SUB_DIRECTORIES:
        if values := source.get_ifd(directory):
            exif[directory] = dict(values)
    return exif.tobytes()


def _exif_tags(exif: bytes | None) -> Image.Exif:
    tags = Image.Exif()
    try:
        tags.load(exif)
    except Exception:  # broken EXIF is kept as it is, and says nothing
        tags = Image.Exif()
    return tags


def _orientation(exif: bytes | None) -> int:
    value = _exif_tags(exif).get(ORIENTATION)
    return value if value in range(1, 9) else 1


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
    encode = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "BMP": _bmp, "TIFF": _tiff}.get(FORMATS.get(path.suffix.lower()))
    if encode is None:
        raise PictureError(f"{path}: cannot be written: name it {', '.join(FORMATS)}")
    try:
        with replacing(path) as part:
            part.write_bytes(encode(picture))
    except (OSError, ValueError, cv2.error) as error:
        raise PictureError(f"{path}: cannot be written: {_one_line(error)}") from error


def _jpeg(picture: Picture) -> bytes:
    pixels = _turned(_flat(picture), picture.orientation, back=True)
    settings = picture.jpeg or {"quality": 95, "subsampling": 0}
    return _by_pillow(picture, pixels, "JPEG", **settings)


def _webp(picture: Picture) -> bytes:
    pixels = _turned(_channels(picture, picture.rgb8), picture.orientation, back=True)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    quality = {"lossless": True} if picture.lossless else {"quality": 95}
    return _by_pillow(picture, pixels, "WEBP", exact=True, **quality)


def _by_pillow(picture: Picture, pixels: np.ndarray, kind: str, **settings: object) -> bytes:
    data = BytesIO()
    Image.fromarray(pixels).save(data, kind, exif=picture.exif or b"", icc_profile=_profile(picture, pixels), **settings)
    return data.getvalue()


def _png(picture: Picture) -> bytes:
    pixels = _turned(_channels(picture, picture.rgb), picture.orientation, back=True)
    metadata = {cv2.IMAGE_METADATA_ICCP: _profile(picture, pixels),
                cv2.IMAGE_METADATA_EXIF: (picture.exif or b"").removeprefix(b"Exif\0\0")}
    metadata = {kind: np.frombuffer(values, np.uint8) for kind, values in metadata.items() if values}
    return cv2.imencodeWithMetadata(".png", _opencv_order(pixels), list(metadata), list(metadata.values()))[1].tobytes()


def _bmp(picture: Picture) -> bytes:
    return cv2.imencode(".bmp", _opencv_order(_channels(picture, picture.rgb8)))[1].tobytes()


def _tiff(picture: Picture) -> bytes:
    """A little-endian TIFF: header, directory, deflated strips. Neither library writes 16-bit colours with tags."""
    pixels = _turned(_channels(picture, picture.rgb), picture.orientation, back=True)
    height, width, depth = pixels.reshape(*pixels.shape[:2], -1).shape
    bits = 8 * pixels.itemsize
    strips = [zlib.compress(_row_differences(pixels[y:y + 64]), 1) for y in range(0, height, 64)]
    sizes = [len(strip) for strip in strips]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = _exif_tags(picture.exif)
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in SUB_DIRECTORIES else exif[tag]
    tags[256], tags[257], tags[258] = width, height, (bits,) * depth
    tags[259], tags[317] = 8, 2  # deflate, of differences along the row
    tags[262] = 1 if depth == 1 else 2  # grey, or RGB
    tags[273] = tuple(np.cumsum([0] + sizes[:-1]).tolist())  # from the end of the directory, Pillow adds its place
    tags[277], tags[278], tags[279] = depth, 64, tuple(sizes)
    if depth == 4:
        tags[338] = 2  # alpha that the colours are not multiplied with
    if icc := _profile(picture, pixels):
        tags.tagtype[34675], tags[34675] = 7, icc
    return b"".join((b"II*\0\x08\0\0\0", tags.tobytes(8), *strips))


def _row_differences(pixels: np.ndarray) -> bytes:
    differences = pixels.astype(pixels.dtype.newbyteorder("<"))
    differences[:, 1:] -= pixels[:, :-1]
    return differences.tobytes()


def _channels(picture: Picture, rgb: np.ndarray) -> np.ndarray:
    """What a format without loss stores: (H, W, 4) with alpha, (H, W) for what was grey and still is, else `rgb`."""
    if picture.alpha is not None:
        alpha = picture.alpha if picture.alpha.dtype == rgb.dtype else _to8(picture.alpha)
        return cv2.merge([rgb, alpha])
    # a grey picture with an RGB profile stays RGB, as formats ask for a profile of as many colours
    greyable = picture.grey and (picture.icc is None or picture.icc[16:20] == b"GRAY")
    if greyable and np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2]):
        return np.ascontiguousarray(rgb[..., 0])
    return rgb


def _flat(picture: Picture) -> np.ndarray:
    """8 bits without alpha: what is transparent shows white."""
    pixels = _channels(picture, picture.rgb8)
    if pixels.shape[2:] != (4,):
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _profile(picture: Picture, pixels: np.ndarray) -> bytes | None:
    """The ICC profile, if it is one of as many colours as `pixels` have."""
    fits = picture.icc is not None and (picture.icc[16:20] == b"GRAY") == (pixels.ndim == 2)
    return picture.icc if fits else None


def _opencv_order(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)


def _to8(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else cv2.convertScaleAbs(values, alpha=1 / 257)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# ---- masks ----

def read_mask(path: str | os.PathLike) -> np.ndarray:
    """(H, W) uint8 from a picture of one channel (of several: their luma). Raises PictureError as `read_picture`."""
    with _opened(Path(path)) as image:
        return np.asarray(image if image.mode == "L" else image.convert("L"))


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """(H, W) uint8 -> a PNG of one channel of 8 bits, whole or not at all. Raises PictureError, OSError's in one line."""
    write_picture(path, Picture(cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB), grey=True))
