"""The entries of a matrix in the order of the file, block by block: to save memory.

An index takes 8 bytes, a symbol takes 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...entropy import kernels
from ...parallel import in_order
from .compact_matrix import CompactMatrix, Indices

# Elements that are looked at in one go, and entries that are.
_BLOCK = 1 << 18
_ENTRIES = 1 << 16
# Lines of a transposed matrix that are copied in one go, at least: so many elements share a line of the cache. And of
# one with lines of more than a block, to save memory.
_STRIP = 32
_FEW = 8
# Elements of all strips that are worked on, or whose entries wait for those before them: an entry takes 10 bytes.
_IN_FLIGHT = 1 << 22
# Elements that are copied to their place in one go.
_TILE = 1 << 14


class Entries(NamedTuple):
    """Entries that follow each other: the gap before each, and its value."""

    gaps: Indices
    values: npt.NDArray[np.uint16]

    def part(self, which: slice) -> Entries:
        return Entries(self.gaps[which], self.values[which])


class _Strip(NamedTuple):
    """Some whole lines of a matrix, or a part of one line: its first line and place, and the symbols."""

    top: int
    left: int
    symbols: npt.NDArray[np.uint16]


def read_entries(
    symbols: npt.NDArray[np.uint16], matrix: CompactMatrix, scan: int, line_ends: bool, threads: int = 1
) -> Iterator[Entries]:
    """The entries of a matrix of codebook symbols, shape (rows, columns)."""
    length = matrix.line_length(scan)
    line_numbers, place_numbers = matrix.ranks()[:: -1 if scan else 1]
    by_line = symbols.T if scan else symbols
    if by_line.shape[1] == 1 and not line_ends:
        # One line of many places has the same positions as many lines of one, and is faster.
        by_line, line_numbers, place_numbers = symbols.reshape(1, -1), None, line_numbers

    def entries(strip: _Strip) -> tuple[Entries, int, bool]:
        lines, places = (slice(at, at + size) for at, size in zip(strip[:2], strip.symbols.shape, strict=True))
        rank = np.arange(lines.start, lines.stop) if line_numbers is None else line_numbers[lines]
        starts = rank.astype(np.int64) * length
        numbers = None if place_numbers is None else place_numbers[places]
        if numbers is None:
            starts += places.start
        fresh = line_ends and places.start == 0
        gaps, values, last = kernels.line_entries(_contiguous(strip.symbols), starts, numbers, fresh)
        return Entries(gaps, values), last, fresh

    last, size = -1, _height(by_line) * min(by_line.shape[1], _BLOCK)
    threads = min(threads, -(-symbols.size // size), max(1, _IN_FLIGHT // (2 * size)))
    for block, own_last, fresh in in_order(entries, _strips(by_line), threads=threads):
        if len(block.gaps) and not fresh:
            # A strip does not know where the entry before it is.
            block.gaps[0] -= last + 1
        if len(block.gaps) or fresh:
            last = own_last
        if len(block.gaps):
            yield block


def _strips(matrix: npt.NDArray[np.uint16]) -> Iterator[_Strip]:
    lines, places = matrix.shape
    height = _height(matrix)
    for top in range(0, lines, height):
        strip = matrix[top : top + height]
        if places <= _BLOCK:
            yield _Strip(top, 0, strip)
            continue
        strip = _contiguous(strip)
        for line in range(len(strip)):
            for left in range(0, places, _BLOCK):
                yield _Strip(top + line, left, strip[line : line + 1, left : left + _BLOCK])


def _height(matrix: npt.NDArray[np.uint16]) -> int:
    """Lines of a strip."""
    lines, places = matrix.shape
    least = 1 if matrix.flags.c_contiguous else _STRIP if places <= _BLOCK else _FEW
    height: int = min(lines, max(least, _BLOCK // places))
    return height


def _contiguous(strip: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """The strip, or of a transposed one a copy, made in tiles that stay in the cache."""
    if strip.flags.c_contiguous:
        return strip
    copied = np.empty(strip.shape, np.uint16)
    tile = max(1, _TILE // len(strip))
    for left in range(0, strip.shape[1], tile):
        copied[:, left : left + tile] = strip[:, left : left + tile]
    return copied


def line_counts(symbols: npt.NDArray[np.uint16], matrix: CompactMatrix, scan: int) -> npt.NDArray[np.int64]:
    """How many entries each live line of a matrix of codebook symbols has."""
    counts: npt.NDArray[np.int64] = np.count_nonzero(symbols, axis=1 - scan)
    live = (matrix.live_rows, matrix.live_columns)[scan]
    return counts if live is None else counts[live]


def whole_chunks(blocks: Iterator[Entries], chunk: int) -> Iterator[Entries]:
    """The same entries in blocks that are multiples of `chunk` long, and not short, but for the last one."""
    rest: list[Entries] = []
    count, least = 0, max(chunk, _ENTRIES)
    for block in blocks:
        rest.append(block)
        count += len(block.gaps)
        if count < least:
            continue
        joined = _joined(rest)
        count %= chunk
        whole = len(joined.gaps) - count
        yield joined.part(slice(whole))
        rest = [joined.part(slice(whole, None))]
    if count:
        yield _joined(rest)


def _joined(blocks: list[Entries]) -> Entries:
    if len(blocks) == 1:
        return blocks[0]
    gaps, values = zip(*blocks, strict=True)
    return Entries(np.concatenate(gaps), np.concatenate(values))
