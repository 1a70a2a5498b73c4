"""Restart points: a stream in chunks, so that threads and row slices can start anywhere (spec 5.4, 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from ..format.cursor import Cursor
from .base import Payload

_FIRST_CHUNK_BITS = 9
MAX_FIELD_WIDTH = 32
# Shorter streams decode faster than a thread starts; their files stay free of chunk tables.
_CHUNKED_SYMBOLS = 1 << 15
_CHUNK_CODE = 4
_LENGTH_BYTES = 4


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
        return 1 << (self.code + _FIRST_CHUNK_BITS)

    def count(self, symbols: int) -> int:
        """Chunks of a stream of so many symbols; 0 where there are none."""
        return -(-symbols // self.size) if self.code else 0


NO_CHUNKS = Chunks()


def chunks_for(symbols: int) -> Chunks:
    """What a writer gives a stream of so many symbols, widths not yet set."""
    return Chunks(_CHUNK_CODE) if symbols >= _CHUNKED_SYMBOLS else NO_CHUNKS


def parse_chunks(cursor: Cursor, code: int, symbols: int, columns: int) -> Chunks:
    """The rest of a chunk parameter: one width for each column. Raises `IndexRuleError`."""
    if code == 0:
        return NO_CHUNKS
    if Chunks(code).count(symbols) < 2:
        raise cursor.error(f"{symbols} symbols do not fill more than one chunk of {Chunks(code).size}")
    return Chunks(code, tuple(cursor.u8("chunk column width") for _ in range(columns)))


def check_width(cursor: Cursor, width: int, what: str) -> None:
    """Raise `IndexRuleError` for a width that a field cannot have."""
    if not 1 <= width <= MAX_FIELD_WIDTH:
        raise cursor.error(f"{what} {width} is not within 1 to {MAX_FIELD_WIDTH}")


def width_of(values: npt.NDArray[np.int64]) -> int:
    """Bits of the widest of `values`, at least 1."""
    return max(1, int(values.max()).bit_length()) if len(values) else 1


def check_column(stream: npt.NDArray[np.int64], table: npt.NDArray[np.int64], what: str) -> None:
    """Raise `PayloadError` where a column of the chunk table does not agree with the stream."""
    wrong = np.flatnonzero(stream != table)
    if len(wrong):
        i = int(wrong[0])
        raise PayloadError(f"{what} of chunk {i} is {int(stream[i])}, its chunk table says {int(table[i])}")


# ---- chunks of whole bytes (spec 5.6, 5.10) --------------------------------------------------------------------------


def code_starts(chunks: int, payload: Payload, table: int) -> npt.NDArray[np.int64]:
    """The byte where the code of each chunk starts, and the last one ends: int64 of shape (chunks + 1,).

    table : the byte where the chunk table starts, a u32 for each chunk but the last
    Raises `PayloadError`.
    """
    start = table + _LENGTH_BYTES * (chunks - 1)
    if start > len(payload):
        raise PayloadError(f"{chunks} chunks have a chunk table up to byte {start}, the payload has {len(payload)}")
    starts = np.empty(chunks + 1, np.int64)
    starts[0], starts[-1] = start, len(payload)
    np.cumsum(np.frombuffer(payload, "<u4", chunks - 1, table), dtype=np.int64, out=starts[1:-1])
    starts[1:-1] += start
    if starts[-2] > len(payload):
        raise PayloadError(f"the chunks have {int(starts[-2])} bytes and more, the payload has {len(payload)}")
    return starts
