"""Magnitude pruning (Han et al. 2015): what is small becomes zero, what is left keeps its value, as float16."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import rms


class Prune:
    """step : weights below this become zero, in root mean squares of the tensor"""

    name = "prune"

    def quantize(self, weights: Tensor, step: float) -> Tensor:
        kept = torch.where(weights.abs() < step * rms(weights), torch.zeros_like(weights), weights)
        half = kept.half().to(weights.dtype)
        # float16 ends at 65,504.
        return half if bool(torch.isfinite(half).all()) else kept
