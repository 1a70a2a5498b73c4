"""Round to nearest in groups of inputs, with a scale and a zero point for each: the usual baseline of 4 bits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from swsfmt.torch import Scaled

from .base import narrowest

# The least number above zero of float16: one that is zero would divide by it.
_TINY = 2.0**-24


class RoundToNearest:
    """step : of the grid, in parts of the range of a group; 1/15 is four bits

    group : weights that share a scale; of a convolution the kernels of as many inputs
    """

    name = "rtn"

    def __init__(self, group: int = 32) -> None:
        self._group = group

    def quantize(self, weights: Tensor, step: float) -> Scaled:
        rows, inputs, *kernel = weights.shape
        wide = weights.float().reshape(rows, inputs, -1)
        block = min(inputs, max(1, self._group // wide.shape[2]))
        # What is repeated at the end is in the last group anyway.
        missing = -inputs % block
        whole = pad(wide.transpose(1, 2), (0, missing), "replicate") if missing else wide.transpose(1, 2)
        groups = whole.reshape(rows, wide.shape[2], -1, block)
        low, high = groups.amin((1, 3)).clamp(max=0), groups.amax((1, 3)).clamp(min=0)
        scales = ((high - low) * step).half()
        # Where float16 cannot hold them.
        fits = bool(torch.isfinite(scales).all())
        scales = (scales if fits else (high - low) * step).clamp(min=_TINY)
        zeros = (-low / scales.float()).round()
        by_input = [each.float().repeat_interleave(block, 1)[:, :inputs, None] for each in (scales, zeros)]
        levels = (wide / by_input[0]).round() + by_input[1]
        ones = [1] * len(kernel)
        return Scaled(
            narrowest(levels).reshape(weights.shape),
            scales.reshape(*scales.shape, *ones),
            zero=narrowest(zeros).reshape(*zeros.shape, *ones),
            dtype=weights.dtype,
            blocks=(1, block, *kernel),
        )
