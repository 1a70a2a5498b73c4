"""The pictures of the tutorial, under the name that it imports them by."""

from sws.viz import plot_comparison_histograms, plot_mixture_components, plot_weight_histogram, plot_weight_scatter

__all__ = [
    "plot_comparison_histograms",
    "plot_mixture_components",
    "plot_weight_histogram",
    "plot_weight_scatter",
]
