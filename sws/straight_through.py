"""Training with the weights that the file will have: the network sees component means, gradients go straight through.

As in Courbariaux, Bengio & David, "BinaryConnect" (2015): the gradient at a quantised weight is taken for that of the
weight behind it, and the sum over all weights of a component for that of its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import weight_layers
from .prior import MixturePrior

# Where two components meet, weights within this part of the range may go to the other one.
_BINS = 8192


class StraightThrough:
    """The mean of its component under `prior` in place of every weight of `model`."""

    def __init__(self, model: nn.Module, prior: MixturePrior, assign: str = "map") -> None:
        self._weights = [weight for _, weight in weight_layers(model)]
        self._prior = prior
        self._assign = assign
        self._ids: list[Tensor] = []
        self._before: list[Tensor | None] = []

    @torch.no_grad()
    def values(self) -> dict[nn.Parameter, Tensor]:
        """What the network computes with in place of its weights, for `sws.substitution.substituted`.

        Gradients that the weights have already wait for `pass_on`.
        """
        means = self._prior.all_means()
        lookup = self._lookup()
        self._ids = [lookup(weight) for weight in self._weights]
        self._before = [weight.grad for weight in self._weights]
        for weight in self._weights:
            weight.grad = None
        return {weight: means[ids] for weight, ids in zip(self._weights, self._ids, strict=True)}

    @torch.no_grad()
    def pass_on(self) -> None:
        """After the backward pass: the gradients of the quantised weights are those of the weights, and their sums
        over each component are those of the means; both are added to what was there.
        """
        total = torch.zeros_like(self._prior.all_means())
        for weight, ids, before in zip(self._weights, self._ids, self._before, strict=True):
            gradient = weight.grad
            if gradient is not None:
                total += torch.bincount(ids.reshape(-1), gradient.reshape(-1), minlength=len(total))
            if before is not None:
                weight.grad = before if gradient is None else before.add_(gradient)
        means = self._prior.means
        means.grad = total[1:] if means.grad is None else means.grad.add_(total[1:])

    def _lookup(self) -> _Lookup:
        low = min(float(w.min()) for w in self._weights)
        high = max(float(w.max()) for w in self._weights)
        grid = torch.linspace(low, high, _BINS, device=self._prior.means.device)
        return _Lookup(low, max(high - low, 1e-12) / (_BINS - 1), self._prior.assign(grid, self._assign))


class _Lookup:
    """The component of a weight, from a table over their range."""

    def __init__(self, low: float, step: float, table: Tensor) -> None:
        self._low = low
        self._step = step
        self._table = table

    def __call__(self, weight: Tensor) -> Tensor:
        places = ((weight - self._low) / self._step + 0.5).long().clamp_(0, len(self._table) - 1)
        return self._table[places]
