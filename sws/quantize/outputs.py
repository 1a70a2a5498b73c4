"""What quantising costs: how far the outputs of a network are from those that it had."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError
from swsfmt.torch import Scaled

from ..batches import Forward, to_device
from .collect import call
from .network import dense

RELATIVE, DIVERGENCE = "relative error", "KL divergence in nats"


class OutputError:
    """Compares a network with a copy of it that has other weights, on batches that it was not calibrated with.

    Outputs with `logits` count by the mean KL divergence of the distributions that they give, for each token, in nats;
    others by the relative error of each example, the root of its mean square.
    """

    def __init__(self, model: nn.Module, batches: Sequence[Any], forward: Forward | None = None) -> None:
        """Raises `InputError` where there are no batches."""
        if not batches:
            raise InputError("there is nothing to measure the error of outputs on; calibrate with more samples")
        self._model, self._batches, self._forward = model, batches, forward or call
        self._copy = copy.deepcopy(model).eval()
        self._device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self.kind = RELATIVE

    def measure(self, tensors: Mapping[str, Tensor | Scaled]) -> float:
        """Of the network with these tensors; NaN where its outputs are not finite. Its own weights stay."""
        state = {name: dense(t) for name, t in tensors.items()}
        self._copy.load_state_dict(state)
        del state
        total, count = 0.0, 0
        was_training = self._model.training
        self._model.eval()
        try:
            with torch.no_grad():
                for batch in self._batches:
                    own = to_device(batch, self._device)
                    before, after = (self._forward(model, own) for model in (self._model, self._copy))
                    errors = self.errors(before, after, own)
                    total += float(errors.double().sum())
                    count += errors.numel()
        finally:
            self._model.train(was_training)
        mean = total / max(1, count)
        return math.sqrt(mean) if self.kind == RELATIVE else max(mean, 0.0)

    def errors(self, before: Any, after: Any, batch: Any) -> Tensor:
        """Of each token the divergence, of each example the square of the relative error."""
        if getattr(before, "logits", None) is not None:
            self.kind = DIVERGENCE
            first, second = (output.logits.float().flatten(0, -2) for output in (before, after))
            mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
            if mask is not None and mask.shape == before.logits.shape[:-1]:
                first, second = (flat[mask.flatten() > 0] for flat in (first, second))
            log_p = first.log_softmax(-1)
            divergence: Tensor = (log_p.exp() * (log_p - second.log_softmax(-1))).sum(-1)
            return divergence
        first, second = (
            torch.cat([part.float().flatten(1) for part in tensors(output)], 1) for output in (before, after)
        )
        norm = first.square().sum(1)
        return (first - second).square().sum(1) / torch.where(norm > 0, norm, 1)


def tensors(output: Any) -> list[Tensor]:
    """The floating-point tensors of an output whose first dimension is that of the first one. Raises `InputError`."""
    parts = [part for part in _all(output) if part.is_floating_point() and part.dim()]
    if not parts:
        raise InputError(f"the network returns {type(output).__name__}, which holds no floating-point tensor")
    return [part for part in parts if len(part) == len(parts[0])]


def _all(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from (part for part in output.values() if isinstance(part, Tensor))
    elif isinstance(output, tuple | list):
        yield from (part for part in output if isinstance(part, Tensor))
