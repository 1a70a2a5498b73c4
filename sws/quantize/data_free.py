"""Quantising without calibration: what the weights themselves tell.

Nothing is known of inputs and gradients, so that all weights of a matrix count the same and there is no feedback. The
step of a matrix follows its root mean square: normalised networks make every matrix matter by its relative error.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .factors import Factors, identity
from .layout import Layout


def size_of(tensor: Tensor) -> float:
    """The root mean square of its weights; 1 of zeros."""
    norm = float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))
    return norm / math.sqrt(max(1, tensor.numel())) or 1.0


def factors(tensor: Tensor, layout: Layout) -> list[Factors]:
    """Steps in proportion to the root mean square of the weights of the matrix.

    The relative errors of all matrices add up to that of the output where each changes its input by about as much:
    an error of |E|^2 / |W|^2 has the share of a matrix, so that a weight costs 1 / |W|^2.
    """
    return like(tensor, layout, math.sqrt(tensor.numel()))


def like(tensor: Tensor, layout: Layout, relative: float) -> list[Factors]:
    """Steps of c times `relative` times the root mean square of the weights."""
    return identity(layout, (relative * size_of(tensor)) ** -2)
