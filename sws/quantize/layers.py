"""Which tensors of a model are matrices of products, and how to see what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from .layout import Layout

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


@dataclass(frozen=True)
class Matrix:
    """A weight of a layer.

    name : of the tensor in the model's state_dict, the first of its names where it has several
    module : that has it
    key : its name there
    """

    name: str
    module: nn.Module
    key: str
    layout: Layout


def matrices(model: nn.Module) -> list[Matrix]:
    """All weights of linear layers, convolutions, embeddings, attention and recurrent layers, in the order of the
    modules. A tensor that several layers share is there for each of them, under its first name.
    """
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first.setdefault(id(parameter), name)
    return [
        Matrix(first[id(getattr(module, key))], module, key, layout)
        for module in model.modules()
        for key, layout in _weights(module)
        if id(getattr(module, key)) in first
    ]


def _weights(module: nn.Module) -> Iterator[tuple[str, Layout]]:
    """Of one module: attribute and layout."""
    if isinstance(module, nn.Linear | nn.Embedding | nn.EmbeddingBag):
        yield "weight", Layout(tuple(module.weight.shape))
    elif isinstance(module, CONVOLUTIONS + TRANSPOSED):
        yield "weight", Layout(tuple(module.weight.shape), module.groups, isinstance(module, TRANSPOSED))
    elif isinstance(module, nn.MultiheadAttention):
        for key in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(module, key, None) is not None:
                yield key, Layout(tuple(getattr(module, key).shape))
    elif is_recurrent(module, RECURRENT + CELLS):
        for key, parameter in module.named_parameters(recurse=False):
            if key.startswith("weight"):
                yield key, Layout(tuple(parameter.shape))
    elif is_conv1d(module):
        yield "weight", Layout(tuple(module.weight.shape), is_transposed=True)  # type: ignore[arg-type]


def is_recurrent(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Whether it is a layer of these kinds that computes what torch's does, and nothing of its own."""
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in kinds)


def is_conv1d(module: nn.Module) -> bool:
    """Whether it is the Conv1D of transformers, a linear layer with the inputs first."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf") and hasattr(module, "weight")
