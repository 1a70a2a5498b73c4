"""A tensor as the codec sees it: its dtype, its shape and its elements as unsigned integers, here or to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .dtypes import Bits, DType
from .errors import InputError
from .limits import MAX_RANK

_MAX_BYTES = 1 << 63


class TensorInfo(NamedTuple):
    """dtype and shape of a tensor."""

    dtype: DType
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def is_addressable(self) -> bool:
        """Whether a dimension of 0 is all that keeps it below 2**63 bytes, or nothing has to (spec section 4)."""
        numel = math.prod(self.shape) or math.prod(filter(None, self.shape))
        return numel * self.dtype.itemsize < _MAX_BYTES

    @property
    def nbytes(self) -> int:
        """Decoded size in bytes."""
        return self.numel * self.dtype.itemsize


def check_shape(info: TensorInfo) -> None:
    """Raise `InputError` for a shape that the format has not."""
    if len(info.shape) > MAX_RANK:
        raise InputError(f"rank {len(info.shape)} is above {MAX_RANK}")
    if not info.is_addressable:
        raise InputError(f"shape {info.shape} is too large to address")


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
        check_shape(info)
        return cls(info, (bits != 0).astype("u1") if info.dtype.name == "BOOL" else bits)

    def load(self) -> Elements:
        """These elements; what is `Loadable` need not be in memory."""
        return self


class Loadable(Protocol):
    """A tensor that can be read, again and again, always the same. A writer asks for it up to four times, and lets go.

    Where an executor of other processes is to encode it, it is pickled, and read there.
    """

    @property
    def info(self) -> TensorInfo: ...

    def load(self) -> Elements:
        """Its elements."""


@dataclass(frozen=True)
class Tied:
    """A tensor that is the one called `to`: same memory."""

    to: str
