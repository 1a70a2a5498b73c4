"""One codebook for all weights of a network, trained together with the assignments (straight-through estimator).

What is zero at the start stays zero. Values are float16, as the file stores them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def k_means(weights: Tensor, values: int, rounds: int = 50) -> Tensor:
    """At most `values` centres of `weights` (one dimension), ascending. It starts at quantiles, not by chance."""
    quantiles = torch.linspace(0.5 / values, 1 - 0.5 / values, values)
    ordered = weights.sort().values
    centres: Tensor = ordered[(quantiles * len(ordered)).long().clamp(max=len(ordered) - 1).to(ordered.device)].unique()
    for _ in range(rounds):
        nearest = torch.bucketize(weights, (centres[1:] + centres[:-1]) / 2)
        counts = torch.bincount(nearest, minlength=len(centres))
        sums = torch.bincount(nearest, weights, minlength=len(centres))
        centres = (sums / counts.clamp(min=1))[counts > 0].sort().values
    return centres


class SharedCodebook:
    """values : float32 of shape (1 + K,), the first one zero and fixed; ids : for each parameter the symbol of each
    weight; latent : the weights behind the assignments; bits : of an entry of each symbol in the file, for `rate`.

    to_zero : living weights too may take the value zero, which has no entry
    """

    def __init__(self, parameters: Sequence[Tensor], values: int, to_zero: bool = False) -> None:
        self._first = 0 if to_zero else 1
        self.latent = [p.detach().float().clone().requires_grad_() for p in parameters]
        self._dtypes = [p.dtype for p in parameters]
        self.alive = [p.detach() != 0 for p in parameters]
        survivors = torch.cat([p.detach()[alive] for p, alive in zip(self.latent, self.alive, strict=True)])
        centres = k_means(survivors, values) if len(survivors) else survivors
        self.values = torch.cat([survivors.new_zeros(1), centres]).requires_grad_()
        self.bits = torch.zeros_like(self.values)
        self.assign()

    @torch.no_grad()
    def assign(self) -> None:
        """Give each living weight the value that is nearest."""
        values = half(self.values)
        self.ids = []
        for latent, alive in zip(self.latent, self.alive, strict=True):
            ids = torch.zeros_like(latent, dtype=torch.int64)
            if len(values) > 1 and alive.any():
                distances = (latent[alive][:, None] - values[self._first :]).abs()
                ids[alive] = distances.argmin(1) + self._first
            self.ids.append(ids)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs; the bits are of the file and not of the codebook."""
        return {
            "values": self.values.detach(),
            "latent": [latent.detach() for latent in self.latent],
            "alive": self.alive,
            "ids": self.ids,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `RuntimeError` or `ValueError` for the codebook of other weights, or with other values."""
        for own, saved in zip([self.values, *self.latent], [state["values"], *state["latent"]], strict=True):
            own.copy_(saved)
        device = self.values.device
        self.alive = [alive.to(device) for alive in state["alive"]]
        self.ids = [ids.to(device) for ids in state["ids"]]

    def quantized(self) -> list[Tensor]:
        """The weights as they are in the file."""
        values = half(self.values.detach())
        return [values[ids].to(dtype) for ids, dtype in zip(self.ids, self._dtypes, strict=True)]

    def counts(self) -> Tensor:
        """How often each symbol occurs: int64 of shape (1 + K,)."""
        return torch.bincount(torch.cat([ids.flatten() for ids in self.ids]), minlength=len(self.values))

    def rate(self) -> Tensor:
        """Bits of all entries, differentiable in the latent weights: between two values they change linearly.

        A weight below the least value or above the greatest has that value's bits, and no gradient.
        """
        values, order = half(self.values.detach()).sort()
        bits = self.bits[order]
        weights = torch.cat([latent[alive] for latent, alive in zip(self.latent, self.alive, strict=True)])
        weights = weights.clamp(values[0], values[-1])
        above = torch.bucketize(weights.detach(), values).clamp(min=1)
        width = (values[above] - values[above - 1]).clamp(min=torch.finfo(torch.float16).tiny)
        part = (weights - values[above - 1]) / width
        return torch.lerp(bits[above - 1], bits[above], part).sum()

    def set_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Pass the gradients at the quantised weights on to the values and, straight through, to the latent weights."""
        total = torch.zeros_like(self.values)
        for latent, alive, ids, gradient in zip(self.latent, self.alive, self.ids, gradients, strict=True):
            latent.grad = gradient.float() * alive
            total += torch.bincount(ids.flatten(), gradient.flatten().float(), minlength=len(total))
        total[0] = 0
        self.values.grad = total


def half(values: Tensor) -> Tensor:
    """Rounded to what float16 can hold."""
    return values.half().float()
