"""A look at data folders before one trains on them: how many, how large, how much hair, and what is in them twice."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from common.batch.local import damage_of
from common.device import own_cores
from common.image.picture import PictureError, read_picture
from common.progress import progress, say
from segmentation.dataset.coding import demand_hair
from segmentation.dataset.pairs import Pair, looked_through
from segmentation.dataset.scan import Facts
from segmentation.networks.resize import HAIR

SIDE = 16  # cells of a picture's likeness
ALIKE = 2.5  # grey levels between the cells of two likenesses, mean; copies in another size or quality stay below
FLAT = 4.0  # deviation of a likeness below which a picture is too plain to be known again
BLOCK = 2048  # pictures compared with all others at a time


class Double(NamedTuple):
    """Two pictures that are one; `mirrored`: the second is the first one's mirror image."""

    first: Pair
    second: Pair
    mirrored: bool
    parts: tuple[str, str]


def check(parts: dict[str, list[Path]], hair_value: int | None) -> int:
    """Print what is known of the data folders of each part, and what is wrong.

    Args:
        parts: name ("train", "val") -> folders.
        hair_value: the class that is hair in their masks.

    Returns:
        0, or 1 where a file cannot be used or is damaged, or a picture is in two parts.

    Raises:
        DataError: a folder is missing, of no known layout, or its labels are in another coding.
    """
    faults = 0
    pairs: list[Pair] = []
    names: list[str] = []  # of the part that each pair is in
    for part, folders in parts.items():
        facts: list[Facts] = []
        for folder in dict.fromkeys(folders):
            good, wrong = check_folder(folder, hair_value)
            faults += wrong
            pairs += good
            facts += good.values()
            names += [part] * len(good)
        if folders:
            demand_hair(facts)
    likenesses, broken, damaged = likenesses_of(pairs)
    for fault in broken:  # behind its head
        say(f"{fault}; a training takes another picture in its place")
    for fault in damaged:
        say(f"{fault}; a training takes it as it is")
    faults += len(broken)
    doubles = find_doubles(pairs, names, likenesses)
    for double in doubles:
        how = "the mirror image of" if double.mirrored else "the same picture as"
        say(f"{double.second.image} ({double.parts[1]}): {how} {double.first.image} ({double.parts[0]})")
    across = sum(double.parts[0] != double.parts[1] for double in doubles)
    print(
        f"{len(pairs)} pairs; {len(doubles)} pictures twice, {across} of them in two parts; {faults} files left out"
        + (f", {len(damaged)} damaged" if damaged else "")
    )
    return int(bool(faults or across or damaged))


def check_folder(folder: Path, hair_value: int | None) -> tuple[dict[Pair, Facts], int]:
    """One folder's good pairs, with what is known of them, and how many files are not; prints both."""
    good, problems = looked_through(folder, hair_value)
    for problem in problems:
        say(f"left out: {problem}")
    for pair, fact in good.items():
        if 0 < fact.greatest < HAIR:
            say(f"{pair.label}: no hair, its greatest value is {fact.greatest}")
    print(f"{folder}: {len(good)} pairs, {len(problems)} files left out{described(list(good.values()))}")
    return good, len(problems)


def described(facts: Sequence[Facts]) -> str:
    """Sizes and shares of hair, in words."""
    if not facts:
        return ""
    sides = sorted(max(fact.width, fact.height) for fact in facts)
    shares = np.array([fact.hair_share for fact in facts])
    return (
        f"; {sides[0]} to {sides[-1]} pixels long, half of them up to {sides[len(sides) // 2]}; hair covers "
        f"{shares.mean():.1%} of them ({shares.min():.1%} to {shares.max():.1%}), {(shares == 0).sum()} have none"
    )


def find_doubles(pairs: Sequence[Pair], parts: Sequence[str], likenesses: np.ndarray) -> list[Double]:
    """Pictures that are copies or mirror images of an earlier one, whatever their size and quality."""
    plain = likenesses.std(axis=(1, 2)) < FLAT
    found: dict[int, Double] = {}
    for first, second, is_mirror in alike(likenesses):
        if second not in found and not (plain[first] or plain[second]):
            found[second] = Double(pairs[first], pairs[second], is_mirror, (parts[first], parts[second]))
    return [found[second] for second in sorted(found)]


def alike(likenesses: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """Numbers of two likenesses (N, h, w) that hardly differ, the lower first, and whether one is mirrored."""
    vectors = likenesses.reshape(len(likenesses), -1)
    mirrored = likenesses[:, :, ::-1].reshape(len(likenesses), -1)
    for start, others in product(range(0, len(vectors), BLOCK), (vectors, mirrored)):
        for first, second in close_pairs(vectors[start : start + BLOCK], others, start):
            if first < second and np.abs(vectors[first] - others[second]).mean() < ALIKE:
                yield first, second, others is mirrored


def close_pairs(block: np.ndarray, others: np.ndarray, start: int) -> list[tuple[int, int]]:
    """Numbers (of the block's, which begin at `start`, and of the others) of vectors that may be alike."""
    squares = (block**2).sum(1)[:, None] + (others**2).sum(1) - 2 * block @ others.T
    reach = block.shape[1] * (2 * ALIKE) ** 2  # a mean difference below ALIKE hardly has a larger square
    return [(start + int(first), int(second)) for first, second in np.argwhere(squares < reach)]


def likenesses_of(pairs: Sequence[Pair]) -> tuple[np.ndarray, list[str], list[str]]:
    """(N, SIDE, SIDE) float32: each picture in greys, small; nothing but zeros where it cannot be read, and why; and a
    line for each that is damaged."""
    faults: list[str] = []
    damaged: list[str] = []

    def likeness(pair: Pair) -> np.ndarray:
        try:
            picture = read_picture(pair.image)
        except PictureError as error:
            faults.append(str(error))
            return np.zeros((SIDE, SIDE), np.float32)
        if damage := damage_of(picture):
            damaged.append(f"{pair.image}: {damage}")
        grey = cv2.cvtColor(picture.rgb8, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)

    result = np.zeros((len(pairs), SIDE, SIDE), np.float32)
    with ThreadPoolExecutor(own_cores()) as pool, progress(len(pairs)) as done:
        for place, small in enumerate(pool.map(likeness, pairs)):
            result[place] = small
            done(1)
    return result, faults, damaged
