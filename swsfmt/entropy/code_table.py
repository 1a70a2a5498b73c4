"""Code lengths in few bits (spec 6.4): each as a step from the one before; the Kraft sum tells the end.

A Huffman code that is best for its counts is not always best with its table: a slightly smoother one may have a table
that is shorter by more. `cheapest_code` tries a few and takes the smallest sum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import backend
from .bits import BitReader, BitWriter
from .prefix_code import PrefixCode, field_width

# Half-widths of the smoothing window, in 64ths of the symbol's own number.
WINDOWS = bytes([1, 4, 12, 25])


def _tokens(lengths: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The table of a complete code as (length, run) pairs: run symbols that are unused (length 0), or one symbol."""
    used = np.flatnonzero(lengths)
    tokens = []
    following = 0
    for symbol in used.tolist():
        if symbol > following:
            tokens.append((0, symbol - following))
        tokens.append((int(lengths[symbol]), 1))
        following = symbol + 1
    return tokens


def write_table(writer: BitWriter, code: PrefixCode) -> None:
    """Append the table of `code`, which must be canonical or of one symbol."""
    if code.single is not None:
        writer.field(1, 1)
        writer.field(code.single, field_width(code.alphabet))
        return
    tokens = _tokens(code.lengths)
    previous = next(length for length, _ in tokens if length)
    writer.field(0, 1)
    writer.field(previous, 4)
    for length, run in tokens:
        if length == 0:
            writer.field(0b011, 3)
            writer.gamma(run)
            continue
        if length == previous:
            writer.field(0, 1)
        elif abs(length - previous) == 1:
            writer.field(0b001 if length > previous else 0b101, 3)
        else:
            writer.field(0b111, 3)
            writer.field(length, 4)
        previous = length


def read_table(reader: BitReader, alphabet: int) -> PrefixCode:
    """Read a code table for `alphabet` symbols (1 to 4096); every rule of spec 6.4 is checked."""
    lengths = np.zeros(alphabet, np.uint8)
    read = backend.kernels.read_table(reader.bits, reader.position, len(reader.bits), lengths)
    if read is None:
        # The twin knows why.
        from .twin.packed import table

        table(reader, lengths)
        raise AssertionError("kernels disagree on a code table")
    reader.position, single = read
    return PrefixCode.canonical(lengths) if single < 0 else PrefixCode.one_symbol(single, alphabet)


def cheapest_code(counts: npt.NDArray[np.int64], smooth: bool = False) -> tuple[PrefixCode, int]:
    """A code for these counts and its size in bits, table and stream together.

    smooth : also try codes of smoothed counts, worth it for gaps, whose counts fall slowly from symbol to symbol.
    """
    lengths, single, size = backend.kernels.cheapest_code(counts, WINDOWS if smooth else b"")
    return PrefixCode(np.frombuffer(lengths, np.uint8), None if single < 0 else single), size
