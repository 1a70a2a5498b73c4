"""What of the outputs is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from swsfmt import InputError, MismatchError

from ..batches import Forward, call_model
from .tensors import cosine, relative

IGNORED = -100
"""Of a target: not counted, as for `torch.nn.functional.cross_entropy`."""

# Numbers that are looked at a time, as float64: they stay in the cache of a processor.
_NUMBERS = 1 << 18


@dataclass(frozen=True)
class OutputComparison:
    """What two models give for the same inputs. A vector is what an output has along its last dimension.

    vectors : how many were compared
    relative_error : |small - original| / |original|, norms over all numbers
    cosine, least_cosine : of a vector and its original, mean and least
    max_error : greatest difference of two numbers
    kl : mean Kullback-Leibler divergence of the distributions whose logits the vectors are, D(original || small), in
        nats; None where they are not logits, as for the fields below
    top1 : fraction of vectors whose greatest entry is at the same place
    perplexity, small_perplexity : exp of the mean cross entropy with the targets; None where there are none
    """

    vectors: int
    relative_error: float
    cosine: float
    least_cosine: float
    max_error: float
    kl: float | None = None
    top1: float | None = None
    perplexity: float | None = None
    small_perplexity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold: None in place of numbers that it has not."""
        odd = [key for key, value in asdict(self).items() if isinstance(value, float) and not math.isfinite(value)]
        return {**asdict(self), **dict.fromkeys(odd)}


class OutputMeter:
    """Adds up what `OutputComparison` tells, batch by batch: for outputs that were computed elsewhere, or kept.

    logits : whether vectors are logits of distributions
    """

    def __init__(self, *, logits: bool = False) -> None:
        self._logits = logits
        self._vectors = self._targets = self._agreeing = 0
        self._original = self._small = self._product = self._error = self._max_error = 0.0
        self._cosines = self._kl = self._loss = self._small_loss = 0.0
        self._least = math.inf

    def add(self, original: Tensor, small: Tensor, targets: Tensor | None = None) -> None:
        """Outputs of one batch, of one shape (..., width).

        targets : integers of shape (...), IGNORED where there is none
        Raises `MismatchError` for another shape, `InputError` for what is not finite in the original or no target.
        """
        if original.shape != small.shape:
            raise MismatchError(f"outputs of shape {list(original.shape)} and {list(small.shape)}")
        if targets is not None and targets.shape != original.shape[:-1]:
            text = f"targets of shape {list(targets.shape)} for outputs of shape {list(original.shape)}"
            raise InputError(f"{text}: they are one for each vector")
        width = original.shape[-1] if original.dim() else 1
        if not width:
            raise InputError("outputs without numbers cannot be compared")
        theirs, ours = original.detach().reshape(-1, width), small.detach().reshape(-1, width)
        flat = None if targets is None else targets.reshape(-1).to(theirs.device)
        rows = max(1, _NUMBERS // width)
        for start in range(0, len(theirs), rows):
            stop = start + rows
            first, second = theirs[start:stop].double(), ours[start:stop].double().to(theirs.device)
            if not bool(torch.isfinite(first).all()):
                raise InputError("an output of the original is not finite")
            self._add_vectors(first, second)
            if self._logits:
                self._add_logits(first, second, None if flat is None else flat[start:stop])

    def _add_vectors(self, original: Tensor, small: Tensor) -> None:
        pairs = (original, small), (original, original), (small, small)
        products, firsts, seconds = ((a * b).sum(1).tolist() for a, b in pairs)
        difference = small - original
        self._vectors += len(original)
        self._product += sum(products)
        self._original += sum(firsts)
        self._small += sum(seconds)
        self._error += float((difference * difference).sum())
        # Unlike Python's max, this keeps NaN.
        self._max_error = float(np.maximum(self._max_error, float(difference.abs().max())))
        cosines = [cosine(*sums) for sums in zip(products, firsts, seconds, strict=True)]
        self._cosines += sum(cosines)
        # NaN is the least there is: an output of zeros alone, or none that is finite.
        self._least = min([self._least, *(-math.inf if math.isnan(value) else value for value in cosines)])

    def _add_logits(self, original: Tensor, small: Tensor, targets: Tensor | None) -> None:
        first, second = log_softmax(original, -1), log_softmax(small, -1)
        self._kl += float((first.exp() * (first - second)).sum())
        self._agreeing += int((original.argmax(-1) == small.argmax(-1)).sum())
        if targets is None:
            return
        rows = (targets != IGNORED).nonzero().squeeze(1)
        chosen = targets[rows, None].long()
        if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < original.shape[1]:
            raise InputError(f"a target is no class: there are {original.shape[1]}")
        self._targets += len(rows)
        self._loss -= float(first[rows].gather(1, chosen).sum())
        self._small_loss -= float(second[rows].gather(1, chosen).sum())

    @property
    def result(self) -> OutputComparison:
        """Raises `InputError` where nothing was added."""
        count = self._vectors
        if not count:
            raise InputError("there are no outputs to compare: no batch was given")
        return OutputComparison(
            count,
            relative(self._error, self._original),
            self._cosines / count,
            math.nan if self._least == -math.inf else self._least,
            self._max_error,
            self._kl / count if self._logits else None,
            self._agreeing / count if self._logits else None,
            _perplexity(self._loss, self._targets),
            _perplexity(self._small_loss, self._targets),
        )


def compare_outputs(
    original: nn.Module,
    small: nn.Module,
    batches: Iterable[Any],
    forward: Forward = call_model,
    *,
    logits: bool = False,
    targets: Callable[[Any], Tensor] | None = None,
    step: Callable[[int], None] | None = None,
) -> OutputComparison:
    """How far the outputs of `small` are from those of `original`, in evaluation mode and without gradients.

    batches : a tensor, tuple, list or dict each, as `forward` takes them
    forward : (model, batch) -> a tensor of shape (..., width), or a tuple, list or mapping of some, compared one after
        another if they are no logits, else the first or that called "logits"
    logits : whether outputs are logits: the Kullback-Leibler divergence and top-1 agreement are given too
    targets : (batch) -> the right classes of the logits, integers of shape (...), IGNORED for none: perplexities
    step : is told the number of batches that are done
    Raises `InputError` for outputs that cannot be compared and where there is no batch, `MismatchError` for outputs of
    other shapes, and what the models raise.
    """
    if targets is not None and not logits:
        raise InputError("targets= is for logits=True")
    meter = OutputMeter(logits=logits)
    modes = [(module, module.training) for model in (original, small) for module in model.modules()]
    try:
        original.eval()
        small.eval()
        with torch.inference_mode():
            for done, batch in enumerate(batches):
                theirs, ours = (_tensors(forward(model, copy.copy(batch)), logits) for model in (original, small))
                if len(theirs) != len(ours):
                    raise MismatchError(f"{len(theirs)} outputs of the original, {len(ours)} of the other")
                for first, second in zip(theirs, ours, strict=True):
                    meter.add(first, second, None if targets is None else targets(batch))
                if step is not None:
                    step(done + 1)
    finally:
        for module, training in modes:
            module.training = training
    return meter.result


def _tensors(outputs: Any, logits: bool) -> list[Tensor]:
    """Raises `InputError` for outputs in which there is no tensor of floats."""
    if isinstance(outputs, Mapping):
        entries = [outputs["logits"]] if logits and "logits" in outputs else list(outputs.values())
    else:
        entries = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
    tensors = [entry for entry in entries if isinstance(entry, Tensor) and entry.is_floating_point()]
    if not tensors:
        raise InputError(f"forward gave {type(outputs).__name__}, in which there is no tensor of floats to compare")
    return tensors[:1] if logits else tensors


def _perplexity(loss: float, count: int) -> float | None:
    if not count:
        return None
    return math.exp(loss / count) if loss / count < 700 else math.inf
