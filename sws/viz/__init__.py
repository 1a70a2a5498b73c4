"""Pictures of training, weights and files."""

from .bytes import plot_layer_bytes
from .curves import plot_training_curves
from .gif import TrainingGifVisualizer
from .weights import plot_comparison_histograms, plot_mixture_components, plot_weight_histogram, plot_weight_scatter

__all__ = [
    "TrainingGifVisualizer",
    "plot_comparison_histograms",
    "plot_layer_bytes",
    "plot_mixture_components",
    "plot_training_curves",
    "plot_weight_histogram",
    "plot_weight_scatter",
]
