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
from .choose import chunks_for
from .common import width_of
from .sparse import Scan
from .sparse_matrix import CompactMatrix, Indices

# Gaps up to this are counted in an array, which is faster than a sort.
_COUNTABLE = 1 << 20


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


def analyse(symbols: npt.NDArray[np.uint16], values: int, freedom: Freedom) -> Analysis:
    """Count values and gaps of a matrix of symbols, shape (rows, columns), of a codebook of `values` values."""
    flat = np.flatnonzero(symbols != 0)
    row, column = np.divmod(flat, symbols.shape[1])
    value_counts = np.bincount(symbols.reshape(-1)[flat] - 1, minlength=values)
    geometries = []
    if len(row):
        scans = list(Scan) if freedom.scan is None else [freedom.scan]
        ends = (False,) if chunks_for(len(row)).code else (False, True)
        for matrix in _compactions((symbols.shape[0], symbols.shape[1]), row, column, freedom.compact):
            for scan, line_ends in product(scans, ends):
                geometries.append(_geometry(matrix, row, column, scan, line_ends))
    return Analysis(len(row), value_counts, geometries)


def _compactions(shape: tuple[int, int], row: Indices, column: Indices, compact: bool) -> list[CompactMatrix]:
    """The matrix as it is; without its dead rows, its dead columns, and both, where there are any."""
    choices: list[list[Live | None]] = [[None], [None]]
    for axis, index in enumerate((row, column)):
        live = np.zeros(shape[axis], np.bool_)
        live[index] = True
        if compact and not live.all():
            choices[axis].append(live)
    return [CompactMatrix(*shape, live_rows, live_columns) for live_rows, live_columns in product(*choices)]


def _geometry(matrix: CompactMatrix, row: Indices, column: Indices, scan: Scan, line_ends: bool) -> Geometry:
    positions, _ = matrix.positions(row, column, scan)
    line_width = 0
    if line_ends:
        line_width = width_of(np.bincount(positions // matrix.line_length(scan)))
    gaps = matrix.gaps(positions, scan, line_ends)
    if int(gaps.max()) > _COUNTABLE:
        return Geometry(matrix, scan, line_width, *np.unique(gaps, return_counts=True))
    counts = np.bincount(gaps)
    found = np.flatnonzero(counts)
    return Geometry(matrix, scan, line_width, found, counts[found])
