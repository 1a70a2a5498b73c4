"""Hyper-priors of the mixture: distributions over its precisions and over the share of its zero component."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gamma(NamedTuple):
    """A Gamma distribution over a precision 1 / variance; its mode is (shape - 1) / rate."""

    shape: float
    rate: float

    def log_density(self, log_precision: Tensor) -> Tensor:
        """Up to a constant."""
        return (self.shape - 1) * log_precision - self.rate * torch.exp(log_precision)


class Beta(NamedTuple):
    """A Beta distribution over pi0."""

    alpha: float
    beta: float


# Both have their mode near a standard deviation of 0.02; that of the zero component is narrower.
GAMMA_ZERO = Gamma(5e3, 2.0)
GAMMA_OTHERS = Gamma(2.5e2, 1e-1)
