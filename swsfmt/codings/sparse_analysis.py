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
from ..parallel import in_parallel
from .choose import chunks_for
from .common import width_of
from .sparse import Scan
from .sparse_entries import line_counts, read_entries
from .sparse_matrix import CompactMatrix, Indices

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


def analyse(
    symbols: npt.NDArray[np.uint16], counts: npt.NDArray[np.int64], freedom: Freedom, threads: int = 1
) -> Analysis:
    """Count the gaps of a matrix of symbols, shape (rows, columns).

    counts : how often each symbol occurs, zero first; int64 of shape (count of the codebook + 1,).
    """
    total = int(counts[1:].sum())
    if total == 0:
        return Analysis(0, counts[1:], [])
    scans = list(Scan) if freedom.scan is None else [freedom.scan]
    # Where there are chunks there are no line ends. Without chunks it is done before threads have started.
    chunked = chunks_for(total).code > 0
    matrices = _compactions(symbols, freedom.compact)
    choices = product(matrices, scans, [False] if chunked else [False, True])
    # The last one has all live rows and columns that any of them has; there may be as many as elements.
    rows, columns = matrices[-1].ranks()

    def geometry(matrix: CompactMatrix, scan: Scan, line_ends: bool) -> Geometry:
        found = _Counts()
        ranks = None if matrix.live_rows is None else rows, None if matrix.live_columns is None else columns
        for gaps, _ in read_entries(symbols, matrix, scan, line_ends, ranks):
            found.add(gaps)
        line_width = width_of(line_counts(symbols, matrix, scan)) if line_ends else 0
        return Geometry(matrix, scan, line_width, *found.gaps())

    geometries = in_parallel(geometry, *zip(*choices, strict=True), threads=threads if chunked else 1)
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
