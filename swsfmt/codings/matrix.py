"""Tensors as matrices: dimension 0 by all others (spec 5.5)."""

from __future__ import annotations

import math

from ..tensor import TensorInfo
from .base import Scan


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a tensor as a matrix: dimension 0 by all others."""
    if not shape:
        return 1, 1
    return shape[0], math.prod(shape[1:])


def lines_and_length(tensor: TensorInfo, scan: Scan) -> tuple[int, int]:
    """The shape of the tensor's matrix as it is read."""
    rows, columns = matrix_shape(tensor.shape)
    return (rows, columns) if scan == Scan.ROWS else (columns, rows)
