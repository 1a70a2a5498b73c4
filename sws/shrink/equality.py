"""A check that a network computes the same after its neurons were removed or sorted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from swsfmt import InputError

from ..batches import Batches, Forward, tensors_of, to_device

# Of the largest output: sums in another order differ by rounding.
_TOLERANCE = 1e-3


@contextmanager
def check_same_outputs(
    model: nn.Module, loader: Batches, forward: Forward, device: str | torch.device
) -> Iterator[None]:
    """Compare the outputs for a batch of `loader` before and after. Where they differ, the model gets back the state
    that it had, and `InputError` is raised. Leaves the generator of torch as it is.
    """
    with torch.random.fork_rng(devices=[]):
        batch = next(iter(loader), None)
    batch = to_device(batch, device)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = _outputs(model, batch, forward)
    yield
    for old, new in zip(before, _outputs(model, batch, forward), strict=True):
        difference = float((new - old).abs().max()) if old.numel() else 0.0
        if not difference <= _TOLERANCE * max(1.0, float(old.abs().max() if old.numel() else 0.0)):
            model.load_state_dict(kept)
            raise InputError(
                f"with neurons removed or sorted an output changed by {difference:.3g}, so that they were left; the "
                "forward pass is not that of a plain chain: set remove_dead and order to False"
            )


@torch.no_grad()
def _outputs(model: nn.Module, batch: object, forward: Forward) -> list[Tensor]:
    if batch is None:
        return []
    was_training = model.training
    model.eval()
    outputs = [tensor.double() for tensor in tensors_of(forward(model, batch))]
    model.train(was_training)
    return outputs
