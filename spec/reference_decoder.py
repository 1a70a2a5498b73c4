#!/usr/bin/env python3
"""Reference decoder of the .sws format, version 1.0: written from sws-1.0.md and registry.md alone.

It is made for reading beside the specification, not for speed. Comments and errors give section numbers.
It needs Python 3.11 and nothing else. Usage: python reference_decoder.py FILE.sws
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, compress, islice, pairwise
from math import prod

SIGNATURE = bytes.fromhex("89 53 57 53 0D 0A 1A 0A")
RAW, NARROW, ALIAS, DENSE, SPARSE, ADAPTIVE, PLANES, SCALED, ESCAPE, CLASSES, LOOKUP = range(11)
KNOWN = set(range(11))
COMPOSITE = {PLANES, SCALED, ESCAPE, LOOKUP}

# registry.md: names and element sizes, by dtype id.
DTYPES = (
    *(("BOOL", 1), ("U8", 1), ("I8", 1), ("U16", 2), ("I16", 2), ("U32", 4), ("I32", 4), ("U64", 8)),
    *(("I64", 8), ("F16", 2), ("BF16", 2), ("F32", 4), ("F64", 8), ("C64", 8), ("C128", 16), ("C32", 4)),
    *(("F8_E4M3", 1), ("F8_E5M2", 1), ("F8_E4M3FNUZ", 1), ("F8_E5M2FNUZ", 1), ("F8_E8M0", 1), ("F4_X2", 1)),
)
SIZES = dict(DTYPES)

# Section 3.2: dtype -> narrower storage types.
NARROWER = {
    "F32": ("F16", "BF16"),
    "F64": ("F32", "F16", "BF16"),
    "I16": ("I8", "U8"),
    "I32": ("I8", "U8", "I16", "U16"),
    "I64": ("I8", "U8", "I16", "U16", "I32", "U32"),
    "U16": ("U8",),
    "U32": ("U8", "U16"),
    "U64": ("U8", "U16", "U32"),
}
STRUCT = {"U8": "B", "I8": "b", "U16": "H", "I16": "h", "U32": "I", "I32": "i", "U64": "Q", "I64": "q"}
STRUCT |= {"F16": "e", "F32": "f", "F64": "d"}

# Section 8.
MAX_INDEX, MAX_NAME, MAX_NAMES, MAX_RANK = 2**28, 2**16 - 1, 2**24, 64
MAX_BITMAPS, MAX_ALPHABETS, MAX_RECORDS = 2**26, 2**23, 2**20
# Section 4.1.
MAX_DEPTH = 4


class Invalid(ValueError):  # noqa: N818
    """The file breaks a rule of the specification."""


@dataclass
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    coding: int
    data: bytes | None  # little-endian elements in C order; None if the coding is unknown
    alias_of: str | None = None


@dataclass
class Decoded:
    metadata: dict[str, str]
    tensors: dict[str, Tensor]


def check(condition: bool, section: str, message: str) -> None:
    if not condition:
        raise Invalid(f"section {section}: {message}")


class Bytes:
    """A cursor over data[start:end]: the integers and strings of section 1."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data, self.at, self.end = data, start, end

    def take(self, count: int, section: str) -> bytes:
        check(count <= self.end - self.at, section, "a field runs past the end")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, size: int, section: str) -> int:
        return int.from_bytes(self.take(size, section), "little")

    def varint(self, section: str) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.uint(1, section)
            value |= (byte & 127) << shift
            if byte < 128:
                check(byte > 0 or shift == 0, "1", "a varint is longer than needed")
                return value
        raise Invalid("section 1: a varint is longer than 9 bytes")

    def string(self, section: str) -> bytes:
        text = self.take(self.varint(section), section)
        utf8(text, "1")
        return text


def utf8(text: bytes, section: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"section {section}: a string is not valid UTF-8") from None


class Bits:
    """A cursor over the bits of data[start:end] (section 6.1)."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data, self.at, self.end = data, start * 8, end * 8

    def look(self, at: int, width: int) -> int:
        """The bits from `at` on as one field. Those behind the end mean nothing: `skip` finds them out."""
        first, shift = at >> 3, at & 7
        window = self.data[first : first + (shift + width + 7 >> 3)]
        return int.from_bytes(window, "little") >> shift & ((1 << width) - 1)

    def skip(self, width: int) -> None:
        if width > self.end - self.at:
            raise Invalid("section 7: a bit stream runs past its end")
        self.at += width

    def field(self, width: int) -> int:
        self.skip(width)
        return self.look(self.at - width, width)

    def vector(self, count: int) -> bytes:
        """The next bits, as a byte of 0 or 1 each."""
        value = self.field(count)
        return format(value, f"0{count}b")[::-1].encode().translate(BIT_OF_DIGIT) if count else b""

    def gamma(self) -> int:
        """Section 6.2."""
        zeros = 0
        while self.field(1) == 0:
            zeros += 1
            check(zeros <= 32, "6.2", "more than 32 zero bits")
        return 1 << zeros | self.field(zeros)

    def pad(self, section: str) -> None:
        """Zero bits up to the next byte."""
        check(self.field(-self.at % 8) == 0, section, "set padding bits")


BIT_OF_DIGIT = bytes.maketrans(b"01", b"\x00\x01")


@dataclass
class Table:
    """Section 6.4: the code lengths of the symbols that are used."""

    alphabet: int
    lengths: dict[int, int]


def read_table(bits: Bits, alphabet: int) -> Table:
    """Section 6.4."""
    if bits.field(1):
        only = bits.field((alphabet - 1).bit_length())
        check(only < alphabet, "6.4", "the only symbol is outside of the alphabet")
        return Table(alphabet, {only: 0})
    lengths: dict[int, int] = {}
    length, symbol, kraft = bits.field(4), 0, 0  # the Kraft sum in units of 2^-12
    check(1 <= length <= 12, "6.4", "the first previous length is outside of 1 to 12")
    while kraft < 1 << 12:
        token = 4 | bits.field(1) << 1 | bits.field(1) if bits.field(1) else 0
        if token == 0b110:
            symbol += bits.gamma()
            check(symbol <= alphabet, "6.4", "the symbols run past the alphabet")
            continue
        if token == 0b111:
            length = bits.field(4)
        elif token:
            length += 1 if token == 0b100 else -1
        check(1 <= length <= 12, "6.4", "a code length is outside of 1 to 12")
        check(symbol < alphabet, "6.4", "the symbols run past the alphabet")
        lengths[symbol] = length
        symbol += 1
        kraft += 1 << 12 - length
    check(kraft == 1 << 12, "6.4", "the Kraft sum exceeds 1")
    return Table(alphabet, lengths)


class Code:
    """Section 6.3: reads the symbols of a stream; a table of None stands for kind 0, fixed."""

    def __init__(self, bits: Bits, alphabet: int, table: Table | None) -> None:
        self.bits, self.alphabet, self.table = bits, alphabet, table
        self.width = (alphabet - 1).bit_length() if table is None else max(table.lengths.values())
        # What the next `width` bits begin with: (symbol, length).
        self.lookup = [(0, 0)] * (1 << self.width if table else 0)
        code = before = 0
        for symbol, length in sorted(table.lengths.items(), key=lambda item: item[::-1]) if table else ():
            code <<= length - before
            first = int(format(code, f"0{length}b")[::-1], 2) if length else 0  # its first bit is the lowest
            self.lookup[first :: 1 << length] = [(symbol, length)] * (1 << self.width - length)
            code, before = code + 1, length

    def read(self) -> int:
        if self.lookup:
            symbol, length = self.lookup[self.bits.look(self.bits.at, self.width)]
            self.bits.skip(length)
            return symbol
        symbol = self.bits.field(self.width)
        if symbol >= self.alphabet:
            raise Invalid("section 6.3: a symbol is outside of its alphabet")
        return symbol


def read_runs(bits: Bits, total: int) -> bytearray:
    """Section 6.5, runs: a byte of 0 or 1 for each bit."""
    vector = bytearray()
    value = bits.field(1)
    while len(vector) < total:
        length = bits.gamma()
        check(length <= total - len(vector), "6.5", "the runs are longer than the bitmap")
        vector += bytes([value]) * length
        value ^= 1
    return vector


def read_bitmap(bits: Bits, kind: int, argument: int, length: int, earlier: Sequence[bytes]) -> bytes:
    """Section 6.5, kinds 1 to 6: a byte of 0 or 1 for each row or column."""
    if kind == 1:
        return bits.vector(length)
    if kind == 2:
        return bytes(read_runs(bits, length))
    if kind == 3:
        check(1 <= argument < length, "6.5", "a stride is outside of 1 to L - 1")
        vector = read_runs(bits, length)
        for i in range(argument, length):
            vector[i] ^= vector[i - argument]
        return bytes(vector)
    check(argument < len(earlier), "6.5", "there is no such earlier bitmap")
    source = earlier[argument]
    check(length % len(source) == 0, "6.5", "the length of the earlier bitmap does not divide L")
    expanded = b"".join([bytes([bit]) * (length // len(source)) for bit in source])
    if kind == 4:
        return expanded
    ones = expanded.count(1)  # above 0, as every stored bitmap has a live bit
    chosen = bits.vector(ones) if kind == 5 else read_runs(bits, ones)
    vector = bytearray(length)
    for i, bit in zip(compress(range(length), expanded), chosen, strict=True):
        vector[i] = bit
    return bytes(vector)


def widen(data: bytes, storage: str, dtype: str) -> bytes:
    """Section 3.2."""
    if storage == dtype:
        return data
    check(storage in NARROWER.get(dtype, ()), "3.2", f"{storage} is no storage type for {dtype}")
    if storage == "BF16":  # the upper half of an F32
        upper = bytearray(2 * len(data))
        upper[2::4], upper[3::4] = data[0::2], data[1::2]
        data, storage = bytes(upper), "F32"
    count = len(data) // SIZES[storage]
    values = struct.unpack(f"<{count}{STRUCT[storage]}", data)
    check(all(value == value for value in values), "3.2", "a NaN in narrowed storage")
    return struct.pack(f"<{count}{STRUCT[dtype]}", *values)


FLOATS = ("F16", "BF16", "F32", "F64")
INTEGERS = ("U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64")


def join_planes(planes: Sequence[bytes], widths: Sequence[int], rotated: bool) -> bytes:
    """Section 5.7."""
    bits = sum(widths)
    columns = [
        plane if width <= 8 else [number for (number,) in struct.iter_unpack("<H", plane)]
        for plane, width in zip(planes, widths, strict=True)
    ]
    out = bytearray()
    for high_first in zip(*columns, strict=True):
        value = 0
        for part, width in zip(high_first, widths, strict=True):
            check(part < 1 << width, "5.7", "an element of a plane has more bits than its field")
            value = value << width | part
        if rotated:
            value = value >> 1 | (value & 1) << bits - 1
        out += value.to_bytes(bits // 8, "little")
    return bytes(out)


# Section 5.8: exponent bits, mantissa bits and bias of the floats of one byte.
BYTES = {"F8_E4M3": (4, 3, 7), "F8_E5M2": (5, 2, 15), "F8_E4M3FNUZ": (4, 3, 8), "F8_E5M2FNUZ": (5, 2, 16)}
NUMBERS = {"U8", "I8", "U16", "I16", "U32", "I32", "F16", "BF16", "F32", "F8_E8M0", *BYTES}
INFINITY, NAN = float("inf"), float("nan")
NAN_BITS = {"F16": 0x7E00, "BF16": 0x7FC0, "F32": 0x7FC00000, "F64": 0x7FF8 << 48}


def number_of_byte(byte: int, dtype: str) -> float:
    """Section 5.8: what a float of one byte is."""
    if dtype == "F8_E8M0":
        return NAN if byte == 255 else 2.0 ** (byte - 127)
    exponent_bits, mantissa_bits, bias = BYTES[dtype]
    sign, exponent, mantissa = (
        byte >> 7,
        byte >> mantissa_bits & (1 << exponent_bits) - 1,
        byte & (1 << mantissa_bits) - 1,
    )
    if dtype.endswith("FNUZ") and byte == 0x80:
        return NAN
    if dtype == "F8_E4M3" and byte & 0x7F == 0x7F:
        return NAN
    if dtype == "F8_E5M2" and exponent == 31:
        return NAN if mantissa else (-INFINITY if sign else INFINITY)
    size = mantissa + (1 << mantissa_bits if exponent else 0)
    return (
        (-size if sign else size) * 2.0 ** (max(exponent, 1) - bias - mantissa_bits) if size else -0.0 if sign else 0.0
    )


def numbers(data: bytes, dtype: str) -> list[float]:
    """Section 5.8: the numbers that elements are. All are exact in Python's floats, which are those of F64."""
    if dtype in BYTES or dtype == "F8_E8M0":
        return [number_of_byte(byte, dtype) for byte in data]
    if dtype == "BF16":
        data, dtype = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2)), "F32"
    return [float(value) for value in struct.unpack(f"<{len(data) // SIZES[dtype]}{STRUCT[dtype]}", data)]


def packed(value: float, dtype: str) -> bytes:
    """Section 5.8: the element nearest to a number, ties to even; one NaN. For BF16 the number is one of F32."""
    if value != value:
        return NAN_BITS[dtype].to_bytes(SIZES[dtype], "little")
    if dtype == "BF16":
        bits = int.from_bytes(struct.pack("<f", value), "little")
        return (bits + 0x7FFF + (bits >> 16 & 1) >> 16).to_bytes(2, "little")
    try:
        return struct.pack("<" + STRUCT[dtype], value)
    except OverflowError:
        return struct.pack("<" + STRUCT[dtype], INFINITY if value > 0 else -INFINITY)


def rounded(value: float, dtype: str) -> float:
    """What `packed` makes of a number."""
    return numbers(packed(value, dtype), dtype)[0]


def numbers_of_blocks(shape: Sequence[int], blocks: Sequence[int]) -> list[int]:
    """Section 5.8: for each element, the number of the block that it lies in."""
    out = [0]
    for length, block in zip(shape, blocks, strict=True):
        out = [number * -(-length // block) + i // block for number in out for i in range(length)]
    return out


@dataclass
class Scaled:
    """Section 5.8. operations, blocks : of each factor. dtypes : of the levels and of each factor."""

    dtype: str
    shape: tuple[int, ...]
    operations: str
    each: bool
    blocks: list[list[int]] = field(default_factory=list)
    dtypes: list[str] = field(default_factory=list)

    def round(self, value: float) -> float:
        """After an operation. One in F64 on two numbers of F32, rounded to F32, is that operation in F32."""
        value = value if self.dtype == "F64" else rounded(value, "F32")
        return rounded(value, self.dtype) if self.each else value

    def join(self, parts: Sequence[bytes]) -> bytes:
        levels, *factors = (
            [self.round(value) for value in numbers(part, dtype)]
            for part, dtype in zip(parts, self.dtypes, strict=True)
        )
        values = levels
        for operation, factor, blocks in zip(self.operations, factors, self.blocks, strict=True):
            own = [factor[number] for number in numbers_of_blocks(self.shape, blocks)]
            pairs = zip(values, own, strict=True)
            if operation == "-":
                values = [self.round(a - b) for a, b in pairs]
            elif operation == "*":
                values = [self.round(a * b) for a, b in pairs]
            else:
                values = [self.round(a + b) for a, b in pairs]
        return b"".join(packed(value, self.dtype) for value in values)


def join_escape(parts: Sequence[bytes], size: int, count: int, mark: bytes | None) -> bytes:
    """Section 5.9. mark: None for a main part of BOOL."""
    main, values = (split(part, own) for part, own in zip(parts, (1 if mark is None else size, size), strict=True))
    marks = sum(element == (b"\1" if mark is None else mark) for element in main)
    check(marks == count, "5.9", f"{marks} marks for {count} values")
    if mark is None:
        check(bytes(size) not in values, "5.9", "a value that stands apart is zero")
    following = iter(values)
    if mark is None:
        return b"".join(next(following) if element == b"\1" else bytes(size) for element in main)
    return b"".join(next(following) if element == mark else element for element in main)


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def look_up(parts: Sequence[bytes], size: int) -> bytes:
    """Section 5.11."""
    differences = [int.from_bytes(parts[0][k : k + size], "little") for k in range(0, len(parts[0]), size)]
    values = list(accumulate(differences))
    check(all(a < b for a, b in pairwise(values)), "5.11", "the values do not ascend")
    check(values[-1] < 1 << 8 * size, "5.11", "a value is too large")
    out = bytearray()
    for (index,) in struct.iter_unpack("<H", parts[1]):
        check(index < len(values), "5.11", "an index outside of the table")
        out += values[index].to_bytes(size, "little")
    return bytes(out)


@dataclass
class Codebook:
    dtype: str
    values: list[bytes]  # by symbol, symbol 0 included


def known_dtype(number: int, section: str) -> str:
    check(number < len(DTYPES), section, f"dtype {number} is unknown")
    return DTYPES[number][0]


def read_codebook(index: Bytes) -> Codebook:
    """Section 3.1."""
    dtype, storage = known_dtype(index.uint(1, "3.1"), "3.1"), known_dtype(index.uint(1, "3.1"), "3.1")
    size = SIZES[dtype]
    check(size in (1, 2, 4, 8), "3.1", f"a codebook of {dtype}")
    check(storage == dtype or storage in NARROWER.get(dtype, ()), "3.2", f"{storage} cannot store {dtype}")
    count = index.varint("3.1")
    check(1 <= count <= 4095, "3.1", "a codebook's count is outside of 1 to 4095")
    stored = widen(index.take(count * SIZES[storage], "3.1"), storage, dtype)
    values = [bytes(size), *(stored[i : i + size] for i in range(0, len(stored), size))]
    numbers = [int.from_bytes(value, "little") for value in values]
    check(all(a < b for a, b in pairwise(numbers)), "3.1", "the values do not ascend from above 0")
    check(dtype != "BOOL" or numbers == [0, 1], "3.1", "a value of a BOOL codebook is not 1")
    return Codebook(dtype, values)


# The codings of section 5: parameters, and how they decode a payload.


def decode_raw(payload: bytes, dtype: str) -> bytes:
    """Section 5.1."""
    check(dtype != "BOOL" or max(payload, default=0) <= 1, "5.1", "a byte of a BOOL is neither 0 nor 1")
    return payload


@dataclass
class Dense:
    numel: int
    codebook: Codebook
    table: Table | None
    chunk: int
    width: int

    def decode(self, payload: bytes) -> bytes:
        """Section 5.4."""
        bits, values, decoded = Bits(payload, 0, len(payload)), self.codebook.values, bytearray()
        chunks = chunk_sizes(self.numel, self.chunk)
        lengths = [bits.field(self.width) for _ in chunks] if self.chunk else []
        code = Code(bits, len(values), self.table)
        for number, count in enumerate(chunks):
            start = bits.at
            if self.table and len(self.table.lengths) == 1:  # codes of no bits
                decoded += values[code.read()] * count
            else:
                for _ in range(count):
                    decoded += values[code.read()]
            check(not lengths or bits.at - start == lengths[number], "5.4", "a chunk has another length")
        finish(bits, "5.4")
        return bytes(decoded)


@dataclass
class Sparse:
    shape: tuple[int, int]
    entries: int
    codebook: Codebook
    by_columns: bool
    line_width: int  # 0: no line ends
    skip: int
    gap_table: Table | None
    value_table: Table | None
    rows: bytes | None  # None: all live
    columns: bytes | None
    chunk: int
    widths: tuple[int, int, int]

    def decode(self, payload: bytes) -> bytes:
        """Section 5.5: line counts or chunk table, gaps, values."""
        bits = Bits(payload, 0, len(payload))
        rows, columns = live(self.rows, self.shape[0]), live(self.columns, self.shape[1])
        lines, line_size = (len(columns), len(rows)) if self.by_columns else (len(rows), len(columns))
        chunks = chunk_sizes(self.entries, self.chunk)
        positions = array("Q")
        if self.line_width:
            counts = array("Q", (bits.field(self.line_width) for _ in range(lines)))
            check(sum(counts) == self.entries, "5.5", "the line counts do not sum to the entries")
        fields = [[bits.field(w) for w in self.widths] for _ in chunks] if self.chunk else []

        gaps = Code(bits, self.skip + 1, self.gap_table)
        if self.line_width:
            for line, count in enumerate(counts):
                self.read_gaps(gaps, count, line * line_size, (line + 1) * line_size, positions)
        else:
            cursor = 0
            for number, count in enumerate(chunks):
                start, before = bits.at, cursor
                cursor = self.read_gaps(gaps, count, cursor, lines * line_size, positions)
                seen = [bits.at - start, cursor - before]
                check(not fields or fields[number][::2] == seen, "5.5", "a chunk of gaps ends elsewhere")

        size = SIZES[self.codebook.dtype]
        decoded = bytearray(prod(self.shape) * size)
        values = Code(bits, len(self.codebook.values) - 1, self.value_table)
        places = iter(positions)
        for number, count in enumerate(chunks):
            start = bits.at
            for position in islice(places, count):
                line, place = divmod(position, line_size)
                row, column = (place, line) if self.by_columns else (line, place)
                at = (rows[row] * self.shape[1] + columns[column]) * size
                decoded[at : at + size] = self.codebook.values[values.read() + 1]
            if self.widths[1]:
                check(fields[number][1] == bits.at - start, "5.5", "a chunk of values ends elsewhere")
        finish(bits, "5.5")
        return bytes(decoded)

    def read_gaps(self, gaps: Code, count: int, cursor: int, end: int, positions: array[int]) -> int:
        """Appends the positions of `count` entries and returns the cursor. They MUST lie before `end`."""
        for _ in range(count):
            while (gap := gaps.read()) == self.skip and cursor < end:
                cursor += gap
            cursor += gap
            if cursor >= end:
                raise Invalid("section 5.5: an entry or a skip leaves the matrix or the line")
            positions.append(cursor)
            cursor += 1
        return cursor


# Section 6.6.
SQUASH = (
    *(32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374),
    *(65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65536),
)
STEPS = (0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200)


def squash(x: int) -> int:
    i, f = abs(x) >> 7, abs(x) % 128
    y = (SQUASH[i] * (128 - f) + SQUASH[i + 1] * f) >> 7
    return y if x >= 0 else 65536 - y


SQUASHED = [squash(x) for x in range(-3071, 3072)]
STRETCH = [max(bisect_right(SQUASHED, 16 * k + 8) - 1, 0) - 3071 for k in range(4096)]


def bucket(n: int) -> int:
    return bisect_right(STEPS, n) - 1


def density(c: int, k: int) -> int:
    return bucket(64 * (4 * c + 1) // (4 * k + 2))


class RangeDecoder:
    """Section 6.6: range coder. `sent` is what a writer would have sent so far."""

    def __init__(self, data: bytes) -> None:
        self.data, self.low, self.high, self.sent = data, 0, 2**32 - 1, bytearray()

    def decide(self, p: int) -> int:
        m = self.low + ((self.high - self.low) * p >> 16)
        at = len(self.sent)
        bit = int(int.from_bytes(self.data[at : at + 4].ljust(4, b"\0"), "big") <= m)
        self.low, self.high = (self.low, m) if bit else (m + 1, self.high)
        while self.low >> 24 == self.high >> 24:
            self.sent.append(self.high >> 24)
            self.low, self.high = self.low * 256 % 2**32, self.high * 256 % 2**32 + 255
        return bit

    def finish(self) -> None:
        for count in range(5):
            unit = 256 ** (4 - count)
            word = -(-self.low // unit) * unit
            if word <= self.high:
                break
        sent = bytes(self.sent + word.to_bytes(4, "big")[:count]).rstrip(b"\0")
        check(sent == self.data, "6.6", "the bytes are not those that a writer makes")


class Model:
    """Section 6.6: models."""

    def __init__(self, coder: RangeDecoder, inputs: int) -> None:
        self.coder, self.weights, self.decisions = coder, [81920 // inputs] * inputs, 0
        self.slots: list[dict[int, tuple[int, int]]] = [{} for _ in range(inputs)]

    def decide(self, *contexts: int) -> int:
        found = [slots.get(c, (2**21, 0)) for slots, c in zip(self.slots, contexts, strict=True)]
        values = [STRETCH[p >> 10] if count else 0 for p, count in found]
        x = sum(w * v for w, v in zip(self.weights, values, strict=True)) >> 16
        p = min(max(squash(min(max(x, -3071), 3071)), 1), 65535)
        bit = self.coder.decide(p)
        e = (65536 * bit - p) * (640 + 7680 // (1 + (self.decisions >> 6)))
        self.decisions += 1
        grown = [w + ((v * e + 2**25) >> 26) for w, v in zip(self.weights, values, strict=True)]
        self.weights = [min(max(w, -(2**20)), 2**20) for w in grown]
        for slots, context, (q, count) in zip(self.slots, contexts, found, strict=True):
            rate = 131072 // (2 * count + 3)
            q = q + ((2**22 - 1 - q) * rate >> 16) if bit else q - (q * rate >> 16)
            slots[context] = (q, min(count + 1, 255))
        return bit


class Row:
    """Numbers of the places of a line; 0 outside of it."""

    def __init__(self, length: int) -> None:
        self.numbers = [0] * length

    def __getitem__(self, place: int) -> int:
        return self.numbers[place] if 0 <= place < len(self.numbers) else 0


def kind_of_size(size: int) -> int:
    """Section 6.6, with classes."""
    return 0 if size == 0 else 1 + 8 * (size < 0) + min(bucket(abs(size) - 1), 7)


def read_labels(bits: Bits, count: int, classes: int, section: str) -> list[int]:
    """Section 5.10."""
    width = (classes - 1).bit_length()
    labels = [bits.field(width) for _ in range(count)] if width else [0] * count
    check(max(labels) < classes, section, "a class that does not exist")
    return labels


@dataclass
class Adaptive:
    shape: tuple[int, int]
    codebook: Codebook
    by_columns: bool
    light: bool
    zeros: bool
    stride: int
    chunk_lines: int  # 0: one chunk
    classes: tuple[int, int] | None = None  # R and C
    signed: bool = False  # the dtype is one of signed integers

    def decode(self, payload: bytes) -> bytes:
        """Section 5.6."""
        rows, columns = self.shape
        lines, length = (columns, rows) if self.by_columns else (rows, columns)
        size = self.chunk_lines or lines
        counts = [min(size, lines - first) for first in range(0, lines, size)]
        of_lines, of_places, start = self.read_labels(payload)
        table = start + 4 * (len(counts) - 1)
        check(table <= len(payload), "5.6", "the payload ends within the chunk table")
        ends = list(accumulate((n for (n,) in struct.iter_unpack("<I", payload[start:table])), initial=table))
        check(ends[-1] <= len(payload), "5.6", "the payload ends within a chunk")
        symbols: list[list[int]] = []
        for count, first, last in zip(counts, ends, [*ends[1:], len(payload)], strict=True):
            pairs = [[line + place for place in of_places] for line in of_lines[len(symbols) :][:count]]
            symbols += self.decode_chunk(payload[first:last], count, length, pairs)
        values = self.codebook.values
        order = ((j, i) for i in range(rows) for j in range(columns)) if self.by_columns else None
        if order is None:
            return b"".join(values[symbol] for line in symbols for symbol in line)
        return b"".join(values[symbols[line][place]] for line, place in order)

    def read_labels(self, payload: bytes) -> tuple[list[int], list[int], int]:
        """What each line and each place adds to the number of a pair of classes, and the bytes of the labels."""
        if self.classes is None:
            return [], [], 0
        bits = Bits(payload, 0, len(payload))
        of_rows, of_columns = (
            read_labels(bits, count, own, "5.6") for count, own in zip(self.shape, self.classes, strict=True)
        )
        bits.pad("5.6")
        of_rows = [self.classes[1] * label for label in of_rows]
        return *((of_columns, of_rows) if self.by_columns else (of_rows, of_columns)), bits.at // 8

    def decode_chunk(self, data: bytes, lines: int, length: int, pairs: list[list[int]]) -> list[list[int]]:
        """pairs: of the classes of each element, if there are classes."""
        coder = RangeDecoder(data)
        live_places, live_lines = [1] * length, [1] * lines
        if self.zeros:
            live_places = self.live(coder, length, 1 if self.by_columns else self.stride)
            live_lines = self.live(coder, lines, self.stride if self.by_columns else 1)
        elements = Elements(self, coder, length)
        of_lines = pairs or [[0] * length] * lines
        symbols = [
            elements.line(live_places, own) if is_live else [0] * length
            for is_live, own in zip(live_lines, of_lines, strict=True)
        ]
        coder.finish()
        holds_entry = [int(any(place)) for place in zip(*symbols, strict=True)], [int(any(line)) for line in symbols]
        check((live_places, live_lines) == holds_entry, "6.6", "a live flag is 1 over zeros alone")
        return symbols

    def live(self, coder: RangeDecoder, count: int, s: int) -> list[int]:
        """Section 6.6: live flags."""
        model, flags = Model(coder, 3), Row(count)
        for j in range(count):
            f = partial(lambda j, d: flags[j - d], j)
            r = j % s
            near = f(1) + f(2) + f(3) + f(4) + f(s) + f(s + 1) + f(s - 1) + f(2 * s)
            seen = sum(flags.numbers[j - r : j])
            last = 9 * min(bucket(r), 8) + min(bucket(seen), 8)
            bit = model.decide(4 * f(1) + 2 * f(2) + f(3), 9 * (2 * f(1) + f(s)) + near, last)
            flags.numbers[j] = bit
        return flags.numbers


class Elements:
    """Section 6.6: elements."""

    def __init__(self, form: Adaptive, coder: RangeDecoder, length: int) -> None:
        self.form, self.length = form, length
        more = (2, 4) if form.classes else (0, 0)
        self.zero = Model(coder, (3 if form.light else 9) + more[0])
        self.value = Model(coder, (3 if form.light else 6) + more[1])
        values = form.codebook.values[1:]
        second = sum(value[-1] >> 7 for value in values)
        self.counts = (len(values) - second, second)
        self.level, self.above, self.above2 = Row(length), Row(length), Row(length)
        self.kind, self.kind_above, self.size = Row(length), Row(length), Row(length)
        self.entries, self.last = Row(length), [0] * length
        self.lines = 0  # M

    def line(self, live: Sequence[int], pairs: Sequence[int]) -> list[int]:
        self.level, self.above, self.above2 = Row(self.length), self.level, self.above
        self.kind, self.kind_above, self.size = Row(self.length), self.kind, Row(self.length)
        symbols = [0] * self.length
        m = z = 0
        for i, j in enumerate(compress(range(self.length), live)):
            if self.form.zeros and not self.zero.decide(*self.zero_contexts(j, m, i, z, pairs[j])):
                z += 1
                continue
            sign, rank = self.read_value(j, pairs[j])
            is_reversed = self.form.classes and self.form.signed and sign
            symbols[j] = 1 + (self.counts[1] - 1 - rank if is_reversed else rank) + (self.counts[0] if sign else 0)
            if self.form.classes:
                self.size.numbers[j] = -rank - 1 if sign else rank + 1
                self.level.numbers[j] = 1 if rank == 0 else 2
                self.kind.numbers[j] = kind_of_size(self.size.numbers[j])
            else:
                self.level.numbers[j] = 1 if 3 * rank < self.counts[sign] else 2
                self.kind.numbers[j] = 1 + 8 * sign + 8 * rank // max(self.counts[sign], 8)
            self.entries.numbers[j] += 1
            self.last[j] = self.lines + 1
            m, z = m + 1, 0
        self.lines += 1
        return symbols

    def zero_contexts(self, j: int, m: int, i: int, z: int, pair: int) -> tuple[int, ...]:
        s = 1 if self.form.by_columns else self.form.stride
        lev, up, a = self.level, self.above, self.entries
        w = [lev[j - 1], lev[j - 2], lev[j - s], lev[j - s - 1], lev[j - s + 1], up[j], up[j - 1], up[j + 1]]
        near = sum(level > 0 for level in [*w, self.above2[j]])
        far = a[j - s] + a[j + s]
        age = bucket(self.lines - self.last[j]) if a[j] else 11
        contexts = (
            27 * lev[j - 1] + 9 * lev[j - 2] + 3 * lev[j - 3] + lev[j - s],
            12 * density(a[j], self.lines) + density(m, i),
            j,
            0,
            20 * bucket(far + a[j - 1] + a[j + 1]) + 2 * near + (lev[j - 1] > 0),
            36 * bucket(far) + 3 * bucket(a[j]) + lev[j - s],
            12 * bucket(m) + bucket(i),
            3 * bucket(z) + lev[j - 1],
            12 * age + bucket(a[j]),
        )
        more = (17 * self.kind[j - 1] + self.kind[j - 2], pair) if self.form.classes else ()
        return (*(contexts[:3] if self.form.light else contexts), *more)

    def read_value(self, j: int, pair: int) -> tuple[int, int]:
        """Sign and rank."""
        s, k = 1 if self.form.by_columns else self.form.stride, self.kind
        near = [k[j - 1], k[j - s], k[j - s + 1], k[j - 2], k[j - s - 1], k[j - 2 * s]]
        c = sum(kind > 0 for kind in near)
        g = sum(1 if kind > 8 else -1 for kind in near if kind)
        around = 7 * (min(max(g, -4), 4) + 4) + c

        def decide(y: int) -> int:
            contexts = [17 * y + near[0], 17 * y + near[1], y]
            if not self.form.light:
                contexts += [17 * y + self.kind_above[j], 17 * y + near[2], 63 * y + around]
            if self.form.classes:
                leads = kind_of_size(2 * self.size[j - 1] - self.size[j - 2])
                contexts += [289 * y + 17 * near[0] + near[3], 289 * y + 17 * near[1] + near[5]]
                contexts += [17 * y + leads, prod(self.form.classes) * y + pair]
            return self.value.decide(*contexts)

        sign = decide(0) if all(self.counts) else int(self.counts[0] == 0)
        count, q = self.counts[sign], 1
        bits = (count - 1).bit_length()
        for left in reversed(range(bits)):
            can_be_1 = ((2 * q + 1) << left) - (1 << bits) < count
            q = 2 * q + (decide(2 * q + sign) if can_be_1 else 0)
        return sign, q - (1 << bits)


@dataclass
class Classes:
    shape: tuple[int, int]
    codebook: Codebook
    lanes: int
    row_classes: int
    column_classes: int
    m: int
    chunk_rows: int

    def decode(self, payload: bytes) -> bytes:
        """Section 5.10."""
        rows, columns = self.shape
        bits = Bits(payload, 0, len(payload))
        of_rows = read_labels(bits, rows, self.row_classes, "5.10")
        of_columns = read_labels(bits, columns, self.column_classes, "5.10")
        slots = self.slots(bits)
        bits.pad("5.10")
        chunks = range(0, rows, self.chunk_rows)
        table, first = bits.at // 8, bits.at // 8 + 4 * (len(chunks) - 1)
        check(first <= len(payload), "5.10", "the payload ends within the chunk table")
        ends = list(accumulate((n for (n,) in struct.iter_unpack("<I", payload[table:first])), initial=first))
        check(ends[-1] <= len(payload), "5.10", "the payload ends within a chunk")
        elements = []
        for row, begin, end in zip(chunks, ends, [*ends[1:], len(payload)], strict=True):
            within = of_rows[row : row + self.chunk_rows]
            elements.append(self.decode_chunk(payload[begin:end], within, of_columns, slots))
        return b"".join(elements)

    def slots(self, bits: Bits) -> list[list[tuple[int, int, int]]]:
        """Section 6.8, tables of frequencies: for each pair of classes and each v symbol, frequency and start."""
        alphabet, out = len(self.codebook.values), []
        levels: list[list[list[int]]] = []
        for r in range(self.row_classes):
            levels.append([])
            for c in range(self.column_classes):
                before = levels[r][c - 1] if c else levels[r - 1][0] if r else [0] * alphabet
                own: list[int] = []
                for s in range(alphabet):
                    left, up, corner = own[s - 1] if s else 0, before[s], before[s - 1] if s else 0
                    n = bits.gamma()
                    if left == up == 0:
                        level = n - 1
                    else:
                        f = min(max(left + up - corner, min(left, up)), max(left, up))
                        level = f + n // 2 if n % 2 == 0 else f - n // 2
                    check(0 <= level <= 48, "6.8", "a level outside of 0 to 48")
                    own.append(level)
                levels[r].append(own)
                out.append(self.shares(own))
        return out

    def shares(self, levels: list[int]) -> list[tuple[int, int, int]]:
        weights = [u if u < 8 else (4 + u % 4) << (u // 4 - 1) for u in levels]
        used, total = sum(u > 0 for u in levels), sum(weights)
        check(used > 0, "6.8", "a table of frequencies without a symbol")
        sums, numbers = accumulate(weights), accumulate(int(u > 0) for u in levels)
        ends = [k + ((1 << self.m) - used) * w // total for k, w in zip(numbers, sums, strict=True)]
        starts = [0, *ends[:-1]]
        return [(s, e - b, b) for s, (b, e) in enumerate(zip(starts, ends, strict=True)) for _ in range(b, e)]

    def decode_chunk(
        self, code: bytes, of_rows: list[int], of_columns: list[int], slots: list[list[tuple[int, int, int]]]
    ) -> bytes:
        """Section 6.8: order and lanes."""
        check(len(code) >= 4 * self.lanes and len(code) % 2 == 0, "6.8", "a chunk of an impossible size")
        states = list(struct.unpack_from(f"<{self.lanes}I", code))
        words = iter(struct.unpack(f"<{len(code) // 2 - 2 * self.lanes}H", code[4 * self.lanes :]))
        check(min(states) >= 1 << 16, "6.8", "a state below 2^16")
        rows: list[bytes] = [b""] * len(of_rows)
        i = 0
        for row in sorted(range(len(of_rows)), key=of_rows.__getitem__):
            elements = []
            for column in of_columns:
                lane = i % self.lanes
                high, v = divmod(states[lane], 1 << self.m)
                symbol, frequency, start = slots[of_rows[row] * self.column_classes + column][v]
                x = frequency * high + v - start
                if x < 1 << 16:
                    word = next(words, None)
                    check(word is not None, "6.8", "the words of a chunk end too early")
                    x = x << 16 | (word or 0)
                states[lane] = x
                elements.append(self.codebook.values[symbol])
                i += 1
            rows[row] = b"".join(elements)
        check(set(states) == {1 << 16} and next(words, None) is None, "6.8", "a chunk does not end as it must")
        return b"".join(rows)


def chunk_sizes(total: int, chunk: int) -> Sequence[int]:
    """The symbols or entries of each chunk (sections 5.4, 5.5); without chunks, one of all."""
    if chunk == 0:
        return [total]
    size = 1 << chunk + 9
    return [size] * ((total - 1) // size) + [(total - 1) % size + 1]


def live(bitmap: bytes | None, length: int) -> Sequence[int]:
    return range(length) if bitmap is None else array("I", compress(range(length), bitmap))


def finish(bits: Bits, section: str) -> None:
    bits.pad(section)
    check(bits.at == bits.end, section, "the payload goes on after its streams")


@dataclass
class Record:
    name: bytes
    suffix: bytes
    coding: int
    shape: tuple[int, ...]
    dtype: int
    decode: Callable[[bytes], bytes] | None = None  # None: an alias, or an unknown coding
    target: int = 0  # of an alias
    length: int = 0
    crc: int | None = None
    start: int = -1  # of the payload in the file; -1 while it is not known
    parts: list[Record] = field(default_factory=list)  # section 4.1
    join: Callable[[list[bytes]], bytes] | None = None  # of the parts, where it has some
    depth: int = 0

    def is_known(self) -> bool:
        return self.coding in KNOWN and all(part.is_known() for part in self.parts)

    def leaves(self) -> Iterator[Record]:
        """Those that have payloads, in order."""
        if self.join is None:
            yield self
        for part in self.parts:
            yield from part.leaves()


class Index:
    """Section 3, and the records of section 4."""

    def __init__(self, cursor: Bytes, max_decoded_bytes: int) -> None:
        self.cursor, self.budget = cursor, max_decoded_bytes
        self.dtype = DTYPES.index(("F32", 4))
        self.records: list[Record] = []
        self.tables: list[Table] = []
        self.bitmaps: list[bytes] = []
        self.names: set[bytes] = set()
        self.name_bytes = self.bitmap_bits = self.alphabets = 0
        pairs = [(cursor.string("3"), cursor.string("3")) for _ in range(cursor.varint("3"))]
        keys = [key for key, _ in pairs]
        check(all(a < b for a, b in pairwise(keys)), "3", "the metadata keys do not ascend")
        self.metadata = {utf8(key, "1"): utf8(value, "1") for key, value in pairs}
        self.codebooks = [read_codebook(cursor) for _ in range(cursor.varint("3"))]
        tensors = cursor.varint("3")
        self.count = tensors
        check(tensors <= MAX_RECORDS, "8", "too many records")
        for _ in range(tensors):
            self.records.append(self.read_record())
        check(cursor.at == cursor.end, "3", "the index goes on after its last record")

    def read_name(self) -> tuple[bytes, bytes]:
        prefix, s = self.cursor.varint("4"), self.cursor.varint("4")
        before = self.records[-1].name if self.records else b""
        check(prefix <= len(before), "4", "a prefix is longer than the name before")
        if s % 2 == 0:
            suffix = self.cursor.take(s // 2, "4")
        else:
            number = len(self.records) - (s + 1) // 2
            check(number >= 0, "4", "a suffix of a record that does not exist")
            suffix = self.records[number].suffix
        name = before[:prefix] + suffix
        check(len(name) <= MAX_NAME, "8", "a name is too long")
        self.name_bytes += len(name)
        check(self.name_bytes <= MAX_NAMES, "8", "all names together are too long")
        utf8(name, "4")
        check(name not in self.names, "4", "two records have the same name")
        self.names.add(name)
        return name, suffix

    def read_record(self) -> Record:
        """Section 4."""
        cursor = self.cursor
        name, suffix = self.read_name()
        head = cursor.uint(1, "4")
        coding, rank = self.read_coding(head), head >> 4 & 7
        if coding == ALIAS:
            return self.read_alias(name, suffix, head)
        if head & 128:
            self.dtype = cursor.uint(1, "4")
        if rank == 7:
            rank = cursor.varint("4")
            check(rank >= 7, "4", "a rank below 7 in a varint")
            check(rank <= MAX_RANK, "8", "a rank above 64")
        shape = tuple(cursor.varint("4") for _ in range(rank))
        record = Record(name, suffix, coding, shape, self.dtype)
        self.read_body(record)
        if record.is_known():
            # Section 8: a tensor of an unknown coding is never decoded.
            self.budget -= prod(shape) * DTYPES[self.dtype][1]
        check(self.budget >= 0, "8", "the decoded size exceeds the limit of the caller")
        return record

    def read_body(self, record: Record) -> None:
        """What follows the shape: parameters, payload length, CRC, inline payload."""
        cursor, shape, coding = self.cursor, record.shape, record.coding
        check(self.count <= MAX_RECORDS, "8", "too many records")
        if record.dtype < len(DTYPES):
            size = DTYPES[record.dtype][1]
            check(prod(d for d in shape if d) * size < 2**63, "4", "a tensor is too large")
        check(prod(shape) > 0 or coding == RAW or coding not in KNOWN, "5.1", "an empty tensor that is not raw")
        if coding not in KNOWN:
            cursor.take(cursor.varint("4"), "4")
            record.length = cursor.varint("4")
        else:
            record.length = self.read_parameters(record, known_dtype(record.dtype, "9"), prod(shape))
        if coding in COMPOSITE:
            return
        if record.length >= 256:
            record.crc = cursor.uint(4, "4")
        else:
            record.start = cursor.at
            cursor.take(record.length, "4")

    def read_coding(self, head: int) -> int:
        if head & 15 < 15:
            return head & 15
        coding = self.cursor.varint("4")
        check(coding >= 15, "4", "a coding below 15 in a varint")
        return coding

    def read_part(self, record: Record, shape: tuple[int, ...], dtype: str) -> Record:
        """Section 4.1: the next part of a record. dtype : where none is written."""
        check(record.depth < MAX_DEPTH, "4.1", "parts lie too deep")
        self.count += 1
        head = self.cursor.uint(1, "4.1")
        check(head & 0x70 == 0, "4.1", "reserved bits in the head of a part")
        coding = self.read_coding(head)
        check(coding != ALIAS, "4.1", "a part that is an alias")
        usual = [name for name, _ in DTYPES].index(dtype)
        number = self.cursor.uint(1, "4.1") if head & 128 else usual
        check(head & 128 == 0 or number != usual, "4.1", "the usual dtype of a part is written")
        part = Record(b"", b"", coding, shape, number, depth=record.depth + 1)
        record.parts.append(part)
        self.read_body(part)
        return part

    def read_alias(self, name: bytes, suffix: bytes, head: int) -> Record:
        """Section 5.3."""
        check(head >> 4 == 0, "5.3", "an alias with a rank or dtype")
        number = self.cursor.varint("5.3")
        check(number < len(self.records), "5.3", "an alias of a record that is not earlier")
        target = self.records[number]
        check(target.coding != ALIAS, "5.3", "an alias of an alias")
        return Record(name, suffix, ALIAS, target.shape, target.dtype, target=number, start=0)

    def read_parameters(self, record: Record, dtype: str, numel: int) -> int:
        """The parameters by coding; returns the payload length."""
        if record.coding == PLANES:
            return self.read_planes(record, dtype)
        if record.coding == SCALED:
            return self.read_scaled(record, dtype)
        if record.coding == ESCAPE:
            return self.read_escape(record, dtype, numel)
        if record.coding == LOOKUP:
            return self.read_lookup(record, dtype)
        if record.coding == RAW:
            record.decode = partial(decode_raw, dtype=dtype)
            return numel * SIZES[dtype]
        if record.coding == NARROW:
            storage = known_dtype(self.cursor.uint(1, "5.2"), "5.2")
            check(storage in NARROWER.get(dtype, ()), "5.2", f"{storage} is not narrower than {dtype}")
            record.decode = partial(widen, storage=storage, dtype=dtype)
            return numel * SIZES[storage]
        if record.coding == DENSE:
            record.decode = self.read_dense(dtype, numel).decode
            return self.cursor.varint("4")
        rows = record.shape[0] if record.shape else 1
        if record.coding == ADAPTIVE:
            record.decode = self.read_adaptive(dtype, (rows, numel // rows)).decode
            return self.cursor.varint("4")
        if record.coding == CLASSES:
            record.decode = self.read_classes(dtype, (rows, numel // rows)).decode
            return self.cursor.varint("4")
        check(SIZES[dtype] in (1, 2, 4, 8), "5.5", f"a sparse tensor of {dtype}")
        entries = self.cursor.varint("5.5")
        check(entries <= numel, "5.5", "more entries than elements")
        if entries == 0:
            record.decode = lambda _: bytes(numel * SIZES[dtype])
            return 0
        record.decode = self.read_sparse(dtype, (rows, numel // rows), entries).decode
        return self.cursor.varint("4")

    def read_planes(self, record: Record, dtype: str) -> int:
        """Section 5.7."""
        check(dtype in FLOATS or dtype in INTEGERS, "5.7", f"planes of {dtype}")
        bits, widths = 8 * SIZES[dtype], []
        while sum(widths) < bits:
            widths.append(self.cursor.uint(1, "5.7"))
            check(1 <= widths[-1] <= 16, "5.7", "the width of a field")
        check(sum(widths) == bits and len(widths) > 1, "5.7", "the widths of the fields")
        for width in widths:
            usual = "U8" if width <= 8 else "U16"
            part = self.read_part(record, record.shape, usual)
            check(part.dtype < len(DTYPES) and DTYPES[part.dtype][0] == usual, "5.7", f"a plane that is not {usual}")
        record.join = partial(join_planes, widths=widths, rotated=dtype in FLOATS)
        return 0

    def read_scaled(self, record: Record, dtype: str) -> int:
        """Section 5.8."""
        check(dtype in ("F16", "BF16", "F32", "F64"), "5.8", f"scales of {dtype}")
        form = self.cursor.uint(1, "5.8")
        shift, each = form >> 1 & 3, bool(form & 8)
        check(form < 16 and shift < 3, "5.8", "reserved bits or shift in the form")
        check(not each or dtype in ("F16", "BF16"), "5.8", f"each operation in {dtype} is rounded anyway")
        operations = "-" * (shift == 1) + "*" * (1 + (form & 1)) + "+" * (shift == 2)
        scaled = Scaled(dtype, record.shape, operations, each)
        shapes = [record.shape]
        for _ in operations:
            blocks = [self.cursor.varint("5.8") for _ in record.shape]
            pairs = list(zip(record.shape, blocks, strict=True))
            check(all(block < length for length, block in pairs), "5.8", "a block as long as its dimension")
            scaled.blocks.append([block or length for length, block in pairs])
            shapes.append(tuple(-(-length // block) if block else 1 for length, block in pairs))
        for operation, shape in zip(" " + operations, shapes, strict=True):
            part = self.read_part(record, shape, "I8" if operation in " -" else "F32")
            own = DTYPES[part.dtype][0] if part.dtype < len(DTYPES) else ""
            check(own in NUMBERS or own == dtype == "F64" or own == "", "5.8", f"a part of {own}")
            scaled.dtypes.append(own)
        record.join = scaled.join
        return 0

    def read_escape(self, record: Record, dtype: str, numel: int) -> int:
        """Section 5.9."""
        size = SIZES[dtype]
        check(dtype != "BOOL" and size <= 8, "5.9", f"values of {dtype} that stand apart")
        count, has_mark = divmod(self.cursor.varint("5.9"), 2)
        check(1 <= count <= numel, "5.9", "the number of values")
        mark = self.cursor.take(size, "5.9") if has_mark else None
        for shape, usual in ((record.shape, dtype if has_mark else "BOOL"), ((count,), dtype)):
            part = self.read_part(record, shape, usual)
            check(known_dtype(part.dtype, "5.9") == usual, "5.9", "a part of another dtype")
        record.join = partial(join_escape, size=size, count=count, mark=mark)

    def read_lookup(self, record: Record, dtype: str) -> int:
        """Section 5.11."""
        size = SIZES[dtype]
        check(size in (2, 4, 8), "5.11", f"a table of {dtype}")
        count = self.cursor.varint("5.11")
        check(1 <= count <= min(2**16, prod(record.shape)), "5.11", "too many values, or none")
        for shape, usual in (((count,), f"U{8 * size}"), (record.shape, "U16")):
            part = self.read_part(record, shape, usual)
            check(part.dtype < len(DTYPES) and DTYPES[part.dtype][0] == usual, "5.11", "a part of another dtype")
        record.join = partial(look_up, size=size)
        return 0

    def read_codebook_number(self, dtype: str, section: str) -> Codebook:
        number = self.cursor.varint(section)
        check(number < len(self.codebooks), section, "there is no such codebook")
        check(self.codebooks[number].dtype == dtype, section, "the codebook has another dtype")
        return self.codebooks[number]

    def read_width(self, section: str) -> int:
        width = self.cursor.uint(1, section)
        check(1 <= width <= 32, section, "a width is outside of 1 to 32")
        return width

    def stream_table(self, bits: Bits, kind: int, number: int, alphabet: int) -> Table | None:
        """The table of a stream of symbols (section 6.3)."""
        if kind == 1:
            self.alphabets += alphabet
            check(self.alphabets <= MAX_ALPHABETS, "8", "the alphabets of all code tables are too large")
            self.tables.append(read_table(bits, alphabet))
            return self.tables[-1]
        if kind == 2:
            check(number < len(self.tables), "6.3", "there is no such earlier code table")
            check(self.tables[number].alphabet == alphabet, "6.3", "the earlier table has another alphabet")
            return self.tables[number]
        return None

    def read_dense(self, dtype: str, numel: int) -> Dense:
        """Section 5.4."""
        codebook = self.read_codebook_number(dtype, "5.4")
        layout = self.cursor.uint(1, "5.4")
        kind, chunk = layout & 3, layout >> 4
        check(layout & 12 == 0 and kind != 3, "5.4", "reserved bits or kind in the layout")
        check(chunk == 0 or (kind > 0 and numel > 1 << chunk + 9), "5.4", "chunks that are not allowed")
        number = self.cursor.varint("5.4") if kind == 2 else 0
        width = self.read_width("5.4") if chunk else 0
        bits = Bits(self.cursor.data, self.cursor.at, self.cursor.end)
        table = self.stream_table(bits, kind, number, len(codebook.values))
        self.end_packed(bits, "5.4")
        return Dense(numel, codebook, table, chunk, width)

    def end_packed(self, bits: Bits, section: str) -> None:
        bits.pad(section)
        self.cursor.at = bits.at // 8

    def bitmap(self, bits: Bits, kind: int, argument: int, length: int) -> bytes | None:
        if kind == 0:
            return None
        self.bitmap_bits += length
        check(self.bitmap_bits <= MAX_BITMAPS, "8", "the bitmaps are too long")
        bitmap = read_bitmap(bits, kind, argument, length, self.bitmaps)
        check(1 in bitmap, "6.5", "a bitmap without a live bit")
        self.bitmaps.append(bitmap)
        return bitmap

    def read_adaptive(self, dtype: str, shape: tuple[int, int]) -> Adaptive:
        """Section 5.6."""
        codebook = self.read_codebook_number(dtype, "5.6")
        layout = self.cursor.uint(1, "5.6")
        check(layout < 64, "5.6", "reserved bits in the layout")
        by_columns = bool(layout & 1)
        lines, length = shape[::-1] if by_columns else shape
        check(length <= 2**22, "5.6", "a line is too long")
        stride = self.cursor.varint("5.6") if layout & 8 else 1
        check(layout & 8 == 0 or 2 <= stride <= 2**16, "5.6", "a stride outside of 2 to 2^16")
        chunk_lines = self.cursor.varint("5.6") if layout & 16 else 0
        check(layout & 16 == 0 or 1 <= chunk_lines < lines, "5.6", "chunks of too few or too many lines")
        check((chunk_lines or lines) <= 2**31, "5.6", "a chunk of too many lines")
        classes = None
        if layout & 32:
            byte = self.cursor.uint(1, "5.6")
            classes = (byte & 7) + 1, (byte >> 3) + 1
            check(byte < 64, "5.6", "reserved bits in the classes")
            check(classes[0] <= shape[0] and classes[1] <= shape[1], "5.6", "more classes than rows or columns")
        form = by_columns, bool(layout & 2), layout & 4 == 0, stride, chunk_lines
        return Adaptive(shape, codebook, *form, classes, dtype in ("I8", "I16", "I32", "I64"))

    def read_classes(self, dtype: str, shape: tuple[int, int]) -> Classes:
        """Section 5.10."""
        codebook = self.read_codebook_number(dtype, "5.10")
        check(len(codebook.values) <= 1024, "5.10", "the codebook has too many values")
        layout, classes = self.cursor.uint(1, "5.10"), self.cursor.uint(1, "5.10")
        check(layout < 16 and layout & 7 <= 6, "5.10", "reserved bits, or too many lanes, in the layout")
        row_classes, column_classes, p = (classes & 7) + 1, (classes >> 3 & 7) + 1, classes >> 6
        check(p <= 2, "5.10", "a sum of frequencies that is not allowed")
        check(row_classes <= shape[0] and column_classes <= shape[1], "5.10", "more classes than rows or columns")
        chunk_rows = self.cursor.varint("5.10") if layout & 8 else shape[0]
        check(layout & 8 == 0 or 1 <= chunk_rows < shape[0], "5.10", "chunks of too few or too many rows")
        check(chunk_rows <= 2**31, "5.10", "a chunk of too many rows")
        return Classes(shape, codebook, 1 << (layout & 7), row_classes, column_classes, 12 - p, chunk_rows)

    def read_sparse(self, dtype: str, shape: tuple[int, int], entries: int) -> Sparse:
        """Section 5.5."""
        cursor = self.cursor
        codebook = self.read_codebook_number(dtype, "5.5")
        layout = cursor.uint(2, "5.5")
        by_columns, line_ends, pbits = bool(layout & 1), bool(layout & 2), layout >> 12
        gap_kind, value_kind = layout >> 2 & 3, layout >> 4 & 3
        row_kind, column_kind = layout >> 6 & 7, layout >> 9 & 7
        check(gap_kind != 3 and value_kind != 3, "6.3", "a reserved kind of stream")
        check(row_kind != 7 and column_kind != 7, "6.5", "a reserved kind of bitmap")
        check(1 <= pbits <= 12, "5.5", "pbits is outside of 1 to 12")
        chunk = cursor.uint(1, "5.5") if entries >= 4096 else 0
        check(chunk <= 15, "5.5", "a chunk code above 15")
        check(chunk == 0 or entries > 1 << chunk + 9, "5.5", "only one chunk")
        check(chunk == 0 or not line_ends, "5.5", "chunks together with line ends")
        gap_number = cursor.varint("5.5") if gap_kind == 2 else 0
        value_number = cursor.varint("5.5") if value_kind == 2 else 0
        row_argument = cursor.varint("5.5") if row_kind >= 3 else 0
        column_argument = cursor.varint("5.5") if column_kind >= 3 else 0
        line_width = self.read_width("5.5") if line_ends else 0
        widths = (0, 0, 0)
        if chunk:
            gap_width, value_width = self.read_width("5.5"), cursor.uint(1, "5.5")
            check(value_width <= 32 and (value_width == 0) == (value_kind == 0), "5.5", "a wrong value width")
            widths = gap_width, value_width, self.read_width("5.5")

        bits = Bits(cursor.data, cursor.at, cursor.end)
        rows = self.bitmap(bits, row_kind, row_argument, shape[0])
        columns = self.bitmap(bits, column_kind, column_argument, shape[1])
        gap_table = self.stream_table(bits, gap_kind, gap_number, 1 << pbits)
        skip = (1 << pbits) - 1
        check(gap_table is None or list(gap_table.lengths) != [skip], "6.4", "the only gap is the skip")
        value_table = self.stream_table(bits, value_kind, value_number, len(codebook.values) - 1)
        self.end_packed(bits, "5.5")
        live_rows = shape[0] if rows is None else rows.count(1)
        live_columns = shape[1] if columns is None else columns.count(1)
        check(entries <= live_rows * live_columns, "5.5", "more entries than live elements")
        tables, chunks = (gap_table, value_table), (chunk, widths)
        return Sparse(shape, entries, codebook, by_columns, line_width, skip, *tables, rows, columns, *chunks)


def read_prefix(data: bytes, max_decoded_bytes: int) -> Index:
    """Section 2. The payloads' places are filled in."""
    file = Bytes(data, 0, len(data))
    check(file.take(8, "2") == SIGNATURE, "2", "the signature is wrong")
    check(file.uint(1, "2") == 1, "9", "the major version is not 1")
    file.uint(1, "2")  # any minor version: section 9
    length = file.varint("2")
    check(length <= MAX_INDEX, "8", "the index is too long")
    start = file.at
    file.take(length, "2")
    check(zlib.crc32(data[: file.at]) == file.uint(4, "2"), "2", "the index CRC is wrong")
    index = Index(Bytes(data, start, start + length), max_decoded_bytes)
    at = file.at
    for record in index.records:
        for leaf in record.leaves():
            if leaf.start < 0:
                leaf.start = at
                at += leaf.length
    check(at == len(data), "2", "the file is not as long as its prefix and payloads")
    return index


def decode(data: bytes, max_decoded_bytes: int = 2**32) -> Decoded:
    """Every tensor of a file. Raises Invalid if the file breaks any rule."""
    index = read_prefix(data, max_decoded_bytes)
    result = Decoded(index.metadata, {})
    names = [utf8(record.name, "4") for record in index.records]
    for name, record in zip(names, index.records, strict=True):
        dtype = DTYPES[record.dtype][0] if record.dtype < len(DTYPES) else f"dtype {record.dtype}"
        if record.coding == ALIAS:
            target = names[record.target]
            result.tensors[name] = Tensor(dtype, record.shape, ALIAS, result.tensors[target].data, target)
            continue
        result.tensors[name] = Tensor(dtype, record.shape, record.coding, elements(record, data))
    return result


def elements(record: Record, data: bytes) -> bytes | None:
    """What a record stands for; None if its coding, or that of a part, is unknown."""
    if record.join is not None:
        parts = [elements(part, data) for part in record.parts]
        known = [part for part in parts if part is not None]
        return record.join(known) if len(known) == len(parts) else None
    payload = data[record.start : record.start + record.length]
    check(record.crc is None or zlib.crc32(payload) == record.crc, "4", "the CRC of a payload is wrong")
    return None if record.decode is None else record.decode(payload)


def main(arguments: list[str]) -> int:
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        decoded = decode(data)
    except Invalid as error:
        print(f"invalid: {error}", file=sys.stderr)
        return 1
    for name, tensor in decoded.tensors.items():
        digest = "-" if tensor.data is None else hashlib.sha256(tensor.data).hexdigest()
        print(json.dumps(name), tensor.dtype, json.dumps(tensor.shape), tensor.coding, digest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
