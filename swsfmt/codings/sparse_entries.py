"""The entries of a matrix in the order of the file, block by block: an index takes 8 bytes, a symbol takes 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import PayloadError
from .sparse_matrix import CompactMatrix, Indices

# Elements that are looked at in one go.
_BLOCK = 1 << 18


class Entries(NamedTuple):
    """Entries that follow each other: the line of each, the gap before it, and its value."""

    lines: Indices
    gaps: Indices
    values: npt.NDArray[np.uint16]

    def part(self, which: slice) -> Entries:
        return Entries(self.lines[which], self.gaps[which], self.values[which])


def entries(symbols: npt.NDArray[np.uint16]) -> Iterator[tuple[Indices, Indices]]:
    """Rows and columns of the symbols that are not zero, row by row, in blocks of at least one entry."""
    flat, columns = symbols.reshape(-1), symbols.shape[1]
    for start in range(0, len(flat), _BLOCK):
        places = start + np.flatnonzero(flat[start : start + _BLOCK] != 0)
        if len(places):
            rows = places // columns
            yield rows, places - rows * columns


def read_entries(
    symbols: npt.NDArray[np.uint16], matrix: CompactMatrix, scan: int, line_ends: bool
) -> Iterator[Entries]:
    """The entries of a matrix of codebook symbols, shape (rows, columns)."""
    compact, length, last = matrix.compaction(), matrix.line_length(scan), -1
    # By columns it is the transposed matrix that is read row by row.
    symbols = symbols if scan == 0 else np.ascontiguousarray(symbols.T)
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


class Lines:
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
