"""After quantising: a few steps of training on what the float network answers, of all that is not a level.

The factors of rows, biases and the parameters of norms are trained by Adam; the levels of matrices stay. What takes the
error of all weights for an average has no part for the shift and the size that it leaves in each output channel: these
are what is trained (Nagel et al. 2019, arXiv 1906.04721, correct them layer by layer; QuIP#, Tseng et al. 2024, arXiv
2402.04396, section 5, trains norms and signs through the whole network).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError
from swsfmt.torch import Scaled

from ..batches import Forward, to_device
from .collect import Progress, call
from .network import Value, dense
from .outputs import OutputError

# Times that the network is judged, evenly spread.
_CHECKS = 4
# Of the error: what falls by less may have fallen by chance.
_LEAST_GAIN = 0.01
# Of the steps: the rate rises so long, then it falls to zero.
_WARM_UP = 0.1
_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Tuning:
    """steps : of one batch each. rate : of Adam, relative to what is trained. seed : of the order of batches
    factors : of each matrix that are trained: 1, those of rows; 2, those of columns too; 0, vectors alone are trained
    """

    steps: int = 60
    rate: float = 5e-4
    factors: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """before, after : errors of the outputs on the batches that judge; equal where none was lower by a hundredth
    steps : after which the network was best; 0 where it stays as it was
    """

    tensors: Mapping[str, Value]
    before: float
    after: float
    steps: int

    def __str__(self) -> str:
        return f"error before {self.before:.4g}, after {self.after:.4g}, on held-out inputs"


def tune(
    model: nn.Module,
    tensors: Mapping[str, Value],
    batches: Sequence[Any],
    held_out: Sequence[Any],
    tuning: Tuning,
    forward: Forward | None = None,
    *,
    fixed: Collection[str] = (),
    progress: Progress | None = None,
) -> Tuned:
    """The best that came up, by the batches held out: `tensors` themselves, where none was better by a hundredth.

    model : with float weights; stays as it is. tensors : of `Network.quantize`; tied ones stay tied
    batches : to train on. held_out : judge, and are not trained on. fixed : names of tensors that stay
    progress : is given the number of steps so far
    Raises `InputError` without batches of both kinds.
    """
    if not batches:
        raise InputError("there is nothing to tune on; calibrate with more samples")
    judge = OutputError(model, held_out, forward)
    with _both(model, tensors) as student:
        before = judge.measure(tensors)
        best, chosen, steps = before * (1 - _LEAST_GAIN), tensors, 0
        parts = _parts(tensors, student, tuning, fixed)
        checks = {max(1, round(tuning.steps * (number + 1) / _CHECKS)) for number in range(_CHECKS)}
        for step in _train(model, student, parts, batches, judge, tuning, forward or call):
            if progress is not None:
                progress(step)
            if step in checks:
                now = _with(tensors, parts)
                if (error := judge.measure(now)) < best:
                    best, chosen, steps = error, now, step
    return Tuned(chosen, before, best if steps else before, steps)


def _train(
    model: nn.Module, student: nn.Module, parts: Sequence[_Part], batches: Sequence[Any], judge: OutputError,
    tuning: Tuning, forward: Forward,
) -> Iterator[int]:  # fmt: skip
    """Gives the number of each step when it is done. Ends early where something is not finite."""
    if not parts:
        return
    order: list[int] = []
    generator = torch.Generator().manual_seed(tuning.seed)
    adam = torch.optim.Adam([part.change for part in parts], lr=tuning.rate, betas=_BETAS)
    for step in range(1, tuning.steps + 1):
        order = order or torch.randperm(len(batches), generator=generator).tolist()
        batch = to_device(batches[order.pop()], parts[0].parameter.device)
        with torch.no_grad():
            before = forward(model, batch)
        with torch.enable_grad():
            loss = judge.errors(before, forward(student, batch), batch).mean()
        if not loss.requires_grad:
            raise InputError("the outputs have no gradients; tuning needs a forward function without torch.no_grad")
        loss.backward()
        adam.zero_grad()
        for part in parts:
            part.take_gradient()
        warmth = min(1.0, step / max(1.0, _WARM_UP * tuning.steps))
        adam.param_groups[0]["lr"] = tuning.rate * warmth * (1 - (step - 1) / tuning.steps)
        adam.step()
        if not all(bool(torch.isfinite(part.change).all()) for part in parts):
            return
        for part in parts:
            part.fill()
        yield step


def _with(tensors: Mapping[str, Value], parts: Sequence[_Part]) -> dict[str, Value]:
    """Tied tensors stay tied."""
    made = {id(part.value): part.made() for part in parts}
    return {name: made.get(id(value), value) for name, value in tensors.items()}


@contextmanager
def _both(model: nn.Module, tensors: Mapping[str, Value]) -> Iterator[nn.Module]:
    """A copy with these tensors, and both in evaluation mode."""
    student = copy.deepcopy(model).eval().requires_grad_(False)
    student.load_state_dict({name: dense(value) for name, value in tensors.items()})
    modes = {module: module.training for module in model.modules()}
    # cuDNN's recurrent layers have no gradients in evaluation mode.
    is_recurrent = any(isinstance(module, nn.RNNBase) for module in modes)
    try:
        model.eval()
        with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled and not is_recurrent):
            yield student
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Part(ABC):
    """One tensor, as far as it is trained.

    change : of what is trained, relative to what it was; a leaf of Adam, float32. parameter : of the student
    """

    def __init__(self, value: Value, parameter: nn.Parameter, shape: Sequence[int]) -> None:
        self.value, self.parameter = value, parameter.requires_grad_()
        self.change = torch.zeros(*shape, requires_grad=True)

    def take_gradient(self) -> None:
        """From that of the parameter, which has none afterwards."""
        if self.parameter.grad is not None:
            self.change.grad = self._gradient(self.parameter.grad).float().cpu()
            self.parameter.grad = None

    @torch.no_grad()
    def fill(self) -> None:
        """Give the parameter what the file will have."""
        self.parameter.copy_(dense(self.made()))

    @abstractmethod
    def _gradient(self, gradient: Tensor) -> Tensor:
        """Of the change, of the shape that it has."""

    @abstractmethod
    def made(self) -> Value:
        """As the file will have it, in the dtypes that were there."""


class _Factors(_Part):
    """Levels with factors: the logarithms of the first of these."""

    def __init__(self, value: Scaled, parameter: nn.Parameter, count: int) -> None:
        self._levels, self._trained = value, value.scales[:count]
        super().__init__(value, parameter, [sum(scale.numel() for scale in self._trained)])

    def _gradient(self, gradient: Tensor) -> Tensor:
        # Weights are in proportion to each factor.
        product = (gradient * self.parameter.detach()).float()
        return torch.cat([product.sum_to_size(scale.shape).flatten() for scale in self._trained])

    @torch.no_grad()
    def made(self) -> Scaled:
        changes = self.change.exp().split([scale.numel() for scale in self._trained])
        own = [
            (scale.float() * change.view(scale.shape)).to(scale.dtype)
            for scale, change in zip(self._trained, changes, strict=True)
        ]
        rest = self._levels.scales[len(own) :]
        return Scaled(self._levels.levels, [*own, *rest], dtype=self._levels.dtype)


class _Vector(_Part):
    """A vector: in float16 or on a grid where it was so before."""

    def __init__(self, value: Value, parameter: nn.Parameter) -> None:
        super().__init__(value, parameter, value.shape)
        start = dense(value)
        self._start = start.float()
        self._size = float(self._start.square().mean().sqrt()) or 1.0
        self._is_half = torch.equal(start.half().to(start.dtype), start)

    def _gradient(self, gradient: Tensor) -> Tensor:
        return gradient * self._size

    @torch.no_grad()
    def made(self) -> Value:
        own = self._start + self._size * self.change
        if not isinstance(self.value, Scaled):
            return (own.half() if self._is_half else own).to(self.value.dtype)
        levels = (own / self.value.scales[0].float()).round()
        largest = float(levels.abs().max())
        kind = torch.int8 if largest <= 127 else torch.int16 if largest <= 32767 else torch.int32
        return Scaled(levels.to(kind), self.value.scales[0], dtype=self.value.dtype)


def _parts(tensors: Mapping[str, Value], student: nn.Module, tuning: Tuning, fixed: Collection[str]) -> list[_Part]:
    """Of each tensor that is trained, tied ones once."""
    parts: dict[int, _Part] = {}
    parameters = dict(student.named_parameters(remove_duplicate=False))
    kept = {id(tensors[name]) for name in fixed if name in tensors}
    for name, value in tensors.items():
        is_new = name in parameters and id(value) not in parts.keys() | kept
        if is_new and (part := _part(value, parameters[name], tuning)) is not None:
            parts[id(value)] = part
    return list(parts.values())


def _part(value: Value, parameter: nn.Parameter, tuning: Tuning) -> _Part | None:
    """None of what is not trained."""
    is_vector = len(value.shape) == 1 and value.shape[0] > 0
    if not isinstance(value, Scaled):
        return _Vector(value, parameter) if is_vector and value.is_floating_point() else None
    if value.zero is not None or value.offset is not None or value.levels.is_floating_point():
        return None
    if len(value.scales) == 2:
        return _Factors(value, parameter, tuning.factors) if tuning.factors else None
    return _Vector(value, parameter) if is_vector and value.scales[0].numel() == 1 else None
