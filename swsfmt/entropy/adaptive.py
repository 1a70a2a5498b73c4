"""The adaptive coder: the symbols of a matrix <-> bytes, with contexts (spec 5.6 and 6.6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from . import backend
from .adaptive_model import MAX_LINE, MAX_LINES, MAX_STRIDE, Model

__all__ = ["MAX_LINE", "MAX_LINES", "MAX_STRIDE", "Model", "Symbols", "decode", "encode"]

Symbols = npt.NDArray[np.uint16]


def encode(symbols: Symbols, model: Model) -> bytes:
    """The bytes of a matrix of symbols, shape (lines, length): neither is 0, and at most `MAX_LINES` of `MAX_LINE`."""
    lines, length = symbols.shape
    data = np.ascontiguousarray(symbols, np.uint16)
    return backend.kernels.adaptive_encode(data, lines, length, *_arguments(model))


def decode(data: bytes | memoryview, lines: int, length: int, model: Model) -> Symbols:
    """The symbols of a matrix, shape (lines, length). Raises `PayloadError` for bytes that `encode` does not write."""
    symbols = np.empty((lines, length), np.uint16)
    if not backend.kernels.adaptive_decode(data, symbols, lines, length, *_arguments(model)):
        raise PayloadError("the adaptive code does not end where its bytes end")
    return symbols


def _arguments(model: Model) -> tuple[int, int, int, int, bool, bool]:
    return model.stride, model.line_stride, *model.values, model.zeros, model.light
