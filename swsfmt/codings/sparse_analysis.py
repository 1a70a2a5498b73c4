"""What the sparse planner needs to know of a tensor: how often each value and each gap occurs, for every geometry.

This is the costly part, and it depends on the tensor and its codebook alone: tensors can be analysed anywhere, in any
order. `sparse_plan` then chooses from the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ..entropy.bitmap import Live
from ..limits import DEFAULT_LIMITS
from .choose import chunks_for
from .common import width_of
from .sparse import Scan
from .sparse_entries import entries
from .sparse_matrix import CompactMatrix, Indices, index_type, stable_order

# Gaps up to this are counted in an array, which is faster than a sort; of longer ones there are few.
_COUNTABLE = 1 << 16


@dataclass(frozen=True)
class Freedom:
    """What the caller leaves open. None or True: choose by cost."""

    pbits: int | None = None
    scan: Scan | None = None
    compact: bool = True
    huffman: bool = True


@dataclass(frozen=True, eq=False)
class Geometry:
    """One way to read a matrix. line_width: bits of a line count, 0 without line ends.

    gaps, counts : the gaps that occur, ascending, and how often.
    """

    matrix: CompactMatrix
    scan: Scan
    line_width: int
    gaps: Indices
    counts: Indices


@dataclass(frozen=True, eq=False)
class Analysis:
    """A matrix of codebook symbols in numbers. value_counts: int64 of shape (count of the codebook,)."""

    entries: int
    value_counts: npt.NDArray[np.int64]
    geometries: list[Geometry]


def analyse(symbols: npt.NDArray[np.uint16], counts: npt.NDArray[np.int64], freedom: Freedom) -> Analysis:
    """Count the gaps of a matrix of symbols, shape (rows, columns).

    counts : how often each symbol occurs, zero first; int64 of shape (count of the codebook + 1,).
    """
    total = int(counts[1:].sum())
    if total == 0:
        return Analysis(0, counts[1:], [])
    scans = list(Scan) if freedom.scan is None else [freedom.scan]
    matrices = _compactions(symbols, freedom.compact)
    flat = [(_Rows(matrix), _Columns(matrix)) for matrix in matrices]
    compactions = [matrix.compaction() for matrix in matrices]
    for row, column in entries(symbols):
        for compact, counters in zip(compactions, flat, strict=True):
            live_row, live_column = compact(row, column)
            for scan in scans:
                counters[scan].add(live_row, live_column)
    few = list(entries(symbols)) if not chunks_for(total).code else []
    geometries = []
    for matrix, counters in zip(matrices, flat, strict=True):
        for scan in scans:
            geometries.append(Geometry(matrix, scan, 0, *counters[scan].gaps()))
            if few:
                row, column = (np.concatenate(parts) for parts in zip(*few, strict=True))
                geometries.append(_with_line_ends(matrix, row, column, scan))
    return Analysis(total, counts[1:], geometries)


def _compactions(symbols: npt.NDArray[np.uint16], compact: bool) -> list[CompactMatrix]:
    """The matrix as it is; without its dead rows, its dead columns, and both, where there are any."""
    choices: list[list[Live | None]] = [[None], [None]]
    for axis in (0, 1) if compact else ():
        # No reader would take a longer bitmap.
        if symbols.shape[axis] > DEFAULT_LIMITS.max_bitmap_bits:
            continue
        live: Live = np.any(symbols, axis=1 - axis)
        if not live.all():
            choices[axis].append(live)
    rows, columns = symbols.shape
    return [CompactMatrix(rows, columns, live_rows, live_columns) for live_rows, live_columns in product(*choices)]


def _with_line_ends(matrix: CompactMatrix, row: Indices, column: Indices, scan: Scan) -> Geometry:
    positions, _ = matrix.positions(row, column, scan)
    line_width = width_of(np.bincount(positions // matrix.line_length(scan)))
    gaps = matrix.gaps(positions, scan, line_ends=True)
    return Geometry(matrix, scan, line_width, *np.unique(gaps, return_counts=True))


class _Counts:
    """How often each gap occurs."""

    def __init__(self) -> None:
        self._counts = np.zeros(1, np.int64)
        self._long: list[Indices] = []

    def add(self, gaps: Indices) -> None:
        if len(gaps) and int(gaps.max()) >= _COUNTABLE:
            self._long.append(gaps[gaps >= _COUNTABLE])
            gaps = gaps[gaps < _COUNTABLE]
        counts = np.bincount(gaps, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def gaps(self) -> tuple[Indices, Indices]:
        """The gaps, ascending, and how often each of them occurs."""
        short = np.flatnonzero(self._counts)
        if not self._long:
            return short, self._counts[short]
        long, counts = np.unique(np.concatenate(self._long), return_counts=True)
        return np.concatenate([short, long]), np.concatenate([self._counts[short], counts])


class _Rows:
    """The gaps of a matrix that is read row by row, from its entries in this order, block after block."""

    def __init__(self, matrix: CompactMatrix) -> None:
        self._columns = matrix.line_length(Scan.ROWS)
        self._last = -1
        self._counts = _Counts()

    def add(self, row: Indices, column: Indices) -> None:
        positions = row * self._columns + column
        self._counts.add(np.diff(positions, prepend=self._last) - 1)
        self._last = int(positions[-1])

    def gaps(self) -> tuple[Indices, Indices]:
        return self._counts.gaps()


class _Columns:
    """The gaps of a matrix that is read column by column, from its entries row by row, block after block.

    Within a column a gap is known when its second entry comes; those that lead from column to column come at the end.
    """

    def __init__(self, matrix: CompactMatrix) -> None:
        self._rows, columns = matrix.line_length(Scan.COLUMNS), matrix.lines(Scan.COLUMNS)
        # Rows of the first and of the last entry of each column, -1 where there is none yet.
        self._first = np.full(columns, -1, index_type(self._rows))
        self._last = self._first.copy()
        self._counts = _Counts()

    def add(self, row: Indices, column: Indices) -> None:
        order = stable_order(column, len(self._first))
        row, column = row[order], column[order]
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        before = np.concatenate([row[:1], row[:-1]])
        before[starts] = self._last[column[starts]]
        new = starts[before[starts] < 0]
        self._first[column[new]] = row[new]
        ends = np.append(starts[1:], len(row)) - 1
        self._last[column[ends]] = row[ends]
        self._counts.add(np.delete(row - before - 1, new))

    def gaps(self) -> tuple[Indices, Indices]:
        used = np.flatnonzero(self._first >= 0)
        first, last = used * self._rows + self._first[used], used * self._rows + self._last[used]
        self._counts.add(first - np.concatenate([[-1], last[:-1]]) - 1)
        return self._counts.gaps()
