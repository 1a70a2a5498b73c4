"""Negative zeros: `weights * mask` and `round(weights / step) * step` make half of all zeros -0.0.

They are values of their own, and a sparse tensor must list them: such a file may be three times as large. By default
they are kept, as every bit is; the option `positive_zeros` stores 0.0 for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dtypes import Bits, DType
from ..tensor import Elements, Loadable, TensorInfo

# Floats whose sign is their first bit; where a float8 type has no negative zero that pattern is NaN.
_FLOATS = ("F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2")
# Complex numbers are pairs of floats.
_COMPLEX = {"C32": "<u2", "C64": "<u4", "C128": "<u8"}


def negative_zero(dtype: DType) -> int | None:
    """The bits of -0.0, or None for a dtype without it. Complex numbers have no single one: None."""
    return 1 << (8 * dtype.itemsize - 1) if dtype.name in _FLOATS else None


def count_negative_zeros(elements: Elements, values: Bits) -> int:
    """How many elements of a tensor are -0.0. values : its distinct elements but 0.0, ascending."""
    zero = negative_zero(elements.info.dtype)
    if zero is None:
        return 0
    pattern = elements.bits.dtype.type(zero)
    place = int(np.searchsorted(values, pattern))
    if place == len(values) or values[place] != pattern:
        return 0
    return int(np.count_nonzero(elements.bits == pattern))


@dataclass(frozen=True, eq=False)
class PositiveZeros:
    """A tensor with 0.0 in place of -0.0, in the real and the imaginary part of complex numbers alike."""

    tensor: Loadable

    @property
    def info(self) -> TensorInfo:
        return self.tensor.info

    def load(self) -> Elements:
        elements = self.tensor.load()
        dtype = self.info.dtype
        kind = dtype.bits if dtype.name in _FLOATS else _COMPLEX.get(dtype.name)
        if kind is None:
            return elements
        parts = elements.bits.view(kind)
        negative = parts == parts.dtype.type(1 << (8 * parts.itemsize - 1))
        if not negative.any():
            return elements
        return Elements(self.info, np.where(negative, parts.dtype.type(0), parts).view(elements.bits.dtype))
