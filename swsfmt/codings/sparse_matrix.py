"""The geometry of the sparse coding: a matrix without its dead rows and columns, read line by line (spec 5.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..entropy.bitmap import Live

Indices = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.int32]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a tensor as a matrix: dimension 0 by all others."""
    if not shape:
        return 1, 1
    return shape[0], math.prod(shape[1:])


def ranks_of(live: Live) -> Ranks:
    """How many live lines come before each live one. No writer has a bitmap that is too long for four bytes."""
    ranks = live.astype(np.int32)
    np.cumsum(ranks, out=ranks)
    ranks -= 1
    return ranks


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

    def ranks(self) -> tuple[Ranks | None, Ranks | None]:
        """How many live ones come before each row and each column; None where all live."""
        rows, columns = (None if live is None else ranks_of(live) for live in (self.live_rows, self.live_columns))
        return rows, columns
