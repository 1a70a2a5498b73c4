"""Tensors by name, each loaded when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

from torch import Tensor

import swsfmt.torch
from swsfmt import InputError, Limits, checkpoints
from swsfmt.checkpoints import Checkpoint
from swsfmt.checkpoints.file import CheckpointFile
from swsfmt.errors import located
from swsfmt.limits import DEFAULT_LIMITS
from swsfmt.tensor import Tied

Model: TypeAlias = "str | os.PathLike[str] | bytes | Mapping[str, Tensor]"
"""A checkpoint or .sws file: its path, or its bytes. A `state_dict`."""


class Tensors(Protocol):
    """What is compared: names, and the shape and elements of each."""

    def names(self) -> list[str]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def load(self, name: str) -> Tensor: ...


def opened(
    model: Model, key: str | None = None, strip_prefix: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS
) -> AbstractContextManager[Tensors]:
    """A model, open for as long as a `with` statement lasts. key, strip_prefix : as for `swsfmt.checkpoints.open`

    Raises `InputError`, `FormatError`, `LimitError` and `OSError` as those who read it do.
    """
    return _opened(model, key, tuple(strip_prefix), limits)


@contextmanager
def _opened(model: Model, key: str | None, strip_prefix: tuple[str, ...], limits: Limits) -> Iterator[Tensors]:
    if isinstance(model, Mapping):
        yield _State(model)
        return
    source = CheckpointFile.open(model, limits)
    with located(file=source.path):
        if not source.is_sws:
            yield _Opened(checkpoints.open(model, key, strip_prefix=strip_prefix, limits=limits))
            return
        if key is not None:
            raise InputError("a .sws file has no entries: key= is for a .pt file")
        with swsfmt.torch.safe_open(source.content, limits=limits) as handle:
            yield _Sws(handle, strip_prefix)


class _State:
    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state
        for name, tensor in state.items():
            if not isinstance(tensor, Tensor):
                raise InputError(f"this is a {type(tensor).__name__}, no tensor of torch", tensor=str(name))

    def names(self) -> list[str]:
        return list(self._state)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._state[name].shape)

    def load(self, name: str) -> Tensor:
        return self._state[name].detach().cpu()


class _Opened:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def names(self) -> list[str]:
        return list(self._checkpoint.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        tensor = self._checkpoint.tensors[name]
        return self.shape(tensor.to) if isinstance(tensor, Tied) else tensor.info.shape

    def load(self, name: str) -> Tensor:
        return swsfmt.torch.to_tensor(self._checkpoint.elements(name))


class _Sws:
    def __init__(self, handle: swsfmt.torch.TensorHandle, prefixes: tuple[str, ...]) -> None:
        self._handle = handle
        self._stored = {_without(name, prefixes): name for name in handle.keys()}  # noqa: SIM118

    def names(self) -> list[str]:
        return list(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._handle.get_slice(self._stored[name]).get_shape())

    def load(self, name: str) -> Tensor:
        return self._handle.get_tensor(self._stored[name])


def _without(name: str, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes:
        name = name.removeprefix(prefix)
    return name
