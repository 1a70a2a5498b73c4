"""A few weights of each matrix, from which the size of a file is foretold without making it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .network import Network
from .targets import BITS, SIZE, Target

_SAMPLES = 4096
# Steps that a size is looked for between, and bits where nothing says where to begin.
_LEAST, _MOST = 2.0**-30, 2.0**30
_USUAL_BITS = 3.5
# Of a record with its scales, about.
_RECORD_BYTES = 64


@dataclass
class Sketch:
    """elements, dense_bytes : of all tensors, tied ones once
    other_bytes : of those that are no matrices, as they are stored
    matrices : of each its name, elements, step at c = 1 in root mean squares, and some of its weights in the same unit
    """

    elements: int = 0
    dense_bytes: int = 0
    other_bytes: int = 0
    matrices: list[tuple[str, int, float, Tensor]] = field(default_factory=list)

    def add(self, network: Network) -> None:
        """What a network quantises, and what it leaves."""
        relative = network.relative_steps()
        seen: set[int] = set()
        for name, tensor in network.tensors.items():
            if tensor.numel() == 0 or tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            self.elements += tensor.numel()
            self.dense_bytes += tensor.numel() * tensor.element_size()
            if name not in relative:
                half = tensor.dtype == torch.float32 and network.actions.get(name) != "raw"
                self.other_bytes += tensor.numel() * (2 if half else tensor.element_size()) + _RECORD_BYTES
                continue
            flat = tensor.detach().flatten()
            # A stride that shares no factor with the length of rows.
            picked = flat[torch.arange(min(_SAMPLES, len(flat)), device=flat.device) * 7919 % len(flat)].float().cpu()
            unit = float(picked.square().mean().sqrt()) or 1.0
            self.matrices.append((name, tensor.numel(), relative[name], picked / unit))

    def bytes(self, step: float) -> int:
        """Of the file with this step, about."""
        bits = 0.0
        for _, elements, relative, samples in self.matrices:
            bits += elements * _entropy(samples / (step * relative)) + 8 * _RECORD_BYTES
        return round(bits / 8) + self.other_bytes

    def step(self, target: Target) -> float:
        """Where a search begins."""
        wanted = target.value if target.kind == SIZE else 0.0
        if target.kind != SIZE:
            wanted = (target.value if target.kind == BITS else _USUAL_BITS) * self.elements / 8
        low, high = math.log(_LEAST), math.log(_MOST)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.bytes(math.exp(middle)) > wanted else (low, middle)
        return math.exp(high)


def _entropy(scaled: Tensor) -> float:
    """Bits of a level, of numbers that are rounded to one: of the sample, or where that is too small for its entropy to
    be seen in it, of Gaussian numbers.
    """
    fine = math.log2(max(float(scaled.square().mean().sqrt()), 1e-30)) + 0.5 * math.log2(2 * math.pi * math.e)
    if fine > 8:
        return fine
    counts = scaled.round().unique(return_counts=True)[1].double()
    shares = counts / counts.sum()
    return float(-(shares * shares.log2()).sum())
