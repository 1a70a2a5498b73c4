"""The adaptive coder: the symbols of a matrix <-> bytes, with contexts (spec 5.6 and 6.6).

It has an implementation in C (`_adaptive_native.c`) and one in Python (`_adaptive_fallback.py`) that is meant to be
read, with the same results. `SWS_KERNELS` chooses, as for the other kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from . import _adaptive_fallback
from .native import load

Symbols = npt.NDArray[np.uint16]

MAX_LINE = 1 << 22
MAX_LINES = 1 << 31
MAX_STRIDE = 1 << 16

_native: Any = load("swsfmt.entropy._adaptive_native")


def active() -> str:
    """Which implementation runs: "native" or "python"."""
    return "python" if _native is None else "native"


@dataclass(frozen=True)
class Model:
    """How a matrix of symbols is coded.

    stride : columns j and j - stride are taken for neighbours too, within a line
    line_stride : the same for lines
    values : number of symbols of the first sign, 1 to values[0], and of the second, the ones that follow
    zeros : whether symbol 0 may occur
    light : the smaller set of contexts, which is faster
    """

    stride: int
    line_stride: int
    values: tuple[int, int]
    zeros: bool = True
    light: bool = False


def encode(symbols: Symbols, model: Model) -> bytes:
    """The bytes of a matrix of symbols, shape (lines, length): neither is 0, and at most `MAX_LINES` of `MAX_LINE`."""
    if _native is None:
        return _adaptive_fallback.encode(symbols.tolist(), model)
    lines, length = symbols.shape
    found: bytes = _native.encode(np.ascontiguousarray(symbols), lines, length, *_arguments(model))
    return found


def decode(data: bytes | memoryview, lines: int, length: int, model: Model) -> Symbols:
    """The symbols of a matrix, shape (lines, length). Raises `PayloadError` for bytes that `encode` does not write."""
    if _native is None:
        rows, right = _adaptive_fallback.decode(bytes(data), lines, length, model)
        symbols = np.array(rows, np.uint16)
    else:
        symbols = np.empty((lines, length), np.uint16)
        right = _native.decode(data, symbols, lines, length, *_arguments(model))
    if not right:
        raise PayloadError("the adaptive code does not end where its bytes end")
    return symbols


def _arguments(model: Model) -> tuple[int, int, int, int, bool, bool]:
    return model.stride, model.line_stride, *model.values, model.zeros, model.light
