"""Gradual global magnitude pruning: one threshold for all layers (Zhu & Gupta 2017, "To prune, or not to prune")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cubic_sparsity(final: float, progress: float, ramp_end: float) -> float:
    """The part of the weights that is zero after `progress` of the epochs (0 to 1); `final` from `ramp_end` on."""
    left = max(0.0, 1 - progress / ramp_end)
    return final * (1 - left**3)


class GlobalPruner:
    """Masks of the largest weights of all `parameters` together. masks : one for each, bool, True where it lives."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.masks = [torch.ones_like(p, dtype=torch.bool) for p in self.parameters]

    @torch.no_grad()
    def prune(self, sparsity: float) -> None:
        """Let the largest weights live, so many that `sparsity` of all are masked."""
        sizes = torch.cat([p.detach().abs().flatten() for p in self.parameters])
        count = int(sparsity * len(sizes))
        threshold = sizes.kthvalue(count).values if count else -torch.ones(())
        self.masks = [p.detach().abs() > threshold for p in self.parameters]

    @torch.no_grad()
    def apply(self) -> None:
        """Set the masked weights to zero."""
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            parameter.mul_(mask)


def group_norms(weights: Sequence[Tensor], axis: int) -> Tensor:
    """The sum of the Euclidean norms of the groups of all matrices, scaled by the root of their length.

    axis : 0 for the input columns, 1 for the output rows. Whole groups go to zero under this penalty (group lasso, Yuan
        & Lin 2006). A filter of shape (outputs, inputs, height, width) has inputs x height x width columns.
    """
    total = torch.zeros(())
    for weight in weights:
        matrix = weight.flatten(1)
        total = total + (matrix.square().sum(axis) + 1e-12).sqrt().sum() * matrix.shape[axis] ** 0.5
    return total
