"""Pictures of weights and of the mixture that they share. All functions save, show or return a figure (`deliver`)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import (
    BLUE,
    DARK,
    GREY,
    LIGHT_ORANGE,
    LIGHT_SKY,
    VERMILION,
    Floats,
    Weights,
    deliver,
    flatten,
    mixture_of,
    new_figure,
    plain,
)

Path = str | os.PathLike[str]
Limits = tuple[float, float]


def plot_weight_scatter(
    weights_before: Weights,
    weights_after: Weights,
    sample: int = 20000,
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    save: Path | None = None,
) -> Figure | None:
    """Where each weight was before retraining (x) and where it is now (y).

    sample : how many weights are drawn, always the same ones
    xlim, ylim : the part that is shown; the picture tells how many of the drawn weights lie outside
    """
    before, after = flatten(weights_before), flatten(weights_after)
    if len(before) != len(after):
        raise ValueError(f"{len(before):,} weights before and {len(after):,} after cannot be compared")
    chosen = sample_of(len(before), sample)
    before, after = before[chosen], after[chosen]
    xlim, ylim = xlim or around(before), ylim or around(after)
    figure = new_figure(6, 6)
    axes = figure.add_subplot()
    plain(axes)
    draw_scatter(axes, before, after)
    axes.axline((0, 0), slope=1, color=GREY, linewidth=1, linestyle="--", label="did not move")
    axes.set(xlim=xlim, ylim=ylim, xlabel="pretrained weight", ylabel="retrained weight")
    outside = np.count_nonzero((before < xlim[0]) | (before > xlim[1]) | (after < ylim[0]) | (after > ylim[1]))
    drawn = f"{len(chosen):,} of {len(flatten(weights_before)):,} weights"
    axes.set_title(f"How the weights moved\n{drawn}, {outside:,} outside this view", fontsize=11)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    return deliver(figure, save)


def plot_weight_histogram(
    weights: Weights,
    title: str = "Weight distribution",
    log_scale: bool = False,
    save: Path | None = None,
    bins: int = 200,
) -> Figure | None:
    """How many weights have which value. log_scale : for the counts."""
    values = flatten(weights)
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    _histogram(axes, values, bins, around(values), log_scale)
    axes.set(title=f"{title}\n{_counts(values)}", xlabel="weight", ylabel="weights in a bin")
    axes.title.set_fontsize(11)
    return deliver(figure, save)


def plot_mixture_components(prior: Any, xlim: Limits | None = None, save: Path | None = None) -> Figure | None:
    """The density of the prior and of each of its components, pi_j N(w | mu_j, sigma_j^2), on a log scale.

    prior : has `mixture_params()`, which gives mu, sigma^2 and pi, each of shape (J,)
    """
    mu, sigma, pi = mixture_of(prior)
    if xlim is None:
        reach = 1.05 * float(np.max(np.abs(mu) + 3 * sigma))
        xlim = (-reach, reach)
    # Fine enough for the narrowest component, and with every mean among the points.
    x = np.union1d(np.linspace(*xlim, 4001), mu[(mu >= xlim[0]) & (mu <= xlim[1])])
    density = (
        pi[:, None] * np.exp(-0.5 * ((x - mu[:, None]) / sigma[:, None]) ** 2) / (sigma[:, None] * np.sqrt(2 * np.pi))
    )
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    plain(axes)
    total = density.sum(axis=0)
    axes.plot(x, total, color=DARK, linewidth=2.5, alpha=0.35, label="mixture")
    axes.plot(x, density[0], color=BLUE, linewidth=1.5, label="zero component")
    for j in range(1, len(mu)):
        axes.plot(x, density[j], color=VERMILION, linewidth=1, label="learned components" if j == 1 else None)
    learned = mu[1:][(mu[1:] >= xlim[0]) & (mu[1:] <= xlim[1])]
    lowest = _floor(density[:, (x >= xlim[0]) & (x <= xlim[1])])
    axes.set_yscale("log")
    axes.set(xlim=xlim, ylim=(lowest, 4 * float(total.max())), xlabel="weight", ylabel="density")
    # A tick below the axis for each mean: where components overlap, the curves alone do not tell.
    axes.plot(
        learned,
        np.zeros_like(learned),
        "|",
        color=VERMILION,
        markersize=12,
        clip_on=False,
        transform=_on_the_axis(axes),
    )
    hidden = len(mu) - 1 - len(learned)
    outside = f", {hidden} of their means outside this view" if hidden else ""
    axes.set_title(
        f"Mixture of {len(mu)} components\nzero component: π = {pi[0]:.4g}, σ = {sigma[0]:.3g}; "
        f"{len(mu) - 1} learned{outside}",
        fontsize=11,
    )
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    return deliver(figure, save)


def plot_comparison_histograms(
    weights_pre: Weights,
    weights_retrained: Weights,
    weights_quantized: Weights,
    save_prefix: str | None = None,
    bins: int = 200,
) -> Figure | None:
    """The weights of the three phases above each other, on one scale; saved as `<save_prefix>_comparison.png`."""
    phases = {"Pretrained": weights_pre, "Retrained": weights_retrained, "Quantised": weights_quantized}
    values = {name: flatten(weights) for name, weights in phases.items()}
    limits = around(np.concatenate(list(values.values())))
    figure = new_figure(7, 8)
    panels = figure.subplots(len(values), 1, sharex=True, sharey=True)
    for axes, (name, weights) in zip(panels, values.items(), strict=True):
        _histogram(axes, weights, bins, limits, log_scale=True)
        axes.set_title(f"{name}: {_counts(weights)}", fontsize=11)
        axes.set_ylabel("weights in a bin")
    panels[-1].set_xlabel("weight")
    return deliver(figure, f"{save_prefix}_comparison.png" if save_prefix is not None else None)


def draw_scatter(axes: Axes, before: Floats, after: Floats) -> None:
    """Points so faint that many above each other are darker than one."""
    axes.plot(before, after, ".", color=DARK, markersize=3.5, alpha=0.3, markeredgewidth=0, rasterized=True)


def draw_components(axes: Axes, mu: Floats, sigma: Floats) -> None:
    """Each component as a horizontal band, mean +- 2 sigma, with a line at its mean."""
    for j in reversed(range(len(mu))):
        label = {0: "zero component, mean ± 2σ", 1: "learned components, mean ± 2σ"}.get(j)
        # Opaque: where many bands overlap, transparent ones would add up to a wall.
        colour = LIGHT_SKY if j == 0 else LIGHT_ORANGE
        axes.axhspan(mu[j] - 2 * sigma[j], mu[j] + 2 * sigma[j], color=colour, linewidth=0, label=label, zorder=0.5)
        axes.axhline(mu[j], color=BLUE if j == 0 else VERMILION, linewidth=0.6, zorder=0.6)


def sample_of(count: int, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Indices of at most `size` of `count` weights, the same at each call."""
    if count <= size:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, size, replace=False))


def around(values: Floats) -> Limits:
    """Limits with zero in the middle and some room on both sides."""
    reach = 1.05 * float(np.abs(values).max()) if len(values) else 0.0
    return (-reach, reach) if reach > 0 else (-1.0, 1.0)


def _histogram(axes: Axes, values: Floats, bins: int, limits: Limits, log_scale: bool) -> None:
    plain(axes)
    # An odd number of bins, so that one has zero in its middle.
    counts, edges = np.histogram(values, bins=bins | 1, range=limits)
    axes.stairs(counts, edges, fill=True, color=BLUE)
    axes.set_xlim(limits)
    if log_scale:
        axes.set_ylim(0.7, max(10.0, 2.0 * float(counts.max(initial=1))))
        axes.set_yscale("log")


def _counts(values: Floats) -> str:
    """In words: how many weights, how many of them zero, and how many values there are if few."""
    zeros = int(np.count_nonzero(values == 0))
    share = f"{100 * zeros / len(values):.1f} % exactly zero" if len(values) else "none"
    distinct = len(np.unique(values))
    few = f", {distinct} distinct values" if distinct <= 256 else ""
    return f"{len(values):,} weights, {share}{few}"


def _floor(density: Floats) -> float:
    """Where the log axis begins: a hundredth of the smallest peak, but at most ten decades below the highest."""
    peaks = density.max(axis=1)
    peaks = peaks[peaks > 0]
    return float(max(peaks.min() / 100, peaks.max() * 1e-10)) if len(peaks) else 1e-10


def _on_the_axis(axes: Axes) -> Any:
    """x in data, y in axes coordinates."""
    return axes.get_xaxis_transform()
