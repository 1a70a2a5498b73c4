"""One codebook for all weights of a network, trained together with the assignments (straight-through estimator).

Zeros stay zero unless the rate term frees a weight of its entry. Values are float16, as the file stores them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def k_means(weights: Tensor, values: int, rounds: int = 50) -> Tensor:
    """At most `values` centres of `weights` (one dimension), ascending. It starts at quantiles, not by chance."""
    quantiles = torch.linspace(0.5 / values, 1 - 0.5 / values, values)
    ordered = weights.sort().values
    centres = ordered[(quantiles * len(ordered)).long().clamp(max=len(ordered) - 1).to(ordered.device)].unique()
    for _ in range(rounds):
        nearest = torch.bucketize(weights, (centres[1:] + centres[:-1]) / 2)
        counts = torch.bincount(nearest, minlength=len(centres))
        sums = torch.bincount(nearest, weights, minlength=len(centres))
        centres = (sums / counts.clamp(min=1))[counts > 0].sort().values
    return centres


class SharedCodebook:
    """values : float32 of shape (1 + K,), the first one zero and fixed; ids : for each parameter the symbol of each
    weight; latent : the weights behind the assignments.
    """

    def __init__(self, parameters: Sequence[Tensor], values: int) -> None:
        self.latent = [p.detach().clone().requires_grad_() for p in parameters]
        self.alive = [p.detach() != 0 for p in parameters]
        survivors = torch.cat([p.detach()[alive] for p, alive in zip(parameters, self.alive, strict=True)])
        centres = k_means(survivors, values) if len(survivors) else survivors
        self.values = torch.cat([survivors.new_zeros(1), centres]).requires_grad_()
        self.bits = torch.zeros_like(self.values)
        self.ids = self._assigned(0.0)

    def assign(self, rate: float) -> None:
        """Give each living weight the value that minimises (weight - value)^2 + rate * bits of its symbol."""
        self.ids = self._assigned(rate)

    @torch.no_grad()
    def _assigned(self, rate: float) -> list[Tensor]:
        values = half(self.values)
        # Without a rate, what lives takes a value that is not zero.
        first = 0 if rate else 1
        found = []
        for latent, alive in zip(self.latent, self.alive, strict=True):
            ids = torch.zeros_like(latent, dtype=torch.int64)
            if len(values) > 1 and alive.any():
                cost = (latent[alive][:, None] - values[first:]).square() + rate * self.bits[first:]
                ids[alive] = cost.argmin(1) + first
            found.append(ids)
        return found

    def quantised(self) -> list[Tensor]:
        """The weights as they are in the file."""
        values = half(self.values.detach())
        return [values[ids] for ids in self.ids]

    def counts(self) -> Tensor:
        """How often each symbol occurs: int64 of shape (1 + K,)."""
        return torch.bincount(torch.cat([ids.flatten() for ids in self.ids]), minlength=len(self.values))

    def set_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Pass the gradients at the quantised weights on to the values and, straight through, to the latent weights."""
        total = torch.zeros_like(self.values)
        for latent, alive, ids, gradient in zip(self.latent, self.alive, self.ids, gradients, strict=True):
            latent.grad = gradient * alive
            total += torch.bincount(ids.flatten(), gradient.flatten(), minlength=len(total))
        total[0] = 0
        self.values.grad = total


def half(values: Tensor) -> Tensor:
    """Rounded to what float16 can hold."""
    return values.half().float()
