"""A codebook for each tensor, by k-means (Han, Mao & Dally, "Deep Compression", ICLR 2016), with zero kept apart."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import histogram, number_of_values

_ROUNDS = 50


class KMeans:
    """step : about that between two values, in root mean squares of the tensor; the number of values follows"""

    name = "kmeans"

    def quantize(self, weights: Tensor, step: float) -> Tensor:
        centres, counts = histogram(weights)
        values = k_means(centres, counts, number_of_values(weights, step))
        # What was zero, as in a pruned network, stays so.
        return torch.where(weights == 0, 0, nearest(weights, values)).to(weights.dtype)


def k_means(points: Tensor, counts: Tensor, number: int) -> Tensor:
    """At most so many centres of points that occur several times, ascending. It starts at quantiles, not by chance."""
    points, order = points.sort()
    counts = counts[order]
    below = counts.cumsum(0) / counts.sum()
    wanted = (torch.arange(number, dtype=torch.float64) + 0.5) / number
    centres = points[torch.searchsorted(below, wanted).clamp(max=len(points) - 1)].unique()
    for _ in range(_ROUNDS):
        own = torch.bucketize(points, (centres[1:] + centres[:-1]) / 2)
        weight = torch.bincount(own, counts, minlength=len(centres))
        moved = torch.bincount(own, counts * points, minlength=len(centres)) / weight.clamp(min=1e-300)
        moved = moved[weight > 0].sort().values
        if len(moved) == len(centres) and bool(((moved - centres).abs() <= 1e-9 * moved.abs()).all()):
            break
        centres = moved
    result: Tensor = centres
    return result


def nearest(weights: Tensor, values: Tensor) -> Tensor:
    """Each weight's nearest of some values, which ascend; float32 or as wide as the weights."""
    exact = values.to(weights.dtype)
    result: Tensor = exact[torch.bucketize(weights, ((values[1:] + values[:-1]) / 2).to(weights.dtype))]
    return result
