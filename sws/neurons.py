"""Hidden neurons: dead ones are removed, the others sorted so that the file is small. The function stays the same.

The layers of a network here are the names of those of a plain chain (`sws.chain`), and `between` is what is between
each and the next: by default nothing but functions that treat all neurons alike, with a ReLU where neurons are removed.
All functions take a state_dict and give a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .chain import Between

State = dict[str, Tensor]
PLAIN = Between()


def remove_dead_neurons(state: Mapping[str, Tensor], layers: Sequence[str], between: Sequence[Between] = ()) -> State:
    """Set to zero what cannot change the output: the weights of a neuron that nobody reads, those that read a neuron
    that is always zero (it has no weights, and is at most zero before the ReLU), and what belongs to both alone: biases
    and the entries of what is between (variances become one).
    """
    new = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    before = -1
    while (count := sum(int(t.count_nonzero()) for t in new.values())) != before:
        before = count
        for first, second, middle in _pairs(layers, between):
            weight, reading = new[f"{first}.weight"], _reading(new, first, second)
            dead = ~reading.ne(0).any(dim=2).any(dim=0)
            if middle.silenced:
                silent = ~weight.flatten(1).ne(0).any(dim=1) & (_constants(new, first, middle) <= 0).all(dim=1)
                reading[:, silent] = 0
                dead |= silent
            weight[dead] = 0
            if f"{first}.bias" in new:
                new[f"{first}.bias"][dead] = 0
            for name in middle.tensors:
                new[name].view(len(dead), -1)[dead] = 1 if name.endswith("running_var") else 0
    return new


def order_neurons(
    state: Mapping[str, Tensor],
    layers: Sequence[str],
    size: Callable[[State], int],
    rounds: int = 2,
    between: Sequence[Between] = (),
) -> State:
    """Sort the neurons of every hidden layer in the order, of a few, for which the file is smallest.

    size : the size in bytes of the file of a state_dict, e.g. ``lambda s: len(swsfmt.torch.save(s))``
    """
    best, smallest = dict(state), size(dict(state))
    for _ in range(rounds):
        before = smallest
        for first, second, middle in _pairs(layers, between):
            start = best
            for order in _orders(start, first, second):
                candidate = permute(start, first, second, order, middle)
                bytes_ = size(candidate)
                if bytes_ < smallest:
                    best, smallest = candidate, bytes_
        if smallest == before:
            break
    return best


def permute(state: Mapping[str, Tensor], first: str, second: str, order: Tensor, between: Between = PLAIN) -> State:
    """The state_dict with neuron `order[i]` of layer `first` at place i, for which layer `second` reads it there."""
    new = dict(state)
    order = order.to(state[f"{first}.weight"].device)
    new[f"{first}.weight"] = state[f"{first}.weight"][order]
    if f"{first}.bias" in state:
        new[f"{first}.bias"] = state[f"{first}.bias"][order]
    for name in between.tensors:
        new[name] = state[name].reshape(len(order), -1)[order].reshape(state[name].shape)
    new[f"{second}.weight"] = _reading(state, first, second)[:, order].reshape(state[f"{second}.weight"].shape)
    return new


def _pairs(layers: Sequence[str], between: Sequence[Between]) -> Iterator[tuple[str, str, Between]]:
    """Each layer with the next one and what is between them."""
    pairs = list(pairwise(layers))
    for (first, second), middle in zip(pairs, between or [PLAIN] * len(pairs), strict=True):
        yield first, second, middle


def _constants(state: Mapping[str, Tensor], layer: str, between: Between) -> Tensor:
    """What a neuron is without its weights, after the norms: shape (neurons, places that they treat by themselves)."""
    weight = state[f"{layer}.weight"]
    value = state.get(f"{layer}.bias", weight.new_zeros(len(weight))).reshape(len(weight), 1)
    for norm in between.norms:
        entries = {
            kind: state[f"{norm.name}.{kind}"].reshape(len(weight), -1)
            for kind in ("running_mean", "running_var", "weight", "bias")
            if f"{norm.name}.{kind}" in state
        }
        value = (value - entries["running_mean"]) * (entries["running_var"] + norm.eps).rsqrt()
        if "weight" in entries:
            value = value * entries["weight"] + entries["bias"]
    return value


def _reading(state: Mapping[str, Tensor], first: str, second: str) -> Tensor:
    """The weights of layer `second` that read each neuron of layer `first`: shape (outputs, neurons, weights)."""
    weight, neurons = state[f"{second}.weight"], len(state[f"{first}.weight"])
    return weight.reshape(len(weight), neurons, -1)


def _orders(state: Mapping[str, Tensor], first: str, second: str) -> Iterator[Tensor]:
    """Dead neurons last, the others by how much they read, how much reads them, or by likeness."""
    incoming = state[f"{first}.weight"].flatten(1).ne(0)
    outgoing = _reading(state, first, second).ne(0).permute(1, 0, 2).flatten(1)
    reads, is_read = incoming.sum(1), outgoing.sum(1)
    for key in (reads + is_read > 0, reads, is_read, reads + is_read):
        yield key.argsort(descending=True, stable=True)
    ascending = torch.where(reads > 0, reads, reads.max() + 1)
    yield ascending.argsort(stable=True)
    yield _alike(torch.cat([incoming, outgoing], 1).float())


def _alike(support: Tensor) -> Tensor:
    """Each neuron followed by the one, of those left, whose connections differ least; from the fullest one on.

    support : shape (neurons, connections), 0 or 1
    """
    common = support @ support.T
    own = common.diagonal()
    order = [int(own.argmax())]
    left = own.ne(0)
    left[order] = False
    while left.any():
        gain = torch.where(left, 2 * common[order[-1]] - own, -torch.inf)
        order.append(int(gain.argmax()))
        left[order[-1]] = False
    placed = set(order)
    return torch.tensor(order + [i for i in range(len(own)) if i not in placed])
