"""What all pictures have in common: colours, canvas, where they go.

Figures are made without pyplot, on the Agg canvas: no window, no global state, no backend to choose.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating[Any]]
Weights = torch.Tensor | Iterable[torch.Tensor]

# The palette of Okabe and Ito (2008), which colour-blind readers can tell apart.
BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
LIGHT_SKY = "#CBE7F8"
LIGHT_ORANGE = "#FAE6BF"
GREEN = "#009E73"
PURPLE = "#CC79A7"
DARK = "#333333"
GREY = "#999999"

_DPI = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty figure. width, height : in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """No frame but the two axes, a light grid behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def deliver(figure: Figure, save: str | os.PathLike[str] | None) -> Figure | None:
    """Save the figure if a path is given, and show it in a notebook.

    Returns the figure; in a notebook None, or it would be seen twice. Raises `OSError`.
    """
    if save is not None:
        path = Path(save)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
    if not in_notebook():
        return figure
    from IPython.display import Image, display

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    display(Image(data=buffer.getvalue()))
    return None


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel; the shell of IPython has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def flatten(weights: Weights) -> Floats:
    """All elements of all tensors, in order, on the CPU. Shape (N,)."""
    tensors = [weights] if isinstance(weights, torch.Tensor) else list(weights)
    if not tensors:
        return np.zeros(0, np.float32)
    return torch.cat([tensor.detach().float().cpu().reshape(-1) for tensor in tensors]).numpy()


def mixture_of(prior: Any) -> tuple[Floats, Floats, Floats]:
    """Means, standard deviations and mixing proportions of a prior, each of shape (J,)."""
    mu, sigma2, pi = (parameter.detach().double().cpu().numpy() for parameter in prior.mixture_params())
    return mu, np.sqrt(sigma2), pi
