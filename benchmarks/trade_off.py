"""Ratio against error, our runs beside the papers: `python benchmarks/trade_off.py RUN [RUN ...] -o PICTURE`.

RUN is a folder of `sws train` on MNIST with lenet_300_100 or lenet5, named RECIPE-SEED, or zoo/runs.json, which holds
many. Each run is a point; a line goes through the means of the recipes. Our ratios are dense bytes over the bytes of
the whole file; the papers' are as their authors count, mostly estimates of the weights alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt

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
# Where a label would otherwise lie on our points or our line.
BESIDE: dict[str, dict[str, Any]] = {
    "MIRACLE, larger": {"xytext": (-6, 5), "ha": "right"},
    "Bayesian compression": {"xytext": (6, -7)},
    "entropy-penalised": {"xytext": (6, -7)},
}
TITLES = {"lenet_300_100": "LeNet-300-100", "lenet5": "LeNet-5-Caffe"}
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
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for axes, (model, papers) in zip(panels, PAPERS.items(), strict=True):
        for label, (error, ratio) in papers.items():
            axes.plot(error, ratio, "D", color=THEIRS, markersize=6)
            side = BESIDE.get(label, {"xytext": (6, 5)})
            axes.annotate(label, (error, ratio), textcoords="offset points", fontsize=9, color=THEIRS, **side)
        ours = points[model].values()
        if ours:
            means = sorted((fmean(error for error, _ in runs), fmean(ratio for _, ratio in runs)) for runs in ours)
            every = [run for runs in ours for run in runs]
            axes.plot(*zip(*means, strict=True), color=OURS, linewidth=1.5)
            axes.plot(*zip(*every, strict=True), "o", color=OURS, markersize=6, label="files of this project")
            axes.legend(loc="lower right", frameon=False)
        axes.set(title=TITLES[model], xlabel="test error on MNIST, percent", ylabel="ratio", yscale="log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_formatter("{x:,.0f}")
        axes.tick_params(axis="y", which="minor", labelsize=7)
        axes.margins(x=0.45, y=0.15)
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(args.output, dpi=120)


if __name__ == "__main__":
    main()
