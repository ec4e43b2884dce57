"""Where to crop a picture: in pieces where it is long, in tiles for a search, and round each head that is seen."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from segmentation.finding.box import Part, around, square_around

LONGEST = 2.0  # long side / short side from which a picture is seen in pieces: squashed heads are strange
PIECE = 1.4  # long side / short side of a piece at most
TOUCHING = 2.5  # width / height of hair from which it is taken for several heads side by side
SLENDER = 20.0  # size of hair / half its thickness, from which it is a crowd's: of one head 5 to 12, of many over 38
PERHAPS = 14.0  # the same, from which a picture may show a crowd when it is seen from afar
CROWD_TILE = 8.0  # half thicknesses of a crowd's hair, side of a crop of it: some three heads
CANDIDATE = 0.4  # probability from which a place is worth a crop of its own; a doubtful one is decided by that crop
SPECK, LEAST = 0.005, 0.0002  # of the largest head's area, of the picture's: what is smaller is no head
GAP = 0.05  # of the smaller one's size: pieces of hair that are nearer belong to one head
NEAR_ENOUGH = 1.5  # times a head's own crop: another head's crop that holds it whole and is no larger serves it too
ROOM = 0.4  # of the hair's height or width that a crop has around it
CLOSER_BELOW = 0.7  # share of the picture's area under which a crop shows a head better than the whole picture does
NEARER = 0.6  # share of a crop's area, up to which a head in it gets a crop of its own
FAR = 0.6  # share of the picture's side: hair below it makes a scene, in which smaller heads may be overlooked
OVERLAP, LONGER = 0.28, 1.55  # of the tiles of a search: share of their sides; long side / short side at most
MOST = 128  # crops of a picture at most, the largest heads first
MOST_ALONG = 42  # tiles of a search along a side at most, whatever a picture's shape: three rows of them are 126


def pieces(part: Part, longest: float = LONGEST) -> list[Part]:
    """The part itself or, where it is longer than `longest` short sides, parts that cover it and overlap."""
    short, long = sorted((part.height, part.width))
    if long < longest * short:
        return [part]
    extent = round(PIECE * short)
    count = int(np.ceil((long - 0.25 * extent) / (0.75 * extent)))
    starts = np.linspace(0, long - extent, count).round().astype(int)
    if part.width > part.height:
        return [part._replace(left=part.left + start, right=part.left + start + extent) for start in starts.tolist()]
    return [part._replace(top=part.top + start, bottom=part.top + start + extent) for start in starts.tolist()]


def is_far_away(probability: np.ndarray) -> bool:
    """Whether the largest head is so small, in probabilities of hair (h, w) float32 of a picture, that others may be
    overlooked, or nobody is seen."""
    sizes = [max(across, down) for _, _, across, down in boxes_of_hair(probability)]
    return max(sizes, default=0) < FAR * len(probability)


def tiles(height: int, width: int, count: int) -> list[Part]:
    """Parts that cover a picture and overlap, `count` along its short side."""
    short = min(height, width)
    return [
        Part(top, left, top + down, left + across)
        for top, down in along(height, short, count)
        for left, across in along(width, short, count)
    ]


def along(length: int, short: int, count: int) -> list[tuple[int, int]]:
    """Start and extent of the tiles along a side of a picture, whose short side has `count`."""
    longest = LONGER * extent_of(short, count)
    while (extent := extent_of(length, count)) > longest and count < MOST_ALONG:
        count += 1
    return [(round(start), round(extent)) for start in np.linspace(0, length - round(extent), count)]


def extent_of(length: int, count: int) -> float:
    """Of each of `count` tiles that cover a length and overlap."""
    return length / (count - OVERLAP * (count - 1))


def crops_of(
    probability: np.ndarray,
    height: int,
    width: int,
    below: float = CLOSER_BELOW,
    least: float = CANDIDATE,
    crowded: bool = False,
) -> list[Part]:
    """The parts of a picture (height, width) that show its heads from near, the largest first.

    Args:
        probability: of hair, (h, w) float32 in 0..1 over the whole picture, at any resolution.
        below: share of the picture's area up to which a crop shows more than the whole.
        least: probability from which it is hair.
        crowded: whether there may be many heads whose hair is seen as one piece.
    """
    scale = height / probability.shape[0], width / probability.shape[1]
    heads = heads_of(probability, scale, least)
    if crowded:
        heads = [piece for head in heads for piece in of_crowd(head, probability, scale, least)]
    parts = sorted((piece for head in heads for piece in side_by_side(head)), key=lambda head: -head.size)
    crops: list[Part] = []
    corners = np.empty((len(parts), 4), int)  # of the crops, to ask all at once: there may be thousands
    for head in parts:
        crop = square_around(head, height, width, ROOM)
        if crop.area <= below * height * width and not serves(corners[: len(crops)], head, crop).any():
            corners[len(crops)] = crop
            crops.append(crop)
    return sorted(crops, key=lambda crop: -crop.area)[:MOST]


def nearer_crops(part: Part, probability: np.ndarray) -> list[Part]:
    """The crops that are due to heads which a crop of a picture shows small: its probability of hair, (h, w) float32.
    None where one of them fills it."""
    crops = crops_of(probability, part.height, part.width, below=1)
    if any(crop.area > NEARER * part.area for crop in crops):
        return []
    return [crop.moved(part.top, part.left) for crop in crops]


def side_by_side(head: Part) -> list[Part]:
    """Hair so wide that it is taken for several heads, in as many parts."""
    return pieces(head, TOUCHING) if head.width > head.height else [head]


def is_of_crowd(probability: np.ndarray, height: int, width: int, least: float) -> bool:
    """Whether hair in a picture (height, width), of which a search says its probability (h, w) float32, is drawn out
    as that of many heads is."""
    scale = height / probability.shape[0], width / probability.shape[1]
    heads = heads_of(probability, scale, least)
    return any(head.size > PERHAPS * half_thickness(head, probability, scale, least) for head in heads)


def of_crowd(head: Part, probability: np.ndarray, scale: tuple[float, float], least: float) -> list[Part]:
    """The head itself or, where its hair is so slender that it is of many, parts of a few of them."""
    thickness = half_thickness(head, probability, scale, least)
    if head.size <= SLENDER * thickness:
        return [head]
    sides = min(head.height, head.width) / max(CROWD_TILE * thickness, 1)
    count = max(1, int(np.ceil((sides - OVERLAP) / (1 - OVERLAP))))
    return [part.moved(head.top, head.left) for part in tiles(head.height, head.width, count)]


def half_thickness(head: Part, probability: np.ndarray, scale: tuple[float, float], least: float) -> float:
    """Of a head's hair, pixels: how far the innermost tenth of it is from its edge at least."""
    down, across = scale
    cell = max(scale)
    seen = probability[head.scaled(1 / down, 1 / across).slices]
    if not seen.size:
        return float(head.size)
    across, down = (max(1, round(side / cell)) for side in (head.width, head.height))
    square = cv2.resize(seen, (across, down), interpolation=cv2.INTER_AREA)
    hair = np.pad(square > least, 1).astype(np.uint8)
    inner = cv2.distanceTransform(hair, cv2.DIST_L2, 3)[hair > 0]
    return float(np.percentile(inner, 90)) * cell if inner.size else float(head.size)


def serves(others: np.ndarray, head: Part, crop: Part) -> np.ndarray:
    """Which of other heads' crops (N, 4) show this head as well as its own crop would: (N,) bool."""
    top, left, bottom, right = others.T
    holds = (top <= head.top) & (left <= head.left) & (head.bottom <= bottom) & (head.right <= right)
    return holds & (np.maximum(bottom - top, right - left) <= NEAR_ENOUGH * crop.size)


def heads_of(probability: np.ndarray, scale: tuple[float, float], least: float) -> list[Part]:
    """What hangs together as one head's hair, in pixels, of which a cell has `scale` down and across."""
    return joined([in_pixels(box, scale) for box in boxes_of_hair(probability, least)])


def boxes_of_hair(probability: np.ndarray, least: float = CANDIDATE) -> Iterator[np.ndarray]:
    """left, top, width, height of each piece of hair that is no speck, in cells."""
    hair = (probability > least).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(hair)
    if width == 0:
        return iter(())
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        hair[top : top + height, left : left + width],
        ltype=cv2.CV_16U,  # twice as fast
    )  # fmt: skip
    stats = stats[1:] + (left, top, 0, 0, 0)  # the first is what is no hair
    areas = stats[:, cv2.CC_STAT_AREA]
    return iter(stats[areas >= max(SPECK * areas.max(initial=0), LEAST * probability.size)][:, :4])


def in_pixels(box: np.ndarray, scale: tuple[float, float]) -> Part:
    """Every pixel that a box of cells touches, so that it is never empty."""
    left, top, width, height = (int(value) for value in box)
    down, across = scale
    ends = np.ceil([(top + height) * down, (left + width) * across])
    return Part(int(top * down), int(left * across), *(int(end) for end in ends))


def joined(pieces_of_hair: Iterable[Part]) -> list[Part]:
    """Pieces of hair that lie near each other, as one: a face often parts hair."""
    boxes = np.array(list(pieces_of_hair), int).reshape(-1, 4)
    top, left, bottom, right = boxes.T
    size = np.maximum(bottom - top, right - left)
    head = np.arange(len(boxes))  # of each piece
    for one in range(1, len(boxes)):
        down = np.maximum(top[one] - bottom[:one], top[:one] - bottom[one])
        across = np.maximum(left[one] - right[:one], left[:one] - right[one])
        near = np.maximum(np.maximum(down, across), 0) <= GAP * np.minimum(size[one], size[:one])
        if near.any():
            head[:one][np.isin(head[:one], head[:one][near])] = one
    return [around(boxes[head == each]) for each in np.unique(head)]
