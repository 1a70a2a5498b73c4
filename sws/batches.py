"""Batches of any shape: what a loader gives, on which device it lies, what in it goes in and what should come out.

A batch is a tensor, or a tuple, list or dict (or another mapping) of tensors, nested as one likes. By default its
inputs and targets are

- of a tuple or list: all entries but the last, and the last one, e.g. ``(images, labels)``
- of a dict: all entries but "labels" as keyword arguments, and that entry; without it, the targets are the whole dict
- of a tensor: itself, and itself
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from swsfmt import InputError

LABELS = "labels"


class Batches(Protocol):
    """What training asks of a loader: batches, and how many."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class Loader(Batches, Protocol):
    """What a DataLoader is: the dataset too, for its length."""

    @property
    def dataset(self) -> Any: ...


Loss = Callable[[Any, Any], Tensor]
"""(outputs, targets) -> the mean loss of a batch, a scalar, e.g. `torch.nn.functional.cross_entropy`."""

Forward = Callable[[nn.Module, Any], Any]
"""(model, batch) -> outputs."""


def call_model(model: nn.Module, batch: Any) -> Any:
    """The outputs of `model` for the inputs of a batch: the default `Forward`."""
    if isinstance(batch, Mapping):
        return model(**{name: value for name, value in batch.items() if name != LABELS})
    if isinstance(batch, tuple | list):
        return model(*(batch[:-1] or batch))
    return model(batch)


def targets_of(batch: Any) -> Any:
    """What of a batch goes to the loss beside the outputs."""
    if isinstance(batch, Mapping):
        return batch.get(LABELS, batch)
    return batch[-1] if isinstance(batch, tuple | list) else batch


def batch_size(batch: Any) -> int:
    """The number of examples: the length of the first tensor. Raises `InputError` where there is none."""
    first = next(tensors_of(batch), None)
    if first is None or first.dim() == 0:
        raise InputError(f"a batch needs a tensor whose first dimension counts the examples; this one is {batch!r:.80}")
    return len(first)


@contextmanager
def always_the_same(loader: Iterable[Any]) -> Iterator[Iterator[Any]]:
    """The batches of `loader`, in an order that is always the same.

    Leaves the generators as they are: torch's, and those that the loader and its sampler have.
    """
    generators = _generators_of(loader)
    states = [generator.get_state() for generator in generators]
    with torch.random.fork_rng(devices=[]):
        for generator in (torch.default_generator, *generators):
            generator.manual_seed(0)
        try:
            yield iter(loader)
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _generators_of(loader: Iterable[Any]) -> list[torch.Generator]:
    sampler = getattr(loader, "sampler", None)
    inner = getattr(getattr(loader, "batch_sampler", None), "sampler", None)
    found = [getattr(part, "generator", None) for part in (loader, sampler, inner)]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


def to_device(batch: Any, device: str | torch.device) -> Any:
    """The batch with its tensors on `device`; what is not a tensor stays."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        entries = {name: to_device(value, device) for name, value in batch.items()}
        if not isinstance(batch, MutableMapping):
            return entries
        # A copy keeps what else it is: that of a tokeniser has its entries as attributes, too.
        same = copy.copy(batch)
        same.update(entries)
        return same
    if isinstance(batch, tuple | list):
        moved = [to_device(value, device) for value in batch]
        # A named tuple takes its entries one by one.
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """All tensors in it."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping | tuple | list):
        for value in batch.values() if isinstance(batch, Mapping) else batch:
            yield from tensors_of(value)
