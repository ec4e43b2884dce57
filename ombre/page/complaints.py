"""What went wrong, as a sentence for somebody who looks at the page: no path of the server, no option of a script."""

import errno

from common.image.opening import PictureError
from common.progress import say

FULL = (errno.ENOSPC, errno.EDQUOT)


def complaint(error: Exception, name: str, texts: dict[str, str], max_pixels: int = 0) -> str:
    """A sentence about a PictureError or an OSError over a visitor's picture of this name; the terminal is told all."""
    say(str(error))
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno in FULL:
        return texts["disk_full"].format(name=name)
    if isinstance(error, PictureError):
        return texts[f"bad_{error.kind}"].format(name=name, most=f"{max_pixels / 1e6:g}")
    return texts["disk"].format(name=name)
