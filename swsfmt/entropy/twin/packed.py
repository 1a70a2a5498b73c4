"""What is packed in the index: the runs of bitmaps, and code tables (spec 6.4, 6.5).

`runs` and `table` read like the kernels, and raise what the reader has for bits that the kernels refuse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ...errors import PayloadError
from ..bits import BitReader
from ..protocol import KRAFT_ONE, MAX_LENGTH


def runs(reader: BitReader, live: npt.NDArray[np.bool_]) -> None:
    """All of `live`, in runs."""
    value = bool(reader.field(1, "bitmap"))
    position = 0
    while position < len(live):
        run = reader.gamma("bitmap")
        if run > len(live) - position:
            raise reader.fail(f"bitmap: a run of {run} goes past the end of {len(live)} bits")
        live[position : position + run] = value
        value = not value
        position += run


def table(reader: BitReader, lengths: npt.NDArray[np.uint8]) -> int:
    """The code lengths of an alphabet, zeros so far; returns the one symbol of a code without bits, or -1."""
    if reader.field(1, "code table"):
        single = reader.field((len(lengths) - 1).bit_length(), "code table")
        if single >= len(lengths):
            raise reader.fail(f"code table: symbol {single} is outside of the alphabet of {len(lengths)}")
        return single
    previous = _check_length(reader, reader.field(4, "code table"))
    symbol = kraft = 0
    while kraft < KRAFT_ONE:
        if symbol >= len(lengths):
            raise reader.fail(f"code table: the Kraft sum is below 1 after all {len(lengths)} symbols")
        if reader.field(1, "code table"):
            token = reader.field(2, "code table") << 1 | 1
            if token == 0b011:
                symbol += reader.gamma("code table")
                continue
            if token == 0b111:
                previous = _check_length(reader, reader.field(4, "code table"))
            else:
                previous = _check_length(reader, previous + (1 if token == 0b001 else -1))
        lengths[symbol] = previous
        symbol += 1
        kraft += 1 << (MAX_LENGTH - previous)
    if kraft > KRAFT_ONE:
        raise reader.fail("code table: the Kraft sum is above 1")
    return -1


def _check_length(reader: BitReader, length: int) -> int:
    if not 1 <= length <= MAX_LENGTH:
        raise reader.fail(f"code table: code length {length} is not within 1 to {MAX_LENGTH}")
    return length


def read_runs(bits: bitarray, start: int, stop: int, out: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    reader = _reader(bits, start, stop)
    try:
        runs(reader, out)
    except PayloadError:
        return None
    return reader.position, -1


def read_table(bits: bitarray, start: int, stop: int, out: npt.NDArray[np.uint8]) -> tuple[int, int] | None:
    reader = _reader(bits, start, stop)
    try:
        single = table(reader, out)
    except PayloadError:
        return None
    return reader.position, single


def _reader(bits: bitarray, start: int, stop: int) -> BitReader:
    reader = BitReader(bits if stop == len(bits) else bits[:stop], PayloadError)
    reader.position = start
    return reader
