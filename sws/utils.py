"""Seeds, devices, and which parameters are weights."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn


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


def weight_layers(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The weights of all convolutional and linear layers with their names, in the order of the modules.

    Biases and the parameters of normalisation layers are not among them.
    """
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return [(f"{n}.weight" if n else "weight", m.weight) for n, m in model.named_modules() if isinstance(m, kinds)]


def collect_weight_params(model: nn.Module) -> list[Tensor]:
    """The weights of `weight_layers`, which the mixture prior is put on: same memory as the model's, no gradients."""
    return [weight.detach() for _, weight in weight_layers(model)]
