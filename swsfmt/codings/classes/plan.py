"""The form with classes of a tensor: its classes, tables, lanes and chunks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...entropy import rans
from ...entropy.bits import varint_bytes
from ...entropy.frequencies import levels_of
from ...entropy.rans import MAX_ALPHABET, MAX_BITS, Classes
from ..base import SymbolMatrix
from .clustering import find_classes
from .params import Model, Params, write
from .payload import encode

# Of fewer elements tables of frequencies are not smaller than a code table, and states of lanes come on top.
_LEAST = 1 << 12
# Counts of elements have 32 bits.
_LONGEST_ROW = 1 << 31
# A lane takes three bytes of each chunk, and there are vectors for 32 of them: one for so many elements.
_ELEMENTS_OF_LANE = 1 << 11
_MOST_LANES = 32
# Of more symbols many are rare, and a table of 2**11 slots has too few for them.
_SMALL_ALPHABET = 128
# A chunk has about so many elements, of tensors that have two of them.
_CHUNK = 1 << 17


def plan(matrix: SymbolMatrix, threads: int = 1) -> tuple[Params, bytes, int] | None:
    """The form, its payload, and its size in bits, parameters and payload. None where it cannot pay."""
    symbols = matrix.symbols
    if matrix.codebook.count >= MAX_ALPHABET or symbols.size < _LEAST or symbols.shape[1] >= _LONGEST_ROW:
        return None
    classes = find_classes(symbols, _magnitudes(matrix), threads)
    levels = levels_of(rans.counts(symbols, classes, matrix.codebook.count + 1, threads))
    lanes = 1 << max(0, min(symbols.size // _ELEMENTS_OF_LANE, _MOST_LANES).bit_length() - 1)
    params = Params(
        matrix.number,
        matrix.codebook,
        lanes,
        classes.row_classes,
        classes.column_classes,
        _bits(classes, matrix.codebook.count + 1),
        _chunk_rows(symbols.shape),
        Model(classes, levels),
    )
    payload = encode(params, symbols, threads)
    return params, payload, 8 * (len(write(params)) + varint_bytes(len(payload)) + len(payload))


def _chunk_rows(shape: tuple[int, ...]) -> int:
    """Rows of a chunk; 0 for a single chunk."""
    rows, columns = shape
    chunks = min(rows * columns // _CHUNK, rows)
    return -(-rows // chunks) if chunks > 1 else 0


def _bits(classes: Classes, alphabet: int) -> int:
    """Of frequencies: with many classes of columns and few symbols smaller tables, which stay in the cache."""
    return MAX_BITS - (classes.column_classes > 2 and alphabet <= _SMALL_ALPHABET)


def _magnitudes(matrix: SymbolMatrix) -> npt.NDArray[np.int64]:
    """Of each symbol: zero, then the number of each value among those of its sign."""
    values = matrix.codebook.values
    second = int(np.count_nonzero(values >> (8 * matrix.codebook.dtype.itemsize - 1)))
    first = len(values) - second
    return np.concatenate([np.arange(first + 1), np.arange(1, second + 1)])
