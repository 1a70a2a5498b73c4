"""Error feedback over the columns and rows of a matrix, tile by tile: see `factors` for what it minimises.

Within a row the error of each weight is made good by the columns after it, and that of the whole row by the rows after
it. A kernel does so within a tile; between tiles the same sums are products of matrices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from swsfmt import InputError

from .factors import Factors
from .kernels import Bytes, Floats, Integers, kernels
from .lengths import Lengths
from .statistics import cuts

TILE = 64
# Rows that do not know of each other are quantised so many at a time.
_ROWS = 1024


def feed(
    weights: Tensor,
    factors: Factors,
    row_steps: Floats,
    column_steps: Floats,
    row_rates: Floats,
    column_rates: Floats,
    lengths: Lengths,
    zeros: Bytes | None = None,
) -> Integers:
    """Levels (rows, columns), int32, of a matrix of weights.

    row_steps, column_steps : a weight's step is the product of both
    row_rates, column_rates : and so is what a bit costs, in squared steps; 0 for the nearest levels
    zeros : 1 where a weight must stay zero, (rows, columns)
    Raises `InputError` for levels that do not fit in 31 bits.
    """
    rows, columns = weights.shape
    levels = np.zeros((rows, columns), np.int32)
    diagonal = factors.rows if isinstance(factors.rows, Tensor) else None
    if diagonal is not None:
        row_cuts = [slice(start, min(start + _ROWS, rows)) for start in range(0, rows, _ROWS)]
        row_factors = [None] * len(row_cuts)
    else:
        row_cuts, row_factors = cuts(rows), list(factors.rows)  # type: ignore[arg-type]
    for column_cut, column_factor in zip(cuts(columns), factors.columns, strict=True):
        for row_cut, row_factor in zip(row_cuts, row_factors, strict=True):
            problem = _Problem(
                weights[row_cut, column_cut].float().numpy().copy(),
                column_factor.numpy(),
                None if row_factor is None else row_factor.numpy(),
                (row_steps[row_cut], column_steps[column_cut]),
                (row_rates[row_cut], column_rates[column_cut]),
                lengths,
                (lengths.rows[row_cut], lengths.columns[column_cut]),
                None if zeros is None else zeros[row_cut, column_cut],
            )
            levels[row_cut, column_cut] = problem.solve()
    return levels


class _Problem:
    """Blocks of rows and columns that only know of each other. row_factor : None for rows that do not."""

    def __init__(
        self,
        weights: Floats,
        column_factor: Floats,
        row_factor: Floats | None,
        steps: tuple[Floats, Floats],
        rates: tuple[Floats, Floats],
        lengths: Lengths,
        classes: tuple[Bytes, Bytes],
        zeros: Bytes | None,
    ) -> None:
        self.weights, self.column_factor, self.row_factor = weights, column_factor, row_factor
        self.steps, self.rates, self.lengths, self.classes, self.zeros = steps, rates, lengths, classes, zeros
        self.levels = np.zeros(weights.shape, np.int32)

    def solve(self) -> Integers:
        rows, columns = self.weights.shape
        for first in range(0, rows, TILE):
            of_rows = slice(first, min(first + TILE, rows))
            block = self.weights[of_rows]
            before = block.copy()
            for start in range(0, columns, TILE):
                of_columns = slice(start, min(start + TILE, columns))
                error = self._tile(block, of_rows, of_columns)
                if of_columns.stop < columns:
                    factor = self.column_factor
                    # What the errors X of the tile are to later columns: (E U_tile^-1) U_rest.
                    tile = _solved(factor[of_columns, of_columns], error)
                    block[:, of_columns.stop :] -= tile @ factor[of_columns, of_columns.stop :]
            if self.row_factor is not None and of_rows.stop < rows:
                made = self.levels[of_rows] * (self.steps[0][of_rows, None] * self.steps[1])
                own = self.row_factor[of_rows, of_rows]
                shares = _solved(own, np.ascontiguousarray((before - made).T))
                self.weights[of_rows.stop :] -= self.row_factor[of_rows, of_rows.stop :].T @ shares.T
        return self.levels

    def _tile(self, block: Floats, of_rows: slice, of_columns: slice) -> Floats:
        """Quantise it; its whole error, (rows, columns)."""
        before = block[:, of_columns]
        weights = np.ascontiguousarray(before)
        rows, columns = weights.shape
        own = np.eye(rows, dtype=np.float32) if self.row_factor is None else self.row_factor[of_rows, of_rows]
        levels = np.empty((rows, columns), np.int32)
        row_steps, column_steps = self.steps[0][of_rows], self.steps[1][of_columns]
        fits = kernels().quantize_tile(
            weights.copy(),
            np.ascontiguousarray(self.column_factor[of_columns, of_columns]),
            np.ascontiguousarray(own),
            np.concatenate([row_steps, column_steps]),
            np.concatenate([self.rates[0][of_rows], self.rates[1][of_columns]]),
            np.ascontiguousarray(self.classes[0][of_rows]),
            np.ascontiguousarray(self.classes[1][of_columns]),
            self.lengths.bits,
            np.zeros(0, np.uint8) if self.zeros is None else np.ascontiguousarray(self.zeros[of_rows, of_columns]),
            (rows, columns, self.lengths.column_classes, self.lengths.reach),
            levels,
        )
        if not fits:
            raise InputError("the step is so small that levels do not fit in 31 bits; ask for less quality")
        self.levels[of_rows, of_columns] = levels
        return weights - levels * (row_steps[:, None] * column_steps)


def _solved(factor: Floats, error: Floats) -> Floats:
    """error @ factor^-1, of an upper triangular factor."""
    solved = torch.linalg.solve_triangular(
        torch.from_numpy(np.ascontiguousarray(factor)), torch.from_numpy(error), upper=True, left=False
    )
    out: Floats = solved.numpy()
    return out
