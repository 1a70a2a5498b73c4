"""The training of levels and scales as a phase of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt.torch import Scaled

from ..loop import Backward, EpochRecord, Phase, Position
from .grid import Grids
from .progress import Progress, Report
from .settings import Quantization


class GridPhase(Phase):
    """The network computes with levels times scales; its gradients go to the scales and to the weights behind the
    levels. Parameters that have none are trained as they are.

    size : bytes of the file of a network
    """

    name = "quantize"

    def __init__(
        self,
        model: nn.Module,
        scaled: Mapping[str, Scaled],
        settings: Quantization,
        size: Callable[[dict[str, Tensor | Scaled]], int],
        report: Report,
    ) -> None:
        """scaled : by the names of the parameters of `model`"""
        own = dict(model.named_parameters())
        self._model, self._settings, self._size, self._report = model, settings, size, report
        self._parameters = {name: own[name] for name in own if name in scaled}
        self._grids = Grids(self._parameters, scaled)

    def optimizer(self) -> torch.optim.Optimizer:
        """Of the weights behind the levels, the logarithms of scales, and the other parameters."""
        taken = {id(parameter) for parameter in self._parameters.values()}
        others = [p for p in self._model.parameters() if p.requires_grad and id(p) not in taken]
        groups: list[dict[str, Any]] = [
            {"params": [*self._grids.latent, *others], "lr": self._settings.learning_rate},
            {"params": [log for logs in self._grids.logs for log in logs], "lr": self._settings.codebook_learning_rate},
        ]
        return torch.optim.Adam(groups)

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        return dict(zip(self._parameters.values(), self._grids.quantized(), strict=True))

    def after_backward(self, at: Position, backward: Backward) -> float:
        parameters = self._parameters.values()
        self._grids.set_gradients([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
        return 0.0

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        scaled = self.fill()
        size = self._size({**self._model.state_dict(), **scaled})
        nonzero = sum(int(own.levels.count_nonzero()) for own in scaled.values())
        self._report(Progress(self.name, at.epoch, at.epochs, loss, nonzero, size))
        return EpochRecord({"nonzero": nonzero, "bytes": size})

    @torch.no_grad()
    def fill(self) -> dict[str, Scaled]:
        """Give the model the weights as they are in the file; their levels and scales."""
        scaled = self._grids.scaled()
        for name, parameter in self._parameters.items():
            parameter.copy_(scaled[name].dequantize())
        return scaled

    def state_dict(self) -> dict[str, Any]:
        return self._grids.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._grids.load_state_dict(state)
