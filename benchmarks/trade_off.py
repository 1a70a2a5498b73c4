"""Ratio against error, our runs beside the papers: `python benchmarks/trade_off.py RUN [RUN ...] -o PICTURE`.

RUN is a folder of `sws train` on MNIST with lenet_300_100 or lenet5, named RECIPE-SEED, or zoo/runs.json, which holds
many. Each run is a point, each recipe has its shape and name; a line goes through the means of the recipes. Our ratios
are dense bytes over the bytes of the whole file; the papers' are as their authors count, mostly estimates of the
weights alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

# Test error in percent, ratio. As published.
PAPERS = {
    "lenet_300_100": {
        "Deep Compression": (1.58, 40),
        "soft weight-sharing": (1.94, 64),
        "entropy-penalised": (1.9, 124),
    },
    "lenet5": {
        "Deep Compression": (0.74, 39),
        "soft weight-sharing": (0.97, 162),
        "Bayesian compression": (1.0, 771),
        "entropy-penalised": (1.0, 606),
        "MIRACLE": (0.96, 1110),
        "MIRACLE, larger": (0.69, 555),
    },
}
# Where a label goes, in points from what it names, if not to the upper right of it.
RIGHT, LEFT = {"ha": "left"}, {"ha": "right"}
PLACES: dict[str, dict[str, dict[str, Any]]] = {
    "lenet_300_100": {
        "lenet_300_100": {"xytext": (-4, 12), **LEFT},
        "lenet_300_100_low_error": {"xytext": (-30, -18), **RIGHT},
        "soft weight-sharing": {"xytext": (-8, -4), **LEFT},
        "entropy-penalised": {"xytext": (-8, -4), **LEFT},
    },
    "lenet5": {
        "lenet5": {"xytext": (-4, 10), **LEFT},
        "lenet5_low_error": {"xytext": (-4, -16), **RIGHT},
        "lenet5_smallest": {"xytext": (4, 10), **RIGHT},
        "MIRACLE": {"xytext": (-8, 6), **LEFT},
        "MIRACLE, larger": {"xytext": (-8, 4), **LEFT},
        "Bayesian compression": {"xytext": (8, -4), **RIGHT},
        "entropy-penalised": {"xytext": (8, -4), **RIGHT},
    },
}
TITLES = {"lenet_300_100": "LeNet-300-100", "lenet5": "LeNet-5-Caffe"}
# One for each recipe.
MARKERS = ("o", "s", "^", "v", "P", "X")
OURS, THEIRS = "#0072B2", "#D55E00"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    points: dict[str, dict[str, list[tuple[float, float]]]] = {model: {} for model in PAPERS}
    for run in args.runs:
        found = json.loads((run if run.is_file() else run / "report.json").read_text(encoding="utf-8"))
        for report in found if isinstance(found, list) else [found]:
            if report["dataset"] == "mnist" and report["model"] in points:
                ratio = report["dense_bytes"] / report["file_bytes"]
                recipe = report.get("recipe", run.name.rpartition("-")[0])
                points[report["model"]].setdefault(recipe, []).append((100 * report["test_error"], ratio))
    figure = draw(points)
    figure.savefig(args.output, dpi=120, bbox_inches="tight")


def draw(points: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> Figure:
    """points : of each model, and each recipe of it, the error in percent and the ratio of every run."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for axes, (model, papers) in zip(panels, PAPERS.items(), strict=True):
        means = {
            recipe: (fmean(error for error, _ in runs), fmean(ratio for _, ratio in runs))
            for recipe, runs in points[model].items()
        }
        axes.plot(*zip(*papers.values(), strict=True), "D", color=THEIRS, markersize=6, label="as published")
        for marker, runs in zip(MARKERS, points[model].values(), strict=False):
            axes.plot(
                *zip(*runs, strict=True),
                marker,
                color=OURS,
                markersize=6,
                label="files of this project, a shape for each recipe",
            )
        if means:
            axes.plot(
                *zip(*sorted(means.values()), strict=True), "-", color=OURS, linewidth=1.5, label="means of the recipes"
            )
        for places, colour in ((papers, THEIRS), (means, OURS)):
            for name, place in places.items():
                beside = {"xytext": (8, 5), **RIGHT, **PLACES[model].get(name, {})}
                axes.annotate(name, place, textcoords="offset points", fontsize=9, color=colour, **beside)
        axes.set(title=TITLES[model], xlabel="test error on MNIST, percent", ylabel="ratio", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.48, y=0.12)
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    entries = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=len(entries), frameon=False)
    return figure


if __name__ == "__main__":
    main()
