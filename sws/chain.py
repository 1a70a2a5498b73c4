"""Which weight layers follow each other, for what moves or removes the neurons between them.

In a plain chain each layer reads the one before, and nothing else does; between the two are only functions that treat
every neuron for itself: activations, pooling, dropout, flattening, and normalisation of each neuron over the batch or
over its own map. Then neuron i of a layer is read by the i-th group of input columns of the next one, and what is
between has an entry, or a group of them, for neuron i.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from swsfmt import InputError

from .layers import weight_layers

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

# Functions of each neuron, by module, function, method. These are zero wherever it is at most zero.
_RELU: tuple[Any, ...] = (nn.ReLU, nn.ReLU6, torch.relu, functional.relu, functional.relu6, "relu", "relu_")
# These are zero at zero and at most that below it: with a ReLU before or after them they are zero there, too.
_ZERO_AT_ZERO: tuple[Any, ...] = (
    nn.Identity, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    torch.tanh, functional.tanh, functional.leaky_relu, functional.elu, functional.selu, functional.celu,
    functional.gelu, functional.silu, functional.mish, functional.hardswish, "tanh", "contiguous",
)  # fmt: skip
_POOLING: tuple[Any, ...] = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    functional.max_pool1d, functional.max_pool2d, functional.max_pool3d, functional.avg_pool1d, functional.avg_pool2d,
    functional.avg_pool3d, functional.adaptive_max_pool1d, functional.adaptive_max_pool2d,
    functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d,
)  # fmt: skip
_DROPOUT: tuple[Any, ...] = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, functional.dropout, functional.dropout1d,
    functional.dropout2d, functional.dropout3d,
)  # fmt: skip
# Neither is zero at zero.
_SHIFTING: tuple[Any, ...] = (
    nn.Sigmoid, nn.Softplus, torch.sigmoid, functional.sigmoid, functional.softplus, "sigmoid",
)  # fmt: skip
_FLATTEN: tuple[Any, ...] = (nn.Flatten, torch.flatten, "flatten", "view", "reshape")
_EACH_NEURON = {*_RELU, *_ZERO_AT_ZERO, *_POOLING, *_DROPOUT, *_SHIFTING}


@dataclass(frozen=True)
class BatchNorm:
    """The running mean and variance and, where there are some, weight and bias of this module; eps is added to the
    variance.
    """

    name: str
    eps: float


@dataclass(frozen=True)
class Between:
    """What is between a layer and the next one.

    tensors : names of those of the state_dict that have an entry, or equally many, for each neuron in turn
    norms : what the outputs go through before anything else
    silenced : a ReLU follows, and a neuron that is at most zero after `norms` whatever its inputs are is read as zero
    """

    tensors: tuple[str, ...] = ()
    norms: tuple[BatchNorm, ...] = ()
    silenced: bool = True


@dataclass(frozen=True)
class Chain:
    """layers : names of the weight layers in the order in which data flows through them.

    rectified : a ReLU stands between each and the next
    between : for each layer but the last, what is between it and the next one
    """

    layers: tuple[str, ...]
    rectified: bool
    between: tuple[Between, ...] = ()


def layer_chain(model: nn.Module) -> Chain:
    """The weight layers of a plain chain, by following its forward pass with `torch.fx`.

    Raises `InputError` for a network that is none, e.g. a residual one, that normalises over its neurons, or whose
    forward pass cannot be followed.
    """
    if isinstance(model, _LAYERS):
        return Chain(("",), rectified=True)
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # whatever the code of the model raises at what stands for its tensors
        _refuse(f"the forward pass cannot be followed ({type(error).__name__}: {error})")
    chain = _Follower(model).follow(graph)
    check_chain(model.state_dict(), chain.layers)
    _check_names(model, chain)
    return chain


def check_chain(state: Mapping[str, Tensor], layers: Sequence[str]) -> None:
    """Raises `InputError` where the shapes say that a layer does not read the one before, as in a residual network."""
    for first, second in pairwise(layers):
        outputs, shape = len(state[f"{first}.weight"]), tuple(state[f"{second}.weight"].shape)
        reads_it = shape[1] == outputs if len(shape) > 2 else len(shape) == 2 and outputs and shape[1] % outputs == 0
        if not reads_it:
            _refuse(f"{second!r} of shape {shape} does not read the {outputs} of {first!r}")


def _check_names(model: nn.Module, chain: Chain) -> None:
    """Raises `InputError` where a tensor of the chain has a second name: it would have to be in two orders."""
    names: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), []).append(name)
    own = {f"{layer}.{kind}" for layer in chain.layers for kind in ("weight", "bias")}
    own.update(name for between in chain.between for name in between.tensors)
    for same in names.values():
        if len(same) > 1 and own.intersection(same):
            _refuse(f"{' and '.join(map(repr, same))} are the same tensor")


def _refuse(why: str) -> NoReturn:
    raise InputError(f"{why}: this is not a plain chain")


@dataclass
class _Passage:
    """What the outputs of a layer went through so far.

    rectified : a ReLU; shifted : a function that is not zero at zero
    exact : whether what a neuron without weights becomes is known: only `norms` change it before the ReLU
    plain : nothing but `norms` came so far
    """

    tensors: list[str] = field(default_factory=list)
    norms: list[BatchNorm] = field(default_factory=list)
    rectified: bool = False
    shifted: bool = False
    exact: bool = True
    plain: bool = True

    def between(self) -> Between:
        return Between(tuple(self.tensors), tuple(self.norms), self.rectified and self.exact and not self.shifted)


class _Follower:
    """Follows the values of the neurons through a traced forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._weights = [name for name, _ in weight_layers(model)]
        self._layers: list[str] = []
        # For each value of neurons the place of their layer; numbers that only say how large a tensor is.
        self._source: dict[fx.Node, int] = {}
        self._sizes: set[fx.Node] = set()
        # Where the neurons of a layer go besides; right for those of the last one alone.
        self._leaving: list[tuple[int, fx.Node]] = []
        self._value: fx.Node | None = None
        self._passages: list[_Passage] = []

    def follow(self, graph: fx.Graph) -> Chain:
        for node in graph.nodes:
            inputs = node.all_input_nodes
            if self._is_layer(node):
                self._enter(node, inputs)
            elif inputs and all(value in self._sizes or self._asks_for_size(node) for value in inputs):
                self._sizes.add(node)
            elif any(value in self._source for value in inputs):
                self._go_on(node, [value for value in inputs if value not in self._sizes])
        for place, node in self._leaving:
            if place < len(self._layers) - 1:
                _refuse(f"the outputs of {self._layers[place]!r} go to {node.name!r} ({node.target}), too")
        if sorted(f"{name}.weight" for name in self._layers) != sorted(self._weights):
            _refuse(f"the forward pass goes through the layers {self._layers}, the weights are {self._weights}")
        hidden = self._passages[:-1]
        rectified = all(passage.rectified and not passage.shifted for passage in hidden)
        return Chain(tuple(self._layers), rectified, tuple(passage.between() for passage in hidden))

    def _enter(self, node: fx.Node, inputs: list[fx.Node]) -> None:
        name = str(node.target)
        if self._layers and inputs != [self._value]:
            between = [other for place, other in self._leaving if place == len(self._layers) - 1][:1]
            why = "".join(f" ({other.name!r}, {self._title(other)}, is between)" for other in between)
            _refuse(f"{name!r} does not read the outputs of {self._layers[-1]!r}, or not as they are{why}")
        module = self._modules[name]
        if getattr(module, "groups", 1) != 1:
            _refuse(f"{name!r} is a convolution in groups")
        self._source[node] = len(self._layers)
        self._layers.append(name)
        self._passages.append(_Passage())
        self._value = node

    def _go_on(self, node: fx.Node, values: list[fx.Node]) -> None:
        """A function of neurons: of the last layer's, each for itself, or else they leave the chain here."""
        kind = self._kind(node)
        alike = kind in _EACH_NEURON or (kind in _FLATTEN and self._flattens(node)) or self._has_entries(node)
        if values != [self._value] or not alike:
            self._leaving += [(self._source[value], node) for value in values if value in self._source]
            return
        self._source[node] = len(self._layers) - 1
        self._value = node
        passage = self._passages[-1]
        if self._has_entries(node):
            self._pass_entries(str(node.target), passage)
        elif kind not in _FLATTEN and kind not in _DROPOUT:
            passage.plain = False
        passage.rectified |= kind in _RELU
        passage.shifted |= kind in _SHIFTING

    def _has_entries(self, node: fx.Node) -> bool:
        """Whether it is a module that treats each neuron for itself, with numbers of its own."""
        module = self._modules[str(node.target)] if node.op == "call_module" else None
        return isinstance(module, _BatchNorm | _InstanceNorm | nn.PReLU)

    def _pass_entries(self, name: str, passage: _Passage) -> None:
        module = self._modules[name]
        shared = isinstance(module, nn.PReLU) and module.num_parameters == 1
        entries = {} if shared else {key: tensor for key, tensor in module.state_dict().items() if tensor.dim()}
        if any(name == tensor.rpartition(".")[0] for other in self._passages for tensor in other.tensors):
            _refuse(f"{name!r} is used after two layers")
        layer = self._layers[-1]
        neurons = self._modules[layer].weight.shape[0]
        for key, tensor in entries.items():
            if tensor.numel() % neurons:
                _refuse(f"'{name}.{key}' has {tensor.numel()} entries, the layer {layer!r} has {neurons} neurons")
            passage.tensors.append(f"{name}.{key}")
        if isinstance(module, nn.PReLU):
            # Zero at zero, but below it may be above.
            passage.exact &= passage.rectified
        elif passage.plain and isinstance(module, _BatchNorm) and module.running_mean is not None:
            passage.norms.append(BatchNorm(name, module.eps))
            return
        else:
            passage.exact = False
        passage.plain = False

    def _is_layer(self, node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(self._modules[str(node.target)], _LAYERS)

    def _kind(self, node: fx.Node) -> Any:
        return type(self._modules[str(node.target)]) if node.op == "call_module" else node.target

    def _title(self, node: fx.Node) -> str:
        kind = self._kind(node)
        return str(getattr(kind, "__name__", kind))

    def _asks_for_size(self, node: fx.Node) -> bool:
        if node.op == "call_method":
            return node.target in ("size", "dim")
        if node.op == "call_function" and node.target is getattr:
            return node.args[1] in ("shape", "ndim")
        return node.target in (operator.getitem, len) and all(value in self._sizes for value in node.all_input_nodes)

    def _flattens(self, node: fx.Node) -> bool:
        """Whether all that an example has becomes one dimension."""
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            return (module.start_dim, module.end_dim) == (1, -1)
        options = [*node.args[1:], *node.kwargs.values()]
        if node.target in ("view", "reshape"):
            # (batch, -1), (-1, features) or both as numbers
            return len(options) == 2
        return options in ([1], [1, -1])
