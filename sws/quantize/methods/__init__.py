"""Ways of quantising a tensor by itself, without statistics: what the method of `sws.quantize` is compared with.

grid     a uniform grid for each tensor, entropy-coded
rtn      round to nearest in groups, with a scale and a zero point for each
kmeans   a codebook for each tensor
mixture  soft weight-sharing without training: Gaussians with one at zero
prune    the smallest become zero, the others float16

A new one is its module and a line here.
"""

from __future__ import annotations

from .base import Method
from .grid import Grid
from .kmeans import KMeans
from .mixture import Mixture
from .prune import Prune
from .rtn import RoundToNearest

METHODS: dict[str, Method] = {
    method.name: method for method in (Grid(), RoundToNearest(), KMeans(), Mixture(), Prune())
}

__all__ = ["METHODS", "Grid", "KMeans", "Method", "Mixture", "Prune", "RoundToNearest"]
