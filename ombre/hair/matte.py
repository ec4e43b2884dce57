"""A soft hair mask becomes an alpha matte that follows the strands.

Where the mask is not sure, the colour of a pixel tells how much of it is hair: the place on the line between the
colours of the hair and of what is behind it (foreground.py). Where these two look alike the mask is believed, and where
it is sure always. Where colours show neither strands nor a clear edge, as in hair out of focus, they tell less than the
mask, which is then believed for the most part. What changes slowly is worked out on a coarse grid (grid.py) and applied
at full size, so that strands are found however large the photograph is.
"""

import cv2
import numpy as np

from ombre.hair import foreground, grid

FAR = (0.05, 0.95)  # probabilities up to which, and from which on, colours are not asked
RAMP = (0.015, 0.04)  # up to the first a probability is no hair, from the second on itself; so towards 1
LEAST, MOST = (0.5, 1.2), (-0.2, 0.5)  # the same for the least and the most that colours may say
COARSER, LEAST_STEP = 2, 4  # times the step of hair's own grid; pixels: a network's mask is coarser than its picture
WINDOW = 3  # cells across, from which the colours of hair and of what is behind it are taken
ROOM = 3  # cells around the mask in which strands are looked for
ALIKE, NOISE = 0.9, 40.0  # how much of the colours' spread, and which variance at least, makes the two look alike
GREY = 0.299, 0.587, 0.114  # by which OpenCV adds up three channels: the fastest sum of three that there is
FLOOR = 0.08  # place on the line up to which a pixel is what is behind
TRUST = 0.95  # in the colours at most
# By how much a pixel's share, of 255, is away from the mean around it, where there are no strands and where there are
STRANDS = (22, 44)
EDGE, BAND = 80, 130  # how much of both there is in pixels, of 255: on both sides of a clear edge, in a soft band
NEITHER = 0.3  # of the trust in colours, that is left where there are neither strands nor a clear edge
ROWS = 48  # of a picture, in which is seen how sharp it is
SHARP, APART = 1.0, 2.0  # pixels: a lens's own blur; and one more, by which that of a picture is told
NEAR_EDGE, MOST_BLUR = 12, 8.0  # pixels


def _ramp(start: float, end: float) -> np.ndarray:
    """What each value of a mask becomes: 0 up to the share `start`, 255 from `end` on."""
    return np.rint(255 * np.clip((np.arange(256) / 255 - start) / (end - start), 0, 1)).astype(np.uint8)


def _ends(none: float, some: float) -> np.ndarray:
    """What each value of a mask becomes: itself, but 0 up to the share `none`, and from `some` on; so towards 255."""
    share = np.arange(256) / 255
    near = np.minimum(share, 1 - share)
    near = np.where(near < some, np.clip((near - none) / (some - none), 0, 1) * some, near)
    return np.rint(255 * np.where(share < 0.5, near, 1 - near)).astype(np.uint8)


SURE, LOWEST, HIGHEST = (_ramp(*limits) for limits in (FAR, LEAST, MOST))
RAMPED = _ends(*RAMP)
BY_STRANDS = np.maximum(_ramp(*(levels / 255 for levels in STRANDS)), round(255 * NEITHER)).astype(np.uint8)
BY_EDGE = 255 - _ramp(EDGE / 255, BAND / 255)
OF_BOTH = np.rint(4 * np.arange(256) * (1 - np.arange(256) / 255)).astype(np.uint8)  # of hair and of what is behind
FAINTEST = int(np.argmax(SURE > 0))  # mask value from which there may be hair


def refine(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share of hair x 255, (H, W) uint8, from a network's mask (H, W) uint8, probability of hair x 255, and its picture
    (H, W, 3) uint8 or uint16."""
    whole = np.zeros_like(mask)
    left, top, width, height = cv2.boundingRect(cv2.threshold(mask, FAINTEST - 1, 255, cv2.THRESH_BINARY)[1])
    if width == 0:
        return whole
    step = max(COARSER * grid.step_for(height, width), LEAST_STEP)
    room = ROOM * step
    part = (
        grid.around(slice(max(top - room, 0), top + height + room), step, mask.shape[0]),
        grid.around(slice(max(left - room, 0), left + width + room), step, mask.shape[1]),
    )
    rgb, mask, alpha = rgb[part], mask[part], whole[part]
    alpha[...] = cv2.LUT(mask, RAMPED)
    doubtful = grid.shrink(cv2.LUT(mask, SURE), step).astype(np.float32) / 255
    slopes, offset, trust = _fit(grid.colours(rgb, step), doubtful)
    for rows, columns in grid.tiles(grid.near(trust > 0), step, *alpha.shape):
        tile = np.s_[slice(*rows), slice(*columns)]
        over, least = grid.grow(slopes, step, rows, columns), grid.grow(offset, step, rows, columns)
        seen = _along(over, least, rgb[tile])
        trusted = cv2.multiply(grid.grow(trust, step, rows, columns), _credit(seen, step), scale=1 / 255)
        known = cv2.multiply(alpha[tile], 255 - trusted, scale=1 / 255)
        shares = cv2.add(cv2.multiply(seen, trusted, scale=1 / 255), known)
        alpha[tile] = cv2.min(cv2.max(shares, cv2.LUT(mask[tile], LOWEST)), cv2.LUT(mask[tile], HIGHEST))
    blur = blur_of(rgb, mask)
    if blur > SHARP:  # no edge of hair is sharper than the picture's own
        alpha[...] = cv2.GaussianBlur(alpha, (0, 0), np.sqrt(blur**2 - SHARP**2))
    return whole


def blur_of(rgb: np.ndarray, mask: np.ndarray) -> float:
    """By how many pixels, as a Gaussian's deviation, a picture (h, w, 3) is blurred near the edges of a mask (h, w).

    The steps between pixels are told before and after a further blur. Of an edge that a Gaussian of variance v has
    blurred the squared steps add up to something over the root of v, so the ratio of the two tells v. Strands and
    noise make it smaller, not larger."""
    some = np.s_[:: max(1, len(mask) // ROWS)]
    doubtful = cv2.dilate(cv2.inRange(mask[some], 26, 229), np.ones((1, 2 * NEAR_EDGE + 1), np.uint8))[:, 1:-1] > 0
    if not doubtful.any():
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(rgb[some]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = [
        float((((row[:, 2:] - row[:, :-2])[doubtful]) ** 2).mean())
        for row in (grey, cv2.GaussianBlur(grey, (13, 1), APART))
    ]
    ratio = steps[0] / max(steps[1], 1e-9)
    lens = 0.5  # variance of the difference of neighbours itself
    if ratio <= 1:
        return 0.0
    return float(np.sqrt(np.clip((APART**2 + 0.25 - lens * ratio**2) / (ratio**2 - 1), 0, MOST_BLUR**2)))


def _fit(cells: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (rows, columns, 3) and share of hair (rows, columns), float32 -> a pixel's share of hair x 255 as a line
    in its colour: slopes (rows, columns, 3) over GREY, and offset (rows, columns), float32; and how far to trust it
    x 255, (rows, columns) uint8."""
    beside = foreground.colours_beside(cells, share, WINDOW, spread=True)
    assert beside.spread is not None, "as it was asked for"
    difference = beside.difference()
    apart = foreground.squares(difference)
    gain = 255 / (1 - FLOOR) / (apart + NOISE)
    slopes = [plane * gain for plane in difference]
    offset = -255 * FLOOR / (1 - FLOOR) - sum(slope * plane for slope, plane in zip(slopes, beside.behind))
    near = np.clip(8 * np.minimum(share, 1 - share), 0, 1)
    trust = TRUST * near * apart / (apart + ALIKE * beside.spread + NOISE)
    over = cv2.merge([slope / share for slope, share in zip(slopes, GREY)])
    return over, offset, np.rint(255 * trust).astype(np.uint8)


def _credit(seen: np.ndarray, step: int) -> np.ndarray:
    """How far colours are to be trusted, x 255, (h, w) uint8, by the strands or the clear edge in the shares of hair
    x 255 that they say, (h, w) uint8; `step` is pixels a cell, by which the size of strands goes."""
    fine, near, around = step // 2 | 1, 2 * step - 1, 4 * step - 1
    smooth = cv2.blur(seen, (fine, fine))
    strands = cv2.blur(cv2.absdiff(seen, smooth), (near, near))
    both = cv2.blur(cv2.LUT(smooth, OF_BOTH), (around, around))
    return cv2.max(cv2.LUT(strands, BY_STRANDS), cv2.LUT(both, BY_EDGE))


def _along(slopes: np.ndarray, offset: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Lines, slopes (h, w, 3) over GREY and offset (h, w), at the colours (h, w, 3): (h, w) uint8."""
    terms = cv2.multiply(slopes, rgb, scale=255 / grid.MOST[rgb.dtype], dtype=cv2.CV_32F)
    return cv2.add(cv2.cvtColor(terms, cv2.COLOR_RGB2GRAY), offset, dtype=cv2.CV_8U)  # rounded, and within 0..255
