"""The entries of a matrix in the order of the file, and their positions, block by block: to save memory.

An index takes 8 bytes, a symbol takes 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import kernels
from ...errors import PayloadError
from ...parallel import in_order
from .matrix import CompactMatrix, Indices

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

    def entries(strip: _Strip) -> tuple[Entries, int, bool]:
        lines, places = (slice(at, at + size) for at, size in zip(strip[:2], strip.symbols.shape, strict=True))
        starts = (np.arange(lines.start, lines.stop) if line_numbers is None else line_numbers[lines]) * np.int64(
            length
        )
        numbers = None if place_numbers is None else place_numbers[places]
        if numbers is None:
            starts += places.start
        fresh = line_ends and places.start == 0
        gaps, values, last = kernels.line_entries(_contiguous(strip.symbols), starts, numbers, fresh)
        return Entries(gaps, values), last, fresh

    last, matrix_by_lines = -1, symbols if scan == 0 else symbols.T
    size = _height(matrix_by_lines) * min(matrix_by_lines.shape[1], _BLOCK)
    threads = min(threads, -(-symbols.size // size), max(1, _IN_FLIGHT // (2 * size)))
    for found, own_last, fresh in in_order(entries, _strips(matrix_by_lines), threads=threads):
        if len(found.gaps) and not fresh:
            # A strip does not know where the entry before it is.
            found.gaps[0] -= last + 1
        if len(found.gaps) or fresh:
            last = own_last
        if len(found.gaps):
            yield found


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


def steps(gaps: npt.NDArray[np.uint16], pbits: int) -> npt.NDArray[np.int64]:
    """How far each gap symbol moves the cursor."""
    skip = (1 << pbits) - 1
    far: npt.NDArray[np.int64] = gaps.astype(np.int64) + (gaps != skip)
    return far


def flat_positions(gaps: npt.NDArray[np.uint16], pbits: int) -> npt.NDArray[np.int64]:
    """The position of each entry where gaps run on from line to line and the cursor starts at 0."""
    positions: npt.NDArray[np.int64] = np.cumsum(steps(gaps, pbits))[gaps != (1 << pbits) - 1] - 1
    return positions


class Positions:
    """Turns gap symbols, which are given block after block, into positions in a matrix that is read by `scan`.

    line_counts : entries of each line, None where gaps run on from line to line
    """

    def __init__(self, matrix: CompactMatrix, scan: int, pbits: int, line_counts: Indices | None) -> None:
        self._matrix, self._scan = matrix, scan
        self._pbits = pbits
        self._lines = None if line_counts is None else _LineCursors(line_counts, matrix.line_length(scan))
        self._cursor = self._entries = 0

    def scatter(self, gaps: npt.NDArray[np.uint16], elements: Bits, out: Bits) -> bool:
        """Put the elements where the gaps lead, all at once; whether that could be done. If not, nothing changes."""
        lines, length = self._matrix.lines(self._scan), self._matrix.line_length(self._scan)
        # Offsets of more lines and places than there are entries would cost more than they save, in memory too.
        if self._lines is not None:
            return False
        if not self._matrix.is_elements(self._scan) and lines + length > len(gaps):
            return False
        skip, offsets = (1 << self._pbits) - 1, self._matrix.offsets(self._scan)
        after = kernels.scatter(gaps, skip, elements, self._cursor, lines, length, offsets, out)
        if after is not None:
            self._cursor = after
        return after is not None

    def after(self, gaps: npt.NDArray[np.uint16]) -> Iterator[npt.NDArray[np.int64]]:
        """The positions of the entries that come next. Raises `PayloadError` outside of the matrix or of a line."""
        for start in range(0, len(gaps), _BLOCK):
            block = gaps[start : start + _BLOCK]
            after = self._cursor + flat_positions(block, self._pbits) + 1
            self._cursor += int(steps(block, self._pbits).sum())
            if self._lines is not None:
                yield self._lines.positions(after, self._entries)
            elif len(after) and int(after[-1]) > self._matrix.size:
                raise PayloadError(f"an entry at position {int(after[-1]) - 1} of {self._matrix.size}")
            else:
                yield after - 1
            self._entries += len(after)


class _LineCursors:
    """Turns cursors that run on from line to line into positions where every line starts anew."""

    def __init__(self, counts: npt.NDArray[np.int64], length: int) -> None:
        self.ends = np.cumsum(counts)
        self.firsts = self.ends - counts
        self.length = length
        # The cursor after the last entry so far, and after the last entry of the lines before the current one.
        self.last = self.before = 0

    def positions(self, after: npt.NDArray[np.int64], entries: int) -> npt.NDArray[np.int64]:
        """after : cursors after each entry of a block. entries : how many entries came before the block."""
        if len(after) == 0:
            return after
        number = entries + np.arange(len(after))
        line = np.searchsorted(self.ends, number, "right")
        first = self.firsts[line] - entries
        cursors = np.concatenate([[self.last], after])
        start = np.where(first >= 0, cursors[np.maximum(first, 0)], self.before)
        in_line = after - start - 1
        if int(in_line.max()) >= self.length:
            raise PayloadError(f"an entry at {int(in_line.max())} of a line of {self.length} positions")
        self.last, self.before = int(after[-1]), int(start[-1])
        return in_line + line * self.length
