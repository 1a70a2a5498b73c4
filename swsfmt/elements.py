"""A tensor as the codec sees it: its dtype, its shape and its elements as unsigned integers."""

from __future__ import annotations

from dataclasses import dataclass

from .codings.common import TensorInfo
from .dtypes import Bits


@dataclass(frozen=True, eq=False)
class Elements:
    """info : dtype and shape.

    bits : the elements in C order, flat, as `info.dtype.bits` (bytes where an element has 16).
    """

    info: TensorInfo
    bits: Bits


@dataclass(frozen=True)
class Tied:
    """A tensor that is the one called `to`: same memory."""

    to: str
