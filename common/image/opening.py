"""Picture files as Pillow opens them: which kinds there are, what is refused, and every error as one line."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from common.errors import UserError
from common.image import raw, tiff
from common.image.pixels import MODES, UnsupportedError, learn_heif
from common.image.strange import UNREAD, absence, what_it_is
from common.workarounds import quiet_libtiff

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jxl": "JXL",
}
SUFFIXES = frozenset(FORMATS)
NAMES = "JPEG, PNG, WebP, AVIF, HEIC, JPEG XL, BMP or TIFF"
DEFAULT_MAX_PIXELS = 200_000_000  # the largest that telephones take today
SEVERAL = ("MPO", "HEIF")  # photographs with previews or depths behind them: the first is the picture
PLUGGED_IN = ("AVIF", "HEIF", "JXL")  # kinds that are tried where a file begins as theirs do
MOST_BOXED = 512_000_000  # bytes of a HEIC, AVIF or WebP, which are read as a whole
MOST_TEXT = 1 << 24  # bytes of one text or profile of a PNG, unpacked
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # how a whole file ends

PngImagePlugin.MAX_TEXT_CHUNK = MOST_TEXT  # Photoshop's histories and printers' profiles take more than Pillow's 1 MB
Image.MAX_IMAGE_PIXELS = None  # `read_picture` has a limit of its own, which its caller can set
Image.core.set_blocks_max(4)  # memory that Pillow keeps for the next picture: decoding takes a quarter less time
warnings.filterwarnings("ignore", module=r"PIL\.")  # a picture is read or refused, in one line of ours
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class PictureError(UserError):
    """A picture that cannot be read or written; the message is one line for the user and names the file. `kind` is what
    is wrong, for those who say it in words of their own: "large", "frames", "strange", "empty", "unsupported", "hdr",
    "clip" of one that is too long or too large for the page, or "broken", which is the rest."""

    def __init__(self, message: str, kind: str = "broken"):
        super().__init__(message)
        self.kind = kind


@contextmanager
def opened(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """The file as Pillow opens it, not yet decoded, fit to be; every error within becomes a PictureError."""
    demand_file(path)
    try:
        # By name Pillow would map the file into memory, and scramble turned RGBA TIFFs.
        with open(path, "rb") as file, Image.open(file, formats=_kinds(file, path)) as image:
            _demand_fit(image, path, max_pixels)
            yield image
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise strange(path, f"is not a {NAMES} picture, or broken at its start; {UNREAD}") from None
    except UnsupportedError as error:
        what = f"{error} are not supported; save it as a PNG of 8 or 16 bits a channel"
        raise PictureError(f"{path}: {what}", "unsupported") from None
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error, over a broken file
        if isinstance(error, OSError) and error.errno:
            raise unreadable(path, error) from error
        reason = one_line(error)
        raise PictureError(f"{path}: broken or cut short ({reason}); copy it again or leave it out") from error


def demand_file(path: Path) -> None:
    """Raise PictureError where there is no file."""
    if why := absence(path):
        raise PictureError(f"{path}: {why}")


def is_raw(path: Path) -> bool:
    """Whether a file is a camera's raw one. Raises PictureError: there is none, or it cannot be read."""
    demand_file(path)
    try:
        return raw.is_raw(path)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> PictureError:
    """The error of a file that the system does not let one read."""
    return PictureError(f"{path}: cannot be read: {error.strerror}")


def strange(path: Path, otherwise: str) -> PictureError:
    """The error of a file that is of none of the kinds that are tried: what it is, or else what is said of it."""
    try:
        known = what_it_is(path)
    except OSError as error:
        return unreadable(path, error)
    said = f"is {known.what}; {known.todo}" if known else otherwise
    return PictureError(f"{path}: {said}", "empty" if known and known.what == "empty" else "strange")


def _demand_fit(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Raise PictureError where a picture's head says that it is too large, a camera's raw file, or several pictures;
    ValueError where it is cut short."""
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(
            f"{path}: {width} x {height} pixels are over the limit of {max_pixels / 1e6:g} "
            "megapixels; if you trust the file, raise it with --max-megapixels",
            "large",
        )
    if isinstance(image, TiffImageFile):
        quiet_libtiff()
        if raw.is_raw(path):
            raise PictureError(f"{path}: {raw.REFUSED}", "strange")
        if image.info.get("compression") == "webp":  # Pillow's own libtiff is built without
            raise UnsupportedError("TIFFs that are compressed as WebP")
        tiff.demand_whole(image, path)
    frames = 1 if image.format in SEVERAL else getattr(image, "n_frames", 1)
    if frames > 1 and not tiff.has_copies_alone(image):
        what = f"holds {frames} frames or pages; save the one you want by itself"
        raise PictureError(f"{path}: {what}", "frames")


def _kinds(file: BinaryIO, path: Path) -> list[str]:
    """The formats to try. Raises PictureError where what reads one is not installed, or the file is absurdly large."""
    head = file.read(16)
    file.seek(0)
    boxed, size = head[4:8] == b"ftyp", os.fstat(file.fileno()).st_size
    if (boxed or head[:4] == b"RIFF") and size > MOST_BOXED:
        raise PictureError(f"{path}: {size // 10**6} MB are more than any picture of its kind has; leave it out")
    if boxed and head[8:12] == b"crx " or raw.is_raw(path):
        raise PictureError(f"{path}: {raw.REFUSED}", "strange")
    own = set()
    if boxed:
        learn_heif()
        own = {"AVIF", "HEIF"}
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        learn_jpeg_xl(path)
        own = {"JXL"}
    return sorted(own or set(FORMATS.values()) - set(PLUGGED_IN))


def learn_jpeg_xl(path: Path) -> None:
    """Pillow reads and writes JPEG XL from here on. Raises PictureError where what it needs is not installed."""
    try:
        import pillow_jxl  # noqa: F401
    except ImportError:
        what = "is JPEG XL, which needs one more package: pip install pillow-jxl-plugin"
        raise PictureError(f"{path}: {what}", "strange") from None


def size_seen(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture upright, by its head alone; None where only decoding tells whether it is whole.

    Raises PictureError as `read_picture`."""
    with opened(path) as image:
        end = ENDS.get(image.format or "")
        if end is None or image.mode not in MODES or not ends_with(path, end):
            return None
        # a PNG's EXIF may lie behind its pixels: Pillow would decode them to look
        exif = image.getexif() if image.format == "JPEG" else tiff.exif_tags(image.info.get("exif"))
        turned = exif.get(tiff.ORIENTATION) in (5, 6, 7, 8)
        return image.size[::-1] if turned else image.size


def ends_with(path: Path, end: bytes) -> bool:
    """Whether a file's last bytes are these."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(end)))
        return file.read() == end


def one_line(error: Exception) -> str:
    """What an error of a library says."""
    return " ".join(str(error).split()) or type(error).__name__
