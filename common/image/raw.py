"""Camera raw files, by rawpy (LibRaw) where it is installed: at full size, in 16 bits.

What else there is in such a file, which other readers take for the picture, is a small preview.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

_NAMES = "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
HEADS = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"HEAPCCDR")
TIFF_HEADS = (b"II*\0", b"MM\0*")
DNG_VERSION, SUB_DIRECTORIES, KIND, REDUCED = 50706, 330, 254, 1
REFUSED = "is a camera's raw file, which needs one more package: pip install rawpy; or export it as TIFF or JPEG first"


def is_raw(path: Path) -> bool:
    """Whether a file is a camera's raw one: by its content, as some have a TIFF's name."""
    with open(path, "rb") as file:
        head = file.read(32)
        if head.startswith(HEADS) or head[4:12] == b"ftypcrx " or head[8:10] == b"CR" or head[6:14] == b"HEAPCCDR":
            return True
        return head[:4] in TIFF_HEADS and _is_raw_tiff(file, head, path.suffix.lower() in SUFFIXES)


def _is_raw_tiff(file: BinaryIO, head: bytes, named_so: bool) -> bool:
    """A TIFF whose first directory is that of a preview, the picture lying in a directory below it."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        file.seek(*struct.unpack_from(order + "I", head, 4))
        (count,) = struct.unpack(order + "H", file.read(2))
        entries = struct.iter_unpack(order + "HHI4s", file.read(12 * count))
        tags = {tag: value for tag, _, _, value in entries}
    except struct.error:
        return False
    if DNG_VERSION in tags:
        return True
    reduced = KIND in tags and struct.unpack(order + "I", tags[KIND])[0] & REDUCED
    return SUB_DIRECTORIES in tags and (named_so or bool(reduced))


def develop(path: str | os.PathLike, max_pixels: int) -> np.ndarray:
    """(H, W, 3) uint16, upright, in sRGB. Raises ImportError without rawpy, ValueError where that cannot read it."""
    import rawpy

    try:
        with rawpy.imread(os.fspath(path)) as file:
            if file.sizes.width * file.sizes.height > max_pixels:
                raise ValueError(f"{file.sizes.width} x {file.sizes.height} pixels are over --max-megapixels")
            return file.postprocess(output_bps=16, use_camera_wb=True)
    except rawpy.LibRawError as error:
        said = b" ".join(word for word in error.args if isinstance(word, bytes)).decode(errors="replace")
        raise ValueError(" ".join((said or str(error)).split()) or "LibRaw cannot read it") from None
