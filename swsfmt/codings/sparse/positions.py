"""From gap symbols to positions in a matrix, block by block: to save memory (spec 5.5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import kernels
from ...errors import PayloadError
from .compact_matrix import CompactMatrix, Indices

# Gap symbols that are turned into positions in one go; an index takes 8 bytes.
_BLOCK = 1 << 18


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
