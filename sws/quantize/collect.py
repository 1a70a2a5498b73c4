"""Statistics of a network by running it: inputs by hooks, gradients of random directions of its output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError

from ..batches import Forward
from .layers import matrices
from .observe import observing
from .statistics import Statistics

Progress = Callable[[int], None]
"""Is told after each batch how many there were."""


def collect(
    model: nn.Module,
    calibration: Iterable[Any],
    forward: Forward | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    statistics: Statistics | None = None,
) -> Statistics:
    """Second moments of the inputs and output gradients of all matrices of a model.

    calibration : batches, whatever `forward` takes
    forward : runs the model on a batch and returns its outputs; None calls it with the batch, with its items where it
        is a tuple or list, or with its keyword arguments where it is a mapping. Outputs are a tensor, of which each
        item of the first dimension is an output; or an object with `logits` (..., classes), which count by the
        distributions that they give. The model may lie on any device; autocast belongs into `forward`
    seed : of the random directions
    statistics : sums of earlier batches, which are added to
    The model is run in evaluation mode; its mode and hooks are afterwards what they were.
    Raises `InputError` where there are no batches, or no gradients.
    """
    found = matrices(model)
    run = forward or call
    own = statistics if statistics is not None else Statistics()
    for matrix in found:
        own.layouts.setdefault(matrix.name, matrix.layout)
    generator = torch.Generator()
    batches = 0
    vectors = _vectors(model, own)
    with _frozen(model, vectors), observing(model, found, own):
        for batch in calibration:
            # Sums that are gone on with are those of one run.
            generator.manual_seed(seed + own.samples)
            with torch.enable_grad():
                output = run(model, batch)
                direction, own.batch, own.kind = _direction(output, batch, generator)
                if not direction.requires_grad:
                    raise InputError(
                        "the outputs have no gradients; forward() must run the model without torch.no_grad() and "
                        "return what the model computes"
                    )
                direction.backward()
            own.settle()
            for name, parameter in vectors.items():
                if parameter.grad is not None:
                    own.vectors[name] += parameter.grad.float().square().cpu()
                    parameter.grad = None
            own.samples += own.batch
            batches += 1
            if progress is not None:
                progress(batches)
    if not own.samples:
        raise InputError("there are no batches to calibrate with")
    for name, roles in own.moments.items():
        if not all(bool(torch.isfinite(moments.total).all()) for moments in roles):
            raise InputError("inputs or gradients are infinite or NaN in calibration", tensor=name)
    return own


def call(model: nn.Module, batch: Any) -> Any:
    """The plain call: with the items of a batch that is a tuple or list, the entries of a mapping as keywords."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def _vectors(model: nn.Module, statistics: Statistics) -> dict[str, nn.Parameter]:
    """Parameters that are no matrices of products: biases, those of norms and of modules of other kinds."""
    vectors = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name not in statistics.layouts and parameter.is_floating_point() and parameter.numel()
    }
    for name, parameter in vectors.items():
        statistics.vectors.setdefault(name, torch.zeros(parameter.shape))
    return vectors


@contextmanager
def _frozen(model: nn.Module, vectors: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """In evaluation mode, and without gradients of parameters but those of `vectors`."""
    modes = {module: module.training for module in model.modules()}
    needed = {parameter: (parameter.requires_grad, parameter.grad) for parameter in model.parameters()}
    try:
        model.eval()
        for parameter in needed:
            parameter.requires_grad_(False)
            parameter.grad = None
        for parameter in vectors.values():
            parameter.requires_grad_(True)
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter, (need, gradient) in needed.items():
            parameter.requires_grad_(need)
            parameter.grad = gradient


def _direction(output: Any, batch: Any, generator: torch.Generator) -> tuple[Tensor, int, str]:
    """The output along a random direction; of how many outputs; and how they count.

    The gradients of many such directions g have the mean square that the error in question has as its second
    derivative: of a relative error the identity over |y|^2; of a divergence (KL) Fisher's information, diag(p) - p p^T.
    """
    logits = getattr(output, "logits", None)
    if logits is not None:
        flat = logits.float().flatten(0, -2)
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if mask is not None and mask.shape == logits.shape[:-1]:
            flat = flat[mask.flatten().to(flat.device) > 0]
        p = flat.detach().softmax(-1)
        noise = p.sqrt() * _noise(p, generator)
        v = noise - p * noise.sum(-1, keepdim=True)
        return (v * flat).sum(), len(flat), "divergence"
    flat = torch.cat([part.float().flatten(1) for part in _tensors(output)], 1)
    norm = flat.detach().norm(dim=1, keepdim=True)
    v = _noise(flat, generator) / torch.where(norm > 0, norm, 1)
    return (v * flat).sum(), len(flat), "relative"


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.device)


def _tensors(output: Any) -> list[Tensor]:
    """All tensors of numbers in an output, with the same first dimension."""
    if isinstance(output, Tensor):
        parts = [output]
    elif isinstance(output, Mapping):
        parts = [part for part in output.values() if isinstance(part, Tensor)]
    elif isinstance(output, tuple | list):
        parts = [part for part in output if isinstance(part, Tensor)]
    else:
        parts = []
    parts = [part[None] if part.dim() == 0 else part for part in parts if part.is_floating_point()]
    if not parts:
        raise InputError(
            f"forward() returned {type(output).__name__}, it must return a tensor, or an object with logits"
        )
    return [part for part in parts if len(part) == len(parts[0])]
