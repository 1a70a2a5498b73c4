"""Symbols <-> bits, and from bits straight into the elements of a tensor: the only part where speed matters.

Here arrays are made fit for a kernel, its work is cut into parts for threads, and what it gives up on becomes an error.
They trust their `code`, which was checked when its table was read, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ..errors import ChangedError
from ..parallel import in_parallel
from . import backend
from .arrays import Elements as Elements
from .arrays import Symbols as Symbols
from .backend import active as active
from .prefix_code import PrefixCode
from .protocol import GapCounts

T = TypeVar("T")

# What a symbol takes where the twin is at work, in microseconds.
_TWIN = 5
# Chunks of the sparse coding are decoded into buffers of this many entries.
MAX_FUSED_CHUNK = 1 << 16
# Gaps below this are counted in an array, which is faster than a sort; of longer ones there are few.
COUNTABLE = 1 << 16
# Elements that `decode_dense` and `decode_sparse` write, in bytes.
_LARGEST_FUSED = 4
# What a thread must have to do, or it is not worth its start: chunks to decode, elements to encode.
_CHUNKS = 32
_PART = 1 << 18
_NO_NUMBERS = np.zeros(0, np.int32)
_ALL_PLACES = np.zeros(0, np.bool_)
_NO_OFFSETS = (np.zeros(0, np.int64),) * 2


def distinct(elements: Elements, most: int, threads: int = 1) -> Elements | None:
    """The distinct elements in ascending order, or None where there are more than `most` <= 4096."""
    data, kernels = np.ascontiguousarray(elements), backend.kernels
    parts = in_parts(lambda i, j: kernels.distinct(data[i:j], data.itemsize, most), len(data), threads, _PART)
    values = []
    for part in parts:
        if part is None:
            return None
        values.append(np.frombuffer(part, np.uint64))
    merged: Elements = (values[0] if len(values) == 1 else np.unique(np.concatenate(values))).astype(elements.dtype)
    return merged if len(merged) <= most else None


def symbols_of(elements: Elements, values: Elements, threads: int = 1) -> tuple[Symbols, npt.NDArray[np.int64]]:
    """The number of each element among the ascending `values`, at most 4096, and how often each number occurs.

    Each element is read once. Raises `ChangedError` for one that is not among the values, which were those of all.
    """
    backend.warn_if_slow(_TWIN * len(elements))
    data, keys = np.ascontiguousarray(elements), values.astype(np.uint64)
    symbols, kernels = np.empty(len(data), np.uint16), backend.kernels

    def part(first: int, last: int) -> npt.NDArray[np.int64]:
        counts = np.zeros(len(keys), np.int64)
        if not kernels.symbols(data[first:last], data.itemsize, keys, symbols[first:last], counts):
            raise ChangedError
        return counts

    first, *others = in_parts(part, len(data), threads, _PART)
    for counts in others:
        first += counts
    return symbols, first


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
    places = _NO_NUMBERS if numbers is None else numbers
    gaps, values, last = backend.kernels.line_entries(symbols, np.ascontiguousarray(starts, np.int64), places, fresh)
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
    gaps = LineGaps(
        np.zeros(min(places, COUNTABLE), np.int64),
        np.zeros(lines * (places // COUNTABLE), np.int64),
        np.full((3, lines), -1, np.int64),
    )
    gaps.lines[2] = 0
    given = _NO_NUMBERS if numbers is None else numbers
    listed = backend.kernels.line_gaps(matrix, matrix.shape[1], window, lines_are_columns, given, *gaps)
    return gaps._replace(others=gaps.others[:listed])


def matrix_gaps(
    matrix: Symbols, lines_are_columns: bool, places: npt.NDArray[np.bool_] | None, live: npt.NDArray[np.bool_]
) -> tuple[int, GapCounts, GapCounts, GapCounts]:
    """All gaps of a contiguous matrix of no more than `COUNTABLE` symbols; see `protocol.Kernels`."""
    given = _ALL_PLACES if places is None else places
    return backend.kernels.matrix_gaps(matrix, matrix.shape[1], lines_are_columns, given, live)


def gap_symbols(gaps: npt.NDArray[np.int64], pbits: int) -> Symbols:
    """Gap symbols of `pbits` bits, each after the skips that it needs. A skip is the largest symbol (spec 5.5)."""
    return np.frombuffer(backend.kernels.gap_symbols(gaps, pbits), np.uint16)


def gap_chunks(symbols: Symbols, code: PrefixCode, chunk: int) -> npt.NDArray[np.int64]:
    """For each `chunk` entries the bits of their gap symbols, and how far these lead: int64 of shape (chunks, 2).

    Skips go with the entry behind them.
    """
    rows = backend.kernels.gap_chunks(np.ascontiguousarray(symbols), code.alphabet - 1, code.lengths, chunk)
    return np.frombuffer(rows, np.int64).reshape(-1, 2)


def chunk_bits(symbols: Symbols, code: PrefixCode, chunk: int, threads: int = 1) -> npt.NDArray[np.int64]:
    """The bits that the symbols of each chunk of `chunk` symbols take: int64 of shape (chunks,)."""
    data, kernels = np.ascontiguousarray(symbols), backend.kernels
    parts = in_parts(
        lambda i, j: np.frombuffer(kernels.chunk_bits(data[i * chunk : j * chunk], code.lengths, chunk), np.int64),
        -(-len(data) // chunk),
        threads,
        -(-_PART // chunk),
    )
    return np.concatenate(parts)


def encode_symbols(symbols: Symbols, code: PrefixCode, threads: int = 1) -> bitarray:
    """The bits of `symbols`. Raises `ChangedError` for one that has no codeword: the code was made for all of them."""
    first, *others = _encode_parts(symbols, code, threads) or [(b"", 0)]
    bits = bitarray(buffer=first[0], endian="little")[: first[1]]
    for data, count in others:
        end = len(bits) + count
        bits.extend(bitarray(buffer=data, endian="little"))
        del bits[end:]
    return bits


def encode_stream(symbols: Symbols, code: PrefixCode, threads: int = 1) -> bytes:
    """The same, filled up with zeros to a whole byte."""
    parts = _encode_parts(symbols, code, threads)
    if all(count % 8 == 0 for _, count in parts[:-1]):
        return parts[0][0] if len(parts) == 1 else b"".join(data for data, _ in parts)
    return encode_symbols(symbols, code, threads).tobytes()


def _encode_parts(symbols: Symbols, code: PrefixCode, threads: int) -> list[tuple[bytes, int]]:
    """Bytes, and how many bits they hold, of what each thread has encoded."""
    if code.single is not None:
        if not bool((symbols == code.single).all()):
            raise ChangedError
        return []
    ids, kernels = np.ascontiguousarray(symbols), backend.kernels
    parts = in_parts(
        lambda i, j: kernels.encode_symbols(ids[i:j], code.codewords, code.lengths), len(ids), threads, _PART
    )
    encoded = [part for part in parts if part is not None]
    if len(encoded) < len(parts):
        raise ChangedError
    return encoded


def decode_symbols(bits: bitarray, position: int, count: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode `count` symbols from bit `position` on; return them and the position after them.

    Raises `PayloadError` when the bits end too early or a symbol is outside of the alphabet.
    """
    if code.single is not None:
        return np.broadcast_to(np.uint16(code.single), (count,)), position
    backend.warn_if_slow(_TWIN * count)
    size = len(bits)
    if count <= size - position:
        out = np.empty(count, np.uint16)
        end = backend.kernels.decode_stream(bits, code.arrays, None, 2, position, size, out)
        if end is not None:
            return out, end
    _refuse_symbols(bits, position, count, code)


def decode_elements(bits: bitarray, position: int, code: PrefixCode, elements: Elements, out: Elements) -> int:
    """Decode as many symbols as `out` has room for, from bit `position` on: elements[symbol] for each.

    elements : one for each symbol of the alphabet, of the dtype of `out`
    Returns the position after them. Raises as `decode_symbols` does.
    """
    if code.single is not None:
        out.fill(elements[code.single])
        return position
    count = len(out)
    backend.warn_if_slow(_TWIN * count)
    if count <= len(bits) - position and out.itemsize <= _LARGEST_FUSED:
        end = backend.kernels.decode_stream(bits, code.arrays, elements, out.itemsize, position, len(bits), out)
        if end is not None:
            return end
        _refuse_symbols(bits, position, count, code)
    symbols, end = decode_symbols(bits, position, count, code)
    out[:] = elements[symbols]
    return end


def decode_gaps(bits: bitarray, position: int, entries: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode gap symbols until `entries` of them are not the skip (the last symbol of the alphabet).

    Returns all symbols, skips included, and the position after them. Raises as `decode_symbols` does.
    """
    if code.single is not None:
        return decode_symbols(bits, position, entries, code)
    decoded = backend.kernels.decode_gaps(bits, code.arrays, position, len(bits), entries)
    if decoded is None:
        _refuse_gaps(bits, position, entries, code)
    return np.frombuffer(decoded[0], np.uint16), decoded[1]


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
    Returns None, and writes nothing, where the gaps leave the matrix or are not those of so many elements.
    """
    symbols, size = np.ascontiguousarray(gaps), elements.itemsize
    line_offsets, place_offsets = _NO_OFFSETS if offsets is None else offsets
    # Elements that are read where they lie in a file may begin at any byte, numbers in C may not.
    aligned = np.require(elements, requirements="A")
    return backend.kernels.scatter(
        symbols, skip, aligned, size, position, lines, line_length, line_offsets, place_offsets, out
    )


def can_fuse(itemsize: int) -> bool:
    """Whether `decode_dense` and `decode_sparse` decode elements of so many bytes."""
    return itemsize <= _LARGEST_FUSED


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
    Returns None when a chunk does not end where the next one starts, and for elements of more than 4 bytes.
    """
    if not can_fuse(elements.itemsize):
        return None
    backend.warn_if_slow(_TWIN * total)
    target = np.empty(total, elements.dtype) if out is None else out
    kernels, arrays = backend.kernels, code.arrays

    def part(first: int, last: int) -> int:
        return kernels.decode_dense(
            bits, arrays, elements, elements.itemsize, starts, chunk, total, first, last, target
        )

    return target if all(bad < 0 for bad in in_parts(part, len(starts) - 1, threads)) else None


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
    *,
    in_order: bool = False,
) -> tuple[Elements, int] | None:
    """Decode gaps and values in chunks of `chunk` entries and put the elements where they belong; zero elsewhere.

    starts : int64 of shape (chunks + 1, 3): gap bit, value bit and position where each chunk starts, and the ends.
        Positions must ascend strictly and lie within lines * line_length; bits must lie within `bits`.
    offsets : line and place offsets; a position lies at line_offsets[line] + place_offsets[place]. None: at itself.
    out : where they go, of the dtype of `elements`; None for new memory.
    in_order : `elements` are those of the entries, one after the other, and there are no bits of values.
    Returns the elements and the number of gap symbols; None when a chunk does not end as it should, and for symbols of
    elements of more than 4 bytes.
    """
    if not in_order and not can_fuse(elements.itemsize):
        return None
    backend.warn_if_slow(_TWIN * entries)
    clear = out is not None and offsets is None
    if out is None:
        # The system gives zeros away with its pages: nothing is zeroed twice.
        out = np.zeros(numel, elements.dtype)
    elif clear:
        # The kernel clears up to the last entry, bit by bit: each part while it is in the cache.
        out[starts[-1, 2] :] = 0
    else:
        out.fill(0)
    line_offsets, place_offsets = _NO_OFFSETS if offsets is None else offsets
    kernels, gaps, values, target = backend.kernels, gap_code.arrays, value_code.arrays, out

    def part(first: int, last: int) -> tuple[int, int]:
        return kernels.decode_sparse(
            bits,
            gaps,
            values,
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
            in_order,
            target,
        )

    parts = in_parts(part, len(starts) - 1, threads)
    if any(bad >= 0 for bad, _ in parts):
        return None
    return out, sum(symbols for _, symbols in parts)


def _refuse_symbols(bits: bitarray, position: int, count: int, code: PrefixCode) -> NoReturn:
    """Raise for a stream that no kernel decodes: the twin knows why."""
    from .twin.streams import Decoder

    Decoder(code.arrays).symbols(bits, position, len(bits), count)
    raise AssertionError("kernels disagree on a stream of symbols")


def _refuse_gaps(bits: bitarray, position: int, entries: int, code: PrefixCode) -> NoReturn:
    from .twin.streams import Decoder

    Decoder(code.arrays).gaps(bits, position, len(bits), entries)
    raise AssertionError("kernels disagree on a stream of gaps")


def in_parts(part: Callable[[int, int], T], count: int, threads: int, least: int = _CHUNKS) -> list[T]:
    """Run `part` over 0 to `count`, cut into a few ranges for each thread, which has at least `least` to do.

    The results are in order. Python would only wait for itself: the twin has one range.
    """
    parts = 1 if threads <= 1 or active() != backend.NATIVE else min(4 * threads, count // least)
    if parts <= 1:
        return [part(0, count)]
    cuts = np.linspace(0, count, parts + 1).astype(int).tolist()
    return in_parallel(part, cuts[:-1], cuts[1:], threads=threads)
