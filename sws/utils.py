"""Seeds and devices; the names of `sws.layers` are here too."""

from __future__ import annotations

import random

import numpy as np
import torch

from .layers import collect_weight_params, weight_layers

__all__ = ["collect_weight_params", "get_device", "set_seed", "weight_layers"]


def set_seed(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def get_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
