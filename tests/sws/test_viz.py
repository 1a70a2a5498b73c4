"""Pictures: what is drawn is what was given, all text is readable, files are written where they should be."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import swsfmt.torch
from sws.viz import (
    TrainingGifVisualizer,
    plot_comparison_histograms,
    plot_layer_bytes,
    plot_mixture_components,
    plot_weight_histogram,
    plot_weight_scatter,
)

SHAPES = [(20, 1, 5, 5), (60, 90), (10, 60)]
MEANS = torch.tensor([0.0, -0.6, -0.2, 0.25, 0.5])


class Mixture:
    """A prior as the pictures know it."""

    def __init__(self, sigma: float = 0.03) -> None:
        self.sigma = sigma

    def mixture_params(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pi = torch.tensor([0.96, 0.01, 0.01, 0.01, 0.01])
        return MEANS, torch.full((5,), self.sigma**2, requires_grad=True), pi


def weights(seed: int = 0, scale: float = 0.1) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=random) for shape in SHAPES]


def quantised() -> list[torch.Tensor]:
    return [MEANS[(tensor.unsqueeze(-1) - MEANS).abs().argmin(-1)] for tensor in weights(scale=0.2)]


def count(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def texts(figure: Figure) -> list[Text]:
    """All text of a figure, without the labels of ticks outside the limits, which are not drawn."""
    found = [text for text in figure.texts if text.get_text()]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    found += [text for legend in legends if legend is not None for text in legend.get_texts()]
    for axes in figure.axes:
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [text for text in found if text.get_text() and text.get_visible()]


def assert_readable(figure: Figure | None) -> None:
    """No text lies outside the picture or over another one."""
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw(renderer)
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    assert len(boxes) > 4
    for text, box in boxes:
        inside = figure.bbox.x0 - 1 < box.x0 < box.x1 < figure.bbox.x1 + 1
        assert inside and figure.bbox.y0 - 1 < box.y0 < box.y1 < figure.bbox.y1 + 1, text  # noqa: PT018
    for (one, first), (other, second) in combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(width, height) < 2, (one, other)


def colours(path: Path) -> int:
    with Image.open(path) as image:
        return len(image.convert("RGB").getcolors(1 << 20) or [])


def test_scatter_draws_each_weight_at_both_its_values(tmp_path: Path) -> None:
    before, after = weights(), quantised()
    figure = plot_weight_scatter(before, after, save=tmp_path / "folder" / "scatter.png")
    assert_readable(figure)
    assert figure is not None
    points = figure.axes[0].lines[0]
    assert np.array_equal(points.get_xdata(), torch.cat([w.reshape(-1) for w in before]).numpy())
    assert np.array_equal(points.get_ydata(), torch.cat([w.reshape(-1) for w in after]).numpy())
    assert "0 outside" in figure.axes[0].get_title()
    assert colours(tmp_path / "folder" / "scatter.png") > 10


def test_scatter_takes_a_sample_and_tells_what_is_outside() -> None:
    before, after = weights(), weights(1)
    figure = plot_weight_scatter(before, after, sample=500, xlim=(-0.1, 0.1), ylim=(-0.2, 0.2))
    assert figure is not None
    axes = figure.axes[0]
    x, y = (np.asarray(data) for data in axes.lines[0].get_data())
    assert len(x) == 500
    outside = int(np.count_nonzero((np.abs(x) > 0.1) | (np.abs(y) > 0.2)))
    assert 0 < outside < 500
    assert f"500 of {count(before):,} weights, {outside} outside" in axes.get_title()
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.1, 0.1), (-0.2, 0.2))
    again = plot_weight_scatter(before, after, sample=500)
    assert again is not None
    assert np.array_equal(again.axes[0].lines[0].get_xdata(), x)


def test_scatter_needs_as_many_weights_twice() -> None:
    with pytest.raises(ValueError, match="6,500 weights before and 100 after"):
        plot_weight_scatter(weights(), [torch.zeros(100)])


@pytest.mark.parametrize("log_scale", [False, True])
def test_histogram_counts_all_weights(log_scale: bool, tmp_path: Path) -> None:
    figure = plot_weight_histogram(quantised(), "A title", log_scale, tmp_path / "h.png", bins=100)
    assert_readable(figure)
    assert figure is not None
    axes = figure.axes[0]
    counts, edges, _ = axes.patches[0].get_data()  # type: ignore[attr-defined]
    assert counts.sum() == count(quantised())
    zeros = sum(int((w == 0).sum()) for w in quantised())
    assert counts[np.searchsorted(edges, 0) - 1] == zeros
    assert np.count_nonzero(counts) == len(MEANS)
    assert axes.get_yscale() == ("log" if log_scale else "linear")
    share = 100 * zeros / count(quantised())
    assert axes.get_title() == f"A title\n6,500 weights, {share:.1f} % exactly zero, 5 distinct values"
    assert (tmp_path / "h.png").stat().st_size > 1000


@pytest.mark.parametrize("values", [torch.zeros(9), torch.ones(1), torch.zeros(0)], ids=["zeros", "one", "none"])
def test_histogram_of_little(values: torch.Tensor) -> None:
    assert_readable(plot_weight_histogram(values, log_scale=True))


def test_components_are_the_densities(tmp_path: Path) -> None:
    figure = plot_mixture_components(Mixture(), xlim=(-1.0, 1.0), save=tmp_path / "m.png")
    assert_readable(figure)
    assert figure is not None
    total, *components = figure.axes[0].lines[:6]
    x = np.asarray(total.get_xdata())
    for line, mean, share in zip(components, MEANS, Mixture().mixture_params()[2], strict=True):
        density = share * torch.distributions.Normal(mean, 0.03).log_prob(torch.from_numpy(x)).exp()
        np.testing.assert_allclose(np.asarray(line.get_ydata()), density, rtol=1e-4, atol=1e-12)
    assert np.trapezoid(np.asarray(total.get_ydata()), x) == pytest.approx(1, abs=1e-4)


def test_components_outside_the_view_are_counted() -> None:
    figure = plot_mixture_components(Mixture(), xlim=(-0.3, 0.3))
    assert_readable(figure)
    assert figure is not None
    assert "4 learned, 2 of their means outside this view" in figure.axes[0].get_title()


def test_narrow_components_are_not_missed() -> None:
    """A peak between two points of a grid would be cut off."""
    figure = plot_mixture_components(Mixture(sigma=1e-5))
    assert figure is not None
    peak = max(np.asarray(figure.axes[0].lines[1].get_ydata()))
    assert peak == pytest.approx(0.96 / (1e-5 * np.sqrt(2 * np.pi)), rel=1e-4)


def test_comparison_has_one_scale(tmp_path: Path) -> None:
    figure = plot_comparison_histograms(weights(), weights(1), quantised(), save_prefix=str(tmp_path / "phase"))
    assert_readable(figure)
    assert figure is not None
    assert [axes.get_title().split(":")[0] for axes in figure.axes] == ["Pretrained", "Retrained", "Quantised"]
    assert len({axes.get_xlim() for axes in figure.axes}) == len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["phase_comparison.png"]


def layered(layers: int) -> dict[str, torch.Tensor]:
    tensors = {}
    for number in range(layers):
        tensors[f"layer{number}.weight"] = quantised()[1][:, : 20 + number]
        tensors[f"layer{number}.bias"] = weights(number)[0].reshape(-1)[: 40 + number]
    return tensors


@pytest.mark.parametrize("layers", [2, 40])
def test_bars_are_the_file(layers: int, tmp_path: Path) -> None:
    data = swsfmt.torch.save(layered(layers))
    figure = plot_layer_bytes(swsfmt.torch.inspect(data), save=tmp_path / "bytes.png")
    assert_readable(figure)
    assert figure is not None
    axes = figure.axes[0]
    assert sum(bar.get_width() for bar in axes.patches) == len(data)  # type: ignore[attr-defined]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[-1] == "shared by all"
    assert len(names) == (5 if layers == 2 else 25)
    assert layers == 2 or names[-2] == "57 smaller tensors"


def animate(folder: Path, frames: int = 3, **options: Any) -> TrainingGifVisualizer:
    visualizer = TrainingGifVisualizer(folder, "moving", **options)
    visualizer.begin(weights())
    for epoch in range(frames):
        visualizer.record(epoch, weights(epoch), Mixture(0.1 / (1 + epoch)), 0.9 + epoch / 100 if epoch else None)
    return visualizer


def test_animation_has_a_frame_for_each_epoch(tmp_path: Path) -> None:
    assert animate(tmp_path, framerate=4).finish() == tmp_path / "moving.gif"
    with Image.open(tmp_path / "moving.gif") as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (3, (780, 780), 0)  # type: ignore[attr-defined]
        seen, durations = set(), []
        for number in range(3):
            animation.seek(number)
            durations.append(animation.info["duration"])
            seen.add(animation.convert("RGB").tobytes())
    assert durations == [250, 250, 2000]
    assert len(seen) == 3
    frames = sorted(path.name for path in (tmp_path / "moving_frames").iterdir())
    assert frames == ["frame_0000.png", "frame_0001.png", "frame_0002.png"]


def test_frames_are_removed_on_demand_only_at_the_end(tmp_path: Path) -> None:
    visualizer = animate(tmp_path, cleanup_frames=True)
    assert len(list((tmp_path / "moving_frames").iterdir())) == 3
    visualizer.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["moving.gif"]


def test_frames_of_an_earlier_run_do_not_come_in(tmp_path: Path) -> None:
    animate(tmp_path, frames=5)
    with Image.open(animate(tmp_path, frames=2).finish()) as animation:
        assert animation.n_frames == 2  # type: ignore[attr-defined]


def test_frame_is_readable_and_shows_all(tmp_path: Path) -> None:
    visualizer = animate(tmp_path, frames=1)
    figure = visualizer._draw(np.linspace(-0.4, 0.4, count(weights()), dtype=np.float32), Mixture(), "Epoch 9")
    assert_readable(figure)
    above, scatter, beside = figure.axes
    assert scatter.get_xlim() == scatter.get_ylim() == above.get_xlim() == beside.get_ylim()
    for panel in (above, beside):
        assert panel.patches[0].get_data()[0].sum() == count(weights())  # type: ignore[attr-defined]
    bands = [patch.get_extents().height for patch in scatter.patches]
    assert len(bands) == len(MEANS)


def test_axes_widen_for_weights_that_grow(tmp_path: Path) -> None:
    visualizer = animate(tmp_path, frames=1)
    before = visualizer._reach
    visualizer.record(1, weights(scale=0.4), Mixture())
    assert before < max(float(w.abs().max()) for w in weights(scale=0.4)) <= visualizer._reach


def test_no_epochs_at_all(tmp_path: Path) -> None:
    visualizer = TrainingGifVisualizer(tmp_path)
    visualizer.begin(weights())
    with pytest.raises(ValueError, match="no frame"):
        visualizer.finish()


def test_other_weights_than_at_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="6,500 weights, record"):
        animate(tmp_path).record(9, weights()[:1], Mixture())


def test_framerate_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="framerate"):
        TrainingGifVisualizer(tmp_path, framerate=0)


def test_pyplot_is_left_alone() -> None:
    """It would choose a backend for the whole process, and may open windows."""
    code = "import sys, sws.viz; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
