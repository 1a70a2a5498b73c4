"""What codings share: the tensor they describe, the numbered codebooks, tables and bitmaps of the index, streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits, DType
from ..entropy.bitmap import Live
from ..entropy.bits import BitReader
from ..entropy.code_table import read_table
from ..entropy.prefix_code import PrefixCode
from ..errors import PayloadError
from ..format.codebook import Codebook
from ..format.cursor import Cursor
from ..format.sections import Section, Span
from ..limits import DEFAULT_LIMITS, Limits

Payload: TypeAlias = bytes | memoryview

FIRST_CHUNK_BITS = 9
MAX_FIELD_WIDTH = 32


class Decoded(NamedTuple):
    """bits : elements as unsigned integers, flat. spans : where the payload's bits go, from its bit 0 on.
    gap_symbols : symbols in the gap stream, skips included; None if there is none.
    """

    bits: Bits
    spans: list[Span]
    gap_symbols: int | None = None


@dataclass
class Resources:
    """What records refer to by number, in the order of the index, and the spans found while parsing it."""

    codebooks: list[Codebook] = field(default_factory=list)
    tables: list[PrefixCode] = field(default_factory=list)
    bitmaps: list[Live] = field(default_factory=list)
    limits: Limits = DEFAULT_LIMITS
    spans: list[Span] = field(default_factory=list)
    bitmap_bits: int = 0
    table_symbols: int = 0

    def add_table(self, code: PrefixCode) -> None:
        """Number a new code table."""
        self.tables.append(code)
        self.table_symbols += code.alphabet

    def add_bitmap(self, live: Live) -> None:
        """Number a new bitmap."""
        self.bitmaps.append(live)
        self.bitmap_bits += len(live)

    def has_room(self, table_symbols: int = 0, bitmap_bits: int = 0) -> bool:
        """Whether a writer may add tables and bitmaps of these sizes."""
        return (
            self.table_symbols + table_symbols <= self.limits.max_table_symbols
            and self.bitmap_bits + bitmap_bits <= self.limits.max_bitmap_bits
        )

    def codebook(self, cursor: Cursor, dtype: DType) -> tuple[int, Codebook]:
        """The number that comes next and the codebook of that number."""
        number = cursor.varint("codebook number")
        if number >= len(self.codebooks):
            raise cursor.error(f"codebook {number} does not exist, there are {len(self.codebooks)}")
        book = self.codebooks[number]
        if book.dtype != dtype:
            raise cursor.error(f"codebook {number} holds {book.dtype.name}, the tensor is {dtype.name}")
        return number, book

    def span(self, section: Section, start: int, end: int) -> None:
        if end > start:
            self.spans.append(Span(section, start, end))


class StreamKind(IntEnum):
    """How a stream of symbols is coded (spec 6.3)."""

    FIXED = 0
    NEW_TABLE = 1
    EARLIER_TABLE = 2


@dataclass(frozen=True, eq=False)
class Stream:
    """The code of one stream of symbols. table: number of the earlier table, for kind EARLIER_TABLE."""

    kind: StreamKind
    code: PrefixCode
    table: int = 0


def parse_stream_kind(cursor: Cursor, number: int) -> StreamKind:
    if number not in StreamKind.__members__.values():
        raise cursor.error(f"stream kind {number} is reserved")
    return StreamKind(number)


def parse_earlier(cursor: Cursor, kind: StreamKind) -> int:
    """The number of an earlier table, where the kind has one."""
    return cursor.varint("table number") if kind == StreamKind.EARLIER_TABLE else 0


def read_stream(kind: StreamKind, number: int, alphabet: int, reader: BitReader, resources: Resources) -> Stream:
    """Resolve the code of a stream; a new table is read from the packed bits and numbered."""
    if kind == StreamKind.FIXED:
        return Stream(kind, PrefixCode.fixed(alphabet))
    if kind == StreamKind.NEW_TABLE:
        total = resources.table_symbols + alphabet
        resources.limits.check("max_table_symbols", total, "the sum of the alphabets of all code tables")
        code = read_table(reader, alphabet)
        resources.add_table(code)
        return Stream(kind, code)
    if number >= len(resources.tables):
        raise reader.fail(f"table {number} does not exist, {len(resources.tables)} come before")
    code = resources.tables[number]
    if code.alphabet != alphabet:
        raise reader.fail(f"table {number} has an alphabet of {code.alphabet}, {alphabet} is needed")
    return Stream(kind, code, number)


@dataclass(frozen=True)
class Chunks:
    """Restart points.

    code : 0 for none, else a chunk has 2**(code + 9) symbols.
    widths : bits of each column of the chunk table.
    """

    code: int = 0
    widths: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Symbols in a chunk."""
        return 1 << (self.code + FIRST_CHUNK_BITS)

    def count(self, symbols: int) -> int:
        return -(-symbols // self.size) if self.code else 0


NO_CHUNKS = Chunks()


def parse_chunks(cursor: Cursor, code: int, symbols: int, columns: int) -> Chunks:
    """The rest of a chunk parameter: one width for each column."""
    if code == 0:
        return NO_CHUNKS
    if Chunks(code).count(symbols) < 2:
        raise cursor.error(f"{symbols} symbols do not fill more than one chunk of {Chunks(code).size}")
    return Chunks(code, tuple(cursor.u8("chunk column width") for _ in range(columns)))


def check_width(cursor: Cursor, width: int, what: str) -> None:
    if not 1 <= width <= MAX_FIELD_WIDTH:
        raise cursor.error(f"{what} {width} is not within 1 to {MAX_FIELD_WIDTH}")


def width_of(values: npt.NDArray[np.int64]) -> int:
    """Bits of the widest of `values`, at least 1."""
    return max(1, int(values.max()).bit_length()) if len(values) else 1


def same(found: npt.NDArray[np.int64], told: npt.NDArray[np.int64], what: str) -> None:
    """A chunk table must agree with the streams."""
    wrong = np.flatnonzero(found != told)
    if len(wrong):
        i = int(wrong[0])
        raise PayloadError(f"{what} of chunk {i} is {int(found[i])}, its chunk table says {int(told[i])}")
