"""The spaces of HDR: HLG and PQ (ITU-R BT.2100), with SDR's white at the level that ITU-R BT.2408 gives it.

A dye gets the light there that it has in SDR: white is 203 cd/m2, which is 75 % of HLG's signal and 58 % of PQ's.
"""

from functools import lru_cache

import numpy as np

from common.image.icc import ProfiledSpace, Space, colour_ready
from common.image.picture import Picture

PQ, HLG = 16, 18  # code points of transfer (ITU-T H.273)
BT2020, DISPLAY_P3 = 9, 12  # of primaries
WHITE, HLG_PEAK, PQ_PEAK = 203.0, 1000.0, 10_000.0  # cd/m2
GAMMA = 1.2  # of HLG's system
STEPS = 4096  # of the table that makes sRGB's numbers of light
STRIP = 256  # rows worked on at a time
# sRGB's linear red, green and blue in other primaries' (of the same white).
MATRICES = {
    BT2020: [[0.62740, 0.32930, 0.04330], [0.06910, 0.91950, 0.01140], [0.01640, 0.08800, 0.89560]],
    DISPLAY_P3: [[0.82250, 0.17740, 0.00010], [0.03320, 0.96690, 0.0], [0.01710, 0.07240, 0.91050]],
}
LUMINANCE = {BT2020: (0.2627, 0.6780, 0.0593), DISPLAY_P3: (0.2290, 0.6917, 0.0793)}
LUMINANCE_709 = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
# Of the curves of HLG (a, b, c) and PQ (m1, m2, c1, c2, c3), by ITU-R BT.2100.
_A, _M1, _M2 = 0.17883277, 0.1593017578125, 78.84375
_B, _C = 1 - 4 * _A, 0.5 - _A * float(np.log(4 * _A))
_C1, _C2, _C3 = 0.8359375, 18.8515625, 18.6875


class HdrSpace(ProfiledSpace):
    """The space of numbers in HLG or PQ. What is lighter than SDR's white counts as white.

    Args:
        transfer: PQ or HLG.
        primaries: BT2020, DISPLAY_P3; any other: those of sRGB.
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        self.transfer = transfer
        self._matrix = np.array(MATRICES.get(primaries, np.eye(3)), np.float32)
        self._back = np.linalg.inv(self._matrix)
        self._luminance = np.array(LUMINANCE.get(primaries, LUMINANCE_709), np.float32)
        self._light = self._light_of(np.linspace(0, 1, 256)).astype(np.float32)
        self._measure()

    def from_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """A row (n, 3) of colours of sRGB, 0..1, in numbers of this space."""
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ self._matrix.T
        linear = np.maximum(linear, 0)
        if self.transfer == PQ:
            power = (linear * WHITE / PQ_PEAK) ** _M1
            return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
        shown = linear * WHITE / HLG_PEAK
        luminance = np.maximum(shown @ self._luminance, 1e-9)[:, None]
        scene = shown * luminance ** (1 / GAMMA - 1)
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), _A * np.log(np.maximum(12 * scene - _B, 1e-9)) + _C)

    def to_srgb8(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) or (n, 3) uint8 of this space as sRGB."""
        result = np.empty_like(rgb)
        for top in range(0, len(rgb), STRIP):
            light = self._light[rgb[top : top + STRIP]]
            if self.transfer == HLG:
                light *= (light @ self._luminance)[..., None] ** np.float32(GAMMA - 1) * np.float32(HLG_PEAK / WHITE)
            place = np.sqrt(np.clip(light @ self._back.T, 0, 1)) * np.float32(STEPS - 1)
            result[top : top + STRIP] = _srgb_of_light()[np.rint(place).astype(np.uint16)]
        return result

    def _own_of(self, srgb: np.ndarray) -> np.ndarray:
        return 255 * self.from_srgb(srgb.astype(np.float64) / 255)

    def _light_of(self, signal: np.ndarray) -> np.ndarray:
        """Of HLG the scene's light, 0..1; of PQ that of the screen, in SDR's whites."""
        if self.transfer == PQ:
            power = signal ** (1 / _M2)
            return (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1) * PQ_PEAK / WHITE
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)


@lru_cache(maxsize=8)
def hdr_space(transfer: int, primaries: int) -> HdrSpace:
    """The space of these code points, made once."""
    return HdrSpace(transfer, primaries)


def ready_for_dye(picture: Picture) -> tuple[Picture, Space, str]:
    """As `colour_ready`, of HDR too."""
    if picture.hdr:
        return picture, hdr_space(picture.hdr.transfer, picture.hdr.primaries), ""
    return colour_ready(picture)


def shown_in_srgb8(picture: Picture) -> np.ndarray:
    """As `in_srgb8`, of HDR too."""
    picture, space, _ = ready_for_dye(picture)
    return space.to_srgb8(picture.rgb8)


@lru_cache(maxsize=1)
def _srgb_of_light() -> np.ndarray:
    """(STEPS,) uint8: sRGB's number of light whose square root is so many steps."""
    light = np.linspace(0, 1, STEPS) ** 2
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)
