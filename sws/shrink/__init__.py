"""From a dense network to the smallest file: pruning, one shared codebook, fine-tuning, neurons in the best order."""

from .procedure import compress_network, prune_network, quantise_network
from .settings import Distillation, Pruning, Quantisation, Settings

__all__ = [
    "Distillation",
    "Pruning",
    "Quantisation",
    "Settings",
    "compress_network",
    "prune_network",
    "quantise_network",
]
