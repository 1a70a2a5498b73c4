"""From second moments to the two triangular factors that steps and feedback are made of.

With H of the columns and G of the rows the error E of a matrix costs tr(G E H E^T). H^-1 = U^T U and G^-1 = V^T V with
U and V upper triangular (GPTQ, arXiv 2210.17323, has U); E = V^T X U costs |X|^2, so that quantising element after
element leaves X_ij = (error of the moment) / (V_ii U_jj), and steps of c V_ii U_jj make all of equal size (WaterSIC,
arXiv 2603.04956).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .shrinkage import COLUMN_DAMPING, ROW_DAMPING, effective_samples, shrunk
from .statistics import Moments

HEAD_UNIFORM = 0.3
"""Of the rows of a head, of which only the diagonal is known: how much of it is the mean of all."""

_LEAST_UNSEEN = 0.1
# Too few are fewer effective samples than columns, where more than this share of the correlations is given up for it.
_UNCERTAIN = 0.3
# So many for each column are enough.
_ENOUGH = 4


@dataclass(frozen=True)
class Factors:
    """Of one group of a matrix.

    columns : blocks of U, float32, upper triangular; or its diagonal, where columns do not know of each other
    rows : blocks of V; or its diagonal
    lacking : how many times as many samples would do to tell how columns are correlated; 0 where there are enough
    """

    columns: Sequence[Tensor] | Tensor
    rows: Sequence[Tensor] | Tensor
    lacking: float = 0.0

    @property
    def column_diagonal(self) -> Tensor:
        """U_jj of all columns, float64."""
        return _diagonal(self.columns)

    @property
    def row_diagonal(self) -> Tensor:
        """V_ii of all rows, float64."""
        return _diagonal(self.rows)


def _diagonal(blocks: Sequence[Tensor] | Tensor) -> Tensor:
    if isinstance(blocks, Tensor):
        return blocks.double()
    return torch.cat([block.diagonal() for block in blocks]).double()


def factors(
    roles: Sequence[Moments],
    samples: int,
    *,
    damping: tuple[float, float] = (COLUMN_DAMPING, ROW_DAMPING),
    shrinks: bool = True,
) -> list[Factors] | None:
    """Of each group; None where calibration has not reached the matrix.

    damping : of columns and of rows, see `shrinkage`. shrinks : False takes the sums for what they are
    The roles of a tied embedding are added, as if the sum of two Kronecker products were one.
    """
    if not roles:
        return None
    total = torch.stack([own.total for own in roles]).sum(0)
    if not bool((total > 0).any()):
        return None
    out = []
    blocks = len(roles[0].columns)
    for group in range(len(total)):

        def block(sums: Sequence[Tensor], place: int, group: int = group) -> tuple[Tensor, float]:
            totals = [one[group].double() for one in sums]
            spreads, counts = [float(own.spread[place, group]) for own in roles], [own.count for own in roles]
            known = effective_samples(totals, spreads, counts) if shrinks else math.inf
            moments, share = shrunk(torch.stack(totals).sum(0), known, damping[place >= blocks])
            return moments, _ENOUGH * len(moments) / known if share > _UNCERTAIN and known < len(moments) else 0.0

        trace = float(total[group]) or float(total.sum()) / len(total)
        # H G is the mean over outputs of what the error of all tokens does to one.
        share = math.sqrt(trace * samples)
        columns = [block([own.columns[n] for own in roles], n) for n in range(blocks)]
        if any(isinstance(own.rows, Tensor) for own in roles):
            rows: list[Tensor] | Tensor = _row_diagonal(roles, group, share)
        else:
            of_rows = roles[0].rows
            rows = [_factor(block([of_rows[n]], blocks + n)[0] / share) for n in range(len(of_rows))]
        out.append(Factors([_factor(own / share) for own, _ in columns], rows, max(lacking for _, lacking in columns)))
    return out


def _row_diagonal(roles: Sequence[Moments], group: int, share: float) -> Tensor:
    diagonal = torch.zeros(1, dtype=torch.float64)
    for own in roles:
        rows = _mean_squares(own)[group].double()
        uniform = HEAD_UNIFORM if own.counts is None else _unseen(rows, own.counts)
        diagonal = diagonal + (1 - uniform) * rows + uniform * rows.mean()
    return (diagonal / share).rsqrt().float()


def _unseen(squares: Tensor, counts: Tensor) -> float:
    """Which part of what new text weighs are words that did not occur: as much as those that occurred once (Good,
    Biometrika 1953); a tenth at least. squares : of the gradients of each word
    """
    return max(_LEAST_UNSEEN, float(squares[counts == 1].sum()) / max(float(squares.sum()), 1e-300))


def _mean_squares(own: Moments) -> Tensor:
    """The diagonal of the moments of the rows, (groups, rows)."""
    if isinstance(own.rows, Tensor):
        return own.rows
    return torch.cat([block.diagonal(dim1=1, dim2=2) for block in own.rows], 1)


def _factor(moments: Tensor) -> Tensor:
    """The upper triangular U of M^-1 = U^T U, float32. M = U^-1 U^-T, so that M turned around has U^-1 turned around as
    its lower Cholesky factor.
    """
    lower = torch.linalg.cholesky(moments.flip(0, 1))
    inverse = torch.linalg.solve_triangular(lower, torch.eye(len(lower), dtype=lower.dtype), upper=False)
    turned: Tensor = inverse.flip(0, 1).float().contiguous()
    return turned
