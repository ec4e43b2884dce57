"""A clip -> hair in every frame -> the clip in every colour."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from common.batch.local import DAMAGED
from common.batch.table import Row
from common.files import replacing
from common.image.picture import PictureError, read_mask, write_mask
from common.progress import progress
from ombre.media.mask_files import Masks
from ombre.media.source import Frame, FrameSink, FrameSource, opened
from ombre.render.recolour import Hair, dye_hair, prepare
from ombre.style import NO_HAIR, Style
from ombre.tracking.heads import SteadyHeads
from ombre.tracking.steady import MOST_AHEAD, steady_masks
from segmentation.finding.hair_finder import HairFinder

one_at_a_time = threading.Lock()  # a clip keeps all cores busy by itself, and several would need their memory together


def dye_clip(
    path: Path,
    output: Path,
    finder: HairFinder,
    rows: Sequence[Row],
    masks: Masks,
    *,
    max_pixels: int,
    quality: int,
) -> list[Row]:
    """Dye one clip as every row says; the rows of the table, complete. Where no hair is found it is copied.

    Args:
        masks: folders with masks 000001.png and on: of some or all frames, to dye by; for the share of hair in each.
        quality: how fine it is encoded, 0 to 100.

    Raises PictureError.
    """
    with one_at_a_time:
        started = time.perf_counter()
        clip = opened(path, max_pixels)
        heads, shares = SteadyHeads(), []
        styles = [Style.of(row) for row in rows]
        with ExitStack() as stack:
            writers = [stack.enter_context(clip.writer(output / str(row["output"]), quality)) for row in rows]
            advance = stack.enter_context(progress(clip.expected))
            for seen in seen_frames(clip, finder, masks, heads):
                shares.append(cv2.mean(seen.mask)[0] / 255)
                write_dyed(seen, styles, writers)
                write_share(masks.save, seen)
                advance(1)
        status = "ok" if any(heads.counts) else NO_HAIR
        notes = [f"{DAMAGED} frames: {clip.damaged}"] * (clip.damaged > 0)
        common = dict(
            hair_share=round(float(np.mean(shares)), 4),
            frames=len(shares),
            people=int(np.percentile(heads.counts, 95)),  # a mask that errs in few frames makes nobody
            seconds=round((time.perf_counter() - started) / len(rows), 4),
            status=status,
        )
        results = []
        for row, writer in zip(rows, writers):
            target = output / str(row["output"])
            if status == NO_HAIR:
                copy(path, target)
            own = dict(note="; ".join(notes + writer.notes), result_bytes=target.stat().st_size)
            results.append(row | common | own)
        return results


class Seen(NamedTuple):
    """A frame, its `rgb` (H, W, 3) uint8 or uint16, its mask (H, W) uint8, and what is known of its hair, if any."""

    frame: Frame
    rgb: np.ndarray
    mask: np.ndarray
    hair: Hair | None


def seen_frames(clip: FrameSource, finder: HairFinder, masks: Masks, heads: SteadyHeads) -> Iterator[Seen]:
    """A clip's frames with the hair in them, whose people `heads` follows."""
    drawn, seconds = drawn_masks(masks.folder), 0.0
    for frame, mask, motion in steady_masks(clip.frames(), finder, drawn, clip.frame_bytes):
        rgb, own = frame.rgb(), drawn(frame)
        mask = cv2.resize(mask, rgb.shape[1::-1]) if own is None else own
        hair = prepare(rgb, mask, refine=own is None or masks.refined, space=clip.space, still=False)
        yield Seen(frame, rgb, mask, heads.steadied(hair, motion, frame.seconds - seconds))
        seconds = frame.seconds


def write_dyed(seen: Seen, styles: Sequence[Style], writers: Sequence[FrameSink]) -> None:
    """Write a frame in each style to its writer."""
    for style, writer in zip(styles, writers):
        if seen.hair is None:
            writer.write(seen.frame, seen.rgb, seen.rgb, None)
        else:
            dyed = dye_hair(seen.hair, style)
            writer.write(seen.frame, seen.rgb, dyed, (seen.hair.rows, seen.hair.columns))


def write_share(folder: Path | None, seen: Seen) -> None:
    """Write the share of hair that a frame was dyed by, (H, W) uint8, where that is asked."""
    if folder is None:
        return
    share = np.zeros(seen.mask.shape, np.uint8)
    if seen.hair is not None:
        share[seen.hair.rows, seen.hair.columns] = seen.hair.alpha
    write_mask(folder / mask_name(seen.frame.number), share)


def copy(path: Path, target: Path) -> None:
    """The clip unchanged, whole or not at all."""
    with replacing(target) as part:
        shutil.copyfile(path, part)


def drawn_masks(folder: Path | None) -> Callable[[Frame], np.ndarray | None]:
    """What gives a frame's mask out of a folder with 000001.png and on; None where it has none."""
    if folder is None:
        return lambda frame: None

    @lru_cache(maxsize=MOST_AHEAD)
    def of(number: int) -> np.ndarray | None:
        path = folder / mask_name(number)
        return read_mask(path) if path.is_file() else None

    def drawn(frame: Frame) -> np.ndarray | None:
        mask = of(frame.number)
        if mask is not None and mask.shape != (size := frame.rgb8().shape[:2]):
            raise PictureError(
                f"{folder / mask_name(frame.number)}: is {mask.shape[::-1]} pixels, its frame {size[::-1]}; make it "
                "that size"
            )
        return mask

    return drawn


def mask_name(number: int) -> str:
    """Of the frame of this number, from 1 on."""
    return f"{number:06}.png"
