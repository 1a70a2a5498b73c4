"""The form with classes of a tensor: its classes, tables, lanes and chunks."""

from __future__ import annotations

import numpy as np

from ...entropy import rans
from ...entropy.bits import varint_bytes
from ...entropy.frequencies import frequencies_of, levels_of
from ...entropy.logarithms import UNIT, log2
from ...entropy.protocol import Indices, Labels
from ...entropy.rans import MAX_ALPHABET, MAX_BITS
from ..base import Made, SymbolMatrix
from .params import LEAST, Model, Params, write
from .payload import encode

# Counts of elements have 32 bits.
_LONGEST_ROW = 1 << 31
# A lane takes three bytes of each chunk, and there are vectors for 32 of them: one for so many bytes of a chunk.
_BYTES_OF_LANE = 1 << 10
_MOST_LANES = 32
# A chunk has about so many bytes, but not more elements than that.
_CHUNK_BYTES, _CHUNK = 1 << 16, 1 << 20
# With many classes of columns tables of half the slots stay in the cache; what they may cost: 1 / 2**9.
_FEW_CLASSES = 2
_SHIFT = 9


def plan(matrix: SymbolMatrix, threads: int = 1) -> Made | None:
    """The form, its payload, and its size in bits, parameters and payload. None where it cannot pay."""
    symbols = matrix.symbols
    if matrix.codebook.count >= MAX_ALPHABET or symbols.size < LEAST or symbols.shape[1] >= _LONGEST_ROW:
        return None
    classes = matrix.classes(threads)
    counts = rans.counts(symbols, classes, matrix.codebook.count + 1, threads)
    levels = levels_of(counts)
    bits, size = MAX_BITS, _size(counts, levels, MAX_BITS)
    if classes.column_classes > _FEW_CLASSES:
        other = _size(counts, levels, MAX_BITS - 1)
        if other - size <= size >> _SHIFT:
            bits, size = MAX_BITS - 1, other
    chunks = max(1, min(max(size // _CHUNK_BYTES, symbols.size // _CHUNK), len(symbols)))
    lanes = min(size // chunks // _BYTES_OF_LANE, _MOST_LANES)
    params = Params(
        matrix.number,
        matrix.codebook,
        1 << max(0, lanes.bit_length() - 1),
        classes.row_classes,
        classes.column_classes,
        bits,
        -(-len(symbols) // chunks) if chunks > 1 else 0,
        Model(classes, levels),
    )
    payload = encode(params, symbols, threads)
    return Made(params, payload, 8 * (len(write(params)) + varint_bytes(len(payload)) + len(payload)))


def _size(counts: Indices, levels: Labels, bits: int) -> int:
    """Of all symbols with the frequencies of these levels, in bytes, about."""
    frequencies = frequencies_of(levels, bits).astype(np.int64)
    costs = counts * (bits * UNIT - log2(np.maximum(frequencies, 1)))
    return int(costs.sum()) // (8 * UNIT)
