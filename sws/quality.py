"""What quantising costs a network, on some of the examples of a loader; what costs too much is said loudly."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .batches import Forward, always_the_same, batch_size, targets_of, to_device
from .evaluation import Mean, Metric, accuracy, evaluating
from .warnings import QualityWarning

# Examples looked at, and what may be lost: a point of accuracy, or a hundredth of the loss.
_EXAMPLES = 2000
_ALLOWED = 0.01


class Quality:
    """The metric of a network on the first examples of `loader`: each time the same ones."""

    def __init__(
        self, loader: Iterable[Any] | None, device: str | torch.device, metric: Metric, forward: Forward
    ) -> None:
        self._loader = loader
        self._device = device
        self._metric = metric
        self._forward = forward

    def measure(self, model: nn.Module) -> float | None:
        """None where there are no examples, or none that could be looked at twice."""
        if self._loader is None or iter(self._loader) is self._loader:
            return None
        mean, examples = Mean(), 0
        with evaluating(model), always_the_same(self._loader) as batches:
            for batch in batches:
                batch = to_device(batch, self._device)
                count = batch_size(batch)
                mean.add(self._metric(self._forward(model, batch), targets_of(batch)), count)
                examples += count
                if examples >= _EXAMPLES:
                    break
        return mean.value if examples else None

    def compare(self, what: str, before: float | None, after: float | None) -> None:
        """Warn of `what` if it made the network worse. before, after : of `measure`."""
        if before is None or after is None:
            return
        if self._metric is accuracy:
            if not before - after <= _ALLOWED:
                points = 100 * (before - after)
                warn(f"{what} cost {points:.1f} points of accuracy: {before:.1%} before, {after:.1%} after")
        elif not after - before <= _ALLOWED * abs(before):
            # A metric of which more is better falls instead; nobody says which one it is.
            warn(f"{what} took the loss from {before:.4g} to {after:.4g}")


def warn(message: str) -> None:
    """A `QualityWarning`, shown once for each message and place."""
    warnings.warn(message, QualityWarning, stacklevel=3)


def warn_of_emptied(before: Mapping[str, bool], weights: Iterable[tuple[str, Tensor]]) -> None:
    """Warn of the weights that are all zero and were not.

    before : for each name, as `alive` had it
    """
    emptied = [name for name, living in alive(weights).items() if before.get(name) and not living]
    if emptied:
        warn(f"all weights of {', '.join(emptied)} are zero: the network computes nothing with them")


@torch.no_grad()
def alive(weights: Iterable[tuple[str, Tensor]]) -> dict[str, bool]:
    """For each matrix of weights whether any is not zero."""
    return {name: bool(weight.any()) for name, weight in weights if weight.dim() > 1}
