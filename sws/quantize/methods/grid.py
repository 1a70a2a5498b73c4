"""A uniform grid with zero on it, one step for each tensor: what EntQuant (arXiv 2601.22787) codes, without its fit."""

from __future__ import annotations

from torch import Tensor

from swsfmt.torch import Scaled

from .base import narrowest, rms, scale_of


class Grid:
    """step : of the grid, in root mean squares of the tensor"""

    name = "grid"

    def quantize(self, weights: Tensor, step: float) -> Scaled:
        scale = scale_of(step * rms(weights))
        levels = narrowest((weights.double() / scale).round())
        return Scaled(levels, scale, dtype=weights.dtype)
