"""The dtypes of the registry, and which of them may store a value of another exactly (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .cached import cached_property
from .errors import ChangedError, PayloadError

Bits = npt.NDArray[np.unsignedinteger]

# Elements that are looked at first, and those that are converted at a time.
_FIRST = 256
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class DType:
    """One row of spec/registry.md; there is one object for each.

    `itemsize` is in bytes. `kind` is "float", "signed", "unsigned" or "other"; only the first three can be narrowed.
    """

    id: int
    name: str
    itemsize: int
    kind: str = field(default="other", repr=False)

    @cached_property
    def bits(self) -> np.dtype[np.unsignedinteger]:
        """The NumPy dtype that holds an element as an unsigned integer (bytes for 16-byte elements)."""
        return np.dtype(f"<u{self.itemsize}") if self.itemsize <= 8 else np.dtype("u1")

    @cached_property
    def numbers(self) -> np.dtype[Any]:
        """The NumPy dtype of the numbers that the elements are, for the kinds that can be narrowed; BF16 has none."""
        return np.dtype(f"<{self.kind[0].replace('s', 'i')}{self.itemsize}")

    @cached_property
    def negative_zero(self) -> int | None:
        """The bits of -0.0; None where there is no such value, as in some of eight bits, whose pattern is NaN there."""
        signed = self.kind == "float" or self.name in ("F8_E4M3", "F8_E5M2")
        return 1 << (8 * self.itemsize - 1) if signed else None

    def __reduce__(self) -> tuple[Callable[[int], DType], tuple[int]]:
        return _of_id, (self.id,)


_TABLE = [
    DType(0, "BOOL", 1),
    DType(1, "U8", 1, "unsigned"),
    DType(2, "I8", 1, "signed"),
    DType(3, "U16", 2, "unsigned"),
    DType(4, "I16", 2, "signed"),
    DType(5, "U32", 4, "unsigned"),
    DType(6, "I32", 4, "signed"),
    DType(7, "U64", 8, "unsigned"),
    DType(8, "I64", 8, "signed"),
    DType(9, "F16", 2, "float"),
    DType(10, "BF16", 2, "float"),
    DType(11, "F32", 4, "float"),
    DType(12, "F64", 8, "float"),
    DType(13, "C64", 8),
    DType(14, "C128", 16),
    DType(15, "C32", 4),
    DType(16, "F8_E4M3", 1),
    DType(17, "F8_E5M2", 1),
    DType(18, "F8_E4M3FNUZ", 1),
    DType(19, "F8_E5M2FNUZ", 1),
    DType(20, "F8_E8M0", 1),
    DType(21, "F4_X2", 1),
]
BY_ID = {d.id: d for d in _TABLE}
BY_NAME = {d.name: d for d in _TABLE}


def _of_id(number: int) -> DType:
    return BY_ID[number]


F32 = BY_NAME["F32"]

_FLOAT_STORAGE = {"F32": ("F16", "BF16"), "F64": ("F16", "BF16", "F32")}
# The lowest bits of an element: zero in all that a narrower type holds. One look at them spares most tensors the rest.
_FINEST_BITS = {"F32": (1 << 13) - 1, "F64": (1 << 29) - 1}


@cache
def narrower(dtype: DType) -> tuple[DType, ...]:
    """The storage types that are allowed for `dtype` besides itself, narrowest first."""
    if dtype.name in _FLOAT_STORAGE:
        return tuple(BY_NAME[name] for name in _FLOAT_STORAGE[dtype.name])
    kinds = {"signed": ("signed", "unsigned"), "unsigned": ("unsigned",)}.get(dtype.kind, ())
    candidates = [d for d in _TABLE if d.kind in kinds and d.itemsize < dtype.itemsize]
    return tuple(sorted(candidates, key=lambda d: d.itemsize))


def count_negative_zeros(bits: Bits, dtype: DType, values: Bits) -> int:
    """How many elements of a tensor are -0.0. values : its distinct elements but 0.0, ascending."""
    zero = dtype.negative_zero
    # Most tensors have no value with a sign, or none at all.
    if zero is None or not len(values) or values[-1] < zero:
        return 0
    pattern = dtype.bits.type(zero)
    place = values.searchsorted(pattern)
    return int(np.count_nonzero(bits == pattern)) if values[place] == pattern else 0


def _as_numbers(bits: Bits, dtype: DType) -> npt.NDArray[np.generic]:
    """Reinterpret; BF16 becomes float32, which holds it exactly."""
    if dtype.name == "BF16":
        return (bits.astype("<u4") << np.uint32(16)).astype("<u4", copy=False).view("<f4")
    return bits.view(dtype.numbers)


def widen(stored: Bits, storage: DType, dtype: DType) -> Bits:
    """Elements of `dtype` from elements of the narrower `storage`, both as unsigned integers.

    Raises `PayloadError` for a NaN in narrowed storage, which the format forbids.
    """
    if storage is dtype or storage == dtype:
        return stored
    numbers = _as_numbers(stored, storage)
    if storage.kind == "float" and bool(np.isnan(numbers).any()):
        raise PayloadError("NaN in narrowed storage")
    return _widen(numbers, dtype)


def _widen(numbers: npt.NDArray[Any], dtype: DType) -> Bits:
    """Numbers of a narrower type as elements of `dtype`."""
    wide = numbers.astype(dtype.numbers)
    if dtype.name == "F64" and numbers.dtype.itemsize == 4:
        _restore_subnormals(numbers.view("<u4"), wide)
    return wide.view(dtype.bits)


def _restore_subnormals(single: npt.NDArray[np.uint32], double: npt.NDArray[np.float64]) -> None:
    """A processor may be set to take subnormal floats for zero (torch.set_flush_denormal); the file must not change."""
    mantissa = single & np.uint32(0x007FFFFF)
    subnormal = ((single & np.uint32(0x7F800000)) == 0) & (mantissa != 0)
    if subnormal.any():
        sign = np.where(single[subnormal] >> np.uint32(31), -1.0, 1.0)
        double[subnormal] = sign * mantissa[subnormal].astype(np.float64) * 2.0**-149


def _narrow(bits: Bits, dtype: DType, storage: DType) -> Bits | None:
    """`bits` in `storage`, or None if that is not exact for every element."""
    numbers = _as_numbers(bits, dtype)
    if dtype.kind == "float" and bool(np.isnan(numbers).any()):
        return None
    with np.errstate(over="ignore", under="ignore"):
        if storage.name == "BF16":
            single = numbers.astype("<f4").view("<u4")
            stored: Bits = (single >> np.uint32(16)).astype("<u2")
        else:
            stored = numbers.astype(storage.numbers).view(storage.bits)
    return stored if bool((_widen(_as_numbers(stored, storage), dtype) == bits).all()) else None


def _blocks(bits: Bits) -> Iterator[Bits]:
    """All of `bits`; first a few, which spare most tensors the look at the rest, then blocks, to save memory."""
    yield bits[:_FIRST]
    for start in range(_FIRST, len(bits), _BLOCK):
        yield bits[start : start + _BLOCK]


def storage_for(bits: Bits, dtype: DType) -> DType:
    """The narrowest storage type that is exact for all of `bits`; `dtype` itself where no other is."""
    if _has_fine_bits(bits, dtype):
        return dtype
    for storage in narrower(dtype):
        if all(_narrow(block, dtype, storage) is not None for block in _blocks(bits)):
            return storage
    return dtype


def _has_fine_bits(bits: Bits, dtype: DType) -> bool:
    """Whether one of the first elements has a bit that no narrower type has."""
    finest = _FINEST_BITS.get(dtype.name, 0)
    return finest > 0 and int(np.bitwise_or.reduce(bits[:_FIRST])) & finest > 0


def narrowed(bits: Bits, dtype: DType, storage: DType) -> Iterator[Bits]:
    """`bits` in `storage`, block by block, each in memory of its own: one reading of elements that may change.

    Raises `ChangedError` where `storage` is not exact for one, as it was when it was chosen.
    """
    if storage == dtype:
        yield from (bits[start : start + _BLOCK].copy() for start in range(0, len(bits), _BLOCK))
        return
    for block in _blocks(bits):
        stored = _narrow(block.copy(), dtype, storage)
        if stored is None:
            raise ChangedError
        yield stored


def narrowest(bits: Bits, dtype: DType) -> tuple[DType, Bits]:
    """The narrowest storage type that is exact for all of `bits`, and the elements in it."""
    if len(bits) <= _FIRST:
        # As most codebooks are: what is tried is what is wanted.
        for storage in () if _has_fine_bits(bits, dtype) else narrower(dtype):
            stored = _narrow(bits, dtype, storage)
            if stored is not None:
                return storage, stored.astype(storage.bits, copy=False)
        return dtype, bits
    storage = storage_for(bits, dtype)
    if storage == dtype:
        return storage, bits
    # On a big-endian machine NumPy gives what it makes anew the order of the machine.
    return storage, np.concatenate(list(narrowed(bits, dtype, storage))).astype(storage.bits, copy=False)
