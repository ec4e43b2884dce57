"""The difference that people see between two colours: CIEDE2000.

Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
mathematical observations", 2005; the names are theirs.
"""

import numpy as np


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., 3) CIE L*a*b* each -> (...) dE2000; 1 is just visible."""
    (L1, a1, b1), (L2, a2, b2) = (np.moveaxis(np.asarray(lab, float), -1, 0) for lab in (first, second))
    chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma7 / (chroma7 + 25.0**7))
    C1, C2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    coloured = C1 * C2 > 0
    dh = np.where(coloured, (h2 - h1 + 180) % 360 - 180, 0)
    h = np.where(coloured, (h1 + dh / 2) % 360, h1 + h2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    T = 1 - 0.17 * _cos(h - 30) + 0.24 * _cos(2 * h) + 0.32 * _cos(3 * h + 6) - 0.20 * _cos(4 * h - 63)
    S_L = 1 + 0.015 * (L - 50) ** 2 / np.sqrt(20 + (L - 50) ** 2)
    S_C, S_H = 1 + 0.045 * C, 1 + 0.015 * C * T
    turn = np.radians(60 * np.exp(-(((h - 275) / 25) ** 2)))
    R_T = -2 * np.sqrt(C**7 / (C**7 + 25.0**7)) * np.sin(turn)
    dC, dH = (C2 - C1) / S_C, 2 * np.sqrt(C1 * C2) * np.sin(np.radians(dh / 2)) / S_H
    return np.sqrt(((L2 - L1) / S_L) ** 2 + dC**2 + dH**2 + R_T * dC * dH)


def _cos(degrees: np.ndarray) -> np.ndarray:
    return np.cos(np.radians(degrees))
