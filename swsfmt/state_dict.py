"""The tensors of a file become those of a model: decoded or copied into them, or put in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from . import devices
from .errors import InputError, StateDictError, located, warn
from .memory import is_folded
from .parallel import thread_count
from .read.reader import Reader
from .read.tensors import load_all
from .torch_tensors import Device, converter, lacks, place_in_model


def load_reader(
    model: torch.nn.Module, reader: Reader, device: Device, threads: int | None, *, strict: bool, assign: bool | None
) -> tuple[list[str], list[str]]:
    """What `swsfmt.torch.load_model` does: the weights are in memory once, those that the model has included.

    What it has is decoded into, or given up before the first one takes its place. Before either, all checksums are
    compared, so that a file that is damaged changes nothing.
    """
    out = dict[str, torch.Tensor]()
    is_fit = _is_fit(model, reader, strict=strict)
    if not assign:
        out = {name: tensor.detach() for name, tensor in _targets(model, reader)}
    if out or (assign and is_fit):
        reader.check_decoded_bytes()
        reader.check_payloads(reader.records, thread_count(threads))
    if assign and is_fit:
        _release(model, reader)
    is_elsewhere = any(place.type != "cpu" for place in (devices.device(device), *(own.device for own in out.values())))
    state = load_all(reader, converter(device), threads, out, place_in_model, lacks, prefetch=is_elsewhere)
    with located(file=reader.source.name):
        return load_into(model, state, strict=strict, assign=assign)


def _is_fit(model: torch.nn.Module, reader: Reader, *, strict: bool) -> bool:
    """Whether nothing is to be expected that torch refuses: names and shapes."""
    own, names = model.state_dict(), set(reader.keys())
    if strict and own.keys() != names:
        return False
    return all(own[name].shape == reader.info(name).shape for name in names & own.keys())


def _targets(model: torch.nn.Module, reader: Reader) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers that can be decoded or copied into, each once."""
    names, seen = set(reader.keys()), set[int]()
    for name, tensor in _plain(model):
        if name not in names or id(tensor) in seen or tensor.is_meta:
            continue
        if tensor.shape == reader.info(name).shape and not is_folded(tensor.shape, tensor.stride()):
            seen.add(id(tensor))
            yield name, tensor


def _release(model: torch.nn.Module, reader: Reader) -> None:
    """Give the memory up of the tensors that are to be replaced: on the meta device they have none."""
    names = set(reader.keys())
    # One for each, under all its names, those that the file lacks included.
    empty: dict[int, torch.Tensor] = {}
    for name, tensor in _plain(model):
        if name in names:
            bare = torch.empty_like(tensor, device="meta")
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            empty[id(tensor)] = torch.nn.Parameter(bare, tensor.requires_grad) if is_parameter else bare
    for name, tensor in list(_plain(model)):
        parent, _, own = name.rpartition(".")
        if id(tensor) in empty:
            setattr(model.get_submodule(parent), own, empty[id(tensor)])


def _plain(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers that are in the `state_dict` as they are, under all their names."""
    state = model.state_dict(keep_vars=True)
    for named in (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)):
        for name, tensor in named:
            is_own = state.get(name) is tensor and type(tensor) in (torch.nn.Parameter, torch.Tensor)
            if is_own and tensor.layout == torch.strided and not tensor.is_quantized:
                yield name, tensor


def load_into(
    model: torch.nn.Module, state: Mapping[str, torch.Tensor], *, strict: bool, assign: bool | None
) -> tuple[list[str], list[str]]:
    """What `swsfmt.torch.load_model` does with what it has read. Returns the missing and the unexpected names."""
    own = {
        name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if isinstance(tensor, torch.Tensor)
    }
    on_meta = [name for name in state if name in own and own[name].is_meta]
    if assign is False and on_meta:
        raise InputError(
            "the model has it on the meta device, where nothing can be copied to; leave assign out, or give True",
            tensor=on_meta[0],
        )
    state = dict(state)
    replaced = [name for name in state if name in own] if assign else on_meta
    assigned = _tied(own, {name: state[name] for name in replaced})
    state |= {name: tensor for name, tensor in assigned.items() if name in state}
    try:
        if assigned:
            model.load_state_dict(assigned, strict=False, assign=True)
        missing, unexpected = model.load_state_dict(state, strict=strict, assign=bool(assign))
    except RuntimeError as error:
        raise StateDictError(" ".join(str(error).split())) from error
    left = [name for name, buffer in model.named_buffers() if buffer.is_meta and name not in own]
    if left:
        warn(f"still on the meta device, as no state_dict has them: {', '.join(left)}; make them anew")
    return list(missing), list(unexpected)


def _tied(own: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """These tensors, with one parameter for all names under which the model has one: torch would make one for each.

    own : all tensors of the model
    tensors : those that take their places; a name that is tied to one of these and is not among them gets it, too
    """
    # Where the file has several tensors for one parameter, the last one stays, as it does where they are copied.
    made = {
        id(own[name]): torch.nn.Parameter(tensor, requires_grad=own[name].requires_grad)
        for name, tensor in tensors.items()
        if isinstance(own[name], torch.nn.Parameter)
    }
    return {**tensors, **{name: made[id(tensor)] for name, tensor in own.items() if id(tensor) in made}}
