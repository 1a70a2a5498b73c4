"""What quantising costs a network, on some of the examples of a loader; what costs too much is said loudly."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .batches import Forward, always_the_same, batch_size, call_model, targets_of, to_device
from .evaluation import Mean, Metric, accuracy, evaluating
from .warnings import QualityWarning, warn

# Examples looked at, and what may be lost: a point of accuracy, or a hundredth of the loss.
_EXAMPLES = 2000
ALLOWED = 0.01


class Quality:
    """The accuracy, or a loss, of a network on the first examples of `loader`: each time the same ones.

    metric : `sws.evaluation.metric_for` the loss. run_dir : as of `sws.warnings.warn`
    """

    def __init__(
        self,
        loader: Iterable[Any] | None = None,
        device: str | torch.device = "cpu",
        metric: Metric = accuracy,
        forward: Forward = call_model,
        run_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self._loader = loader
        self._device = device
        self._metric = metric
        self._forward = forward

    def measure(self, model: nn.Module) -> float | None:
        """None where there are no examples, or none that could be looked at twice."""
        if self._loader is None or isinstance(self._loader, Iterator):
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

    def better(self, *values: float | None) -> float | None:
        """The best of these; None where there is none."""
        known = [value for value in values if value is not None]
        return (max if self._metric is accuracy else min)(known, default=None)

    def compare(self, what: str, before: float | None, after: float | None) -> None:
        """Warn of `what` if it made the network worse. before, after : of `measure`."""
        if before is None or after is None:
            return
        if self._metric is accuracy:
            if not before - after <= ALLOWED:
                points = 100 * (before - after)
                self.warn(f"{what} cost {points:.1f} points of accuracy: {before:.1%} before, {after:.1%} after")
        elif not after - before <= ALLOWED * abs(before):
            self.warn(f"{what} took the loss from {before:.4g} to {after:.4g}")

    def warn(self, message: str) -> None:
        """A `QualityWarning`."""
        warn(message, QualityWarning, self.run_dir)


def emptied(before: Mapping[str, bool], weights: Iterable[tuple[str, Tensor]]) -> str | None:
    """What to say of matrices that are all zero and were not; None where there are none.

    before : of `alive`
    """
    names = [name for name, living in alive(weights).items() if before.get(name) and not living]
    return f"all weights of {', '.join(names)} are zero: the network computes nothing with them" if names else None


@torch.no_grad()
def alive(weights: Iterable[tuple[str, Tensor]]) -> dict[str, bool]:
    """For each matrix of weights whether any is not zero."""
    return {name: bool(weight.any()) for name, weight in weights if weight.dim() > 1}
