"""A setting that lets PyTorch run the network at twice the speed on some processors, in float32 as before."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn.functional import linear

PROBE = (196, 512, 1536)  # rows, inner and columns of a matrix product such as the backbone is made of
ROUNDING = 1e-5  # relative; float32 errs by 4e-7 there, bfloat16 and TF32 by 3e-4 and more


@contextmanager
def float32_by_onednn() -> Iterator[None]:
    """Within, oneDNN multiplies float32 matrices, where it does so in float32.

    PyTorch's default is MKL, which leaves AVX-512 unused on other makers' processors and takes twice the time there.
    The one switch that moves the products to oneDNN allows it bfloat16 inside, which it takes only where the
    processor has matrix units (AMX). So it is tried out, and left alone where it costs digits.
    """
    with onednn(onednn_is_exact()):
        yield


@cache
def onednn_is_exact() -> bool:
    """Whether float32 products keep their digits in oneDNN's bfloat16 mode on this processor."""
    rows, inner, columns = PROBE
    random = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, inner, generator=random) for n in (rows, columns))
    exact = linear(x.double(), weight.double())
    with onednn(True):
        return bool((linear(x, weight) - exact).norm() < ROUNDING * exact.norm())


@contextmanager
def onednn(on: bool) -> Iterator[None]:
    """Matrix products in oneDNN's bfloat16 mode meanwhile, if `on`."""
    backend: Any = torch.backends.mkldnn  # makes its settings when it is imported
    setting = backend.matmul
    before = setting.fp32_precision
    if on:
        setting.fp32_precision = "bf16"
    try:
        yield
    finally:
        setting.fp32_precision = before
