"""Negative zeros: `weights * mask` and `round(weights / step) * step` make half of all zeros -0.0.

They are values of their own, and a sparse tensor must list them: such a file may be three times as large. By default
they are kept, as every bit is; the option `positive_zeros` stores 0.0 for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tensor import Elements, Loadable, TensorInfo

# Complex numbers are pairs of floats.
_COMPLEX = {"C32": "<u2", "C64": "<u4", "C128": "<u8"}


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
        kind = _COMPLEX.get(dtype.name) if dtype.negative_zero is None else dtype.bits
        if kind is None:
            return elements
        parts = elements.bits.view(kind)
        negative = parts == parts.dtype.type(1 << (8 * parts.itemsize - 1))
        if not negative.any():
            return elements
        return Elements(self.info, np.where(negative, parts.dtype.type(0), parts).view(elements.bits.dtype))
