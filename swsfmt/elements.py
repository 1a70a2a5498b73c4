"""A tensor as the codec sees it: its dtype, its shape and its elements as unsigned integers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .codings.common import TensorInfo
from .dtypes import Bits
from .errors import InputError
from .limits import MAX_RANK


@dataclass(frozen=True, eq=False)
class Elements:
    """info : dtype and shape.

    bits : the elements in C order, flat, as `info.dtype.bits` (bytes where an element has 16).
    """

    info: TensorInfo
    bits: Bits

    @classmethod
    def of(cls, info: TensorInfo, bits: Bits) -> Elements:
        """Elements that a writer may store: true is 1. Raises `InputError` for a shape that the format has not."""
        if len(info.shape) > MAX_RANK:
            raise InputError(f"rank {len(info.shape)} is above {MAX_RANK}")
        if math.prod(d for d in info.shape if d) * info.dtype.itemsize >= 1 << 63:
            raise InputError(f"shape {info.shape} is too large to address")
        return cls(info, (bits != 0).astype("u1") if info.dtype.name == "BOOL" else bits)


@dataclass(frozen=True)
class Tied:
    """A tensor that is the one called `to`: same memory."""

    to: str
