"""That a network computes the same after its neurons were removed or sorted: tried before, checked after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError

from ..batches import Batches, Forward, always_the_same, tensors_of, to_device
from ..chain import Chain
from ..evaluation import evaluating
from ..neurons import permute, remove_dead_neurons
from ..warnings import SkippedWarning, warn

State = dict[str, Tensor]

# Of the largest output: sums in another order differ by rounding.
_TOLERANCE = 1e-3
_SMALL = 1e-3


class Equality:
    """Compares the outputs of `model` for a batch of `loader`, in evaluation mode."""

    def __init__(self, model: nn.Module, loader: Batches, forward: Forward, device: str | torch.device) -> None:
        self._model = model
        with always_the_same(loader) as batches:
            self._batch = to_device(next(batches, None), device)
        self._forward = forward

    def check_movable(self, chain: Chain, *, removes: bool, sorts: bool) -> None:
        """Try on numbers like those of the model that its neurons can be sorted, and dead ones removed.

        The model has its own numbers again afterwards. Raises `InputError` where an output changes.
        """
        kept = _copy(self._model)
        trial = _disturbed(kept)
        if removes or sorts:
            self._try(trial, lambda state: _shuffled(state, chain), kept)
        if removes:
            _kill(trial, chain)
            self._try(trial, lambda state: remove_dead_neurons(state, chain.layers, chain.between), kept)

    def replace(self, state: State) -> None:
        """Give the model this state; where an output changes, its own again, and a `SkippedWarning`."""
        kept = _copy(self._model)
        before = self._outputs()
        self._model.load_state_dict(state)
        difference = _difference(before, self._outputs())
        if difference is not None:
            self._model.load_state_dict(kept)
            warn(
                f"an output would have changed by {difference:.3g}: neurons were not removed or sorted", SkippedWarning
            )

    def _try(self, state: State, change: Callable[[State], State], kept: State) -> None:
        try:
            self._model.load_state_dict(state)
            before = self._outputs()
            self._model.load_state_dict(change(state))
            difference = _difference(before, self._outputs())
        finally:
            self._model.load_state_dict(kept)
        if difference is not None:
            raise InputError(
                f"with neurons removed or sorted an output changes by {difference:.3g}: what is done with this network "
                f"is not the forward pass of a plain chain; set remove_dead and order to False"
            )

    def _outputs(self) -> list[Tensor]:
        if self._batch is None:
            return []
        with evaluating(self._model), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return [tensor.double() for tensor in tensors_of(self._forward(self._model, self._batch))]


def _difference(before: list[Tensor], after: list[Tensor]) -> float | None:
    """The largest change of an output, if it is more than rounding."""
    for old, new in zip(before, after, strict=True):
        if old.numel():
            difference = float((new - old).abs().max())
            if not difference <= _TOLERANCE * max(_SMALL, float(old.abs().max())):
                return difference
    return None


def _copy(model: nn.Module) -> dict[str, Any]:
    return {name: t.clone() if isinstance(t, Tensor) else t for name, t in model.state_dict().items()}


def _disturbed(state: State) -> State:
    """Other numbers of the same sizes: in a new network all entries of a norm are equal, and each order of them right.

    Variances stay above zero.
    """
    generator = torch.Generator().manual_seed(0)
    new = dict(state)
    for name, tensor in state.items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            factor, summand = (torch.rand(tensor.shape, generator=generator) for _ in range(2))
            changed = tensor.cpu() * (0.5 + factor) + (0.1 * summand if tensor.dim() < 2 else 0)
            new[name] = changed.to(tensor).contiguous()
    return new


def _kill(state: State, chain: Chain) -> None:
    """Take the weights of every third neuron, and what reads the next one."""
    for first, second in zip(chain.layers, chain.layers[1:], strict=False):
        neurons = len(state[f"{first}.weight"])
        state[f"{first}.weight"][::3] = 0
        if f"{first}.bias" in state:
            state[f"{first}.bias"][::6] *= -1
        weight = state[f"{second}.weight"]
        weight.view(len(weight), neurons, -1)[:, 1::3] = 0


def _shuffled(state: State, chain: Chain) -> State:
    generator = torch.Generator().manual_seed(1)
    for first, second, between in zip(chain.layers, chain.layers[1:], chain.between, strict=False):
        order = torch.randperm(len(state[f"{first}.weight"]), generator=generator)
        state = permute(state, first, second, order, between)
    return state
