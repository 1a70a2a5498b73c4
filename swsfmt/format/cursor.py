"""Bytes of the prefix: varints, strings and a cursor that never reads past the end (spec section 1)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bitarray import bitarray

from ..cached import cached_property
from ..entropy.bits import BitReader
from ..errors import IndexRuleError

MAX_VARINT_BYTES = 9
# Most numbers are small.
_SHORT = [bytes([value]) for value in range(0x80)]


def varint(value: int) -> bytes:
    """LEB128 of 0 <= value < 2**63, least significant group first."""
    if 0 <= value < 0x80:
        return _SHORT[value]
    if not 0 <= value < 1 << 63:
        raise ValueError(f"varint out of range: {value}")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: str) -> bytes:
    """A varint byte length and the UTF-8 of `text`."""
    data = text.encode("utf-8")
    return varint(len(data)) + data


class Cursor:
    """Reads the index from front to back; offsets in its errors are offsets in the file.

    data : bytes
        The index.
    base : int
        Offset in the file of its first byte.
    """

    def __init__(self, data: bytes, base: int = 0) -> None:
        self.data = data
        self.base = base
        self.position = 0

    @property
    def offset(self) -> int:
        """Byte offset in the file of the next byte."""
        return self.base + self.position

    @property
    def remaining(self) -> int:
        return len(self.data) - self.position

    def error(self, message: str) -> IndexRuleError:
        return IndexRuleError(message, offset=self.offset)

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        start = self.position
        end = start + count
        if end > len(self.data):
            raise self.error(f"{what} takes {count} bytes, {self.remaining} are left in the index")
        self.position = end
        return self.data[start:end]

    def u8(self, what: str) -> int:
        if self.position == len(self.data):
            self.take(1, what)
        self.position += 1
        return self.data[self.position - 1]

    def u16(self, what: str) -> int:
        return int.from_bytes(self.take(2, what), "little")

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "little")

    def varint(self, what: str) -> int:
        """An unsigned LEB128 number in its shortest form."""
        # Most have one byte.
        if self.position < len(self.data) and self.data[self.position] < 0x80:
            self.position += 1
            return self.data[self.position - 1]
        value = 0
        for i in range(MAX_VARINT_BYTES):
            byte = self.u8(what)
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if byte == 0 and i > 0:
                    raise self.error(f"{what}: varint is not in its shortest form")
                return value
        raise self.error(f"{what}: varint is longer than {MAX_VARINT_BYTES} bytes")

    def count(self, what: str, item_bytes: int) -> int:
        """A number of items of at least `item_bytes` bytes each: more than could follow is refused at once."""
        number = self.varint(what)
        if number * item_bytes > self.remaining:
            raise self.error(f"{what} is {number}, but only {self.remaining} bytes are left in the index")
        return number

    def string(self, what: str) -> str:
        data = self.take(self.varint(what), what)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is not valid UTF-8") from error

    @cached_property
    def _packed(self) -> _Packed:
        return _Packed(self)

    def packed(self) -> AbstractContextManager[BitReader]:
        """Read bits from here on; afterwards the cursor stands at the byte after the last of them."""
        return self._packed


class _Packed:
    """The bits of a cursor. One object for all records: to make one for each would be slow."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._reader = BitReader(bitarray(buffer=cursor.data, endian="little"), IndexRuleError, cursor.base)

    def __enter__(self) -> BitReader:
        self._reader.position = 8 * self._cursor.position
        return self._reader

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._reader.align("packed parameters")
            self._cursor.position = self._reader.position >> 3
