"""Why a picture is dyed as it is: pictures of what was found on the way, for whoever asks."""

from pathlib import Path

import cv2
import numpy as np

from common.image.picture import Picture, write_picture
from ombre.api import Detection
from ombre.hair.analysis import Hair
from ombre.render import fade
from ombre.style import Style
from segmentation.finding.hair_finder import Found
from segmentation.finding.head_search import Reason

COLOURS = {
    Reason.WHOLE: (255, 255, 255),
    Reason.PIECE: (190, 190, 190),
    Reason.CLOSER: (60, 160, 255),
    Reason.SCOUT: (80, 220, 80),
    Reason.PERSON: (120, 120, 255),
    Reason.WIDER: (150, 255, 220),
    Reason.FAINT: (255, 200, 40),
    Reason.NEARER: (255, 80, 200),
}
DARKER = 0.35  # what is left of the picture's light where something is drawn over it


def write_debug(folder: Path, rgb: np.ndarray, detection: Detection, hair: Hair | None, style: Style) -> None:
    """Write `crops.png`, `probability.png`, `guide.png`, and of what is dyed `matte.png`, `people.png` and `fade.png`.

    Args:
        folder: where to; made where it is missing.
        rgb: (H, W, 3) uint8, the picture, in sRGB.
        detection: what is seen in it; crops and guide are shown where a network has found it.
        hair: what is known of its hair; None where there is none.
        style: of which the fade is shown.
    """
    shown: dict[str, np.ndarray | None] = {"probability": grey(detection.mask)}
    if detection.found is not None:
        shown |= {"crops": draw_crops(rgb, detection.found), "guide": draw_guide(rgb, detection.found)}
    if hair is not None:
        shown |= {"matte": grey(whole(hair, hair.alpha)), "people": draw_people(rgb, hair)}
        shown["fade"] = draw_fade(rgb, hair, style)
    for name, picture in shown.items():
        if picture is not None:
            write_picture(folder / f"{name}.png", Picture(picture))


def draw_crops(rgb: np.ndarray, found: Found) -> np.ndarray:
    """The picture with a frame for each crop, and why it was taken."""
    drawn, size = dimmed(rgb), max(rgb.shape[:2])
    for crop in found.crops:
        place = crop.part.slices
        drawn[place] = cv2.max(drawn[place], rgb[place])
    for number, crop in enumerate(found.crops, start=1):
        (top, left, bottom, right), inset = crop.part, number % 8
        corners = (left + inset, top + inset), (right - 1 - inset, bottom - 1 - inset)
        cv2.rectangle(drawn, *corners, COLOURS[crop.reason], max(1, size // 400))
        at = left + 6, top + max(14, size // 45) * (1 + (number - 1) % 4)
        words = f"{number}: {crop.reason.value}, {crop.seen.sure:.2f}"
        for colour, thick in (((0, 0, 0), 3), (COLOURS[crop.reason], 1)):
            cv2.putText(drawn, words, at, cv2.FONT_HERSHEY_SIMPLEX, size / 1600, colour, thick, cv2.LINE_AA)
    return drawn


def draw_guide(rgb: np.ndarray, found: Found) -> np.ndarray | None:
    """Faces in green, and arrows towards the heads' tops."""
    guide = found.guide()
    if guide is None:
        return None
    drawn, (height, width) = dimmed(rgb), rgb.shape[:2]
    face = cv2.resize(guide.face, (width, height))
    drawn[..., 1] = np.maximum(drawn[..., 1], (200 * face).astype(np.uint8))
    hair = cv2.resize(found.mask(), guide.face.shape[::-1], interpolation=cv2.INTER_AREA) > 127
    scale = height / len(guide.face)
    for y, x in zip(*np.nonzero(hair)):
        if x % 6 == y % 6 == 3:
            start = np.array([scale * (x + 0.5), scale * (y + 0.5)]).astype(np.int32)
            end = (start + 5 * scale * guide.up[y, x]).astype(np.int32)
            cv2.arrowedLine(drawn, start.tolist(), end.tolist(), (255, 220, 0), 1, cv2.LINE_AA, tipLength=0.3)
    return drawn


def draw_people(rgb: np.ndarray, hair: Hair) -> np.ndarray:
    """Each person's hair in a colour of its own."""
    labels = whole(hair, upsampled(hair, (hair.people.labels % 7 + 1).astype(np.uint8)))
    hues = np.array([[[26 * label, 255, 255] for label in range(8)]], np.uint8)
    palette = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB_FULL)[0]
    return overlaid(rgb, palette[labels], whole(hair, hair.alpha))


def draw_fade(rgb: np.ndarray, hair: Hair, style: Style) -> np.ndarray:
    """How much of the dye each place takes, from blue (none) to red (all)."""
    height, width = hair.alpha.shape
    (plan,) = fade.fades_of(hair, style)
    share = fade.dye_share(plan, hair.step, (0, height), (0, width))
    warmth = (255 * np.clip(share, 0, 1)).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(warmth, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    part = hair.rows, hair.columns
    drawn = dimmed(rgb)
    drawn[part] = overlaid(rgb[part], heat, hair.alpha)
    return drawn


def dimmed(rgb: np.ndarray) -> np.ndarray:
    """The picture in little light, so that what is drawn on it is seen."""
    return (DARKER * rgb).astype(np.uint8)


def grey(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) as a picture (H, W, 3)."""
    return cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)


def overlaid(rgb: np.ndarray, colours: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) uint8 over the dimmed picture, as much as `share` (h, w) uint8 of 255."""
    weight = share[..., None] / np.float32(255)
    return (dimmed(rgb) * (1 - weight) + colours * weight).astype(np.uint8)


def upsampled(hair: Hair, cells: np.ndarray) -> np.ndarray:
    """What the hair's grid says, at the size of its part of the picture, cell by cell."""
    fine = np.repeat(np.repeat(cells, hair.step, axis=0), hair.step, axis=1)
    return fine[: hair.alpha.shape[0], : hair.alpha.shape[1]]


def whole(hair: Hair, part: np.ndarray) -> np.ndarray:
    """What is known of the part with hair, (h, w), laid into the whole picture's size, 0 elsewhere."""
    picture = np.zeros(hair.rgb.shape[:2], part.dtype)
    picture[hair.rows, hair.columns] = part
    return picture
