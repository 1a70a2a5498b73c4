"""What goes into the matrices of a model and what gradients come out of them, while it runs as ever.

Layers whose products happen inside one function of torch (attention, recurrence) are run in parts instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from . import recurrence
from .layers import CELLS, CONVOLUTIONS, RECURRENT, TRANSPOSED, Matrix, is_recurrent
from .recurrence import Observe, watched
from .statistics import Statistics


@contextmanager
def observing(model: nn.Module, matrices: list[Matrix], statistics: Statistics) -> Iterator[None]:
    """Add to `statistics` whatever passes the matrices of `model`, at the backward pass."""
    layers: dict[int, list[Matrix]] = {}
    for matrix in matrices:
        layers.setdefault(id(matrix.module), []).append(matrix)
    handles, replaced = [], []
    fast = torch.backends.mha.get_fastpath_enabled()
    # It would go around all layers of a transformer.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for own in layers.values():
            module = own[0].module
            run = _run(module)
            if run is not None:
                module.forward = _instead(run, module, _observer(own, statistics))
                replaced.append(module)
            else:
                handles.append(module.register_forward_hook(_hook(own[0], statistics), with_kwargs=True))
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
        for module in replaced:
            del module.forward


def _run(module: nn.Module) -> Callable[..., Any] | None:
    """What runs it in parts, where its products cannot be seen from outside."""
    if isinstance(module, nn.MultiheadAttention):
        return _attend
    if is_recurrent(module, RECURRENT):
        return recurrence.run
    return recurrence.run_cell if is_recurrent(module, CELLS) else None


def _observer(matrices: list[Matrix], statistics: Statistics) -> Observe:
    own = {matrix.key: matrix for matrix in matrices}

    def observe(key: str, inputs: Tensor, outputs: Tensor, batch: int) -> None:
        matrix = own[key]
        moments = statistics.of(matrix.name, matrix.layout)
        x = inputs.detach().clone()

        def add(gradient: Tensor) -> None:
            # A recurrent layer has a product for each step.
            if statistics.kind == "relative":
                moments.defer(x.movedim(batch, 0), gradient.movedim(batch, 0))
            else:
                moments.add(x.flatten(0, -2)[None], gradient.flatten(0, -2)[None], None)

        outputs.register_hook(add)

    return observe


def _instead(run: Callable[..., Any], module: nn.Module, observe: Observe) -> Callable[..., Any]:
    return lambda *inputs, **options: run(module, observe, *inputs, **options)


def _hook(matrix: Matrix, statistics: Statistics) -> Callable[..., Tensor]:
    """A forward hook of a layer of one matrix."""
    is_lookup = isinstance(matrix.module, nn.Embedding | nn.EmbeddingBag)

    def hook(module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Tensor) -> Tensor:
        output = watched(output)
        moments = statistics.of(matrix.name, matrix.layout, is_lookup)
        # What comes after may write to it.
        given: Tensor = arguments[0] if arguments else next(iter(options.values()))
        inputs = given.detach().clone()

        def add(gradient: Tensor) -> None:
            outputs = statistics.outputs(len(inputs))
            with torch.no_grad():
                if isinstance(module, nn.Embedding):
                    moments.add_lookup(inputs.flatten(), gradient.flatten(0, -2), outputs)
                elif isinstance(module, CONVOLUTIONS):
                    x = _grouped(_patches(inputs, module), module.groups)
                    moments.add(x, _places(gradient, module.groups), outputs)
                elif isinstance(module, TRANSPOSED):
                    patches = _grouped(_patches(gradient, module, inputs.shape[2:]), module.groups)
                    moments.add(_places(inputs, module.groups), patches, outputs)
                elif not isinstance(module, nn.EmbeddingBag):
                    moments.add(inputs.flatten(0, -2)[None], gradient.flatten(0, -2)[None], outputs)

        output.register_hook(add)
        return output

    return hook


def _places(tensor: Tensor, groups: int) -> Tensor:
    """(groups, places, channels of a group) of (batch, channels, ...)."""
    flat = tensor.reshape(tensor.shape[0], groups, tensor.shape[1] // groups, -1)
    return flat.permute(1, 0, 3, 2).flatten(1, 2)


def _patches(tensor: Tensor, module: Any, places: Sequence[int] | None = None) -> Tensor:
    """What the kernel of a convolution sees at each place: (batch, places, channels, taps) of (batch, channels, ...).

    Of a transposed one, what it writes to from each place of its input, of which there are so many in each dimension.
    """
    if isinstance(module, TRANSPOSED):
        widths: Any = module.padding
        padding = [side for width in reversed(widths) for side in (width, width)]
        tensor = F.pad(tensor, padding)
    else:
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        tensor = F.pad(tensor, module._reversed_padding_repeated_twice, mode=mode)
    rank = len(module.kernel_size)
    for d in range(rank):
        size, step, dilation = module.kernel_size[d], module.stride[d], module.dilation[d]
        tensor = tensor.unfold(2 + d, dilation * (size - 1) + 1, step)[..., ::dilation]
        if places is not None:
            # Not those that only output_padding has.
            tensor = tensor.narrow(2 + d, 0, places[d])
    return tensor.flatten(2 + rank).flatten(2, 1 + rank).transpose(1, 2)


def _grouped(patches: Tensor, groups: int) -> Tensor:
    """(groups, tokens, columns) of (batch, places, channels, taps)."""
    batch, places, channels, _ = patches.shape
    return patches.reshape(batch * places, groups, channels // groups, -1).flatten(2).transpose(0, 1)


def _attend(
    module: nn.MultiheadAttention,
    observe: Observe,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """`MultiheadAttention` with its products taken out of it: the function in their place has identities."""
    size, heads = module.embed_dim, module.num_heads
    biases: Any = [None] * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    if module.in_proj_weight is None:
        keys = ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
        parts = [
            _product(module, observe, name, inputs, getattr(module, name), bias)
            for name, inputs, bias in zip(keys, (query, key, value), biases, strict=True)
        ]
    else:
        # One product with all outputs for each input: what is not asked of it has no gradient.
        of_inputs: dict[int, Tensor] = {}
        for inputs in (query, key, value):
            if id(inputs) not in of_inputs:
                bias = module.in_proj_bias
                of_inputs[id(inputs)] = _product(module, observe, "in_proj_weight", inputs, module.in_proj_weight, bias)
        parts = [of_inputs[id(x)].chunk(3, -1)[n] for n, x in enumerate((query, key, value))]
    query, key, value = (_first(part, module.batch_first) for part in parts)
    identity = torch.eye(size, device=query.device, dtype=query.dtype)
    output, weights = F.multi_head_attention_forward(
        *(query, key, value, size, heads, None, None, module.bias_k, module.bias_v, module.add_zero_attn),
        *(module.dropout, identity, None),
        training=module.training,
        use_separate_proj_weight=True,
        q_proj_weight=identity,
        k_proj_weight=identity,
        v_proj_weight=identity,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        attn_mask=attn_mask,
        average_attn_weights=average_attn_weights,
        is_causal=is_causal,
    )
    return module.out_proj(_first(output, module.batch_first)), weights


def _first(tensor: Tensor, batch_first: bool) -> Tensor:
    return tensor.transpose(0, 1) if batch_first and tensor.dim() == 3 else tensor


def _product(
    module: nn.Module, observe: Observe, key: str, inputs: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    outputs = watched(F.linear(inputs, weight, bias))
    is_first = module.batch_first or inputs.dim() < 3
    observe(key, inputs, outputs, 0 if is_first else 1)
    return outputs
