"""A weight tensor as the matrix of a product: rows are its outputs, columns its inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How a tensor is a matrix, or one for each group of a grouped convolution.

    shape : of the tensor
    groups : of a convolution
    is_transposed : whether inputs come first in it, as in transposed convolutions and the Conv1D of transformers
    """

    shape: tuple[int, ...]
    groups: int = 1
    is_transposed: bool = False

    @property
    def rows(self) -> int:
        """Outputs of one group."""
        return math.prod(self.shape[1:]) if self.is_transposed else self.shape[0] // self.groups

    @property
    def columns(self) -> int:
        """Inputs of one group."""
        return self.shape[0] // self.groups if self.is_transposed else math.prod(self.shape[1:])

    def matrix(self, tensor: Tensor) -> Tensor:
        """(groups, rows, columns) of a tensor of that shape."""
        flat = tensor.reshape(self.groups, self.shape[0] // self.groups, -1)
        return flat.transpose(1, 2) if self.is_transposed else flat

    def tensor(self, matrix: Tensor) -> Tensor:
        """The inverse of `matrix`."""
        return (matrix.transpose(1, 2) if self.is_transposed else matrix).reshape(self.shape)

    def factors(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Factors (groups, rows) and (groups, columns), of which `shared` made what can be stored, as a file has them:
        one for each element of the first dimension, and one for each of the others.
        """
        along, across = (columns, rows) if self.is_transposed else (rows, columns)
        return along.reshape(-1, *[1] * (len(self.shape) - 1)), across[0].reshape(1, *self.shape[1:])

    def shared(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of factors, (groups, rows) and (groups, columns): those of the dimensions after the first become
        the same in all groups, as a file has them; the first dimension takes what that changes in the mean.
        """
        if self.groups == 1:
            return rows, columns
        along, across = (columns, rows) if self.is_transposed else (rows, columns)
        same = across.mean(0, keepdim=True)
        along = along + (across - same).mean(1, keepdim=True)
        across = torch.broadcast_to(same, across.shape)
        return (across, along) if self.is_transposed else (along, across)
