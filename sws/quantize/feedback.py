"""Error feedback over the columns and rows of a matrix, tile by tile: see `factors` for what it minimises.

Within a row the error of each weight is made good by the columns after it, and that of the whole row by the rows after
it. A kernel does so within a tile; between tiles the same sums are products of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from swsfmt import InputError

from .factors import Factors
from .kernels.choice import kernels
from .kernels.protocol import Bytes, Floats, Integers
from .lengths import Lengths

TILE = 64
# Rows and columns that do not know of each other are quantised so many at a time.
_LINES = 1024
_NONE = np.zeros((0, 0), np.float32)


def feed(
    weights: Tensor,
    factors: Factors,
    row_steps: Floats,
    column_steps: Floats,
    row_rates: Floats,
    column_rates: Floats,
    lengths: Lengths,
    zeros: Bytes | None = None,
    paths: int = 1,
) -> Integers:
    """Levels (rows, columns), int32, of a matrix of weights.

    row_steps, column_steps : a weight's step is the product of both
    row_rates, column_rates : and so is what a bit costs, in squared steps; 0 for the nearest levels
    zeros : 1 where a weight must stay zero, (rows, columns)
    paths : how many ways to round a row of a tile are kept, see `Kernels.quantize_tile`; more need rates above 0
    Raises `InputError` for levels that do not fit in 31 bits.
    """
    levels = np.zeros(weights.shape, np.int32)
    for column_cut, column_factor in _blocks(factors.columns):
        for row_cut, row_factor in _blocks(factors.rows):
            problem = _Problem(
                weights[row_cut, column_cut].float().numpy().copy(),
                column_factor,
                row_factor,
                (row_steps[row_cut], column_steps[column_cut]),
                (row_rates[row_cut], column_rates[column_cut]),
                lengths,
                (lengths.rows[row_cut], lengths.columns[column_cut]),
                None if zeros is None else zeros[row_cut, column_cut],
                paths,
            )
            levels[row_cut, column_cut] = problem.solve()
    return levels


def _blocks(factors: Sequence[Tensor] | Tensor) -> Iterator[tuple[slice, Floats | None]]:
    """Rows or columns that know of each other, with their factor; None where none knows of another."""
    if not isinstance(factors, Tensor):
        start = 0
        for block in factors:
            yield slice(start, start + len(block)), block.numpy()
            start += len(block)
        return
    for start in range(0, len(factors), _LINES):
        yield slice(start, min(start + _LINES, len(factors))), None


class _Problem:
    """Blocks of rows and columns that only know of each other. Factors are None for those that do not."""

    def __init__(
        self,
        weights: Floats,
        column_factor: Floats | None,
        row_factor: Floats | None,
        steps: tuple[Floats, Floats],
        rates: tuple[Floats, Floats],
        lengths: Lengths,
        classes: tuple[Bytes, Bytes],
        zeros: Bytes | None,
        paths: int,
    ) -> None:
        self.weights, self.column_factor, self.row_factor = weights, column_factor, row_factor
        self.steps, self.rates, self.lengths, self.classes, self.zeros = steps, rates, lengths, classes, zeros
        # Without feedback no weight knows of another, and there is nothing to search.
        self.paths = 1 if column_factor is None else paths
        self.levels = np.zeros(weights.shape, np.int32)

    def solve(self) -> Integers:
        rows, columns = self.weights.shape
        height = _LINES if self.row_factor is None and self.column_factor is None else TILE
        width = _LINES if self.column_factor is None else TILE
        for first in range(0, rows, height):
            of_rows = slice(first, min(first + height, rows))
            block = self.weights[of_rows]
            before = block.copy()
            for start in range(0, columns, width):
                of_columns = slice(start, min(start + width, columns))
                error = self._tile(block, of_rows, of_columns)
                factor = self.column_factor
                if factor is not None and of_columns.stop < columns:
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
        of_row = _NONE if self.row_factor is None else self.row_factor[of_rows, of_rows]
        of_column = _NONE if self.column_factor is None else self.column_factor[of_columns, of_columns]
        levels = np.empty((rows, columns), np.int32)
        row_steps, column_steps = self.steps[0][of_rows], self.steps[1][of_columns]
        fits = kernels().quantize_tile(
            weights.copy(),
            np.ascontiguousarray(of_column),
            np.ascontiguousarray(of_row),
            np.concatenate([row_steps, column_steps]),
            np.concatenate([self.rates[0][of_rows], self.rates[1][of_columns]]),
            np.ascontiguousarray(self.classes[0][of_rows]),
            np.ascontiguousarray(self.classes[1][of_columns]),
            self.lengths.bits,
            np.zeros(0, np.uint8) if self.zeros is None else np.ascontiguousarray(self.zeros[of_rows, of_columns]),
            (rows, columns, self.lengths.column_classes, self.lengths.reach, self.paths),
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
