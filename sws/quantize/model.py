"""A whole model in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from .collect import Forward, Progress, collect
from .network import Network, Value
from .quantized import QuantizedModel
from .statistics import Statistics


def quantize_model(
    model: nn.Module,
    calibration: Iterable[Any] | None = None,
    *,
    target: float,
    actions: Mapping[str, str] | None = None,
    statistics: Statistics | None = None,
    forward: Forward | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Quantise all matrices of a model; without calibration and statistics by their weights alone.

    target : the step c
    """
    if statistics is None and calibration is not None:
        statistics = collect(model, calibration, forward, seed=seed, progress=progress)
    tensors = quantize_tensors(model.state_dict(), statistics, target, actions)
    return QuantizedModel(tensors, {"step": target})


def quantize_tensors(
    tensors: Mapping[str, Tensor],
    statistics: Statistics | None,
    step: float,
    actions: Mapping[str, str] | None = None,
) -> dict[str, Value]:
    """All tensors of a state_dict at the slope of one step c."""
    return Network(tensors, statistics, actions).quantize(step)
