"""A bit stream: bytes fill from the least significant bit, fields go in least significant bit first (spec 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from bitarray import bitarray
from bitarray.util import int2ba

from ..errors import FormatError

MAX_GAMMA_ZEROS = 32
# Bits of fields that are collected before they become part of the stream.
_LONG_WORD = 512
_GAMMA_BYTES = (2 * MAX_GAMMA_ZEROS + 1 + 7 + 7) // 8


def gamma_bits(n: int) -> int:
    """Size in bits of the Elias gamma code of n >= 1."""
    return 2 * n.bit_length() - 1


def varint_bytes(value: int) -> int:
    """Size in bytes of a varint (spec section 1), which the parts of a record that are not packed are made of."""
    return max(1, -(-value.bit_length() // 7))


class BitWriter:
    """Collects bits."""

    def __init__(self) -> None:
        self._bits = bitarray(endian="little")
        # The last fields, together as one number: to add to it is faster than to make bits of each.
        self._word = self._width = 0

    @property
    def bits(self) -> bitarray:
        """The stream so far; may be added to."""
        if self._width:
            self._bits.extend(int2ba(self._word, length=self._width, endian="little"))
            self._word = self._width = 0
        return self._bits

    def field(self, value: int, width: int) -> None:
        """Write `value`, less than 2**width, in `width` bits."""
        self._word |= value << self._width
        self._width += width
        if self._width > _LONG_WORD:
            _ = self.bits

    def fields(self, values: npt.NDArray[np.integer], width: int) -> None:
        """Write each of `values` in `width` bits."""
        if width and len(values):
            shifts = np.arange(width, dtype=np.uint64)
            columns = (values.astype(np.uint64)[:, None] >> shifts) & np.uint64(1)
            self.flags(columns.astype(np.uint8).reshape(-1))

    def flags(self, values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> None:
        """Write one bit for each of `values`, which are 0 or 1."""
        packed = bitarray(buffer=np.packbits(values, bitorder="little").tobytes(), endian="little")
        self.bits.extend(packed[: len(values)])

    def gamma(self, n: int) -> None:
        """Write n >= 1 as an Elias gamma code (spec 6.2)."""
        zeros = n.bit_length() - 1
        self.field(1 << zeros, zeros + 1)
        self.field(n & ((1 << zeros) - 1), zeros)

    def to_bytes(self) -> bytes:
        """The stream, with zero bits up to the next byte."""
        return self.bits.tobytes()


class BitReader:
    """Reads a bit stream and never goes past its end.

    data : the bytes, or a bitarray; shared, not copied
    error : subclass of FormatError
        Raised for everything that the stream does wrong.
    base : int
        Offset in the file of the first byte, for the errors.
    """

    def __init__(self, data: bytes | memoryview | bitarray, error: type[FormatError], base: int = 0) -> None:
        self.bits = data if isinstance(data, bitarray) else bitarray(buffer=data, endian="little")
        self._bytes = memoryview(self.bits)
        self.position = 0
        self.error = error
        self.base = base

    @property
    def remaining(self) -> int:
        return len(self.bits) - self.position

    def fail(self, message: str) -> FormatError:
        """The error to raise for what comes next."""
        return self.error(message, offset=self.base + self.position // 8)

    def _need(self, count: int, what: str) -> None:
        if count > self.remaining:
            raise self.fail(f"{what} takes {count} bits, {self.remaining} are left")

    def field(self, width: int, what: str) -> int:
        """An unsigned number of `width` bits."""
        start = self.position
        end = start + width
        if end > len(self.bits):
            self._need(width, what)
        self.position = end
        word = int.from_bytes(self._bytes[start >> 3 : end + 7 >> 3], "little")
        return word >> (start & 7) & (1 << width) - 1

    def fields(self, count: int, width: int, what: str) -> npt.NDArray[np.int64]:
        """`count` unsigned numbers of `width` <= 32 bits."""
        return self.rows(count, (width,), what)[:, 0]

    def rows(self, count: int, widths: Sequence[int], what: str) -> npt.NDArray[np.int64]:
        """`count` rows of unsigned numbers of `widths` <= 32 bits: int64 of shape (count, len(widths))."""
        size = sum(widths)
        self._need(count * size, what)
        first, last = self.position >> 3, self.position + count * size + 7 >> 3
        # A number and the bits before it in its first byte lie within eight bytes from there on.
        padded = bytes(self._bytes[first:last]) + bytes(8)
        words = np.ndarray(last - first + 1, "<u8", padded, strides=(1,))
        out = np.empty((count, len(widths)), np.int64)
        start = (self.position & 7) + size * np.arange(count)
        for column, width in enumerate(widths):
            shift = (start & 7).astype(np.uint64)
            out[:, column] = words[start >> 3] >> shift & np.uint64((1 << width) - 1)
            start = start + width
        self.position += count * size
        return out

    def flags(self, count: int, what: str) -> npt.NDArray[np.uint8]:
        """`count` single bits."""
        self._need(count, what)
        start = self.position
        self.position += count
        packed = np.frombuffer(self.bits[start : self.position].tobytes(), np.uint8)
        return np.unpackbits(packed, count=count, bitorder="little")

    def gamma(self, what: str) -> int:
        """A number n >= 1 in Elias gamma (spec 6.2)."""
        start = self.position
        # The longest code, from any bit of the first byte on.
        word = int.from_bytes(self._bytes[start >> 3 : (start >> 3) + _GAMMA_BYTES], "little") >> (start & 7)
        zeros = (word & -word).bit_length() - 1
        if not 0 <= zeros <= MAX_GAMMA_ZEROS:
            raise self.fail(f"{what}: gamma code has no one bit among its first {MAX_GAMMA_ZEROS + 1}")
        end = start + 2 * zeros + 1
        if end > len(self.bits):
            self._need(2 * zeros + 1, what)
        self.position = end
        return 1 << zeros | word >> zeros + 1 & (1 << zeros) - 1

    def align(self, what: str) -> None:
        """Go on to the next byte; the bits passed over must be zero."""
        aligned = self.position + 7 & ~7
        if aligned > self.position and self.bits.find(1, self.position, aligned) >= 0:
            raise self.fail(f"{what} has padding bits that are not zero")
        self.position = aligned

    def finish(self, what: str) -> None:
        """Check that nothing is left but zero bits up to the next byte."""
        if self.remaining >= 8:
            raise self.fail(f"{what} ends {self.remaining} bits before its last byte does")
        self.align(what)
