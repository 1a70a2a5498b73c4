"""Tables of frequencies in few bits: levels on a scale of four steps an octave, each foretold by its neighbours (spec
6.8).

Whatever the levels are, the frequencies have the sum that rANS needs: they are shares of it, cut by rule.
"""

from __future__ import annotations

import numpy as np

from . import backend
from .bits import BitReader, BitWriter
from .protocol import Indices, Labels, Symbols

LEVELS = 49

# The weight of each level: exact up to 8, then four levels for each factor of two. Level 0 is for unused symbols.
_WEIGHTS = np.array([u if u < 8 else (4 + u % 4) << (u // 4 - 1) for u in range(LEVELS)], np.int64)
# Twice what lies in the middle between the weights of levels 1, 2, 3 and so on.
_MIDDLES = _WEIGHTS[1:-1] + _WEIGHTS[2:]


def levels_of(counts: Indices) -> Labels:
    """The levels that come nearest to the shares of symbols. counts : (..., alphabet), each table with one above 0."""
    totals = counts.sum(axis=-1, keepdims=True)
    shares = 2 * _WEIGHTS[-1] * counts // totals
    levels: Labels = np.searchsorted(_MIDDLES, shares, side="right").astype(np.uint8) + np.uint8(1)
    levels[counts == 0] = 0
    return levels


def frequencies_of(levels: Labels, bits: int) -> Symbols:
    """Frequencies, uint16, of levels of shape (..., alphabet): 2**bits in each table, if a level is above 0."""
    weights, used = _WEIGHTS[levels], levels > 0
    ends, numbers = weights.cumsum(axis=-1), used.cumsum(axis=-1)
    bounds = numbers + ((1 << bits) - numbers[..., -1:]) * ends // np.maximum(ends[..., -1:], 1)
    frequencies: Symbols = np.diff(bounds, axis=-1, prepend=0).astype(np.uint16)
    return frequencies


def write_levels(writer: BitWriter, levels: Labels) -> None:
    """Append the levels of all tables, shape (row classes, column classes, alphabet): a gamma code of each."""
    up = np.zeros(levels.shape, np.int64)
    up[1:, 0], up[:, 1:] = levels[:-1, 0], levels[:, :-1]
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[..., 1:], corner[..., 1:] = levels[..., :-1], up[..., :-1]
    steps = levels - np.clip(left + up - corner, np.minimum(left, up), np.maximum(left, up))
    codes = np.where(steps > 0, 2 * steps, 1 - 2 * steps)
    blank = (left == 0) & (up == 0)
    codes[blank] = 1 + levels[blank]
    writer.flags(_gamma_flags(codes.reshape(-1)))


def _gamma_flags(numbers: Indices) -> Labels:
    """The bits of the gamma codes of numbers >= 1 (spec 6.2), one after the other."""
    zeros = np.frexp(numbers)[1] - 1
    words, lengths = 1 << zeros | (numbers - (1 << zeros)) << zeros + 1, 2 * zeros + 1
    starts = np.cumsum(lengths) - lengths
    flags = np.zeros(int(lengths.sum()), np.uint8)
    for bit in range(int(lengths.max())):
        longer = lengths > bit
        flags[starts[longer] + bit] = words[longer] >> bit & 1
    return flags


def read_frequencies(reader: BitReader, row_classes: int, column_classes: int, alphabet: int, width: int) -> Symbols:
    """What `frequencies_of` gives for the levels that `write_levels` wrote. width : of the sums, 2**width.

    Raises what the reader has for bits that do not hold them.
    """
    out = np.zeros((row_classes, column_classes, alphabet), np.uint16)
    flat, bits, numbers = out.reshape(-1), reader.bits, (row_classes, column_classes, width)
    end = backend.kernels.read_frequencies(bits, reader.position, len(bits), *numbers, flat)
    if end is None:
        # The twin knows why.
        from .twin.frequencies import tables

        tables(reader, *numbers, flat)
        raise AssertionError("kernels disagree on tables of frequencies")
    reader.position = end
    return out
