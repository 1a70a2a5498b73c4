"""The tensors of a file become those of a model: decoded or copied into them, or put in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy

import torch

from . import devices
from .errors import InputError, StateDictError, located, warn
from .memory import is_folded, share_memory
from .parallel import thread_count
from .read.reader import Reader
from .read.remote import UrlSource
from .read.tensors import load_all
from .torch_tensors import Device, converter, lacks, place_in_model


def load_reader(
    model: torch.nn.Module, reader: Reader, device: Device, threads: int | None, *, strict: bool, assign: bool | None
) -> tuple[list[str], list[str]]:
    """What `swsfmt.torch.load_model` does: the weights are in memory once, those that the model has included.

    What it has is decoded into, or given up before the first one takes its place. Before either, all checksums are
    compared, so that a file that is damaged changes nothing. Neither is done for a model that may rearrange what it
    loads, which must not have been overwritten by then, and for a URL, from which all would be fetched twice: they get
    new tensors.
    """
    if assign is False:
        _check_memory(model, reader)
    names = _loadable(reader)
    in_place = not isinstance(reader.source, UrlSource) and not _may_rearrange(model)
    out = _targets(model, reader, names) if in_place and not assign else {}
    is_released = in_place and bool(assign) and _is_fit(model, reader, names, strict=strict)
    if out or is_released:
        reader.check_decoded_bytes()
        reader.check_payloads([record for record in reader.records if record.name in names], thread_count(threads))
    if is_released:
        _release(model, names)
    is_elsewhere = any(place.type != "cpu" for place in (devices.device(device), *(own.device for own in out.values())))
    state = load_all(reader, converter(device), threads, out, place_in_model, lacks, prefetch=is_elsewhere)
    with located(file=reader.source.name):
        return load_into(model, state, strict=strict, assign=assign)


def _check_memory(model: torch.nn.Module, reader: Reader) -> None:
    """Raise `InputError` where there is nothing to copy to."""
    own = model.state_dict(keep_vars=True)
    for name in reader.keys():  # noqa: SIM118
        if isinstance(own.get(name), torch.Tensor) and own[name].is_meta:
            raise InputError(
                "the model has it on the meta device, where nothing can be copied to; leave assign out, or give True",
                file=reader.source.name,
                tensor=name,
            )


def _loadable(reader: Reader) -> set[str]:
    """The names that `load_all` gives tensors for. Raises `UnknownCodingError`."""
    return {name for name in reader.keys() if lacks(reader.info(name).dtype) is None}  # noqa: SIM118


def _may_rearrange(model: torch.nn.Module) -> bool:
    """Whether a hook or a method that is not torch's sees what is to be loaded, and may exchange or change tensors."""
    methods = ("load_state_dict", "_load_from_state_dict")
    return any(
        bool(getattr(module, "_load_state_dict_pre_hooks", None))
        or not all(str(getattr(module, name).__module__).startswith("torch.nn.") for name in methods)
        for module in model.modules()
    )


def _is_fit(model: torch.nn.Module, reader: Reader, names: set[str], *, strict: bool) -> bool:
    """Whether nothing is to be expected that torch refuses: names and shapes. Extra state may be anything."""
    own = model.state_dict()
    if strict and own.keys() != names:
        return False
    return all(
        isinstance(own[name], torch.Tensor) and own[name].shape == reader.info(name).shape
        for name in names & own.keys()
    )


def _targets(model: torch.nn.Module, reader: Reader, names: set[str]) -> dict[str, torch.Tensor]:
    """Parameters and buffers that can be decoded or copied into, each once."""
    fit = {
        name: tensor.detach()
        for name, tensor in _plain(model)
        if name in names and not tensor.is_meta and tensor.shape == reader.info(name).shape
        if not is_folded(tensor.shape, tensor.stride())
    }
    # Names that are tied in the file get what the first of them got: it must not have been rounded to another dtype,
    # nor become a tensor of the model that another one has to be apart from.
    tied: dict[str, list[str]] = {}
    for name in model.state_dict():
        if name in names:
            tied.setdefault(reader.record(name).name, []).append(name)
    alike = [own for own in tied.values() if len({fit[name].dtype if name in fit else None for name in own}) == 1]
    allowed = {name for own in alike for name in own}
    seen, out = set[int](), dict[str, torch.Tensor]()
    for name, tensor in _plain(model):
        if name in fit and name in allowed and id(tensor) not in seen:
            seen.add(id(tensor))
            out[name] = fit[name]
    # Of views of the same memory torch copies into the last one of the model last, not into the last one of the file.
    spans = [place_in_model(tensor, reader.info(name)).span for name, tensor in out.items()]
    return {} if share_memory(spans) else out


def _release(model: torch.nn.Module, names: set[str]) -> None:
    """Give the memory up of the tensors that are to be replaced: on the meta device they have none."""
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
    state = dict(state)
    replaced = [name for name in state if name in own] if assign else on_meta
    assigned = _tied(own, {name: state[name] for name in replaced})
    state |= {name: tensor for name, tensor in assigned.items() if name in state}
    # Ties that the file lacks.
    more = {name: tensor for name, tensor in assigned.items() if name not in state and not strict}
    try:
        # Hooks may change tensors in place, parameters too, once.
        with torch.no_grad():
            if assign or all(tensor.is_meta for tensor in own.values()):
                missing, unexpected = model.load_state_dict({**state, **more}, strict=strict, assign=True)
                missing = [*missing, *more]
            else:
                if assigned:
                    first = deepcopy(assigned) if _may_rearrange(model) else assigned
                    model.load_state_dict(first, strict=False, assign=True)
                missing, unexpected = model.load_state_dict(state, strict=strict)
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
