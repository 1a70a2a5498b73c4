"""Pictures of training, weights and files."""

from .bytes import plot_layer_bytes
from .gif import TrainingGifVisualizer
from .weights import plot_comparison_histograms, plot_mixture_components, plot_weight_histogram, plot_weight_scatter

__all__ = [
    "TrainingGifVisualizer",
    "plot_comparison_histograms",
    "plot_layer_bytes",
    "plot_mixture_components",
    "plot_weight_histogram",
    "plot_weight_scatter",
]
