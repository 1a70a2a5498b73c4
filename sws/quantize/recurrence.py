"""Recurrent layers step by step, so that the products inside them can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from swsfmt import InputError

Observe = Callable[[str, Tensor, Tensor, int], None]
"""Takes the attribute of a weight, the inputs (..., columns) and the outputs (..., rows) of a product with it, and
which of their dimensions is that of the batch."""


def watched(output: Tensor) -> Tensor:
    """An output that has a gradient, also where nothing before it has one."""
    # The copy is no leaf, so that what follows may write to it.
    return output if output.requires_grad else output.detach().requires_grad_().clone()


def run(module: nn.RNNBase, observe: Observe, input: Any, hx: Any = None) -> Any:
    """What an RNN, LSTM or GRU gives for these inputs, without dropout. Raises `InputError` for a packed sequence."""
    if not isinstance(input, Tensor):
        raise InputError("calibration takes padded tensors as inputs of a recurrent layer, no packed sequences")
    is_single = input.dim() == 2
    inputs = input
    if is_single:
        inputs = input[:, None]
    elif module.batch_first:
        inputs = input.transpose(0, 1)
    directions = 1 + module.bidirectional
    states = _states(module, inputs, hx, is_single)
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


def run_cell(module: nn.RNNCellBase, observe: Observe, input: Tensor, hx: Any = None) -> Any:
    """What an RNNCell, LSTMCell or GRUCell gives for these inputs, of shape (batch, size) or (size)."""
    if hx is None:
        zeros = input.new_zeros(*input.shape[:-1], module.hidden_size)
        hx = (zeros, zeros)[: 1 + isinstance(module, nn.LSTMCell)]
    states = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
    is_single = input.dim() == 1
    if is_single:
        input, states = input[None], tuple(part[None] for part in states)
    product = _observed(module, observe, "")
    states = _step(module, product("ih", input), product("hh", states[0]), states)
    return _packed([part[0] if is_single else part for part in states])


def _observed(module: nn.Module, observe: Observe, suffix: str) -> Callable[[str, Tensor], Tensor]:
    """Products with the weights of this suffix."""

    def product(kind: str, x: Tensor) -> Tensor:
        bias = getattr(module, f"bias_{kind}{suffix}", None) if kind != "hr" else None
        outputs = watched(F.linear(x, getattr(module, f"weight_{kind}{suffix}"), bias))
        observe(f"weight_{kind}{suffix}", x, outputs, -2)
        return outputs

    return product


def _step(
    module: nn.RNNBase | nn.RNNCellBase, x: Tensor, gates: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The next state, of the products of the inputs and of the hidden state."""
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        i, f, g, o = (x + gates).chunk(4, -1)
        cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell
    if isinstance(module, nn.GRU | nn.GRUCell):
        (r, z, n), (of_r, of_z, of_n) = x.chunk(3, -1), gates.chunk(3, -1)
        update = (z + of_z).sigmoid()
        fresh = (n + (r + of_r).sigmoid() * of_n).tanh()
        return (fresh + update * (state[0] - fresh),)
    both = x + gates
    return (both.tanh() if module.nonlinearity == "tanh" else both.relu(),)


def _direction(
    module: nn.RNNBase,
    observe: Observe,
    suffix: str,
    inputs: Tensor,
    state: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    product = _observed(module, observe, suffix)
    outputs = []
    for x in product("ih", inputs):
        state = _step(module, x, product("hh", state[0]), state)
        if module.proj_size:
            state = product("hr", state[0]), state[1]
        outputs.append(state[0])
    return torch.stack(outputs), state
