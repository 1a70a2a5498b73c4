"""Training curves from the CSV logs of a run."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from matplotlib.figure import Figure

from swsfmt import InputError

from .figures import BLUE, GREEN, VERMILION, deliver, new_figure, plain

_PANELS = (("loss", "cross-entropy", BLUE), ("accuracy", "accuracy", GREEN), ("ratio", "ratio of the file", VERMILION))


def plot_training_curves(
    log: str | os.PathLike[str], title: str = "Training", save: str | os.PathLike[str] | None = None
) -> Figure | None:
    """Loss, and where they were logged accuracy and ratio, by epoch.

    log : a `*_log.csv` of `sws.train`
    Raises `InputError` for a file without epochs, `OSError`.
    """
    with Path(log).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for name, label, colour in _PANELS:
        points = [(int(row["epoch"]), float(row[name])) for row in rows if row.get("epoch") and row.get(name)]
        if points:
            curves[label] = (points, colour)
    if not curves:
        raise InputError("this log has no epochs", file=os.fspath(log))
    figure = new_figure(7, 1.2 + 1.8 * len(curves))
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, (points, colour)) in zip(panels, curves.items(), strict=True):
        plain(axes)
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3.5, linewidth=1.4)
        axes.set_ylabel(label)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title, fontsize=11)
    return deliver(figure, save)
