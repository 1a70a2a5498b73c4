"""Weights that are levels and scales, trained as such: straight through, and scales as in LSQ (Esser et al. 2020).

The network computes with exactly what the file will hold: levels are whole numbers, factors have their own dtype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from swsfmt import InputError
from swsfmt.torch import Scaled

_INTEGERS = (torch.int8, torch.int16, torch.int32)


class Grids:
    """latent : the weights behind the levels of each parameter, float32; logs : of how much its scales have changed,
    a tensor of the shape of each scale
    """

    def __init__(self, parameters: Mapping[str, Tensor], scaled: Mapping[str, Scaled]) -> None:
        """Raises `InputError` for what is not of the shape of its parameter, and for levels that are floats."""
        self._own = {name: scaled[name] for name in parameters}
        for name, parameter in parameters.items():
            own = self._own[name]
            if own.shape != tuple(parameter.shape):
                raise InputError(
                    f"the levels have shape {own.shape}, the weights {tuple(parameter.shape)}", tensor=name
                )
            if own.levels.dtype not in (*_INTEGERS, torch.uint8):
                raise InputError(f"levels that are {own.levels.dtype} cannot be trained, only integers", tensor=name)
        device = {name: parameter.device for name, parameter in parameters.items()}
        self._dtypes = [parameter.dtype for parameter in parameters.values()]
        self._scales = [
            [torch.as_tensor(scale, device=device[name]) for scale in own.scales] for name, own in self._own.items()
        ]
        self._shifts = [
            [None if shift is None else self._wide(torch.as_tensor(shift, device=device[name]).float(), own, kind)
             for kind, shift in (("zero", own.zero), ("offset", own.offset))]
            for name, own in self._own.items()
        ]  # fmt: skip
        self.latent = [own.dequantize().to(device[name]).float().requires_grad_() for name, own in self._own.items()]
        self.logs = [
            [torch.zeros_like(scale, dtype=torch.float32, requires_grad=True) for scale in s] for s in self._scales
        ]

    @staticmethod
    def _wide(factor: Tensor, own: Scaled, kind: str) -> Tensor:
        """A factor for each element. kind : its name among the blocks"""
        if factor.numel() == 1:
            return factor.reshape([1] * len(own.shape))
        for dimension, block in enumerate(own.blocks[kind]):
            if factor.shape[dimension] not in (1, own.shape[dimension]):
                factor = factor.repeat_interleave(block, dimension).narrow(dimension, 0, own.shape[dimension])
        return factor

    def _factors(self, number: int, own: Scaled) -> list[Tensor]:
        """The scales as they are now, in their own dtypes, with gradients to `logs`."""
        kinds = ["scale"] if len(own.scales) == 1 else ["scale 1", "scale 2"]
        factors = []
        for scale, log, kind in zip(self._scales[number], self.logs[number], kinds, strict=True):
            exact = scale.float() * log.exp()
            rounded = exact.detach().to(scale.dtype).float()
            factors.append(self._wide(exact + (rounded - exact).detach(), own, kind))
        return factors

    def _levels(self, number: int, factors: Sequence[Tensor]) -> Tensor:
        zero, offset = self._shifts[number]
        levels = self.latent[number] if offset is None else self.latent[number] - offset
        for factor in factors:
            levels = levels / factor
        return (levels if zero is None else levels + zero).round()

    def _values(self, number: int, own: Scaled) -> Tensor:
        """What the network computes with, with gradients to the scales."""
        factors = self._factors(number, own)
        with torch.no_grad():
            levels = self._levels(number, factors)
        zero, offset = self._shifts[number]
        values = levels if zero is None else levels - zero
        for factor in factors:
            values = values * factor
        return values if offset is None else values + offset

    @torch.no_grad()
    def quantized(self) -> list[Tensor]:
        """The weights as they are in the file, about: with the rounding of its arithmetic `scaled` has them."""
        return [
            self._values(number, own).to(dtype)
            for number, (own, dtype) in enumerate(zip(self._own.values(), self._dtypes, strict=True))
        ]

    def set_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Pass the gradients at the quantised weights on to the latent weights, straight through, and to the scales."""
        for number, (own, gradient) in enumerate(zip(self._own.values(), gradients, strict=True)):
            self.latent[number].grad = gradient.float()
            for log in self.logs[number]:
                log.grad = None
            self._values(number, own).backward(gradient.float())

    @torch.no_grad()
    def scaled(self) -> dict[str, Scaled]:
        """The levels and scales as they are now, by name."""
        out = {}
        for number, (name, own) in enumerate(self._own.items()):
            levels = self._levels(number, self._factors(number, own)).long()
            scales = [
                (scale.float() * log.exp()).to(scale.dtype)
                for scale, log in zip(self._scales[number], self.logs[number], strict=True)
            ]
            low, high = int(levels.min()), int(levels.max())
            kinds = (own.levels.dtype, *_INTEGERS)
            kind = next(k for k in kinds if torch.iinfo(k).min <= low and high <= torch.iinfo(k).max)
            blocks = list(own.blocks.values())
            out[name] = Scaled(
                levels.to(kind).to(own.levels.device), [scale.to(own.levels.device) for scale in scales],
                own.zero, own.offset, dtype=own.dtype, rounding=own.rounding,
                blocks=blocks[0] if len(set(blocks)) == 1 else None,
            )  # fmt: skip
        return out

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {"latent": [each.detach() for each in self.latent], "logs": [[x.detach() for x in s] for s in self.logs]}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `RuntimeError` or `ValueError` for that of other weights."""
        for own, saved in zip(self.latent, state["latent"], strict=True):
            own.copy_(saved)
        for scales, all_saved in zip(self.logs, state["logs"], strict=True):
            for own, saved in zip(scales, all_saved, strict=True):
                own.copy_(saved)
