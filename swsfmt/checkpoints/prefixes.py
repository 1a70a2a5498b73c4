"""What wrappers put before the names of a model's tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import InputError
from ..tensor import Loadable, Tied
from .checkpoint import Checkpoint

# DistributedDataParallel, DataParallel and AveragedModel put this before all names.
_OUTSIDE = ("module.",)
# torch.compile, FullyShardedDataParallel and checkpoint_wrapper may also be around a part of a model.
_ANYWHERE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
# AveragedModel keeps it beside the model.
_BESIDE = {"n_averaged"}


def of_wrapper(names: Iterable[str]) -> str:
    """What wrappers have put before all names, e.g. "module.", or into some; empty where they have not."""
    inner = [name for name in names if name not in _BESIDE]
    prefix = ""
    while inner:
        starts = (w for w in _OUTSIDE + _ANYWHERE if all(name.startswith(prefix + w) for name in inner))
        wrapper = next(starts, None)
        if wrapper is None:
            break
        prefix += wrapper
    return prefix or next((part for part in _ANYWHERE if any(f".{part}" in f".{name}" for name in inner)), "")


def strip(checkpoint: Checkpoint, prefixes: Iterable[str]) -> Checkpoint:
    """The same tensors, without the prefixes, one after the other, in their names; other names stay as they are.

    prefixes : whole parts of names, with or without the dot at the end. What torch.compile puts before the names of a
        part of a model, "_orig_mod.", goes wherever it stands.
    Raises `InputError` where no name has one of them, and where two names would be the same.
    """
    for prefix in prefixes:
        checkpoint = _strip(checkpoint, prefix if prefix.endswith(".") else prefix + ".")
    return checkpoint


def _strip(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    names = {name: _without(name, prefix) for name in checkpoint.tensors}
    if all(old == new for old, new in names.items()):
        raise InputError(f"no tensor has a name that begins with {prefix!r}")
    tensors: dict[str, Loadable | Tied] = {}
    for old, tensor in checkpoint.tensors.items():
        if names[old] in tensors:
            raise InputError(f"without {prefix!r} two tensors would be called {names[old]!r}")
        tensors[names[old]] = Tied(names[tensor.to]) if isinstance(tensor, Tied) else tensor
    return replace(checkpoint, tensors=tensors)


def _without(name: str, prefix: str) -> str:
    rest = name.removeprefix(prefix) or name
    return rest.replace(f".{prefix}", ".") if prefix in _ANYWHERE else rest
