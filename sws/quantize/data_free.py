"""Quantising without calibration: what the weights themselves tell.

Nothing is known of inputs and gradients, so that errors are not made good, and rounding alone knows the rate. Steps
follow the root mean square of the matrix: normalised networks make every matrix matter by its relative error. Within
the matrix of a linear layer they follow the square root of that of each column: training makes weights of small inputs
large. In a convolution they follow the square root of that of each row: what comes after it, mostly a norm of each
channel, makes the relative error of each count. In the matrices of LSTM and GRU, told by the names that torch gives
them, they follow that of each row itself: gates with large weights are open or shut, and those with small ones, whose
errors go round with the state, are not. (docs/quantizing.md says what was measured.)
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

from .factors import Factors
from .layout import Layout

POWER = 0.5
"""Of the root mean square of a column, or row, which its steps are in proportion to: half way between one step for all
and one error relative to each."""
# Of the root mean square of the matrix: no column or row counts as less.
_LEAST = 0.1
_RECURRENT = re.compile(r"weight_(ih|hh)(_l\d+(_reverse)?)?$")


def size_of(tensor: Tensor) -> float:
    """The root mean square of its weights; 1 of zeros."""
    norm = float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))
    return norm / math.sqrt(max(1, tensor.numel())) or 1.0


def factors(tensor: Tensor, layout: Layout, name: str = "") -> list[Factors]:
    """Steps in proportion to the root mean square of the weights, and the root of that of columns or rows.

    name : of the tensor in its network, which tells recurrent ones
    The relative errors of all matrices add up to that of the output where each changes its input by about as much:
    an error of |E|^2 / |W|^2 has the share of a matrix, so that a weight costs 1 / |W|^2.
    """
    return like(tensor, layout, math.sqrt(tensor.numel()), name)


def like(tensor: Tensor, layout: Layout, relative: float, name: str = "") -> list[Factors]:
    """The same with steps of c times `relative` times the root mean square of the weights."""
    whole = size_of(tensor)
    out = []
    is_recurrent = _RECURRENT.search(name) is not None
    # Rows have steps of their own, or columns.
    by_row = is_recurrent or len(layout.shape) > 2
    for weights in layout.matrix(tensor.detach()):
        norms = torch.linalg.vector_norm(weights, dim=int(by_row), dtype=torch.float32)
        norms = norms / math.sqrt(weights.shape[int(by_row)])
        steps = (norms / whole).clamp(min=_LEAST).pow(1 if is_recurrent else POWER).cpu()
        if by_row:
            out.append(Factors(torch.ones(layout.columns), relative * whole * steps))
        else:
            out.append(Factors(steps, torch.full((layout.rows,), relative * whole)))
    return out
