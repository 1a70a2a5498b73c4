"""Codebooks: the distinct values of tensors, zero first and for free (spec section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import dtypes
from ..cached import cached_property
from ..dtypes import Bits, DType
from ..entropy import kernels
from ..errors import PayloadError
from .cursor import Cursor, varint

MAX_VALUES = 4095


@dataclass(frozen=True, eq=False)
class Codebook:
    """values : distinct, ascending elements above zero, as unsigned integers, shape (count,); symbols 1 to count.

    stored : the same values in the storage type that the file holds them in.
    """

    dtype: DType
    values: Bits
    storage: DType
    stored: Bits

    @classmethod
    def of(cls, dtype: DType, values: Bits) -> Codebook:
        """The codebook of these ascending values, in the narrowest storage."""
        values = values.astype(dtype.bits, copy=False)
        storage, stored = dtypes.narrowest(values, dtype)
        return cls(dtype, values, storage, stored)

    @cached_property
    def symbols(self) -> Bits:
        """Element of each symbol, zero first: shape (count + 1,)."""
        # Not `concatenate`, which gives the byte order of the machine.
        elements: Bits = np.zeros(self.count + 1, self.dtype.bits)
        elements[1:] = self.values
        return elements

    @property
    def count(self) -> int:
        return len(self.values)

    def symbols_of(self, bits: Bits, threads: int = 1) -> tuple[kernels.Symbols, npt.NDArray[np.int64]]:
        """The symbols of elements that are all in the codebook, and how often each symbol occurs."""
        return kernels.symbols_of(bits, self.symbols, threads)

    def to_bytes(self) -> bytes:
        return bytes([self.dtype.id, self.storage.id]) + varint(self.count) + self.stored.tobytes()


def parse_codebook(cursor: Cursor) -> Codebook:
    """Read one codebook; raises `IndexRuleError`."""
    dtype, storage = (parse_dtype(cursor, what) for what in ("codebook dtype", "codebook storage"))
    if dtype.itemsize > 8:
        raise cursor.error(f"a codebook cannot hold {dtype.name}")
    if storage != dtype and storage not in dtypes.narrower(dtype):
        raise cursor.error(f"a codebook of {dtype.name} cannot be stored as {storage.name}")
    count = cursor.count("codebook size", storage.itemsize)
    if not 1 <= count <= MAX_VALUES:
        raise cursor.error(f"codebook size {count} is not within 1 to {MAX_VALUES}")
    stored = np.frombuffer(cursor.take(count * storage.itemsize, "codebook"), storage.bits)
    try:
        values = dtypes.widen(stored, storage, dtype)
    except PayloadError as error:
        raise cursor.error(f"codebook: {error.message}") from error
    if values[0] == 0 or not bool((values[1:] > values[:-1]).all()):
        raise cursor.error("codebook values do not ascend from above zero")
    if dtype.name == "BOOL" and values[-1] > 1:
        raise cursor.error("a codebook of BOOL holds a value that is neither 0 nor 1")
    return Codebook(dtype, values, storage, stored)


def parse_dtype(cursor: Cursor, what: str) -> DType:
    """Read a dtype byte; raises `IndexRuleError` for one that is not registered."""
    number = cursor.u8(what)
    if number not in dtypes.BY_ID:
        raise cursor.error(f"{what}: unknown dtype {number}")
    return dtypes.BY_ID[number]
