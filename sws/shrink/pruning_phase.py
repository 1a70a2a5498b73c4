"""Pruning as a phase of the training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..loop import Backward, EpochRecord, Phase, Position
from .progress import Progress, Report
from .pruning import GlobalPruner, cubic_sparsity, group_norms
from .settings import Pruning

# The masks follow the weights every so many steps.
_PRUNE_EVERY = 20


class PruningPhase(Phase):
    """The network computes with masked weights, of which fewer live from step to step.

    With regrowth the masked weights get the gradients that they would have if they lived.
    """

    name = "prune"

    def __init__(self, parameters: Sequence[nn.Parameter], settings: Pruning, report: Report) -> None:
        self._parameters = list(parameters)
        self._settings = settings
        self._report = report
        self._pruner = GlobalPruner(self._parameters)
        self._reached = 0.0
        self._regrows = False

    def before_step(self, at: Position) -> None:
        settings = self._settings
        if settings.sparsity and at.step % _PRUNE_EVERY == 0 and at.progress <= settings.freeze:
            self._reached = cubic_sparsity(settings.sparsity, at.progress, settings.ramp_end)
            self._pruner.prune(self._reached)
        self._regrows = settings.regrow and at.progress < settings.freeze
        if not self._regrows:
            self._pruner.apply()

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        if not self._regrows:
            return {}
        masked = zip(self._parameters, self._pruner.masks, strict=True)
        return {parameter: parameter.detach() * mask for parameter, mask in masked}

    def after_backward(self, at: Position, backward: Backward) -> float:
        if not self._regrows:
            for parameter, mask in zip(self._parameters, self._pruner.masks, strict=True):
                if parameter.grad is not None:
                    parameter.grad.mul_(mask)
        added = 0.0
        matrices = [p for p in self._parameters if p.dim() > 1]
        for weight, axis in ((self._settings.column_penalty, 0), (self._settings.row_penalty, 1)):
            if weight:
                penalty = weight * group_norms(matrices, axis)
                backward(penalty)
                added += penalty.item()
        return added

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        if not self._settings.regrow or at.progress >= self._settings.freeze:
            self._pruner.apply()
        nonzero = sum(int(mask.sum()) for mask in self._pruner.masks)
        self._report(Progress(self.name, at.epoch, at.epochs, loss, nonzero))
        return EpochRecord({"nonzero": nonzero})

    def finish(self) -> None:
        """After the last epoch: the masked weights become zero."""
        if self._reached < self._settings.sparsity:
            # So few steps that none fell between the end of the ramp and the freeze.
            self._pruner.prune(self._settings.sparsity)
        self._pruner.apply()

    def state_dict(self) -> dict[str, Any]:
        return {"masks": self._pruner.masks, "reached": self._reached}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        masks = zip(self._parameters, state["masks"], strict=True)
        self._pruner.masks = [mask.to(parameter.device) for parameter, mask in masks]
        self._reached = state["reached"]
