"""The geometry of the sparse coding: a matrix without its dead rows and columns, read line by line (spec 5.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...cached import cached_property
from ...entropy.arrays import Indices as Indices
from ...entropy.arrays import Live

Ranks = npt.NDArray[np.int32]

# Bits of a bitmap that are counted together.
_SELECT = 1 << 16
# Lines and places of a matrix, together; each takes 8 bytes, and 8 more for a moment.
_MOST_OFFSETS = 1 << 21


def ranks_of(live: Live) -> Ranks:
    """How many live lines come before each live one. No writer has a bitmap that is too long for four bytes."""
    ranks: Ranks = live.cumsum(dtype=np.int32)
    ranks -= 1
    return ranks


class _Select:
    """Finds live lines by their rank, without an index for each of them: 8 bytes times lines could be much."""

    def __init__(self, live: Live) -> None:
        self._live = live
        counts = [np.count_nonzero(live[start : start + _SELECT]) for start in range(0, len(live), _SELECT)]
        self._before = np.concatenate([[0], np.cumsum(counts)])

    def __call__(self, ranks: Indices) -> Indices:
        """The lines of these ranks, from part to part of the bitmap."""
        part = np.searchsorted(self._before, ranks, "right") - 1
        order = np.argsort(part, kind="stable")
        parts, starts = np.unique(part[order], return_index=True)
        lines_of_ranks = np.empty_like(ranks)
        for number, which in zip(parts.tolist(), np.split(order, starts[1:]), strict=False):
            start = number * _SELECT
            lines = start + np.flatnonzero(self._live[start : start + _SELECT])
            lines_of_ranks[which] = lines[ranks[which] - self._before[number]]
        return lines_of_ranks


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

    def has_entries_outside(self, symbols: npt.NDArray[np.uint16]) -> bool:
        """Whether a matrix of symbols, shape (rows, columns), has entries in rows or columns that are dead here."""
        return any(
            live is not None and bool(np.bitwise_or.reduce(symbols, axis=axis)[~live.astype(np.bool_)].any())
            for axis, live in ((1, self.live_rows), (0, self.live_columns))
        )

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
        if self.is_elements(scan):
            return positions
        line, place = np.divmod(positions, self.line_length(scan))
        row, column = (line, place) if scan == 0 else (place, line)
        if self.live_rows is not None:
            row = self._select_row(row)
        if self.live_columns is not None:
            column = self._select_column(column)
        return row * self.columns + column

    @cached_property
    def _select_row(self) -> _Select:
        assert self.live_rows is not None
        return _Select(self.live_rows)

    @cached_property
    def _select_column(self) -> _Select:
        assert self.live_columns is not None
        return _Select(self.live_columns)

    def is_elements(self, scan: int) -> bool:
        """Whether a position is the element itself."""
        return scan == 0 and self.live_rows is None and self.live_columns is None

    def has_many_offsets(self, scan: int) -> bool:
        """Whether `offsets` would take more memory than a reader may."""
        return not self.is_elements(scan) and sum(self._counts) > _MOST_OFFSETS

    def offsets(self, scan: int) -> tuple[Indices, Indices] | None:
        """Offsets in the whole tensor: that of a position is offset[line] + offset[place]. None: position itself."""
        if self.is_elements(scan):
            return None
        row = np.arange(self.rows) if self.live_rows is None else np.flatnonzero(self.live_rows)
        column = np.arange(self.columns) if self.live_columns is None else np.flatnonzero(self.live_columns)
        return (row * self.columns, column) if scan == 0 else (column, row * self.columns)

    def ranks(self) -> tuple[Ranks | None, Ranks | None]:
        """How many live ones come before each row and each column; None where all live."""
        rows, columns = (None if live is None else ranks_of(live) for live in (self.live_rows, self.live_columns))
        return rows, columns
