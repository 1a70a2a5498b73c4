"""Training with the weights that the file will have: the network sees component means, gradients go straight through.

As in Courbariaux, Bengio & David, "BinaryConnect" (2015): the gradient at a quantised weight is taken for that of the
weight behind it, and the sum over all weights of a component for that of its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .prior import MixturePrior
from .utils import weight_layers

# Where two components meet, weights within this part of the range may go to the other one.
_BINS = 8192


class StraightThrough:
    """Calls `model` with every weight replaced by the mean of its component under `prior`."""

    def __init__(self, model: nn.Module, prior: MixturePrior, assign: str = "map") -> None:
        self._weights = dict(weight_layers(model))
        self._prior = prior
        self._assign = assign
        self._ids: dict[str, Tensor] = {}
        self._given: dict[str, Tensor] = {}

    def __call__(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """The outputs of `network`, whose weights have the names of the model's."""
        with torch.no_grad():
            means = self._prior.all_means()
            lookup = self._lookup()
            self._ids = {name: lookup(weight) for name, weight in self._weights.items()}
            self._given = {name: means[ids].requires_grad_() for name, ids in self._ids.items()}
        outputs: Tensor = functional_call(network, self._given, (inputs,))
        return outputs

    def pass_on(self) -> None:
        """After the backward pass: add the gradients to those of the weights and of the means."""
        total = torch.zeros_like(self._prior.all_means())
        for name, weight in self._weights.items():
            gradient = self._given[name].grad
            if gradient is None:
                continue
            weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
            total += torch.bincount(self._ids[name].reshape(-1), gradient.reshape(-1), minlength=len(total))
        means = self._prior.means
        means.grad = total[1:] if means.grad is None else means.grad.add_(total[1:])

    def _lookup(self) -> _Lookup:
        low = min(float(w.min()) for w in self._weights.values())
        high = max(float(w.max()) for w in self._weights.values())
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
