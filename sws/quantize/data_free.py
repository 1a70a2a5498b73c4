"""Quantising without calibration: what the weights themselves tell.

Nothing is known of inputs and gradients, so that errors are not made good, and rounding alone knows the rate. Steps
follow the root mean square of the matrix: normalised networks make every matrix matter by its relative error. Within it
they follow the square root of that of each column: training makes weights of small inputs large.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .factors import Factors
from .layout import Layout

COLUMN_POWER = 0.5
"""Of the root mean square of a column, which its steps are in proportion to: half way between one step for all columns
and one error relative to each. Rows do not gain by it (docs/quantizing.md)."""
# Of the root mean square of the matrix: no column counts as less.
_LEAST = 0.1


def size_of(tensor: Tensor) -> float:
    """The root mean square of its weights; 1 of zeros."""
    norm = float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))
    return norm / math.sqrt(max(1, tensor.numel())) or 1.0


def factors(tensor: Tensor, layout: Layout) -> list[Factors]:
    """Steps in proportion to the root mean square of the weights of the matrix, and the root of that of its columns.

    The relative errors of all matrices add up to that of the output where each changes its input by about as much:
    an error of |E|^2 / |W|^2 has the share of a matrix, so that a weight costs 1 / |W|^2.
    """
    return like(tensor, layout, math.sqrt(tensor.numel()))


def like(tensor: Tensor, layout: Layout, relative: float) -> list[Factors]:
    """The same with steps of c times `relative` times the root mean square of the weights."""
    whole = size_of(tensor)
    out = []
    for weights in layout.matrix(tensor.detach()):
        norms = torch.linalg.vector_norm(weights, dim=0, dtype=torch.float32) / math.sqrt(layout.rows)
        of_columns = (norms / whole).clamp(min=_LEAST).pow(COLUMN_POWER).cpu()
        out.append(Factors(of_columns, torch.full((layout.rows,), relative * whole)))
    return out
