"""The dtypes of the registry, and which of them may store a value of another exactly (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .errors import PayloadError

Bits = npt.NDArray[np.unsignedinteger]

# Elements that are looked at first, and those that are converted at a time.
_FIRST = 256
_BLOCK = 1 << 20


@dataclass(frozen=True)
class DType:
    """One row of spec/registry.md.

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
F32 = BY_NAME["F32"]

_FLOAT_STORAGE = {"F32": ("F16", "BF16"), "F64": ("F16", "BF16", "F32")}
# The lowest bits of an element: zero in all that a narrower type holds. One look at them spares most tensors the rest.
_FINEST_BITS = {"F32": (1 << 13) - 1, "F64": (1 << 29) - 1}


def narrower(dtype: DType) -> list[DType]:
    """The storage types that are allowed for `dtype` besides itself, narrowest first."""
    if dtype.name in _FLOAT_STORAGE:
        return [BY_NAME[name] for name in _FLOAT_STORAGE[dtype.name]]
    kinds = {"signed": ("signed", "unsigned"), "unsigned": ("unsigned",)}.get(dtype.kind, ())
    candidates = [d for d in _TABLE if d.kind in kinds and d.itemsize < dtype.itemsize]
    return sorted(candidates, key=lambda d: d.itemsize)


def _as_numbers(bits: Bits, dtype: DType) -> npt.NDArray[np.generic]:
    """Reinterpret; BF16 becomes float32, which holds it exactly."""
    if dtype.name == "BF16":
        return (bits.astype("<u4") << np.uint32(16)).astype("<u4", copy=False).view("<f4")
    letter = {"float": "f", "signed": "i", "unsigned": "u"}[dtype.kind]
    return bits.view(f"<{letter}{dtype.itemsize}")


def widen(stored: Bits, storage: DType, dtype: DType) -> Bits:
    """Elements of `dtype` from elements of the narrower `storage`, both as unsigned integers.

    Raises `PayloadError` for a NaN in narrowed storage, which the format forbids.
    """
    if storage is dtype or storage == dtype:
        return stored
    numbers = _as_numbers(stored, storage)
    if storage.kind == "float" and bool(np.isnan(numbers).any()):
        raise PayloadError("NaN in narrowed storage")
    letter = {"float": "f", "signed": "i", "unsigned": "u"}[dtype.kind]
    wide = numbers.astype(f"<{letter}{dtype.itemsize}")
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
            letter = {"float": "f", "signed": "i", "unsigned": "u"}[storage.kind]
            stored = numbers.astype(f"<{letter}{storage.itemsize}").view(storage.bits)
    return stored if np.array_equal(widen(stored, storage, dtype), bits) else None


def _blocks(bits: Bits) -> Iterator[Bits]:
    """All of `bits`; first a few, which spare most tensors the look at the rest, then blocks, to save memory."""
    yield bits[:_FIRST]
    for start in range(_FIRST, len(bits), _BLOCK):
        yield bits[start : start + _BLOCK]


def storage_for(bits: Bits, dtype: DType) -> DType:
    """The narrowest storage type that is exact for all of `bits`; `dtype` itself where no other is."""
    if dtype.name in _FINEST_BITS and bool((bits[:_FIRST] & dtype.bits.type(_FINEST_BITS[dtype.name])).any()):
        return dtype
    for storage in narrower(dtype):
        if all(_narrow(block, dtype, storage) is not None for block in _blocks(bits)):
            return storage
    return dtype


def narrowed(bits: Bits, dtype: DType, storage: DType) -> Iterator[Bits]:
    """`bits` in `storage`, for which they must be exact, block by block."""
    if storage == dtype:
        yield bits
        return
    for block in _blocks(bits):
        stored = _narrow(block, dtype, storage)
        if stored is None:
            raise ValueError(f"an element is not exact in {storage.name}")
        yield stored


def narrowest(bits: Bits, dtype: DType) -> tuple[DType, Bits]:
    """The narrowest storage type that is exact for all of `bits`, and the elements in it."""
    storage = storage_for(bits, dtype)
    if storage == dtype:
        return storage, bits
    # On a big-endian machine NumPy gives what it makes anew the order of the machine.
    return storage, np.concatenate(list(narrowed(bits, dtype, storage))).astype(storage.bits, copy=False)
