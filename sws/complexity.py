"""The complexity term: minus the log-likelihood of the weights under a Gaussian mixture, and its gradient.

Ullrich, Meeds & Welling, "Soft Weight-Sharing for Neural Network Compression" (ICLR 2017), equation 2. With weights w,
means mu, log-variances and log-mixing proportions of J components

    -log p(w) = -sum_i log sum_j exp(log pi_j - (log 2 pi + log var_j + (w_i - mu_j)^2 / var_j) / 2)

Three ways to compute it: `plain` by autograd, `fused` in closed form, and from a `table`: log p is a function of one
variable.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)
# exp of less gives denormal numbers, with which processors take ten times as long; next to one it is nothing.
_SMALLEST = -80.0
_TINY = 1e-20
# Weights whose responsibilities are in the cache at once.
_BLOCK = 8192
# Bins within the smallest standard deviation: the error of linear interpolation is about 1 / (8 * 64^2) of a unit.
_BINS_PER_SIGMA = 64
# A table larger than this part of the weights costs more than it saves.
_LARGEST_TABLE = 1 / 4
_SAMPLE = 2048
_TOLERANCE = 1e-4

METHODS = ("auto", "fused", "table", "plain")


def log_density(w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor) -> Tensor:
    """log p of each weight: the plain formula, differentiable. w : any shape. The others : shape (J,)."""
    return torch.logsumexp(component_logits(w, means, log_variances, log_mixing), dim=-1)


def component_logits(w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor) -> Tensor:
    """log(pi_j N(w | mu_j, var_j)): shape (*w.shape, J)."""
    scaled = (w.unsqueeze(-1) - means) * torch.exp(-0.5 * log_variances)
    return log_mixing - 0.5 * (_LOG_2PI + log_variances + scaled.square())


def complexity(w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor, method: str = "auto") -> Tensor:
    """-sum_i log p(w_i), a scalar; differentiable in all four.

    w : floating point, of any shape
    means, log_variances, log_mixing : shape (J,)
    method : "plain"; "fused", equal to it up to rounding; "table", within 1e-4; or "auto", the table where it is
        smaller than a quarter of the weights and, on a sample, within 1e-4 of the formula
    """
    if method == "plain":
        return -log_density(w, means, log_variances, log_mixing).sum()
    flat = w.reshape(-1)
    if method == "fused":
        return _apply(_Fused, flat, means, log_variances, log_mixing)
    if method == "table":
        return _apply(_Table, flat, means, log_variances, log_mixing)
    if method != "auto":
        raise ValueError(f"method {method!r} is not one of {METHODS}")
    with torch.no_grad():
        good = _table_is_good(flat, means, log_variances, log_mixing)
    return complexity(w, means, log_variances, log_mixing, "table" if good else "fused")


def _apply(method: type[torch.autograd.Function], *given: Tensor) -> Tensor:
    value: Tensor = method.apply(*given)
    return value


class _Fused(torch.autograd.Function):
    """The value and all gradients in one pass over blocks of weights; no tensor of (J, weights) is ever made."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor) -> Tensor:
        inverse = torch.exp(-0.5 * log_variances)[:, None]
        shift = means[:, None] * inverse
        offset = (log_mixing - 0.5 * (_LOG_2PI + log_variances))[:, None]
        # No component is above its offset: with the largest one taken off, exp cannot overflow.
        highest = offset.max()
        offset = offset - highest
        w_gradient = torch.empty_like(w)
        sums: list[Tensor] = []
        logs: list[Tensor] = []
        size = min(_BLOCK, max(1, len(w)))
        scaled_buffer = torch.empty(len(means) * size, dtype=w.dtype, device=w.device)
        part_buffer = torch.empty_like(scaled_buffer)
        for start in range(0, len(w), size):
            block = w[start : start + size]
            count = len(block)
            scaled = scaled_buffer[: len(means) * count].view(len(means), count)
            part = part_buffer[: len(means) * count].view(len(means), count)
            torch.mul(inverse, block, out=scaled).sub_(shift)
            torch.addcmul(offset, scaled, scaled, value=-0.5, out=part).clamp_(min=_SMALLEST).exp_()
            normaliser = part.sum(0)
            if normaliser.min() < _TINY:
                # Far away from all components: the largest one of each weight is taken off instead.
                torch.addcmul(offset, scaled, scaled, value=-0.5, out=part)
                largest = part.amax(0)
                part.sub_(largest).clamp_(min=_SMALLEST).exp_()
                normaliser = part.sum(0)
                logs.append(largest.sum())
            part.mul_(normaliser.reciprocal())
            logs.append(normaliser.log_().sum())
            sums.append(part.sum(1))
            part.mul_(scaled)
            sums.append(part.sum(1))
            torch.mv(part.t(), inverse[:, 0], out=w_gradient[start : start + size])
            sums.append(part.mul_(scaled).sum(1))
        total = len(w) * highest.double()
        if logs:
            total = total + torch.stack(logs).double().sum()
        counts, first, second = _by_kind(sums, means)
        ctx.save_for_backward(w_gradient, -first * inverse[:, 0], 0.5 * (counts - second), -counts)
        return -total.to(w.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        return tuple(gradient * saved for saved in ctx.saved_tensors)


def _by_kind(sums: list[Tensor], means: Tensor) -> Tensor:
    """The totals of counts, first and second moments over all blocks: shape (3, J)."""
    stacked = torch.stack(sums) if sums else means.new_zeros(3, len(means))
    return stacked.view(-1, 3, len(means)).double().sum(0).to(means.dtype)


class _Table(torch.autograd.Function):
    """log p and its derivative on a grid, linearly interpolated; a weight counts at the two points beside it."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor) -> Tensor:
        grid = _grid(w, log_variances)
        step = (grid[1] - grid[0]).to(w.dtype)
        place = ((w - grid[0].to(w.dtype)) / step).clamp_(0, len(grid) - 1.001)
        below = place.long()
        above_share = place.sub_(below)

        logits = component_logits(grid, means.double(), log_variances.double(), log_mixing.double())
        density = torch.logsumexp(logits, 1)
        responsibilities = torch.exp(logits - density[:, None])
        inverse = torch.exp(-0.5 * log_variances.double())
        scaled = (grid[:, None] - means.double()) * inverse
        # Minus the derivative of log p.
        slope = ((responsibilities * scaled) @ inverse).to(w.dtype)

        weight = torch.bincount(below, minlength=len(grid)).double()
        above = torch.bincount(below, above_share, minlength=len(grid)).double()
        weight -= above
        weight[1:] += above[:-1]
        weighted = responsibilities * weight[:, None]
        counts = weighted.sum(0)
        first, second = (weighted * scaled).sum(0), (weighted * scaled.square()).sum(0)
        kinds = [t.to(w.dtype) for t in (-first * inverse, 0.5 * (counts - second), -counts)]
        low = slope[below]
        ctx.save_for_backward(torch.lerp(low, slope[below + 1], above_share), *kinds)
        return -(weight @ density).to(w.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        return tuple(gradient * saved for saved in ctx.saved_tensors)


def _table_size(w: Tensor, log_variances: Tensor) -> int:
    span = float(w.max() - w.min())
    sigma = math.exp(0.5 * float(log_variances.min()))
    size = _BINS_PER_SIGMA * span / sigma
    return int(size) + 2 if math.isfinite(size) else len(w) + 2


def _grid(w: Tensor, log_variances: Tensor) -> Tensor:
    """float64, from the smallest weight to the largest, or a little beyond where they are the same."""
    low, high = float(w.min()), float(w.max())
    if high - low < 1e-12:
        low, high = low - 1e-6, high + 1e-6
    return torch.linspace(low, high, _table_size(w, log_variances) + 1, dtype=torch.float64, device=w.device)


def _table_is_good(w: Tensor, means: Tensor, log_variances: Tensor, log_mixing: Tensor) -> bool:
    """Whether the table is small enough, and its values and slopes on a sample of the weights are close enough."""
    if len(w) * _LARGEST_TABLE < _table_size(w, log_variances):
        return False
    sample = w[:: max(1, len(w) // _SAMPLE)].contiguous().requires_grad_()
    found = []
    with torch.enable_grad():
        for method in (_Fused, _Table):
            value = _apply(method, sample, means.detach(), log_variances.detach(), log_mixing.detach())
            (slope,) = torch.autograd.grad(value, sample)
            found.append((value.detach(), slope))
    (exact, exact_slope), (value, slope) = found
    value_error = float((value - exact).abs() / exact.abs().clamp(min=1e-12))
    slope_error = float((slope - exact_slope).norm() / exact_slope.norm().clamp(min=1e-12))
    return value_error < _TOLERANCE and slope_error < _TOLERANCE * 10
