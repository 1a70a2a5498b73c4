"""All tensors of a network by one of the simple methods: what `sws.quantize.network.Network` is with feedback."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from swsfmt.errors import located

from ..network import Network, Value
from .base import Method


class SimpleNetwork(Network):
    """Matrices by `method`, everything else as `Network` has it."""

    def __init__(
        self,
        method: Method,
        tensors: Mapping[str, Tensor],
        actions: Mapping[str, str] | None = None,
        step_factors: Mapping[str, float] | None = None,
    ) -> None:
        self._method = method
        super().__init__(tensors, None, actions, step_factors)

    def _prepare(self) -> None:
        """Such a method knows of no statistics."""

    def relative_steps(self) -> dict[str, float]:
        """As if each were a grid, which it is not far from."""
        return {name: self.step_factors.get(name, 1.0) for name in self.layouts}

    def _quantized(self, name: str, step: float, rate: float) -> Value:
        with located(tensor=name):
            return self._method.quantize(self.tensors[name].detach().cpu(), step)
