"""Streams of symbols in records: a fixed width, a new code table, or an earlier one (spec 6.3)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..entropy import backend, kernels
from ..entropy.bits import BitReader
from ..entropy.code_table import cheapest_code, read_table
from ..entropy.prefix_code import PrefixCode, field_width
from ..errors import PayloadError
from ..format.cursor import Cursor
from ..format.resources import Resources


class StreamKind(IntEnum):
    """How a stream of symbols is coded (spec 6.3)."""

    FIXED = 0
    NEW_TABLE = 1
    EARLIER_TABLE = 2


_KINDS = {int(kind): kind for kind in StreamKind}
# Looking up a member of an enum takes longer than all else that is done with it.
_FIXED, _NEW_TABLE, _EARLIER_TABLE = StreamKind


class Stream(NamedTuple):
    """The code of one stream of symbols. table: number of the earlier table, for kind EARLIER_TABLE."""

    kind: StreamKind
    code: PrefixCode
    table: int = 0


def parse_stream_kind(cursor: Cursor, number: int) -> StreamKind:
    """The kind of that number; raises `IndexRuleError`."""
    if number not in _KINDS:
        raise cursor.error(f"stream kind {number} is reserved")
    return _KINDS[number]


def parse_earlier(cursor: Cursor, kind: StreamKind) -> int:
    """The number of an earlier table, where the kind has one."""
    return cursor.varint("table number") if kind is _EARLIER_TABLE else 0


def read_stream(kind: StreamKind, number: int, alphabet: int, reader: BitReader, resources: Resources) -> Stream:
    """Resolve the code of a stream; a new table is read from the packed bits and numbered."""
    if kind is _FIXED:
        return Stream(kind, PrefixCode.fixed(alphabet))
    if kind is _NEW_TABLE:
        total = resources.table_symbols + alphabet
        if total > resources.limits.max_table_symbols:
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


def decode_part(reader: BitReader, start: int, end: int, count: int, stream: Stream) -> npt.NDArray[np.uint16]:
    """The symbols of some whole chunks, which lie in bits `start` to `end` - 1. Raises `PayloadError`."""
    if end > len(reader.bits):
        raise PayloadError("the chunk table tells of more bits than there are")
    symbols, position = kernels.decode_symbols(reader.bits, start, count, stream.code)
    if position != end:
        raise PayloadError("a chunk does not end where the next one starts")
    return symbols


def cheapest_stream(
    counts: npt.NDArray[np.int64], total: int, resources: Resources, huffman: bool, smooth: bool = False
) -> tuple[Stream, int]:
    """The cheapest code for these symbol counts, and the bits that it takes, its table or reference included.

    total : of the counts
    resources : with the earlier code tables of the file
    huffman : False allows fixed widths only
    """
    alphabet = len(counts)
    fixed = total * field_width(alphabet)
    if not huffman:
        return Stream(_FIXED, PrefixCode.fixed(alphabet)), fixed
    code, size = cheapest_code(counts, smooth)
    least = min(fixed, size)
    first, tables = resources.recent_tables()
    # Of most tensors the table takes less than a reference could.
    if tables and least > tables[0][2]:
        cheapest = backend.kernels.cheapest_table(counts, tables)
        if cheapest is not None and cheapest[1] < least:
            number = first + cheapest[0]
            return Stream(_EARLIER_TABLE, resources.tables[number], number), cheapest[1]
    if size < fixed:
        return Stream(_NEW_TABLE, code), size
    return Stream(_FIXED, PrefixCode.fixed(alphabet)), fixed


def number_tables(streams: Sequence[Stream], resources: Resources) -> None:
    """Give the new tables of a record their numbers."""
    for stream in streams:
        if stream.kind == StreamKind.NEW_TABLE:
            resources.add_table(stream.code)
