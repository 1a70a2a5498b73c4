"""Streams of symbols: bits to symbols and back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt
from bitarray import bitarray, decodetree

from ...errors import PayloadError
from ..protocol import Code, Elements, Indices, Symbols

# Symbols that are Python's integers for a moment.
_BLOCK = 1 << 20
# Gaps that are decoded one by one, when a block would be short.
_FEW = 64


class Decoder:
    """Decodes symbols of one code. Its methods raise `PayloadError`, which says what is wrong with the stream."""

    def __init__(self, code: Code) -> None:
        self.codewords, self.lengths, self.single = code
        self.alphabet = len(self.lengths)
        self.longest = int(self.lengths.max())
        self._tree = None if self.single >= 0 else _tree(self.codewords, self.lengths)

    def symbols(self, bits: bitarray, start: int, stop: int, count: int) -> tuple[Symbols, int]:
        """`count` symbols from bit `start` on, before bit `stop`, and the bit after them."""
        if self._tree is None:
            return np.broadcast_to(np.uint16(self.single), (count,)), start
        stream = self._stream(bits, start, min(stop, start + count * self.longest))
        try:
            symbols = np.fromiter(islice(stream, count), np.uint16, count)
        except ValueError as error:
            raise PayloadError(f"the stream ends before its {count} symbols do") from error
        return symbols, start + self._size(symbols)

    def gaps(self, bits: bitarray, start: int, stop: int, entries: int) -> tuple[Symbols, int]:
        """As many symbols as it takes until `entries` of them are not the skip, the last symbol of the alphabet."""
        if self._tree is None:
            return self.symbols(bits, start, stop, entries)
        skip = self.alphabet - 1
        stream = self._stream(bits, start, stop)
        blocks = []
        missing = entries
        try:
            while missing >= _FEW:
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
        return symbols, start + self._size(symbols)

    def _stream(self, bits: bitarray, start: int, stop: int) -> Iterator[int]:
        assert self._tree is not None
        return iter(bits[start:stop].decode(self._tree))

    def _size(self, symbols: Symbols) -> int:
        """Bits that these symbols take; refuses those outside of the alphabet."""
        if len(symbols) and int(symbols.max()) >= self.alphabet:
            raise PayloadError(f"symbol {int(symbols.max())} is outside of the alphabet of {self.alphabet}")
        return int(self.lengths[symbols].sum(dtype=np.int64))


def _tree(codewords: Symbols, lengths: npt.NDArray[np.uint8]) -> decodetree:
    """Patterns that a fixed-width code does not use become symbols outside of the alphabet."""
    width = int(lengths[0])
    if len(lengths) > 1 and bool((lengths == width).all()) and int(codewords[1]) == 1:
        return _fixed_tree(width)
    return decodetree(_words(codewords, lengths))


@lru_cache
def _fixed_tree(width: int) -> decodetree:
    return decodetree(_words(np.arange(1 << width, dtype=np.uint16), np.full(1 << width, width, np.uint8)))


def _words(codewords: Symbols, lengths: npt.NDArray[np.uint8]) -> dict[int, bitarray]:
    """The codeword of each symbol that has one."""
    used = np.flatnonzero(lengths).tolist()
    return {
        symbol: bitarray([word >> i & 1 for i in range(length)], endian="little")
        for symbol, word, length in zip(used, codewords[used].tolist(), lengths[used].tolist(), strict=True)
    }


def decode_stream(
    bits: bitarray, code: Code, elements: Elements | None, itemsize: int, start: int, stop: int, out: Elements
) -> int | None:
    try:
        symbols, end = Decoder(code).symbols(bits, start, stop, len(out))
    except PayloadError:
        return None
    out[:] = symbols if elements is None else elements[symbols]
    return end


def decode_dense(
    bits: bitarray,
    code: Code,
    elements: Elements,
    itemsize: int,
    starts: Indices,
    chunk: int,
    total: int,
    first: int,
    last: int,
    out: Elements,
) -> int:
    decoder, cuts = Decoder(code), starts[first : last + 1].tolist()
    for number in range(first, last):
        begin = number * chunk
        start, stop = cuts[number - first : number - first + 2]
        try:
            symbols, end = decoder.symbols(bits, start, stop, min(chunk, total - begin))
        except PayloadError:
            return number
        if end != stop:
            return number
        out[begin : begin + len(symbols)] = elements[symbols]
    return -1


def decode_gaps(bits: bitarray, code: Code, start: int, stop: int, entries: int) -> tuple[Symbols, int] | None:
    try:
        return Decoder(code).gaps(bits, start, stop, entries)
    except PayloadError:
        return None


def encode_symbols(symbols: Symbols, codewords: Symbols, lengths: npt.NDArray[np.uint8]) -> tuple[bytes, int] | None:
    if bool((lengths[symbols] == 0).any()):
        return None
    out, words = bitarray(endian="little"), _words(codewords, lengths)
    for start in range(0, len(symbols), _BLOCK):
        out.encode(words, symbols[start : start + _BLOCK].tolist())
    return out.tobytes(), len(out)


def chunk_bits(symbols: Symbols, lengths: npt.NDArray[np.uint8], chunk: int) -> Indices:
    return np.add.reduceat(lengths[symbols], np.arange(0, len(symbols), chunk), dtype=np.int64)
