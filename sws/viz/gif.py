"""An animation of retraining: how the weights leave the diagonal and gather at the means of the mixture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .figures import BLUE, GREY, VERMILION, Floats, flatten, in_notebook, mixture_of, new_figure, plain
from .weights import draw_components, draw_scatter, sample_of

_SIDE = 6.5  # inches
_BINS = 121
_LAST_FRAME = 2.0  # seconds


class TrainingGifVisualizer:
    """Draws a frame for each epoch and makes `<out_dir>/<tag>.gif` of them.

    The weights of `begin` are x, those of `record` are y; histograms of both stand at the sides, with counts on a log
    scale; bands are the components, mean +- 2 sigma. Frames are files, `<out_dir>/<tag>_frames/frame_<epoch>.png`.

    framerate : frames in a second
    notebook_display : in a Jupyter notebook, show each frame in place of the one before
    cleanup_frames : remove the folder of frames when the animation is there
    sample : how many weights are drawn, always the same ones; the histograms count all
    """

    def __init__(
        self,
        out_dir: str | os.PathLike[str],
        tag: str = "retraining",
        framerate: float = 2,
        notebook_display: bool = False,
        cleanup_frames: bool = False,
        sample: int = 20000,
    ) -> None:
        if framerate <= 0:
            raise ValueError(f"framerate is frames in a second, above 0, not {framerate}")
        self.path = Path(out_dir) / f"{tag}.gif"
        self.frames_dir = Path(out_dir) / f"{tag}_frames"
        self._framerate = framerate
        self._shows = notebook_display and in_notebook()
        self._cleans_up = cleanup_frames
        self._sample_size = sample
        self._start = np.zeros(0, np.float32)
        self._chosen = np.zeros(0, np.int64)
        self._reach = 1.0

    def begin(self, weights: Iterable[torch.Tensor]) -> None:
        """Take the pretrained weights, and remove the frames of an earlier run."""
        self._start = flatten(weights)
        self._chosen = sample_of(len(self._start), self._sample_size)
        self._reach = 1.1 * float(np.abs(self._start).max(initial=0.0)) or 1.0
        if self.frames_dir.is_dir():
            for frame in self._frames():
                frame.unlink()
        self.frames_dir.mkdir(parents=True, exist_ok=True)

    def record(self, epoch: int, weights: Iterable[torch.Tensor], prior: Any, accuracy: float | None = None) -> None:
        """Draw the frame of an epoch.

        prior : has `mixture_params()`, which gives mu, sigma^2 and pi, each of shape (J,)
        accuracy : a share of the test set, for the title
        Raises `ValueError` if `begin` had other weights.
        """
        current = flatten(weights)
        if len(current) != len(self._start):
            raise ValueError(f"begin() had {len(self._start):,} weights, record() has {len(current):,}")
        # Wider in steps: scales that moved a little with each frame would look like weights that move.
        while np.abs(current).max(initial=0.0) > self._reach:
            self._reach *= 1.5
        title = f"Epoch {epoch}" + (f": accuracy {100 * accuracy:.2f} %" if accuracy is not None else "")
        frame = self.frames_dir / f"frame_{epoch:04d}.png"
        self._draw(current, prior, title).savefig(frame)
        if self._shows:
            from IPython.display import Image as Shown
            from IPython.display import clear_output, display

            clear_output(wait=True)
            display(Shown(filename=str(frame)))

    def finish(self) -> Path:
        """Write the animation and return its path. Raises `ValueError` if there is no frame."""
        frames = [_opened(path) for path in self._frames()]
        if not frames:
            raise ValueError("there is no frame: record() was not called")
        pause = round(1000 / self._framerate)
        frames[0].save(
            self.path,
            save_all=True,
            append_images=frames[1:],
            duration=[pause] * (len(frames) - 1) + [max(pause, round(1000 * _LAST_FRAME))],
            loop=0,
        )
        if self._cleans_up:
            shutil.rmtree(self.frames_dir)
        return self.path

    def _frames(self) -> list[Path]:
        return sorted(self.frames_dir.glob("frame_*.png"))

    def _draw(self, current: Floats, prior: Any, title: str) -> Figure:
        figure = new_figure(_SIDE, _SIDE)
        places: list[Any] = [["above", "."], ["scatter", "beside"]]
        panels: dict[str, Axes] = figure.subplot_mosaic(places, width_ratios=(4, 1), height_ratios=(1, 4))
        above, axes, beside = panels["above"], panels["scatter"], panels["beside"]
        limits = (-self._reach, self._reach)
        mu, sigma, _ = mixture_of(prior)
        draw_components(axes, mu, sigma)
        draw_scatter(axes, self._start[self._chosen], current[self._chosen])
        axes.axline((0, 0), slope=1, color=GREY, linewidth=1, linestyle="--")
        plain(axes)
        axes.set(xlim=limits, ylim=limits, xlabel="pretrained weight", ylabel="current weight")
        axes.legend(loc="upper left", fontsize=8, framealpha=0.9)
        # With the largest count possible as limit, the scale is the same in all frames.
        counted = (0.7, 2.0 * max(10, len(self._start)))
        histograms: list[tuple[Axes, Floats, str, Literal["vertical", "horizontal"]]] = [
            (above, self._start, BLUE, "vertical"),
            (beside, current, VERMILION, "horizontal"),
        ]
        for panel, values, colour, orientation in histograms:
            counts, edges = np.histogram(values, bins=_BINS, range=limits)
            panel.stairs(counts, edges, fill=True, color=colour, orientation=orientation)
            plain(panel)
        above.set(xlim=limits, ylim=counted, yscale="log", ylabel="weights")
        beside.set(ylim=limits, xlim=counted, xscale="log", xlabel="weights")
        above.tick_params(labelbottom=False)
        beside.tick_params(labelleft=False)
        figure.suptitle(title)
        return figure


def _opened(path: Path) -> Image.Image:
    """With few colours and no dithering: the picture has few, and files get small."""
    with Image.open(path) as image:
        return image.convert("RGB").quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
