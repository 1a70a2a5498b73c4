"""The adaptive coder: the symbols of a matrix <-> bytes, with contexts (spec 5.6 and 6.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from ..parallel import in_parallel
from . import backend, logarithms
from .adaptive_model import MAX_LINE, MAX_LINES, MAX_STRIDE, Model, Pairs
from .arrays import Elements, Symbols
from .kernels import in_parts

__all__ = [
    "MAX_LINE",
    "MAX_LINES",
    "MAX_STRIDE",
    "Code",
    "Model",
    "Pairs",
    "Symbols",
    "decode",
    "decode_elements",
    "encode",
    "encode_each",
]

# What a symbol takes where the twin is at work, in microseconds.
_TWIN = 50


def encode(symbols: Symbols, model: Model) -> bytes:
    """The bytes of a matrix of symbols, shape (lines, length): neither is 0, and at most `MAX_LINES` of `MAX_LINE`."""
    backend.warn_if_slow(_TWIN * symbols.size)
    return _encode(symbols, model)[0]


class Code(NamedTuple):
    """cost : bits that the decisions take, in units of the logarithms. to_bytes : makes what `encode` gives."""

    cost: int
    to_bytes: Callable[[], bytes]


def encode_each(matrices: Sequence[Symbols], models: Sequence[Model], threads: int = 1) -> list[Code]:
    """`encode` for each of them, in threads. They are to be compared by their costs: not all need be made bytes."""
    backend.warn_if_slow(_TWIN * sum(matrix.size for matrix in matrices))
    if backend.active() == backend.BITARRAY:
        from .twin import adaptive_together

        if max(matrix.size for matrix in matrices) <= adaptive_together.MOST:
            together = adaptive_together.encode_all(matrices, models)
            return [Code(code.cost, code.to_bytes) for code in together]

    def encode_one(symbols: Symbols, model: Model) -> Code:
        code, cost = _encode(symbols, model)
        return Code(cost, lambda: code)

    return in_parallel(encode_one, matrices, models, threads=threads)


def _encode(symbols: Symbols, model: Model) -> tuple[bytes, int]:
    lines, length = symbols.shape
    data = np.ascontiguousarray(symbols, np.uint16)
    return backend.kernels.adaptive_encode(data, logarithms.TABLE, lines, length, *_arguments(model))


def decode(data: bytes | memoryview, lines: int, length: int, model: Model) -> Symbols:
    """The symbols of a matrix, shape (lines, length). Raises `PayloadError` for bytes that `encode` does not write."""
    symbols = np.zeros(lines * length, np.uint16)
    whole, values = np.array([0, len(data)]), np.arange(sum(model.values) + 1, dtype=np.uint16)
    decode_elements(data, whole, lines, values, symbols, lines, length, (length, 1), model)
    return symbols.reshape(lines, length)


def decode_elements(
    data: bytes | memoryview,
    starts: npt.NDArray[np.int64],
    chunk: int,
    values: Elements,
    out: Elements,
    lines: int,
    length: int,
    steps: tuple[int, int],
    model: Model,
    threads: int = 1,
) -> None:
    """Decode a matrix of `lines` x `length` symbols straight into elements, chunk by chunk.

    starts : ascending, the byte where the code of each `chunk` lines starts, and where the last one ends
    values : the element of each symbol, the first one zero
    out : zeros, flat, of the dtype of `values`; the element at line l and place p is number l * steps[0] + p * steps[1]
    Raises `PayloadError` for bytes that `encode` does not write; then `out` may hold anything.
    """
    backend.warn_if_slow(_TWIN * lines * length)
    kernels, arguments = backend.kernels, (*steps, lines, length, *_arguments(model))

    def part(first: int, last: int) -> int:
        return kernels.adaptive_decode(data, starts, chunk, first, last, values, out, *arguments)

    if any(bad >= 0 for bad in in_parts(part, len(starts) - 1, threads, 1)):
        raise PayloadError("the adaptive code is not the one that an encoder writes")


def _arguments(model: Model) -> tuple[int, int, int, int, bool, bool, bytes, bytes, int]:
    pairs = model.pairs or (b"", b"", 0)
    return model.stride, model.line_stride, *model.values, model.zeros, model.light, *pairs
