"""From a dense network to the smallest file: pruning, one shared codebook, fine-tuning, neurons in the best order."""

from typing import TYPE_CHECKING

from ..former_names import former_names_of
from .procedure import compress_network, prune_network, quantize_network
from .settings import Distillation, Pruning, Quantization, Settings

__all__ = [
    "Distillation",
    "Pruning",
    "Quantization",
    "Settings",
    "compress_network",
    "prune_network",
    "quantize_network",
]

if not TYPE_CHECKING:
    __getattr__ = former_names_of(__name__)
