"""Colour profiles as cameras and programs embed them, made from their published figures.

A matrix profile of ICC version 2 (ICC.1:2001-04): primaries adapted to D50 (Bradford), and one curve for all channels.
"""

import struct

import numpy as np

from ombre.colour.ramps import encoded, linear

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65_XY, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB_CURVE = 2.4  # stands for sRGB's own curve, which is no power
SPACES = {
    "sRGB": (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65_XY, SRGB_CURVE),
    "Display P3": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65_XY, SRGB_CURVE),
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65_XY, 563 / 256),
    "ProPhoto": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), D50_XY, 1.8),
}


def rgb_profile(name: str) -> bytes:
    """The profile of one of SPACES."""
    tags = {key: _xyz_tag(column) for key, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _matrix(name).T)}
    tags |= {key: _curve_tag(SPACES[name][2]) for key in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"RGB ", name, tags)


def converted(rgb: np.ndarray, source: str, target: str) -> np.ndarray:
    """(..., 3) numbers 0..1 of one of SPACES in another, unrounded; what lies outside of it is cut off."""
    light = _light(rgb, SPACES[source][2]) @ np.linalg.solve(_matrix(target), _matrix(source)).T
    light, curve = np.clip(light, 0, 1), SPACES[target][2]
    return encoded(light) if curve == SRGB_CURVE else light ** (1 / curve)


def grey_profile(gamma: float) -> bytes:
    """A profile of one channel, whose numbers are light to the power of 1 / gamma."""
    return _profile(b"GRAY", f"grey, gamma {gamma:g}", {b"kTRC": _curve_tag(gamma)})


def _matrix(name: str) -> np.ndarray:
    """(3, 3) from a space's light to XYZ, white being D50."""
    primaries, white, _ = SPACES[name]
    columns = np.array([_xyz(place) for place in primaries]).T
    columns = columns * np.linalg.solve(columns, _xyz(white))
    return np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / (BRADFORD @ _xyz(white))) @ BRADFORD @ columns


def _light(numbers: np.ndarray, curve: float) -> np.ndarray:
    return linear(numbers) if curve == SRGB_CURVE else numbers**curve


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    text = name.encode("ascii")
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 78)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz_tag(D50), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(data), 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(D50) + bytes(48)
    return head + table + data


def _xyz(place: tuple[float, float]) -> np.ndarray:
    x, y = place
    return np.array([x / y, 1, (1 - x - y) / y])


def _fixed(values: np.ndarray) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def _xyz_tag(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _curve_tag(gamma: float) -> bytes:
    if gamma != SRGB_CURVE:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma))
    light = linear(np.linspace(0, 1, 1024))
    return b"curv\0\0\0\0" + struct.pack(">I", len(light)) + np.rint(65535 * light).astype(">u2").tobytes()
