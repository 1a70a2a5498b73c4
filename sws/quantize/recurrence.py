"""Recurrent layers step by step, so that the products inside them can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from swsfmt import InputError


def run(module: nn.RNNBase, observe: Callable[[str, Tensor, Tensor, int], None], inputs: Any, state: Any = None) -> Any:
    """What an RNN, LSTM or GRU gives for these inputs, without dropout. Raises `InputError` for a packed sequence."""
    if not isinstance(inputs, Tensor):
        raise InputError("calibration takes padded tensors as inputs of a recurrent layer, no packed sequences")
    is_single = inputs.dim() == 2
    if is_single:
        inputs = inputs[:, None]
    elif module.batch_first:
        inputs = inputs.transpose(0, 1)
    directions = 1 + module.bidirectional
    states = _states(module, inputs, state, is_single)
    hidden, cells = [], []
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            own = tuple(part[number] for part in states)
            suffix = f"_l{layer}{'_reverse' if direction else ''}"
            made, own = _direction(module, observe, suffix, inputs.flip(0) if direction else inputs, own)
            outputs.append(made.flip(0) if direction else made)
            hidden.append(own[0])
            cells.append(own[-1])
        inputs = torch.cat(outputs, -1)
    last = [torch.stack(hidden), torch.stack(cells)][: len(states)]
    if is_single:
        return inputs[:, 0], _packed([part[:, 0] for part in last])
    return inputs.transpose(0, 1) if module.batch_first else inputs, _packed(last)


def _packed(parts: list[Tensor]) -> Any:
    return tuple(parts) if len(parts) == 2 else parts[0]


def _states(module: nn.RNNBase, inputs: Tensor, state: Any, is_single: bool) -> list[Tensor]:
    """Hidden state, and that of the cells of an LSTM: (layers and directions, batch, size)."""
    if state is not None:
        given = list(state) if isinstance(state, tuple | list) else [state]
        return [part[:, None] for part in given] if is_single else given
    count = module.num_layers * (1 + module.bidirectional)
    sizes = [module.proj_size or module.hidden_size, module.hidden_size]
    return [inputs.new_zeros(count, inputs.shape[1], size) for size in sizes[: 1 + isinstance(module, nn.LSTM)]]


def _direction(
    module: nn.RNNBase,
    observe: Callable[[str, Tensor, Tensor, int], None],
    suffix: str,
    inputs: Tensor,
    state: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    def product(kind: str, x: Tensor) -> Tensor:
        bias = getattr(module, f"bias_{kind}{suffix}", None) if kind != "hr" else None
        outputs = F.linear(x, getattr(module, f"weight_{kind}{suffix}"), bias)
        if not outputs.requires_grad:
            outputs = outputs.detach().requires_grad_().clone()
        observe(f"weight_{kind}{suffix}", x, outputs, -2)
        return outputs

    outputs = []
    for x in product("ih", inputs):
        gates = product("hh", state[0])
        if isinstance(module, nn.LSTM):
            i, f, g, o = (x + gates).chunk(4, -1)
            cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            h = o.sigmoid() * cell.tanh()
            state = (product("hr", h) if module.proj_size else h, cell)
        elif isinstance(module, nn.GRU):
            (r, z, n), (of_r, of_z, of_n) = x.chunk(3, -1), gates.chunk(3, -1)
            update = (z + of_z).sigmoid()
            fresh = (n + (r + of_r).sigmoid() * of_n).tanh()
            state = (fresh + update * (state[0] - fresh),)
        else:
            both = x + gates
            state = (both.tanh() if module.nonlinearity == "tanh" else both.relu(),)
        outputs.append(state[0])
    return torch.stack(outputs), state
