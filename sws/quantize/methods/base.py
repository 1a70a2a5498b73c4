"""What a method is, and what methods have in common."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from swsfmt import InputError
from swsfmt.torch import Scaled


class Method(Protocol):
    """Quantises one tensor, knowing nothing of the others and nothing of the network.

    name : on the command line
    """

    @property
    def name(self) -> str: ...

    def quantize(self, weights: Tensor, step: float) -> Tensor | Scaled:
        """A tensor of the same shape and dtype, or levels and scales that give one.

        weights : of a floating-point dtype, finite, of rank 2 and more; rows are along the first dimension
        step : above 0, in units of the method; a greater one is a smaller tensor
        Equal input gives equal output.
        """


def rms(weights: Tensor) -> float:
    """The root of the mean square; 1 where all are zero, so that one can divide by it."""
    norm = float(torch.linalg.vector_norm(weights, dtype=torch.float64))
    return norm / math.sqrt(max(1, weights.numel())) or 1.0


def narrowest(levels: Tensor) -> Tensor:
    """Integers in the smallest dtype that holds them; nothing is cut off. Raises `InputError` beyond 32 bits."""
    low, high = (int(levels.min()), int(levels.max())) if levels.numel() else (0, 0)
    for dtype in (torch.int8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return levels.to(dtype)
    raise InputError(f"levels from {low} to {high} do not fit in 32 bits: the step is too small for these weights")


def scale_of(value: float) -> float:
    """A factor as float32 holds it, which is what a file gives back."""
    return float(torch.tensor(value, dtype=torch.float32))


def histogram(weights: Tensor, bins: int = 8192) -> tuple[Tensor, Tensor]:
    """Centres and counts, float64, of the bins that are not empty: what a fit needs of millions of weights."""
    flat = weights.flatten().double()
    low, high = float(flat.min()), float(flat.max())
    if low == high:
        return torch.tensor([low], dtype=torch.float64), torch.tensor([float(flat.numel())], dtype=torch.float64)
    places = ((flat - low) / (high - low) * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(places, minlength=bins).double()
    # The mean of what is in a bin, not its middle: a pruned tensor has its zeros at zero.
    centres = torch.bincount(places, flat, minlength=bins) / counts.clamp(min=1)
    there = counts > 0
    return centres[there], counts[there]


def number_of_values(weights: Tensor, step: float) -> int:
    """How many values besides zero are as dense as a grid of `step` times the root mean square, about.

    On the range that holds all but a thousandth of the weights: outliers do not ask for more.
    """
    centres, counts = histogram(weights)
    below = counts.cumsum(0) / counts.sum()
    low, high = centres[(below < 5e-4).sum()], centres[(below < 1 - 5e-4).sum().clamp(max=len(centres) - 1)]
    return min(max(1, round(float(high - low) / (step * rms(weights)))), 4095)
