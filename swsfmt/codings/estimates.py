"""About how many bits something takes, the same on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits
from ..entropy import planes

# Logarithms are in fractions of a bit, so that no machine comes to another sum.
_PARTS = 256


def value_counts(bits: Bits) -> tuple[Bits, npt.NDArray[np.int64]]:
    """The distinct elements, ascending, and how often each occurs."""
    if bits.itemsize > 2:
        return np.unique(bits, return_counts=True)
    (counts,) = planes.Counts(bits, rotated=False).of((8 * bits.itemsize,))
    values = np.flatnonzero(counts)
    return values.astype(bits.dtype), counts[values]


def entropy_bits(counts: npt.NDArray[np.int64]) -> int:
    """Of order 0, in bits, of symbols that occur so often; int64 of shape (alphabet,)."""
    used = counts[counts > 0]
    total = int(used.sum())
    logarithms = np.rint(_PARTS * np.log2(np.append(used, total))).astype(np.int64)
    return (total * int(logarithms[-1]) - int(used @ logarithms[:-1])) // _PARTS
