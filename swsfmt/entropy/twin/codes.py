"""The cheapest code of some symbols, its table counted too (spec 6.3, 6.4)."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ..bits import gamma_bits
from ..protocol import KRAFT_ONE, MAX_LENGTH, Indices, Table
from .lengths import code_lengths

# Bits of the token of a used symbol, by how far its length is from the one before it: 0, 1, more.
_STEP_BITS = np.array([1, 3, 7])
# Bits of the token of so many unused symbols.
_HOLE_BITS = np.array([0] + [3 + gamma_bits(hole) for hole in range(1, KRAFT_ONE)])


def cheapest_code(counts: Indices, windows: bytes) -> tuple[npt.NDArray[np.uint8], int, int]:
    used = np.flatnonzero(counts)
    if len(used) == 1:
        return np.zeros(len(counts), np.uint8), int(used[0]), 1 + (len(counts) - 1).bit_length()
    best, least = _measured(counts, counts)
    for window in windows:
        smooth = _smoothed(counts, window)
        if np.count_nonzero(smooth) < 2:
            continue
        lengths, size = _measured(smooth, counts)
        if size < least:
            best, least = lengths, size
    return best, -1, least


def cheapest_table(counts: Indices, tables: list[Table]) -> tuple[int, int] | None:
    sizes = []
    for which, (of_symbols, single, reference) in enumerate(tables):
        if len(of_symbols) != len(counts):
            continue
        lengths = np.frombuffer(of_symbols, np.uint8)
        missing = lengths == 0
        if single >= 0:
            missing[single] = False
        if not counts[missing].any():
            sizes.append((reference + int((counts * lengths).sum()), which))
    if not sizes:
        return None
    size, which = min(sizes)
    return which, size


def _measured(given: Indices, counts: Indices) -> tuple[npt.NDArray[np.uint8], int]:
    """The optimal lengths of the given counts, and the size of the stream with these counts, its table included."""
    used = np.flatnonzero(given)
    order = used[np.argsort(given[used], kind="stable")]
    lengths = np.zeros(len(given), np.uint8)
    lengths[order] = code_lengths(given[order], MAX_LENGTH)
    return lengths, _table_bits(lengths) + int((counts * lengths).sum())


def _table_bits(lengths: npt.NDArray[np.uint8]) -> int:
    used = np.flatnonzero(lengths)
    of_used = lengths[used].astype(np.int64)
    steps = np.abs(of_used[1:] - of_used[:-1])
    holes = used[1:] - used[:-1] - 1
    tokens = _STEP_BITS[np.minimum(steps, 2)].sum() + _HOLE_BITS[holes].sum() + _HOLE_BITS[used[0]]
    return 1 + 4 + 1 + int(tokens)


def _smoothed(counts: Indices, window: int) -> Indices:
    """Moving average of the counts, window growing with the symbol; the last symbol (the skip) keeps its own."""
    low, high = _bounds(len(counts) - 1, window)
    total = np.concatenate([[0], np.cumsum(counts)])
    smooth = counts * 256
    smooth[:-1] = np.maximum((total[high] - total[low]) * 256 // (high - low), counts[:-1] > 0)
    return smooth


@cache
def _bounds(count: int, window: int) -> tuple[Indices, Indices]:
    """Where the window of each of `count` symbols begins and ends."""
    index = np.arange(count)
    half = index * window // 64
    return np.maximum(index - half, 0), np.minimum(index + half + 1, count)
