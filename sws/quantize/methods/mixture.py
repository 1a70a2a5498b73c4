"""Soft weight-sharing without training: a mixture of Gaussians, one of them at zero, is fitted to the weights of a
tensor as they are, and each takes the mean of its component.

The prior is that of Ullrich, Meeds & Welling (ICLR 2017), which `sws.prior` trains together with the network; here it
is fitted by expectation and maximisation (Dempster, Laird & Rubin 1977).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .base import histogram, number_of_values

_ROUNDS = 30
# Points that a fit sees, and components at most: their product is its time.
_BINS = 2048
_MOST = 255
# Of the distance between two means at the start: how narrow a component may become.
_NARROW = 0.1
# Components that hold less than this part of the weights go.
_RARE = 1e-6


class Components(NamedTuple):
    """means, deviations, shares : float64 of shape (J,), the first mean zero"""

    means: Tensor
    deviations: Tensor
    shares: Tensor

    def assign(self, points: Tensor) -> Tensor:
        """The component of each point with the highest posterior."""
        return _log_joint(points, self).argmax(0)


class Mixture:
    """step : about that between two means, in root mean squares of the tensor; the number of components follows

    zero_share : of the weights that the component at zero has at the start
    """

    name = "mixture"

    def __init__(self, zero_share: float = 0.5) -> None:
        self._zero_share = zero_share

    def quantize(self, weights: Tensor, step: float) -> Tensor:
        centres, counts = histogram(weights, _BINS)
        fitted = fit(centres, counts, min(_MOST, number_of_values(weights, step)), self._zero_share)
        # The components of the bins, and of each weight that of its bin.
        values = fitted.means[fitted.assign(centres)]
        borders = (centres[1:] + centres[:-1]) / 2
        flat = weights.flatten().double()
        quantized = values[torch.bucketize(flat, borders)].to(weights.dtype).reshape(weights.shape)
        return torch.where(weights == 0, torch.zeros_like(quantized), quantized)


def fit(points: Tensor, counts: Tensor, number: int, zero_share: float) -> Components:
    """The likeliest mixture of so many components and one at zero. points, counts : float64; deterministic"""
    total = float(counts.sum())
    below = counts.cumsum(0) / total
    low, high = points[(below < 5e-4).sum()], points[(below < 1 - 5e-4).sum().clamp(max=len(points) - 1)]
    spacing = max(float(high - low) / max(1, number), 1e-30)
    means = low + (torch.arange(number, dtype=torch.float64) + 0.5) * spacing
    means = torch.cat([means.new_zeros(1), torch.where(means.abs() < 1e-3 * spacing, spacing / 2, means)])
    shares = torch.full_like(means, (1 - zero_share) / number)
    shares[0] = zero_share
    current = Components(means, torch.full_like(means, spacing / 2), shares)
    for _ in range(_ROUNDS):
        joint = _log_joint(points, current)
        weight = torch.softmax(joint, 0) * counts
        held = weight.sum(1)
        means = (weight @ points) / held.clamp(min=1e-300)
        means[0] = 0
        variances = ((points - means[:, None]).square() * weight).sum(1) / held.clamp(min=1e-300)
        keep = held > _RARE * total
        keep[0] = True
        deviations = variances.sqrt().clamp(min=_NARROW * spacing)
        current = Components(means[keep], deviations[keep], (held / total).clamp(min=_RARE)[keep])
    return current


def _log_joint(points: Tensor, mixture: Components) -> Tensor:
    """log pi_j N(x | mu_j, sigma_j), without what is the same for all: shape (J, points)."""
    means, deviations, shares = (each[:, None] for each in mixture)
    constant = torch.log(shares) - torch.log(deviations) - 0.5 * math.log(2 * math.pi)
    joint: Tensor = constant - 0.5 * ((points - means) / deviations).square()
    return joint
