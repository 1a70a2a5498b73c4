"""Settings of soft weight-sharing that suit a network whatever its size and the scale of its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Auto = Literal["auto"]
AUTO: Auto = "auto"

# What the complexity weighs in the loss: tau / N times so many weights. At this, LeNets and small networks lose less
# than half a point of accuracy.
_TOTAL = 0.035
# Of the spread of the layer with the smallest weights: how narrow the zero component becomes, so that no layer is
# taken for zero as a whole.
_NARROW = 0.2
# Of the distance between two means: less than half of it.
_APART = 0.4


@torch.no_grad()
def spread(weights: Sequence[Tensor]) -> float:
    """The root of the mean square of all weights, for the standard deviations at the start."""
    count = sum(weight.numel() for weight in weights)
    return math.sqrt(max(_square_sum(weights) / max(1, count), 1e-12))


@torch.no_grad()
def narrow(weights: Sequence[Tensor]) -> float:
    """The standard deviation of the zero component at the end."""
    return _NARROW * min((spread([weight]) for weight in weights if bool(weight.any())), default=1.0)


@torch.no_grad()
def widest(means: Tensor) -> float:
    """The greatest standard deviation by which components with these means, zero among them, can be told apart."""
    between = float(means.max() - means.min()) / max(1, len(means) - 1)
    return max(_APART * between, 1e-6)


def tau(weights: Sequence[Tensor], divisor: int) -> float:
    """The tau by which, divided by `divisor`, the complexity of all weights is multiplied in each step; at most 1."""
    return min(1.0, _TOTAL * divisor / max(1, sum(weight.numel() for weight in weights)))


def _square_sum(weights: Sequence[Tensor]) -> float:
    return math.fsum(float(weight.detach().double().square().sum()) for weight in weights)
