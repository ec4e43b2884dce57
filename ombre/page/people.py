"""Who is in a picture, for the page: where to choose each one, and a line around each one's head."""

from typing import NamedTuple

import cv2
import numpy as np

from ombre.hair.analysis import Hair
from ombre.hair.faces import Face

AROUND = 2  # cells between the hair and the line around it
BEYOND = 0.5  # of the hair's extent, by which a line may go beyond it, as around a chin
EXACT = 0.7  # cells that a line may lie off


class Person(NamedTuple):
    """Somebody: a place deep within the hair, and a line around hair and face, (points, 2) of x, y: all in shares of
    the picture's width and height."""

    x: float
    y: float
    outline: np.ndarray


def people_in(hair: Hair) -> list[Person]:
    """Everybody whose hair is seen, from the left to the right."""
    people = [_person(hair, number) for number in range(len(hair.people.heads))]
    return sorted((person for person in people if person), key=lambda person: person.x)


def _person(hair: Hair, number: int) -> Person | None:
    own = (hair.hair_mask > 0) & (hair.people.labels == number)
    if not own.any():
        return None
    framed = cv2.copyMakeBorder(own.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, 5)
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    place = np.array([[column - 1, row - 1]], np.float64)
    (x, y), *_ = _shares(hair, place).tolist()
    return Person(x, y, _shares(hair, _outline(hair, own, number)))


def _outline(hair: Hair, own: np.ndarray, number: int) -> np.ndarray:
    """The line around one's hair, the cells `own` (rows, columns) bool, and face: (points, 2) x, y in cells."""
    beyond = int(BEYOND * max(own.shape))
    points = np.argwhere(own)[:, ::-1].astype(np.float64)
    if (face := hair.people.faces[number]) is not None:
        points = np.concatenate([points, _around(face)])
    around = beyond, beyond, beyond, beyond
    labels = cv2.copyMakeBorder(hair.people.labels.astype(np.int32), *around, cv2.BORDER_REPLICATE)
    head = np.zeros(labels.shape, np.uint8)
    cv2.fillConvexPoly(head, cv2.convexHull(np.rint(points).astype(np.int32) + beyond), 1)
    head = cv2.dilate(head, np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8)) * (labels == number)
    lines, _ = cv2.findContours(head.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.approxPolyDP(max(lines, key=cv2.contourArea), EXACT, True)[:, 0] - float(beyond)


def _around(face: Face) -> np.ndarray:
    """Points on the ellipse of a face: (points, 2) x, y in cells."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return face.centre + 2 * np.stack([np.cos(turn), np.sin(turn)], 1) @ np.linalg.cholesky(face.spread).T


def _shares(hair: Hair, cells: np.ndarray) -> np.ndarray:
    """Places (n, 2) x, y in cells, from the centre of the first one, as shares of the picture within it."""
    pixels = (cells + 0.5) * hair.step + (hair.columns.start, hair.rows.start)
    return np.clip(pixels / hair.rgb.shape[1::-1], 0, 1).round(4)
