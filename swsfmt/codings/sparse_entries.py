"""The entries of a matrix in the order of the file, and their positions, block by block: to save memory.

An index takes 8 bytes, a symbol takes 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from .sparse_matrix import CompactMatrix, Indices

# Elements that are looked at in one go.
_BLOCK = 1 << 18
# Rows of a transposed matrix that are copied in one go, at least: so many elements share a line of the cache.
_STRIP = 32


class Entries(NamedTuple):
    """Entries that follow each other: the line of each, the gap before it, and its value."""

    lines: Indices
    gaps: Indices
    values: npt.NDArray[np.uint16]

    def part(self, which: slice) -> Entries:
        return Entries(self.lines[which], self.gaps[which], self.values[which])


def entries(symbols: npt.NDArray[np.uint16]) -> Iterator[tuple[Indices, Indices]]:
    """Rows and columns of the symbols that are not zero, row by row, in blocks of at least one entry."""
    rows, columns = symbols.shape
    # A transposed matrix is copied, a few rows at a time.
    strip = rows if symbols.flags.c_contiguous else max(_STRIP, _BLOCK // columns)
    for top in range(0, rows, strip):
        flat = np.ascontiguousarray(symbols[top : top + strip]).reshape(-1)
        for start in range(0, len(flat), _BLOCK):
            places = start + np.flatnonzero(flat[start : start + _BLOCK] != 0)
            if len(places):
                row = places // columns
                yield top + row, places - row * columns


def read_entries(
    symbols: npt.NDArray[np.uint16], matrix: CompactMatrix, scan: int, line_ends: bool
) -> Iterator[Entries]:
    """The entries of a matrix of codebook symbols, shape (rows, columns)."""
    compact, length, last = matrix.compaction(), matrix.line_length(scan), -1
    # By columns it is the transposed matrix that is read row by row.
    symbols = symbols if scan == 0 else symbols.T
    for first, second in entries(symbols):
        row, column = (first, second) if scan == 0 else (second, first)
        live_row, live_column = compact(row, column)
        line, place = (live_row, live_column) if scan == 0 else (live_column, live_row)
        positions = line * length + place
        gaps = np.diff(positions, prepend=last) - 1
        if line_ends:
            starts = np.diff(line, prepend=last // length) > 0
            gaps[starts] = place[starts]
        last = int(positions[-1])
        yield Entries(line, gaps, symbols[first, second] - np.uint16(1))


def whole_chunks(blocks: Iterator[Entries], chunk: int) -> Iterator[Entries]:
    """The same entries in blocks that are multiples of `chunk` long, but for the last one."""
    rest: list[Entries] = []
    count = 0
    for block in blocks:
        rest.append(block)
        count += len(block.gaps)
        if count < chunk:
            continue
        joined = _joined(rest)
        count %= chunk
        whole = len(joined.gaps) - count
        yield joined.part(slice(whole))
        rest = [joined.part(slice(whole, None))]
    if count:
        yield _joined(rest)


def _joined(blocks: list[Entries]) -> Entries:
    lines, gaps, values = zip(*blocks, strict=True)
    return Entries(np.concatenate(lines), np.concatenate(gaps), np.concatenate(values))


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
    """Turns gap symbols, which are given block after block, into positions in a matrix.

    size : of the matrix without dead rows and columns.
    line_counts : entries of each line, None where gaps run on from line to line. line_length : positions in a line.
    """

    def __init__(self, size: int, pbits: int, line_counts: npt.NDArray[np.int64] | None, line_length: int) -> None:
        self._size = size
        self._pbits = pbits
        self._lines = None if line_counts is None else _Lines(line_counts, line_length)
        self._cursor = self._entries = 0

    def after(self, gaps: npt.NDArray[np.uint16]) -> Iterator[npt.NDArray[np.int64]]:
        """The positions of the entries that come next. Raises `PayloadError` outside of the matrix or of a line."""
        for start in range(0, len(gaps), _BLOCK):
            block = gaps[start : start + _BLOCK]
            after = self._cursor + flat_positions(block, self._pbits) + 1
            self._cursor += int(steps(block, self._pbits).sum())
            if self._lines is not None:
                yield self._lines.positions(after, self._entries)
            elif len(after) and int(after[-1]) > self._size:
                raise PayloadError(f"an entry at position {int(after[-1]) - 1} of {self._size}")
            else:
                yield after - 1
            self._entries += len(after)


class _Lines:
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
