"""About how many bits something takes, the same on every machine."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits
from ..entropy import planes

# Logarithms are in fractions of a bit, so that no machine comes to another sum.
_PARTS = 256
# Of fewer elements a sort takes less time than counts of all values that two bytes may have.
_SORTED = 1 << 12
# The logarithms of so many are kept.
_FEW = 1 << 16


def value_counts(bits: Bits) -> tuple[Bits, npt.NDArray[np.int64]]:
    """The distinct elements, ascending, and how often each occurs."""
    if bits.itemsize > 2 or len(bits) < _SORTED:
        return np.unique(bits, return_counts=True)
    (counts,) = planes.Counts(bits, rotated=False).of((8 * bits.itemsize,))
    values = np.flatnonzero(counts)
    return values.astype(bits.dtype), counts[values]


def entropy_bits(counts: npt.NDArray[np.int64]) -> int:
    """Of order 0, in bits, of symbols that occur so often; int64 of shape (alphabet,)."""
    total = int(counts.sum())
    if total < _FEW:
        table = _logarithms()
        return (total * int(table[total]) - int(counts @ table[counts])) // _PARTS
    used = counts[counts > 0]
    return (total * int(_log2(np.array([total]))[0]) - int(used @ _log2(used))) // _PARTS


def _log2(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """In parts of a bit."""
    bits: npt.NDArray[np.int64] = np.rint(_PARTS * np.log2(counts)).astype(np.int64)
    return bits


@cache
def _logarithms() -> npt.NDArray[np.int64]:
    """Of all counts of few elements; 0 for 0."""
    return np.append(0, _log2(np.arange(1, _FEW)))
