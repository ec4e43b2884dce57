"""Colour profiles: what a picture's numbers mean, by LittleCMS through Pillow, which converts 8 bits at a time."""

from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image

from common.image.picture import Picture, is_for_grey

SAME = 2  # of 255: a profile that moves colours by no more is sRGB, whatever it is called
HAIR_COLOURS = np.array(
    [[v, v * g, v * g * b] for v in (40, 90, 140, 190, 240) for g in (0.55, 0.75, 1) for b in (0.5, 0.75, 1)]
)
LUMA = np.array([0.299, 0.587, 0.114])  # what COLOR_RGB2GRAY takes of sRGB's channels


class ProfileError(ValueError):
    """A profile that cannot be used; the message says why."""


class Space:
    """The colour space of a picture's numbers: this one is sRGB, in which there is nothing to do.

    `bend`: a mixture of two numbers a and b in the shares 1 - w and w, which sRGB would make, lies bend w (1 - w)
    (a - b)^2 below theirs, of numbers 0..1."""

    bend = 0.0

    def grey(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w) lightness of (h, w, 3) uint8 or uint16, as a grey of this space and of the same dtype."""
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)

    def lightness_of_greys(self, count: int) -> np.ndarray:
        """(count,) float32 L* of the space's greys from black to white."""
        return _lightness(np.linspace(0, 1, count))

    def luminance_of_greys(self, count: int) -> np.ndarray:
        """(count,) float32 light of the space's greys, from black, 0, to white, 1."""
        lightness = self.lightness_of_greys(count)
        return np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness * np.float32(27 / 24389))

    def from_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """A smooth row (n, 3) of colours of sRGB, 0..1, in numbers of this space."""
        return rgb

    def to_srgb8(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 of this space as sRGB."""
        return rgb


class ProfiledSpace(Space):
    """The space of an ICC profile for RGB, by a matrix or by tables. Raises ProfileError where it has no way back."""

    def __init__(self, icc: bytes) -> None:
        self._to_srgb, self._from_srgb = _transform(icc), _transform(None, icc)
        self._measure()

    def _measure(self) -> None:
        """What is asked of the space often."""
        grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        plain = _lightness(np.linspace(0, 1, 256))
        own = _lightness(self.to_srgb8(grey) @ LUMA / 255)
        self._lightness = np.maximum.accumulate(plain + _smooth((own - plain)[:, None], 2)[:, 0])
        self._weights = self._fit_weights()
        self.bend = self._fit_bend()

    def grey(self, rgb: np.ndarray) -> np.ndarray:
        """As Space.grey."""
        return cv2.transform(rgb, self._weights)

    def lightness_of_greys(self, count: int) -> np.ndarray:
        """As Space.lightness_of_greys."""
        return np.interp(np.linspace(0, 255, count), np.arange(256), self._lightness).astype(np.float32)

    def from_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """As Space.from_srgb."""
        coarse = np.rint(255 * rgb).astype(np.uint8)
        # the difference is smooth, so what rounding to 8 bits did to it can be smoothed away
        return rgb + _smooth((self._own_of(coarse) - np.float64(coarse)) / 255, 4)

    def to_srgb8(self, rgb: np.ndarray) -> np.ndarray:
        """As Space.to_srgb8."""
        return _apply(self._to_srgb, rgb)

    def _own_of(self, srgb: np.ndarray) -> np.ndarray:
        """(n, 3) uint8 of sRGB -> numbers of this space, 0..255."""
        return _apply(self._from_srgb, srgb)

    def _fit_weights(self) -> np.ndarray:
        """(1, 3) shares of the channels by which hair is as light here as the same hair is in sRGB."""
        hair = np.array(HAIR_COLOURS, np.uint8)
        own = self._own_of(hair) / 255
        wanted = np.interp(_lightness(hair @ LUMA / 255), self._lightness, np.linspace(0, 1, 256))
        share, *_ = np.linalg.lstsq(own[:, :2] - own[:, 2:], wanted - own[:, 2], rcond=None)
        return np.array([[*share, 1 - share.sum()]])

    def _fit_bend(self) -> float:
        ends = np.linspace(0, 1, 9)
        seen = _lightness(np.linspace(0, 1, 256))  # of sRGB's greys
        plain = np.interp(np.interp(ends, np.linspace(0, 1, 256), self._lightness), seen, np.linspace(0, 1, 256))
        middle = np.interp((plain[:, None] + plain) / 2, plain, ends)
        below, width = (ends[:, None] + ends) / 2 - middle, (ends[:, None] - ends) ** 2 / 4
        return float((below * width).sum() / (width**2).sum())


SRGB = Space()


@lru_cache(maxsize=16)
def space_of(icc: bytes | None) -> Space:
    """The space of a profile for RGB; SRGB without one. Raises ProfileError where it cannot be used."""
    if icc is None:
        return SRGB
    greys = np.repeat(np.arange(0, 256, 15)[:, None], 3, axis=1)
    some = np.concatenate([HAIR_COLOURS, 255 * np.eye(3), greys]).astype(np.uint8)
    if np.abs(_apply(_transform(icc), some).astype(int) - some).max() <= SAME:
        return SRGB
    return ProfiledSpace(icc)


def colour_ready(picture: Picture) -> tuple[Picture, Space, str]:
    """The picture as it can be coloured, the space of its numbers, and what there is to say of its profile.

    A grey picture with a profile for greys becomes one of sRGB, as such profiles know no colours. One whose profile
    cannot be used counts as sRGB, and keeps it; so does what names another space without a profile."""
    try:
        if picture.icc and is_for_grey(picture.icc):
            return replace(picture, rgb=_from_grey(picture.rgb, picture.icc), icc=None), SRGB, ""
        taken = f"dyed, and written, as sRGB: it names {picture.named_space} without a colour profile"
        return picture, space_of(picture.icc), taken if picture.named_space else ""
    except ProfileError as error:
        return picture, SRGB, f"dyed as sRGB: its colour profile cannot be used ({error})"


def in_srgb8(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8: the picture as a screen without colour management should show it."""
    picture, space, _ = colour_ready(picture)
    return space.to_srgb8(picture.rgb8)


def _from_grey(rgb: np.ndarray, icc: bytes) -> np.ndarray:
    ramp = _apply(_transform(icc, mode="L"), np.arange(256, dtype=np.uint8)[:, None])[:, 0].astype(float)
    most = np.iinfo(rgb.dtype).max
    levels = np.interp(
        np.linspace(0, 255, most + 1), np.arange(256), ramp if most == 255 else _smooth(ramp[:, None], 2)[:, 0]
    )
    return np.rint(levels * (most / 255)).astype(rgb.dtype)[rgb]


def _transform(source: bytes | None, target: bytes | None = None, mode: str = "RGB") -> Any:
    """LittleCMS's way from a profile to another; None: sRGB."""
    from PIL import ImageCms  # few pictures need it

    try:
        start, end = (
            ImageCms.ImageCmsProfile(BytesIO(icc) if icc else ImageCms.createProfile("sRGB"))
            for icc in (source, target)
        )
        return ImageCms.buildTransform(start, end, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ProfileError(" ".join(str(error).split()) or "it is broken") from None


def _apply(transform: Any, colours: np.ndarray) -> np.ndarray:
    """(n, 1 or 3) or (h, w, 3) uint8 -> the same as RGB, uint8."""
    grey = colours.shape[-1] == 1
    flat = colours[..., 0] if grey else colours if colours.ndim == 3 else colours[None]
    result = np.asarray(transform.apply(Image.fromarray(np.ascontiguousarray(flat))))
    return result[0] if colours.ndim == 2 and not grey else result[:, 0] if grey else result


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """(n, c) smoothed from row to row, running on straight beyond its ends."""
    reach = round(4 * sigma)
    before, after = 2 * values[0] - values[reach:0:-1], 2 * values[-1] - values[-2 : -reach - 2 : -1]
    wide = np.concatenate([before, values, after])
    return cv2.GaussianBlur(wide, (1, 2 * reach + 1), sigmaX=1, sigmaY=sigma)[reach:-reach]


def _lightness(grey: np.ndarray) -> np.ndarray:
    """L* of greys of sRGB, 0..1: float32."""
    rgb = np.repeat(grey.astype(np.float32)[None, :, None], 3, axis=2)
    return np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, :, 0])
