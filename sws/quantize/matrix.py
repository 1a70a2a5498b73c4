"""One matrix: its steps, its levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .factors import Factors
from .feedback import feed
from .layout import Layout
from .lengths import Lengths, lengths_of, none

OCTAVE = 8
"""Steps are 2^(k / 8), rounded to bfloat16: they take a byte and cost nothing."""
RATE = math.log(2) / 12
"""What a bit is worth in squared steps: half of what it is where errors cost what moments say. (At a high rate an
error of step^2 / 12 falls by 2 ln 2 of itself with a bit.) Errors that are chosen cost more than that."""
PASSES = 2
"""With the lengths of codes that the levels of the one before have."""
_FEW_STEPS = 4
# Of the weights of a matrix: where more are zero, it was pruned, and they stay zero.
_PRUNED = 0.05


@dataclass(frozen=True)
class Levels:
    """levels : int32 (groups, rows, columns)
    row_steps, column_steps : float32 (groups, rows) and (groups, columns); a step is the product of both
    """

    levels: Tensor
    row_steps: Tensor
    column_steps: Tensor

    def dequantize(self) -> Tensor:
        """float32 (groups, rows, columns)"""
        return self.levels * self.row_steps[:, :, None] * self.column_steps[:, None, :]


def quantize_matrix(
    weights: Tensor,
    factors: Sequence[Factors],
    step: float,
    layout: Layout,
    *,
    rate: float = RATE,
    passes: int = PASSES,
    paths: int = 1,
) -> Levels:
    """Levels and steps of a matrix, (groups, rows, columns), float32.

    step : c, the same for the whole network: steps are c V_ii U_jj, see `factors`
    rate : what a bit is worth in squared steps; 0 rounds to nearest
    passes : of rounding; the first is to the nearest
    paths : how many ways to round the weights of a row are kept while the best is looked for, 1 to 64
    """
    row_ideal = torch.stack([own.row_diagonal for own in factors]) * step
    column_ideal = torch.stack([own.column_diagonal for own in factors])
    row_steps, column_steps = _steps(row_ideal, column_ideal, layout)
    row_rates = (row_ideal / row_steps).square() * rate
    column_rates = (column_ideal / column_steps).square()
    is_pruned = weights.numel() - int(weights.count_nonzero()) > _PRUNED * weights.numel()
    zeros = (weights == 0).numpy().view(np.uint8) if is_pruned else None
    groups, rows, columns = weights.shape

    def feed_all(lengths: Lengths, is_free: bool) -> Tensor:
        """All groups. The codes are those of the groups one below the other."""
        out = []
        for g, own in enumerate(factors):
            part = Lengths(lengths.rows[g * rows : (g + 1) * rows], lengths.columns, lengths.bits, lengths.reach)
            rates = row_rates[g] * (not is_free), column_rates[g]
            levels = feed(
                weights[g],
                own,
                row_steps[g].numpy(),
                column_steps[g].numpy(),
                rates[0].float().numpy(),
                rates[1].float().numpy(),
                part,
                None if zeros is None else zeros[g],
                1 if is_free else paths,
            )
            out.append(torch.from_numpy(levels))
        return torch.stack(out) if groups > 1 else out[0][None]

    levels = feed_all(none(groups * rows, columns), True)
    for _ in range(passes - 1 if rate else 0):
        lengths = lengths_of(levels.reshape(-1, columns).numpy())
        # As large as the weights: not kept beside the next ones.
        del levels
        levels = feed_all(lengths, False)
    return Levels(levels, row_steps, column_steps)


def _steps(rows: Tensor, columns: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Steps of the grid that a file can have, float32, near the ideal ones, (groups, rows) and (groups, columns)."""
    of_rows, of_columns = rows.log2(), columns.log2()
    # Rows have the size of steps, columns are about 1.
    mean = of_columns.mean()
    of_rows, of_columns = layout.shared(of_rows + mean, of_columns - mean)
    return on_grid(of_rows), on_grid(of_columns)


def on_grid(logarithms: Tensor) -> Tensor:
    """Steps, float32, of which the binary logarithms are about these.

    A grid that all matrices have in common is one codebook in the file. Where a matrix has a few steps only, the grid
    goes through their mean: rows that are all equal would jump by an eighth of an octave, and no target could be hit.
    """
    mean = logarithms.mean() if len((logarithms * OCTAVE).round().unique()) <= _FEW_STEPS else 0
    return ((logarithms - mean) * OCTAVE).round().div(OCTAVE).add(mean).exp2().bfloat16().float()
