"""Logarithms in integers, equal on every machine: for sizes that are estimated where a choice depends on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UNIT = 4096
"""A bit, in units of the logarithms."""

TABLE = np.rint(np.log2(1 + np.arange(256) / 256) * UNIT).astype(np.int64)
"""log2 of 1 + i / 256. No value is so near to the middle between two integers that machines could round it apart."""
TABLE.setflags(write=False)


def log2(n: npt.NDArray[np.int64], table: npt.NDArray[np.int64] = TABLE) -> npt.NDArray[np.int64]:
    """Of n >= 1, from its leading 9 bits."""
    # Below 2**53 exact as a float64, which begins with the exponent and those bits.
    words = n.astype(np.float64).view(np.int64)
    result: npt.NDArray[np.int64] = UNIT * ((words >> 52) - 1023) + table[words >> 44 & 255]
    return result
