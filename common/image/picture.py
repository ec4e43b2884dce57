"""Pictures in and out: what a photograph carries besides its colours stays with it."""

import errno
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from common.files import replacing
from common.image import avif, jpeg, raw, tiff
from common.image.cicp import bits_of_avif, code_points, named_space, names_gain_map, names_light
from common.image.deep import rows_of, without_pixels
from common.image.gain_map import FURTHER, Behind, behind, with_gain_map, xmp_without
from common.image.hdr_files import Hdr, bits_of_heif, decode_heif, hdr_of, png_light, says_otherwise, write_heif
from common.image.metadata import (
    Metadata,
    for_pillow,
    into_bmp,
    into_png,
    png_chunks,
    read_metadata,
    without_thumbnail,
)
from common.image.opening import (
    DEFAULT_MAX_PIXELS,
    ENDS,
    FORMATS,
    PictureError,
    ends_with,
    is_raw,
    learn_jpeg_xl,
    one_line,
    opened,
)
from common.image.pixels import (
    HEIF_SETTINGS,
    MODES,
    UnsupportedError,
    by_opencv,
    decode,
    decode_jpeg,
    decode_rows,
    decode_webp,
    encode_webp,
    is_deep,
    is_lossy_webp,
    jpeg_settings,
    learn_heif,
    on_white,
    to8,
    to_pillow,
    turned,
    turned_view,
    write_png,
)
from common.image.rows import Rows

NAMING = ("PNG", "AVIF", "HEIF")  # kinds that can name a colour space
DEEP = ("PNG", "TIFF", "HEIF", "AVIF")  # kinds that have room for more than 8 bits
HDR_KINDS = ("PNG", "HEIF", "AVIF")
UPRIGHT = ("TIFF", "HEIF")  # kinds whose pixels come turned already
QUALITY = {"JPEG": 95, "WEBP": 95, "AVIF": 90, "HEIF": 90, "JXL": 90}  # 0..100
FURTHER_SETTINGS: dict[str, dict] = {
    "JPEG": {"subsampling": 0},
    "WEBP": {"exact": True},
    "HEIF": HEIF_SETTINGS,
    "AVIF": {"speed": 9},  # 4 % more bytes than 6, the default, in an eighth of its time
}
LARGE = 24_000_000  # pixels, from which files are read and written in ways that take less memory
INKS, FINE_INKS = "its inks (CMYK): it is RGB now", "its inks (CMYK) and 16 bits a channel: it is RGB of 8 bits now"
LIGHT = "what it says of its light and the screen it was made on"
TINT = 16  # of the 255: by so much the channels of a grey mask may differ


@dataclass(frozen=True)
class Picture:
    """A picture as a person sees it, and what it takes to write it back as it was.

    `dataclasses.replace(picture, rgb=...)` gives the same photograph in other colours. The arrays may be read-only.
    """

    rgb: np.ndarray  # (H, W, 3) uint8 or uint16, upright: the EXIF orientation is applied
    alpha: np.ndarray | None = None  # (H, W), same dtype; None where the picture has no transparency
    grey: bool = False  # the file has one colour channel
    icc: bytes | None = None  # colour profile
    named_space: str = ""  # another than sRGB that the file names without a profile
    metadata: Metadata = Metadata()
    orientation: int = 1  # 1..8, how the file's pixels lie; what its EXIF says
    jpeg: dict | None = None  # quantisation tables and subsampling of a JPEG, as Pillow takes them
    lossless: bool = True  # False for JPEG, AVIF, HEIC, and for WebP's lossy kind
    gain_map: bytes | None = None  # a JPEG: how much brighter each place of a JPEG is on HDR screens
    damage: str = ""  # what is wrong with the file's pixels, in words
    left_out: tuple[str, ...] = ()  # what the file has besides, and is not written again
    hdr: Hdr | None = None  # PQ or HLG: what the numbers, uint16, mean
    bits: int = 16  # a channel of its file, where `rgb` is uint16: 10 or 12 of a HEIC, 10 of an AVIF
    rows: Rows | None = None  # of 16 bits, as they lie in the file, where `rgb` and `alpha` are those of 8

    @property
    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, rounded where the picture has 16 bits: what the networks look at."""
        return to8(self.rgb)


# ---- reading ----


def read_picture(
    path: str | os.PathLike, max_pixels: int = DEFAULT_MAX_PIXELS, *, by_rows: bool = False, hdr: bool = False
) -> Picture:
    """Read a picture of one of the FORMATS, by its content, whatever its name says. AVIF of rare kinds comes with 8
    bits, and so do, `by_rows`, large pictures of 16, whose 16 bits are to be had again in `rows`.

    Raises PictureError: not there, not a picture, broken or cut short, several frames, values that are not of 8 or 16
    bits, HDR where `hdr` does not ask for it, or more than `max_pixels`, which is looked at before anything is decoded.
    """
    if is_raw(Path(path)):
        return _developed(Path(path), max_pixels)
    with opened(Path(path), max_pixels) as image:
        kind = "JPEG" if image.format == "MPO" else image.format
        exif = tiff.exif_of(image) if isinstance(image, TiffImageFile) else None
        deep, damage, beside = is_deep(image), "", Behind(None, besides(image, Path(path)))
        segments: list[jpeg.Segment] = []
        light = _hdr(image, Path(path), hdr) if kind in NAMING else None
        rows = _rows(image, Path(path)) if by_rows else None
        if rows:
            rgb, alpha, grey = decode_rows(rows)
        elif kind == "JPEG":
            data = Path(path).read_bytes()
            segments, end = jpeg.parts(data)
            beside = behind(data, end, image.info.get("xmp"))
            (rgb, alpha, grey), damage = decode_jpeg(image, data)
            del data
        elif kind == "WEBP" and image.width * image.height > LARGE:
            rgb, alpha, grey = decode_webp(Path(path))
        elif kind == "HEIF" and (light or bits_of_heif(image.info) > 8):
            rgb, alpha, grey = decode_heif(Path(path))
        else:
            rgb, alpha, grey = decode(image, Path(path), deep)
            if kind == "AVIF":
                rgb = _of_10_bits(Path(path), rgb, alpha, light)
            elif light and not deep:
                rgb, alpha = _widened(rgb), None if alpha is None else _widened(alpha)
        with Image.open(without_pixels(Path(path))) if rows and kind == "PNG" else nullcontext(image) as telling:
            metadata = read_metadata(telling, exif, segments)  # a PNG's may lie behind its pixels
        orientation = tiff.exif_tags(metadata.exif).get(tiff.ORIENTATION, 1)
        if orientation not in range(1, 9):
            orientation = 1
        if deep or kind not in UPRIGHT:
            rgb, alpha = turned(rgb, orientation), None if alpha is None else turned(alpha, orientation)
        icc = None if image.mode == "CMYK" else image.info.get("icc_profile")
        return Picture(
            rgb,
            alpha,
            grey,
            metadata=metadata,
            orientation=orientation,
            icc=icc,
            named_space=named_space(Path(path)) if kind in NAMING and not (icc or light) else "",
            jpeg=jpeg_settings(image) if isinstance(image, JpegImageFile) else None,
            lossless=kind not in QUALITY or (kind == "WEBP" and not is_lossy_webp(path)),
            gain_map=beside.gain_map,
            damage=damage,
            left_out=beside.left_out + _flattened(image, Path(path), rgb),
            hdr=light,
            bits={"HEIF": bits_of_heif(image.info), "AVIF": avif.BITS}.get(kind or "", 16),
            rows=rows,
        )


def _rows(image: Image.Image, path: Path) -> Rows | None:
    """The rows of a large picture of 16 bits; None where it is none, or is better decoded as a whole."""
    profile = image.info.get("icc_profile")
    if image.width * image.height <= LARGE or (profile and is_for_grey(profile)):
        return None
    return rows_of(image, path)


def _developed(path: Path, max_pixels: int) -> Picture:
    """A camera's raw file at full size."""
    try:
        return Picture(raw.develop(path, max_pixels))
    except ImportError:
        raise PictureError(f"{path}: {raw.REFUSED}", "strange") from None
    except ValueError as error:
        raise PictureError(f"{path}: is a camera's raw file that cannot be read ({error}); export it first") from None


def _hdr(image: Image.Image, path: Path, wanted: bool) -> Hdr | None:
    """What a file says of its HDR, if it is such, which goes before a profile: that is for those that do not know it.

    Raises PictureError where it is not wanted."""
    hdr = hdr_of(image, path)
    if hdr and not wanted:
        raise PictureError(f"{path}: HDR ({hdr.kind}) is not supported here; convert it to SDR first", "hdr")
    return hdr


def _of_10_bits(path: Path, rgb: np.ndarray, alpha: np.ndarray | None, hdr: Hdr | None) -> np.ndarray:
    """The pixels of an AVIF, uint16 where it has 10 bits and is not large, else those that Pillow has read.

    Raises PictureError where HDR is of a kind that cannot be written again."""
    fine = None
    if alpha is None and _is_in_10_bits(rgb, hdr) and bits_of_avif(path) == avif.BITS:
        points = code_points(path)
        fine = avif.decode(path, points and points.matrix)
    if fine is not None and fine.shape == rgb.shape:
        return fine
    if hdr:
        what = f"HDR ({hdr.kind}) in AVIF is read here in plain 10 bits, without transparency and tiles, alone"
        raise PictureError(f"{path}: {what}; save it as HEIC, or as PNG of 16 bits", "hdr")
    return rgb


def _widened(values: np.ndarray) -> np.ndarray:
    """uint8 -> uint16"""
    return values.astype(np.uint16) * 257


def _flattened(image: Image.Image, path: Path, rgb: np.ndarray) -> tuple[str, ...]:
    """What of a file's numbers is lost in RGB of its bits, in words."""
    if image.mode == "CMYK":
        fine = isinstance(image, TiffImageFile) and max(image.tag_v2.get(tiff.BITS, (8,))) == 16
        return (FINE_INKS if fine else INKS,)
    if image.format == "AVIF" and rgb.dtype == np.uint8 and (bits := bits_of_avif(path)) > 8:
        return (f"its {bits} bits a channel: it has 8 now",)
    return ()


def besides(image: Image.Image, path: Path) -> tuple[str, ...]:
    """What a HEIC or AVIF has besides its picture, in words."""
    if image.format not in ("HEIF", "AVIF"):
        return ()
    found = {
        "its gain map": any("gainmap" in name.lower() for name in image.info.get("aux", {})) or names_gain_map(path),
        "its depth": bool(image.info.get("depth_images")),
        FURTHER: getattr(image, "n_frames", 1) > 1,
    }
    if image.format == "AVIF":
        found[LIGHT] = names_light(path)
    return tuple(what for what, there in found.items() if there)


# ---- writing ----


def write_picture(path: str | os.PathLike, picture: Picture) -> list[str]:
    """Write in the format of the suffix of `path`, whole or not at all; what was left out, in words.

    PNG, TIFF and BMP are lossless, WebP where its source was; a JPEG takes the tables of the JPEG it came from, else
    quality 95; AVIF and HEIC take quality 90. 16 bits stay in PNG and TIFF, and become 10 in HEIC, in which 12 stay,
    and in AVIF without transparency. Transparency stays everywhere but in JPEG, where it lies on white. The ICC profile
    and the metadata go along as far as the format has room for them, without EXIF's thumbnail, and the pixels lie as
    the orientation tag says (upright in BMP, which has no tags).

    Raises PictureError where the format is unknown, cannot hold the picture, or the file cannot be written.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PictureError(f"{path}: cannot be written: end its name in {', '.join(FORMATS)}")
    if picture.hdr and (kind not in HDR_KINDS or not _has_room(kind, picture)):
        what = f"HDR ({picture.hdr.kind}) has room in PNG, HEIC and, without transparency, AVIF; ask for one of them"
        raise PictureError(f"{path}: {what}", "hdr")
    notes = [f"without {what}" for what in picture.left_out]
    try:
        with replacing(path) as part:
            _write_as(kind, picture, part, notes)
        return notes
    except PictureError:
        raise
    except Exception as error:  # encoders, too, raise anything, over metadata that is broken
        reason = getattr(error, "strerror", None) or one_line(error)
        raise PictureError(f"{path}: cannot be written: {reason}") from error


def _write_as(kind: str, picture: Picture, path: Path, notes: list[str]) -> None:
    kept = picture.metadata
    if picture.hdr and (says_otherwise(picture.hdr, kind == "PNG") or (kind == "AVIF" and picture.hdr.light)):
        notes.append(f"without {LIGHT}")
    if kind == "BMP":
        path.write_bytes(into_bmp(by_opencv(".bmp", _channels(picture, kind)), kept))
        return
    gain = picture.gain_map if kind == "JPEG" else None
    if kept.extended_xmp and kind != "JPEG":
        notes.append("without its extended XMP")
    if picture.gain_map and not gain:
        notes.append("without its gain map")
    if picture.gain_map or picture.left_out:
        kept = replace(kept, xmp=xmp_without(kept.xmp, len(gain or b"")))
    kept = replace(kept, exif=without_thumbnail(kept.exif))
    if kind in ("PNG", "TIFF"):
        _write_lossless(kind, picture, kept, path)
        return
    pixels = _channels(picture, kind)
    icc, lying = _fitting_icc(picture, pixels), turned_view(pixels, picture.orientation)
    settings = for_pillow(kind, kept, notes)
    if kind == "HEIF" and pixels.dtype == np.uint16:
        settings |= {"quality": QUALITY[kind]} | ({"icc_profile": icc} if icc else {})
        with open(path, "wb") as file:
            write_heif(file, lying, picture.bits, picture.hdr, settings)
        return
    if kind == "AVIF" and pixels.dtype == np.uint16:
        hdr = picture.hdr
        named = (hdr.primaries, hdr.transfer, hdr.matrix) if hdr else avif.SRGB
        path.write_bytes(avif.encode(lying, named, settings | ({"icc_profile": icc} if icc else {})))
        return
    clear_alone = picture.lossless and picture.alpha is not None  # whose hidden colours Pillow keeps
    if kind == "WEBP" and pixels.shape[0] * pixels.shape[1] > LARGE and not clear_alone:
        quality = None if picture.lossless else QUALITY[kind]
        path.write_bytes(encode_webp(lying, quality, settings | {"icc_profile": icc}))
        return
    if kind == "WEBP" and picture.lossless:
        settings |= {"lossless": True, "exact": True}
    elif kind == "JPEG" and picture.jpeg:
        settings |= picture.jpeg
    else:
        settings |= {"quality": QUALITY[kind]} | FURTHER_SETTINGS.get(kind, {})
    if kind == "HEIF":
        learn_heif()
    if kind == "JXL":
        learn_jpeg_xl(path)
    # To a path, not to memory: so Pillow lets other threads run meanwhile.
    to_pillow(lying).save(path, kind, icc_profile=icc, **settings)
    if kind == "JPEG":
        demand_end(path)
    if gain:
        path.write_bytes(with_gain_map(path.read_bytes(), gain))


def demand_end(path: Path) -> None:
    """Raise OSError where a JPEG that was written has no end: Pillow, which writes past Python's files, does not see
    that a full disk took only a part of its last piece."""
    if not ends_with(path, ENDS["JPEG"]):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))


def _write_lossless(kind: str, picture: Picture, kept: Metadata, path: Path) -> None:
    """A PNG or TIFF, some rows at a time where it is large, with what is kept."""
    pixels = picture.rows or _channels(picture, kind)
    icc = _fitting_icc(picture, pixels)
    lying = pixels if isinstance(pixels, Rows) else turned_view(pixels, picture.orientation)
    large = isinstance(lying, Rows) or pixels.shape[0] * pixels.shape[1] > LARGE
    with open(path, "wb") as file:
        if kind == "TIFF":
            further = {tiff.ICC_PROFILE: icc, tiff.XMP: kept.xmp, tiff.IPTC: kept.iptc}
            tiff.write(file, lying, kept.exif, kept.dpi, further)
        elif large or picture.hdr:
            write_png(file, lying, (png_light(picture.hdr) if picture.hdr else b"") + png_chunks(kept, icc))
        else:  # by OpenCV, which writes 16 bits and is three times as fast as Pillow
            file.write(into_png(by_opencv(".png", np.ascontiguousarray(lying)), kept, icc))


def _fitting_icc(picture: Picture, pixels: np.ndarray | Rows) -> bytes | None:
    """The profile, where it is of the pixels' kind: it is for grey or for RGB."""
    fits = picture.icc and is_for_grey(picture.icc) == (len(pixels.shape) == 2)
    return picture.icc if fits else None


def _channels(picture: Picture, kind: str) -> np.ndarray:
    """What a format stores: (H, W, 4) with alpha, (H, W) for what was grey and still is, else (H, W, 3)."""
    rgb = picture.rgb if _has_room(kind, picture) else picture.rgb8
    if picture.alpha is not None:
        alpha = picture.alpha if picture.alpha.dtype == rgb.dtype else to8(picture.alpha)
        return on_white(rgb, alpha) if kind == "JPEG" else cv2.merge([rgb, alpha])
    storable = kind in ("JPEG", "PNG", "BMP", "TIFF") and (picture.icc is None or is_for_grey(picture.icc))
    if picture.grey and storable and (rgb[..., :1] == rgb[..., 1:]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return rgb


def _has_room(kind: str, picture: Picture) -> bool:
    """Whether a kind of file has room for more than 8 bits of a picture."""
    if kind != "AVIF":
        return kind in DEEP
    plain = picture.alpha is None and min(picture.rgb.shape[:2]) >= avif.LEAST_SIDE
    return plain and _is_in_10_bits(picture.rgb, picture.hdr)


def _is_in_10_bits(rgb: np.ndarray, hdr: Hdr | None) -> bool:
    """Whether an AVIF keeps its 10 bits: a large one does where it is HDR alone, as the encoder takes 34 bytes a
    pixel."""
    return hdr is not None or rgb.shape[0] * rgb.shape[1] <= LARGE


def is_for_grey(icc: bytes) -> bool:
    """Whether a profile is for pictures of one channel."""
    return icc[16:20] == b"GRAY"


# ---- masks ----


def read_mask(
    path: str | os.PathLike, hair_value: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """(H, W) uint8, share of hair x 255, from a picture of greys.

    Args:
        hair_value: the file holds numbers of classes (as greys, or as indexes of a palette), and this one is hair.

    Raises PictureError as `read_picture`, and where the picture is coloured or transparent: what it means is unknown.
    """
    with opened(Path(path), max_pixels) as image:
        if image.mode.startswith("I;16"):
            return _of_16_bits(np.asarray(image), hair_value)
        if image.mode not in MODES:
            raise UnsupportedError(f"masks of the kind '{image.mode}'")
        if hair_value is None:
            return _greys(image, path)
        classes = np.asarray(image) if image.mode in ("1", "P") else _greys(image, path)
        return np.where(classes == hair_value, 255, 0).astype(np.uint8)


def _of_16_bits(values: np.ndarray, hair_value: int | None) -> np.ndarray:
    """As `read_mask`, of greys (H, W) uint16: shares of hair x 65535, or, where none is over 255, x 255."""
    if hair_value is not None:
        return np.where(values == hair_value, 255, 0).astype(np.uint8)
    return values.astype(np.uint8) if values.max(initial=0) <= 255 else to8(values.astype(np.uint16))


def _greys(image: Image.Image, path: str | os.PathLike) -> np.ndarray:
    """(H, W) uint8, the luma of a picture without colours; JPEG's rounding may tint it a little."""
    if image.has_transparency_data and np.asarray(image.convert("RGBA").getchannel("A")).min() < 255:
        raise PictureError(f"{path}: a mask with transparency, which may mean anything; save it as greys alone")
    if image.mode not in ("1", "L", "LA"):
        red, green, blue = cv2.split(np.asarray(image.convert("RGB")))
        if max(cv2.absdiff(red, green).max(), cv2.absdiff(green, blue).max()) > TINT:
            raise PictureError(
                f"{path}: a coloured mask, as of several classes, where greys are expected (255 hair, 0 none); "
                "of a palette's or classes' numbers, name the one that is hair by --hair-value"
            )
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """(H, W) uint8 -> a picture of one channel of 8 bits, whole or not at all. Raises PictureError."""
    if Path(path).suffix.lower() == ".png":  # without a copy in three channels
        with replacing(path) as part:
            part.write_bytes(by_opencv(".png", mask))
    else:
        write_picture(path, Picture(cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB), grey=True))
