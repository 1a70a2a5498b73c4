"""The tensors of a file become those of a model: copied into them, or put in their place."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from .errors import InputError, StateDictError, warn


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
