"""The training of codebook and assignments as a phase of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..loop import Backward, EpochRecord, Phase, Position
from .codebook import SharedCodebook
from .progress import Progress, Report
from .rate import symbol_bits, without
from .settings import Quantization

# The assignments follow the weights every so many steps.
_ASSIGN_EVERY = 4


class QuantizationPhase(Phase):
    """The network computes with the values of one codebook; its gradients go to the values and to the weights behind.

    size : bytes of the file of a state_dict
    """

    name = "quantize"

    def __init__(
        self,
        model: nn.Module,
        parameters: list[nn.Parameter],
        settings: Quantization,
        size: Callable[[dict[str, Tensor]], int],
        report: Report,
    ) -> None:
        self._model = model
        self._parameters = parameters
        self._settings = settings
        self._size = size
        self._report = report
        self._codebook = SharedCodebook(parameters, settings.values, to_zero=settings.rate > 0)
        self._empty_bytes = self._size_without_weights() if settings.rate else 0

    def optimizer(self) -> torch.optim.Optimizer:
        """Of the weights behind the assignments and of the values."""
        groups: list[dict[str, Any]] = [
            {"params": self._codebook.latent, "lr": self._settings.learning_rate},
            {"params": [self._codebook.values], "lr": self._settings.codebook_learning_rate},
        ]
        return torch.optim.Adam(groups)

    def start_epoch(self, at: Position) -> None:
        if self._settings.rate:
            self.fill()
            entries = self._size(self._model.state_dict()) - self._empty_bytes
            self._codebook.bits = symbol_bits(self._codebook.counts(), 8 * entries)

    def before_step(self, at: Position) -> None:
        if at.step % _ASSIGN_EVERY == 0:
            self._codebook.assign()

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        return dict(zip(self._parameters, self._codebook.quantized(), strict=True))

    def after_backward(self, at: Position, backward: Backward) -> float:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self._codebook.set_gradients(gradients)
        if not self._settings.rate:
            return 0.0
        bits = self._settings.rate * self._codebook.rate()
        backward(bits)
        return bits.item()

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        self.fill()
        nonzero = int(self._codebook.counts()[1:].sum())
        size = self._size(self._model.state_dict())
        self._report(Progress(self.name, at.epoch, at.epochs, loss, nonzero, size))
        return EpochRecord({"nonzero": nonzero, "bytes": size})

    @torch.no_grad()
    def fill(self) -> None:
        """Give the model the weights as they are in the file."""
        for parameter, values in zip(self._parameters, self._codebook.quantized(), strict=True):
            parameter.copy_(values)

    def state_dict(self) -> dict[str, Any]:
        return self._codebook.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._codebook.load_state_dict(state)

    def _size_without_weights(self) -> int:
        """Bytes of the file if all weights were zero, also those that have a second name."""
        trained = set(self._parameters)
        names = [name for name, p in self._model.named_parameters(remove_duplicate=False) if p in trained]
        return self._size(without(self._model.state_dict(), names))
