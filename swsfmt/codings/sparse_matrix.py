"""The geometry of the sparse coding: a matrix without its dead rows and columns, read line by line (spec 5.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..entropy.bitmap import Live

Indices = npt.NDArray[np.int64]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a tensor as a matrix: dimension 0 by all others."""
    if not shape:
        return 1, 1
    return shape[0], math.prod(shape[1:])


def _ranks(live: Live) -> npt.NDArray[np.signedinteger]:
    """How many live lines come before each live one."""
    ranks = live.astype(index_type(len(live)))
    np.cumsum(ranks, out=ranks)
    ranks -= 1
    return ranks


def index_type(count: int) -> type[np.signedinteger]:
    """A type for numbers from -1 to `count`, in four bytes if they fit: a vector has as many lines as elements."""
    return np.int32 if count < 1 << 31 else np.int64


def stable_order(line: Indices, lines: int) -> Indices:
    """The order in which lines ascend; for 16 bits it is a radix sort."""
    return np.argsort(line.astype(np.uint16) if lines <= 1 << 16 else line, kind="stable")


@dataclass(frozen=True, eq=False)
class CompactMatrix:
    """rows, columns : shape of the whole matrix.
    live_rows, live_columns : bool of shape (rows,) and (columns,), or None where all are live.

    `scan` is 0 for row by row, 1 for column by column.
    """

    rows: int
    columns: int
    live_rows: Live | None
    live_columns: Live | None

    @cached_property
    def _counts(self) -> tuple[int, int]:
        rows = self.rows if self.live_rows is None else int(np.count_nonzero(self.live_rows))
        columns = self.columns if self.live_columns is None else int(np.count_nonzero(self.live_columns))
        return rows, columns

    def lines(self, scan: int) -> int:
        return self._counts[scan]

    def line_length(self, scan: int) -> int:
        return self._counts[1 - scan]

    @property
    def size(self) -> int:
        """Live rows times live columns."""
        return math.prod(self._counts)

    def flat_indices(self, positions: Indices, scan: int) -> Indices:
        """Where these positions lie in the whole tensor."""
        if scan == 0 and self.live_rows is None and self.live_columns is None:
            return positions
        line, place = np.divmod(positions, self.line_length(scan))
        row, column = (line, place) if scan == 0 else (place, line)
        if self.live_rows is not None:
            row = np.flatnonzero(self.live_rows)[row]
        if self.live_columns is not None:
            column = np.flatnonzero(self.live_columns)[column]
        return row * self.columns + column

    def offsets(self, scan: int) -> tuple[Indices, Indices] | None:
        """Offsets in the whole tensor: that of a position is offset[line] + offset[place]. None: position itself."""
        if scan == 0 and self.live_rows is None and self.live_columns is None:
            return None
        row = np.arange(self.rows) if self.live_rows is None else np.flatnonzero(self.live_rows)
        column = np.arange(self.columns) if self.live_columns is None else np.flatnonzero(self.live_columns)
        return (row * self.columns, column) if scan == 0 else (column, row * self.columns)

    def compaction(self) -> Callable[[Indices, Indices], tuple[Indices, Indices]]:
        """A function from the numbers of rows and columns, which are live, to their numbers among the live ones."""
        rows, columns = (None if live is None else _ranks(live) for live in (self.live_rows, self.live_columns))

        def compact(row: Indices, column: Indices) -> tuple[Indices, Indices]:
            return (
                row if rows is None else rows[row].astype(np.int64),
                column if columns is None else columns[column].astype(np.int64),
            )

        return compact

    def positions(self, row: Indices, column: Indices, scan: int) -> tuple[Indices, Indices]:
        """Positions of the entries at these coordinates, given row by row, and the order that makes them ascend."""
        row, column = self.compaction()(row, column)
        line, place = (row, column) if scan == 0 else (column, row)
        positions = line * self.line_length(scan) + place
        if scan == 0:
            return positions, np.arange(len(positions))
        # Entries come row by row: a stable sort by column is all that is needed.
        order = stable_order(line, self.lines(scan))
        return positions[order], order

    def gaps(self, positions: Indices, scan: int, line_ends: bool) -> Indices:
        """Dead positions between each entry and the one before it, or its line's start."""
        gaps = np.diff(positions, prepend=-1) - 1
        if line_ends:
            length = self.line_length(scan)
            line = positions // length
            first = np.diff(line, prepend=-1) > 0
            gaps[first] = positions[first] - line[first] * length
        return gaps


def skips_and_gaps(gaps: Indices, pbits: int) -> npt.NDArray[np.uint16]:
    """Gap symbols, each after the skips that it needs."""
    skip = (1 << pbits) - 1
    long = np.flatnonzero(gaps >= skip)
    if len(long) == 0:
        return gaps.astype(np.uint16)
    rest = gaps.copy()
    skips, rest[long] = np.divmod(gaps[long], skip)
    symbols = np.full(int(skips.sum()) + len(gaps), skip, np.uint16)
    places = np.arange(len(gaps))
    shift = np.zeros(len(gaps), np.int64)
    shift[long] = skips
    symbols[places + np.cumsum(shift)] = rest
    return symbols
