"""The kernels on top of bitarray: slower than C by far, the same results. See `kernels` for what each one does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt
from bitarray import bitarray, decodetree

from ..errors import PayloadError
from .prefix_code import PrefixCode

_BLOCK = 1 << 20
_SAMPLE = 1 << 14
# Elements whose gaps are looked at in one go; an index takes 8 bytes.
_GAPS = 1 << 18


def _codeword(code: PrefixCode, symbol: int) -> bitarray:
    word = int(code.codewords[symbol])
    return bitarray([word >> i & 1 for i in range(int(code.lengths[symbol]))], endian="little")


def _tree(code: PrefixCode) -> decodetree:
    """A decoder of `code`; patterns that a fixed-width code does not use become symbols outside of the alphabet."""
    if code.is_fixed:
        return _fixed_tree(code.max_length)
    return _tree_of(code)


@lru_cache
def _fixed_tree(width: int) -> decodetree:
    return _tree_of(PrefixCode.fixed(1 << width))


def _tree_of(code: PrefixCode) -> decodetree:
    return decodetree({symbol: _codeword(code, symbol) for symbol in np.flatnonzero(code.lengths).tolist()})


def distinct(elements: npt.NDArray[np.unsignedinteger], most: int) -> npt.NDArray[np.unsignedinteger] | None:
    # A tensor whose first elements are all different is not worth a sort of the rest.
    values = np.unique(elements[:_SAMPLE])
    for start in range(_SAMPLE, len(elements), _BLOCK):
        if len(values) > most:
            break
        values = np.union1d(values, elements[start : start + _BLOCK])
    return values if len(values) <= most else None


def symbols_of(
    elements: npt.NDArray[np.unsignedinteger], values: npt.NDArray[np.unsignedinteger]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    symbols, counts = np.empty(len(elements), np.uint16), np.zeros(len(values), np.int64)
    for start in range(0, len(elements), _BLOCK):
        block = elements[start : start + _BLOCK]
        places = np.minimum(np.searchsorted(values, block), len(values) - 1)
        if not np.array_equal(values[places], block):
            raise ValueError("an element is not in the codebook")
        symbols[start : start + _BLOCK] = places
        counts += np.bincount(places, minlength=len(values))
    return symbols, counts


def line_entries(
    symbols: npt.NDArray[np.uint16],
    starts: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int32] | None,
    fresh: bool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16], int]:
    flat = symbols.reshape(-1)
    found = np.flatnonzero(flat != 0)
    line = found // symbols.shape[1]
    place = found - line * symbols.shape[1]
    if numbers is not None:
        place = numbers[place]
    positions = starts[line] + place
    last = -1
    gaps = np.diff(positions, prepend=last) - 1
    if fresh:
        first = np.diff(line, prepend=-1) > 0
        gaps[first] = place[first]
        last = int(starts[-1]) - 1
    if len(positions):
        last = max(last, int(positions[-1]))
    return gaps, flat[found] - np.uint16(1), last


def line_gaps(
    lines: npt.NDArray[np.uint16],
    first: int,
    numbers: npt.NDArray[np.int32] | None,
    counts: npt.NDArray[np.int64],
    of_lines: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """lines : part of a matrix, of shape (lines, places), from place `first` on. Returns the gaps not counted."""
    firsts, lasts, entries = of_lines
    long = [np.zeros(0, np.int64)]
    width = max(1, _GAPS // len(lines)) if len(lines) else 1
    for left in range(0, lines.shape[1], width):
        line, place = np.nonzero(lines[:, left : left + width])
        if len(line) == 0:
            continue
        place += first + left
        if numbers is not None:
            place = numbers[place].astype(np.int64)
        heads = np.flatnonzero(np.diff(line, prepend=-1))
        before = np.concatenate([[-1], place[:-1]])
        before[heads] = lasts[line[heads]]
        new = before < 0
        firsts[line[new]] = place[new]
        tails = np.append(heads[1:], len(line)) - 1
        lasts[line[tails]] = place[tails]
        entries += np.bincount(line, minlength=len(lines))
        gaps = (place - before - 1)[~new]
        counts += np.bincount(gaps[gaps < len(counts)], minlength=len(counts))
        long.append(gaps[gaps >= len(counts)])
    return np.concatenate(long)


def gap_symbols(gaps: npt.NDArray[np.int64], pbits: int) -> npt.NDArray[np.uint16]:
    skip = (1 << pbits) - 1
    skips, rest = np.divmod(gaps, skip)
    symbols = np.full(int(skips.sum()) + len(gaps), skip, np.uint16)
    symbols[np.arange(len(gaps)) + np.cumsum(skips)] = rest
    return symbols


def gap_chunks(symbols: npt.NDArray[np.uint16], code: PrefixCode, chunk: int) -> npt.NDArray[np.int64]:
    is_entry = symbols != code.alphabet - 1
    found = np.flatnonzero(is_entry)
    last = found[np.minimum(np.arange(chunk, len(found) + chunk, chunk), len(found)) - 1]
    bits, steps = code.lengths[symbols].astype(np.int64), symbols.astype(np.int64) + is_entry
    return np.stack([np.diff(np.cumsum(amounts)[last], prepend=0) for amounts in (bits, steps)], axis=1)


def chunk_bits(symbols: npt.NDArray[np.uint16], code: PrefixCode, chunk: int) -> npt.NDArray[np.int64]:
    return np.add.reduceat(code.lengths[symbols], np.arange(0, len(symbols), chunk), dtype=np.int64)


def encode_symbols(symbols: npt.NDArray[np.uint16], code: PrefixCode) -> bitarray:
    out = bitarray(endian="little")
    if code.single is not None:
        return out
    words = {symbol: _codeword(code, symbol) for symbol in np.flatnonzero(code.lengths).tolist()}
    for start in range(0, len(symbols), _BLOCK):
        out.encode(words, symbols[start : start + _BLOCK].tolist())
    return out


def _symbols(bits: bitarray, position: int, code: PrefixCode, most: int | None = None) -> Iterator[int]:
    """The symbols from bit `position` on. most : how many are wanted, so that the rest is not copied."""
    end = None if most is None else position + most * code.max_length
    return iter(bits[position:end].decode(_tree(code)))


def _length(symbols: npt.NDArray[np.uint16], code: PrefixCode) -> int:
    """Bits that these symbols take; refuses those outside of the alphabet."""
    if len(symbols) and int(symbols.max()) >= code.alphabet:
        raise PayloadError(f"symbol {int(symbols.max())} is outside of the alphabet of {code.alphabet}")
    return int(code.lengths[symbols].sum(dtype=np.int64))


def decode_symbols(bits: bitarray, position: int, count: int, code: PrefixCode) -> tuple[npt.NDArray[np.uint16], int]:
    if code.single is not None:
        return np.broadcast_to(np.uint16(code.single), (count,)), position
    try:
        symbols = np.fromiter(islice(_symbols(bits, position, code, count), count), np.uint16, count)
    except ValueError as error:
        raise PayloadError(f"the stream ends before its {count} symbols do") from error
    return symbols, position + _length(symbols, code)


def decode_gaps(bits: bitarray, position: int, entries: int, code: PrefixCode) -> tuple[npt.NDArray[np.uint16], int]:
    if code.single is not None:
        return decode_symbols(bits, position, entries, code)
    skip = code.alphabet - 1
    stream = _symbols(bits, position, code)
    blocks = []
    missing = entries
    try:
        while missing >= 64:
            block = np.fromiter(islice(stream, missing), np.uint16, missing)
            blocks.append(block)
            missing -= int(np.count_nonzero(block != skip))
        tail = []
        while missing:
            symbol = next(stream)
            tail.append(symbol)
            missing -= symbol != skip
    except (ValueError, StopIteration) as error:
        raise PayloadError(f"the gap stream ends {missing} entries early") from error
    blocks.append(np.array(tail, np.uint16))
    symbols = np.concatenate(blocks)
    return symbols, position + _length(symbols, code)
