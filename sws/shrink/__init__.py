"""From a dense network to the smallest file: pruning, one shared codebook, fine-tuning, neurons in the best order."""

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
