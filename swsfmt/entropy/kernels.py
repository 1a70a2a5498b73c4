"""Symbols <-> bits, and from bits straight into the elements of a tensor: the only part where speed matters.

Each function has an implementation in C (`_native_*.c`) and one on top of bitarray (`_fallback.py`), same results.
The C one is used where it was built (see `native`).
They trust their `code`, which was checked when its table was read, and nothing else. Where the C one meets something
wrong it gives up, and the other one finds out what it is: errors come from one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ..parallel import in_parallel
from . import _fallback
from .native import load
from .prefix_code import PrefixCode

Symbols = npt.NDArray[np.uint16]
Elements = npt.NDArray[np.unsignedinteger]
T = TypeVar("T")

# Chunks of the sparse coding are decoded into buffers of this many entries.
MAX_FUSED_CHUNK = 1 << 16
# Gaps below this are counted in an array, which is faster than a sort; of longer ones there are few.
COUNTABLE = 1 << 16
# What a thread must have to do, or it is not worth its start: chunks to decode, elements to encode.
_CHUNKS = 4
_PART = 1 << 18
_NONE = np.zeros(0, np.int32)

_native = load("swsfmt.entropy._native")


def active() -> str:
    """Which implementation runs: "native" or "bitarray"."""
    return "bitarray" if _native is None else "native"


def distinct(elements: Elements, most: int, threads: int = 1) -> Elements | None:
    """The distinct elements in ascending order, or None where there are more than `most` <= 4096."""
    if _native is None:
        return _fallback.distinct(elements, most)
    data = np.ascontiguousarray(elements)
    found = _in_parts(lambda i, j: _native.distinct(data[i:j], data.itemsize, most), len(data), threads, _PART)
    if any(part is None for part in found):
        return None
    values = np.unique(np.concatenate([np.frombuffer(part, np.uint64) for part in found])).astype(elements.dtype)
    return values if len(values) <= most else None


def symbols_of(elements: Elements, values: Elements, threads: int = 1) -> tuple[Symbols, npt.NDArray[np.int64]]:
    """The number of each element among the ascending `values`, and how often each number occurs.

    Every element must be one of at most 4096 values; otherwise `ValueError`.
    """
    if _native is None:
        return _fallback.symbols_of(elements, values)
    data, keys = np.ascontiguousarray(elements), values.astype(np.uint64)
    symbols = np.empty(len(data), np.uint16)

    def part(first: int, last: int) -> npt.NDArray[np.int64]:
        counts = np.zeros(len(keys), np.int64)
        if not _native.symbols(data[first:last], data.itemsize, keys, symbols[first:last], counts):
            raise ValueError("an element is not in the codebook")
        return counts

    return symbols, np.sum(_in_parts(part, len(data), threads, _PART), axis=0)


def line_entries(
    symbols: Symbols,
    starts: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int32] | None,
    fresh: bool,
) -> tuple[npt.NDArray[np.int64], Symbols, int]:
    """The entries of some lines of a matrix, the symbols that are not zero: the gap before each, and its value.

    symbols : of shape (lines, places), contiguous
    starts : the position of the first place of each line, ascending
    numbers : of the places, which are added to the start; None where they are 0, 1, 2 and so on
    fresh : the gap before the first entry of a line counts from the start of that line
    A value is the symbol less one, a gap the number of positions that are passed over, from position 0 on. Gaps can be
    written to. Returned with them: the position of the last entry, or -1 (of the place before the last line, if fresh).
    """
    if _native is None:
        return _fallback.line_entries(symbols, starts, numbers, fresh)
    gaps, values, last = _native.line_entries(symbols, starts, _NONE if numbers is None else numbers, fresh)
    return np.frombuffer(gaps, np.int64), np.frombuffer(values, np.uint16), last


class Window(NamedTuple):
    """Rows top to bottom - 1 and columns left to right - 1 of a matrix."""

    top: int
    bottom: int
    left: int
    right: int


class LineGaps(NamedTuple):
    """The gaps between entries of the same line.

    counts : how often each gap below `COUNTABLE` occurs; int64
    others : all other gaps, one by one; int64
    lines : int64 of shape (3, lines): the first and the last place of each line that is an entry, or -1, and how many
        entries the line has
    """

    counts: npt.NDArray[np.int64]
    others: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]


def line_gaps(
    matrix: Symbols, window: Window, lines_are_columns: bool, numbers: npt.NDArray[np.int32] | None
) -> LineGaps:
    """Count the gaps within the rows, or the columns, of a part of a contiguous matrix of symbols.

    numbers : of the places of a whole line; None where they are 0, 1, 2 and so on
    """
    top, bottom, left, right = window
    places, lines = bottom - top, right - left
    if not lines_are_columns:
        places, lines = lines, places
    found = LineGaps(
        np.zeros(min(places, COUNTABLE), np.int64),
        np.zeros(lines * (places // COUNTABLE), np.int64),
        np.repeat(np.array([[-1], [-1], [0]], np.int64), lines, axis=1),
    )
    if _native is None:
        part = matrix[top:bottom, left:right]
        others = _fallback.line_gaps(
            part.T if lines_are_columns else part,
            top if lines_are_columns else left,
            numbers,
            found.counts,
            found.lines,
        )
        return found._replace(others=others)
    given = _NONE if numbers is None else numbers
    listed = _native.line_gaps(matrix, matrix.shape[1], window, lines_are_columns, given, *found)
    return found._replace(others=found.others[:listed])


def gap_symbols(gaps: npt.NDArray[np.int64], pbits: int) -> Symbols:
    """Gap symbols of `pbits` bits, each after the skips that it needs. A skip is the largest symbol (spec 5.5)."""
    if _native is None:
        return _fallback.gap_symbols(gaps, pbits)
    return np.frombuffer(_native.gap_symbols(gaps, pbits), np.uint16)


def gap_chunks(symbols: Symbols, code: PrefixCode, chunk: int) -> npt.NDArray[np.int64]:
    """For each `chunk` entries the bits of their gap symbols, and how far these lead: int64 of shape (chunks, 2).

    Skips go with the entry behind them.
    """
    if _native is None:
        return _fallback.gap_chunks(symbols, code, chunk)
    rows = _native.gap_chunks(np.ascontiguousarray(symbols), code.alphabet - 1, code.lengths, chunk)
    return np.frombuffer(rows, np.int64).reshape(-1, 2)


def chunk_bits(symbols: Symbols, code: PrefixCode, chunk: int, threads: int = 1) -> npt.NDArray[np.int64]:
    """The bits that the symbols of each chunk of `chunk` symbols take: int64 of shape (chunks,)."""
    if _native is None:
        return _fallback.chunk_bits(symbols, code, chunk)
    data = np.ascontiguousarray(symbols)
    found = _in_parts(
        lambda i, j: np.frombuffer(_native.chunk_bits(data[i * chunk : j * chunk], code.lengths, chunk), np.int64),
        -(-len(data) // chunk),
        threads,
        -(-_PART // chunk),
    )
    return np.concatenate(found)


def encode_symbols(symbols: Symbols, code: PrefixCode, threads: int = 1) -> bitarray:
    """The bits of `symbols`, each of which must have a codeword in `code`."""
    if _native is None or code.single is not None:
        return _fallback.encode_symbols(symbols, code)
    ids = np.ascontiguousarray(symbols)
    bits = bitarray(endian="little")
    parts = _in_parts(
        lambda i, j: _native.encode_symbols(ids[i:j], code.codewords, code.lengths), len(ids), threads, _PART
    )
    for data, count in parts:
        end = len(bits) + count
        bits.extend(bitarray(buffer=data, endian="little"))
        del bits[end:]
    return bits


def decode_symbols(bits: bitarray, position: int, count: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode `count` symbols from bit `position` on; return them and the position after them.

    Raises `PayloadError` when the bits end too early or a symbol is outside of the alphabet.
    """
    if _native is None or code.single is not None or count == 0:
        return _fallback.decode_symbols(bits, position, count, code)
    if count > len(bits) - position:
        return _fallback.decode_symbols(bits, position, count, code)
    out = np.empty(count, np.uint16)
    starts = np.array([position, len(bits)], np.int64)
    identity = np.arange(code.alphabet, dtype=np.uint16)
    bad, end = _native.decode_dense(bits, _tuple(code), identity, 2, starts, count, count, 0, 1, False, out)
    if bad >= 0:
        return _fallback.decode_symbols(bits, position, count, code)
    return out, end


def decode_gaps(bits: bitarray, position: int, entries: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode gap symbols until `entries` of them are not the skip (the last symbol of the alphabet).

    Returns all symbols, skips included, and the position after them. Raises as `decode_symbols` does.
    """
    if _native is None or code.single is not None:
        return _fallback.decode_gaps(bits, position, entries, code)
    found = _native.decode_gaps(bits, _tuple(code), position, len(bits), entries)
    if found is None:
        return _fallback.decode_gaps(bits, position, entries, code)
    return np.frombuffer(found[0], np.uint16), found[1]


def scatter(
    gaps: Symbols,
    skip: int,
    elements: Elements,
    position: int,
    lines: int,
    line_length: int,
    offsets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None,
    out: Elements,
) -> int | None:
    """Put each of `elements` where its gap symbol leads from `position` on, into zeros, and return the position after.

    offsets : as for `decode_sparse`
    Returns None, and writes nothing, where the gaps leave the matrix or this takes the C kernels and they are missing.
    """
    if _native is None or elements.itemsize > 4:
        return None
    line_offsets, place_offsets = offsets if offsets is not None else (np.zeros(0, np.int64),) * 2
    symbols = np.ascontiguousarray(gaps)
    after: int | None = _native.scatter(
        symbols, skip, elements, elements.itemsize, position, lines, line_length, line_offsets, place_offsets, out
    )
    return after


def can_fuse(itemsize: int) -> bool:
    """Whether `decode_dense` and `decode_sparse` can be used: elements of 1, 2 or 4 bytes."""
    return _native is not None and itemsize in (1, 2, 4)


def decode_dense(
    bits: bitarray,
    starts: npt.NDArray[np.int64],
    chunk: int,
    total: int,
    code: PrefixCode,
    elements: Elements,
    threads: int = 1,
    out: Elements | None = None,
) -> Elements | None:
    """Decode a stream in chunks of `chunk` symbols into elements: elements[symbol] for each of `total` symbols.

    starts : int64 of shape (chunks + 1,), the bit where each chunk starts, and where the last one ends.
    out : where they go, of the dtype of `elements`; None for new memory.
    Returns None when a chunk does not end where the next one starts.
    """
    out = np.empty(total, elements.dtype) if out is None else out

    def part(first: int, last: int) -> int:
        bad: int = _native.decode_dense(
            bits, _tuple(code), elements, elements.itemsize, starts, chunk, total, first, last, True, out
        )[0]
        return bad

    return out if all(bad < 0 for bad in _in_parts(part, len(starts) - 1, threads)) else None


def decode_sparse(
    bits: bitarray,
    starts: npt.NDArray[np.int64],
    chunk: int,
    entries: int,
    numel: int,
    gap_code: PrefixCode,
    value_code: PrefixCode,
    elements: Elements,
    lines: int,
    line_length: int,
    offsets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None,
    threads: int = 1,
    out: Elements | None = None,
) -> tuple[Elements, int] | None:
    """Decode gaps and values in chunks of `chunk` entries and put the elements where they belong; zero elsewhere.

    starts : int64 of shape (chunks + 1, 3): gap bit, value bit and position where each chunk starts, and the ends.
        Positions must ascend strictly and lie within lines * line_length; bits must lie within `bits`.
    offsets : line and place offsets; a position lies at line_offsets[line] + place_offsets[place]. None: at itself.
    out : where they go, of the dtype of `elements`; None for new memory.
    Returns the elements and the number of gap symbols; None when a chunk does not end as it should.
    """
    clear = out is not None and offsets is None
    if out is None:
        # The system gives zeros away with its pages: nothing is zeroed twice.
        out = np.zeros(numel, elements.dtype)
    elif clear:
        # The kernel clears up to the last entry, bit by bit: each part while it is in the cache.
        out[starts[-1, 2] :] = 0
    else:
        out.fill(0)
    line_offsets, place_offsets = offsets if offsets is not None else (np.zeros(0, np.int64),) * 2

    def part(first: int, last: int) -> tuple[int, int]:
        found: tuple[int, int] = _native.decode_sparse(
            bits,
            _tuple(gap_code),
            _tuple(value_code),
            elements,
            elements.itemsize,
            starts,
            chunk,
            entries,
            first,
            last,
            lines,
            line_length,
            line_offsets,
            place_offsets,
            clear,
            out,
        )
        return found

    found = _in_parts(part, len(starts) - 1, threads)
    if any(bad >= 0 for bad, _ in found):
        return None
    return out, sum(symbols for _, symbols in found)


def _tuple(code: PrefixCode) -> tuple[Any, Any, int]:
    return code.codewords, code.lengths, -1 if code.single is None else code.single


def _in_parts(part: Callable[[int, int], T], count: int, threads: int, least: int = _CHUNKS) -> list[T]:
    """Run `part` over 0 to `count`, cut into a few ranges for each thread, which has at least `least` to do.

    The results are in order.
    """
    threads = min(threads, count // least)
    if threads <= 1:
        return [part(0, count)]
    cuts = np.linspace(0, count, min(count, 4 * threads) + 1).astype(int).tolist()
    return in_parallel(part, cuts[:-1], cuts[1:], threads=threads)
