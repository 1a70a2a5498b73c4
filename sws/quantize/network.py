"""All tensors of a network at one slope: the same c for all, so that a bit buys as much quality in each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from swsfmt import InputError
from swsfmt.torch import Scaled

from . import data_free
from .factors import Factors, factors
from .layout import Layout
from .matrix import RATE, Levels, on_grid, quantize_matrix
from .statistics import Statistics

Value: TypeAlias = Tensor | Scaled


def dense(value: Value) -> Tensor:
    """What loading gives."""
    return value.dequantize() if isinstance(value, Scaled) else value


Step: TypeAlias = Callable[[str], None]
"""Is told of each tensor before it is quantised."""

# The greatest relative error of a vector that float16 may hold.
_HARMLESS = 2.0**-10
_HALF_MAX = 65504.0
# Of all weights, in matrices that calibration has too few samples for: more is worth a warning.
_MOST_LACKING = 0.2
# Of a vector: with more levels float16 is as small.
_MOST_LEVEL = 1 << 11


class Network:
    """The tensors of a network with what is known of them; `quantize` makes them small for any step.

    tensors : those of a state_dict. statistics : None without calibration
    actions : of tensors that are not to be quantised as a matrix: "raw" stays as it is, "fp16" and "bf16" are rounded
    step_factors : of tensors that have another step, what it is multiplied by
    paths : see `matrix.quantize_matrix`
    sizes : what `data_free.sizes` says where these are some tensors of a network; None where they are all
    Raises `InputError` for weights that are infinite or NaN.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        statistics: Statistics | None = None,
        actions: Mapping[str, str] | None = None,
        step_factors: Mapping[str, float] | None = None,
        paths: int = 1,
        sizes: Mapping[str, float] | None = None,
    ) -> None:
        self.paths = paths
        self.tensors, self.statistics, self.actions = tensors, statistics, dict(actions or {})
        self.step_factors = dict(step_factors or {})
        self._first = _first_names(tensors)
        self._sizes = sizes
        self._factors: dict[str, list[Factors]] = {}
        self.layouts = {
            name: layout
            for name, tensor in tensors.items()
            if self._first[name] == name
            and self.actions.get(name, "quantize") == "quantize"
            and (layout := self._layout(name, tensor)) is not None
        }
        self.without_statistics: list[str] = []
        """Names of matrices that calibration has not reached: their steps are those of a typical matrix."""
        self.lacking: dict[str, float] = {}
        """Of each matrix that it has reached too little, how many times as many samples would do: see `Factors`."""
        self._prepare()

    def _layout(self, name: str, tensor: Tensor) -> Layout | None:
        known = self.statistics.layouts.get(name) if self.statistics is not None else None
        if known is not None and known.shape != tuple(tensor.shape):
            raise InputError(
                f"the statistics are of shape {known.shape}, the tensor has {tuple(tensor.shape)}", tensor=name
            )
        if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.numel() == 0:
            return None
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("some weights are infinite or NaN; quantise a checkpoint without them", tensor=name)
        return known or Layout(tuple(tensor.shape))

    def _prepare(self) -> None:
        relative = []
        for name in self.layouts:
            own = None
            if self.statistics is not None and name in self.statistics.moments:
                own = factors(self.statistics.moments[name], self.statistics.samples)
            if own is None:
                self.without_statistics.append(name)
                continue
            self._factors[name] = own
            if lacking := max(one.lacking for one in own):
                self.lacking[name] = lacking
            unit = sum(float(f.row_diagonal.log().mean() + f.column_diagonal.log().mean()) for f in own) / len(own)
            relative.append(unit - math.log(data_free.size_of(self.tensors[name])))
        if relative:
            typical = math.exp(sorted(relative)[len(relative) // 2])
        sizes = {} if relative else self._known_sizes()
        for name in self.without_statistics:
            tensor, layout = self.tensors[name], self.layouts[name]
            if relative:
                self._factors[name] = data_free.like(tensor, layout, typical, name)
            else:
                self._factors[name] = data_free.factors(tensor, layout, name, sizes.get(name))

    def _known_sizes(self) -> Mapping[str, float]:
        """See `data_free.sizes`."""
        if self._sizes is not None:
            return self._sizes
        own, first = self.tensors, self._first
        shapes = {name: tuple(t.shape) for name, t in own.items() if first[name] == name and t.is_floating_point()}
        return data_free.sizes(shapes, {alias: name for alias, name in first.items() if alias != name})

    def shortage(self) -> str | None:
        """What is to be said where calibration has too few samples for the widths of the matrices; None otherwise."""
        elements = [sum(self.tensors[name].numel() for name in names) for names in (self.lacking, self._factors)]
        if elements[0] <= _MOST_LACKING * elements[1]:
            return None
        worst = max(self.lacking, key=lambda name: self.lacking[name])
        factors = sorted(self.lacking.values())
        return (
            f"too little calibration for {len(self.lacking)} of {len(self._factors)} matrices, least of all for "
            f"{worst} with {self.layouts[worst].columns} inputs, and the file is larger for it: "
            f"give about {math.ceil(factors[len(factors) // 2])} times as many samples"
        )

    def relative_steps(self) -> dict[str, float]:
        """Of each matrix the step at c = 1, in root mean squares of its weights: the geometric mean."""
        relative = {}
        for name, own in self._factors.items():
            logs = [float(f.row_diagonal.log().mean() + f.column_diagonal.log().mean()) for f in own]
            unit = sum(logs) / len(logs) - math.log(data_free.size_of(self.tensors[name]))
            relative[name] = math.exp(unit) * self.step_factors.get(name, 1.0)
        return relative

    def quantize(self, step: float, progress: Step | None = None, *, rate: float = RATE) -> dict[str, Value]:
        """All tensors, under all names, tied ones as one. step : c, see `matrix.quantize_matrix`"""
        out: dict[str, Value] = {}
        for name in self.tensors:
            if self._first[name] != name:
                out[name] = out[self._first[name]]
                continue
            if progress is not None:
                progress(name)
            if name in self.layouts:
                out[name] = self._quantized(name, step * self.step_factors.get(name, 1.0), rate)
            else:
                out[name] = self._vector(name, step)
        return out

    def _quantized(self, name: str, step: float, rate: float) -> Value:
        tensor, layout = self.tensors[name].detach().cpu(), self.layouts[name]
        try:
            weights = layout.matrix(tensor).float()
            own = quantize_matrix(weights, self._factors[name], step, layout, rate=rate, paths=self.paths)
        except InputError as error:
            error.locate(tensor=name)
            raise
        return _scaled(own, layout, tensor.dtype)

    def _vector(self, name: str, step: float) -> Value:
        tensor = self.tensors[name].detach().cpu()
        action = self.actions.get(name, "quantize")
        if action == "raw" or not tensor.is_floating_point() or tensor.dtype.itemsize <= 2:
            return tensor
        if action == "bf16":
            return tensor.bfloat16().to(tensor.dtype)
        if action == "quantize" and (vector := self._on_grid(name, tensor, step)) is not None:
            return vector
        if action == "fp16" and not fits_half(tensor):
            raise InputError("float16 ends at 65,504, and this has more; use bf16", tensor=name)
        return _halved(tensor) if action == "fp16" or is_harmless(tensor) else tensor

    def _on_grid(self, name: str, tensor: Tensor, step: float) -> Scaled | None:
        """A vector with one step, at the slope of the network; None where calibration does not know it."""
        known = self.statistics.vectors.get(name) if self.statistics is not None else None
        if known is None or known.shape != tensor.shape or not bool(torch.isfinite(tensor).all()):
            return None
        assert self.statistics is not None
        sensitivity = float(known.double().mean()) / self.statistics.samples
        if not sensitivity > 0:
            return None
        own = on_grid(torch.tensor(step * self.step_factors.get(name, 1) / math.sqrt(sensitivity)).log2())
        levels = (tensor.float() / own).round()
        if not bool((levels.abs() <= _MOST_LEVEL).all()):
            return None
        kind = torch.int8 if bool((levels.abs() <= 127).all()) else torch.int16
        return Scaled(levels.to(kind), own.bfloat16().reshape([1] * tensor.dim()), dtype=tensor.dtype)


def _first_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Of each tensor, the first name of the same memory."""
    first: dict[object, str] = {}
    out = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype) if tensor.numel() else name
        out[name] = first.setdefault(key, name)
    return out


def _scaled(own: Levels, layout: Layout, dtype: torch.dtype) -> Scaled:
    levels = layout.tensor(own.levels).contiguous()
    largest = int(levels.abs().max())
    kind = torch.int8 if largest <= 127 else torch.int16 if largest <= 32767 else torch.int32
    along, across = layout.factors(own.row_steps, own.column_steps)
    return Scaled(levels.to(kind), [along.bfloat16().contiguous(), across.bfloat16().contiguous()], dtype=dtype)


def is_harmless(tensor: Tensor) -> bool:
    """Whether float16 holds a tensor with a relative error of all together below 2^-10, and nothing overflows."""
    wide = tensor.double()
    if not fits_half(tensor):
        return False
    return float((wide.half().double() - wide).norm()) <= _HARMLESS * float(wide.norm())


def fits_half(tensor: Tensor) -> bool:
    """Whether nothing overflows in float16."""
    return bool((tensor.abs() <= _HALF_MAX).all())


def _halved(tensor: Tensor) -> Tensor:
    """With the values of float16, which a file stores in two bytes, in the dtype that it has."""
    return tensor.half().to(tensor.dtype)
