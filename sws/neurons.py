"""Hidden neurons: dead ones are removed, the others sorted so that the file is small. The function stays the same.

The layers of a network here are the names of those of a plain chain (`sws.chain`), with ReLU between one and the next
where neurons are removed. All functions take a state_dict and give a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

State = dict[str, Tensor]


def remove_dead_neurons(state: Mapping[str, Tensor], layers: Sequence[str]) -> State:
    """Set to zero what cannot change the output: the weights of a neuron that nobody reads, those that read a neuron
    that is always zero (no weights, and no bias or one of at most zero before the ReLU), and the biases of both.
    """
    new = {name: tensor.clone() for name, tensor in state.items()}
    before = -1
    while (count := sum(int(t.count_nonzero()) for t in new.values())) != before:
        before = count
        for first, second in pairwise(layers):
            weight, reading = new[f"{first}.weight"], _reading(new, first, second)
            bias = new.get(f"{first}.bias", weight.new_zeros(len(weight)))
            unread = ~reading.ne(0).any(dim=2).any(dim=0)
            weight[unread] = 0
            silent = ~weight.flatten(1).ne(0).any(dim=1) & (bias <= 0)
            bias[unread | silent] = 0
            reading[:, silent] = 0
    return new


def order_neurons(
    state: Mapping[str, Tensor], layers: Sequence[str], size: Callable[[State], int], rounds: int = 2
) -> State:
    """Sort the neurons of every hidden layer in the order, of a few, for which the file is smallest.

    size : the size in bytes of the file of a state_dict, e.g. ``lambda s: len(swsfmt.torch.save(s))``
    """
    best, smallest = dict(state), size(dict(state))
    for _ in range(rounds):
        before = smallest
        for first, second in pairwise(layers):
            start = best
            for order in _orders(start, first, second):
                candidate = permute(start, first, second, order)
                found = size(candidate)
                if found < smallest:
                    best, smallest = candidate, found
        if smallest == before:
            break
    return best


def permute(state: Mapping[str, Tensor], first: str, second: str, order: Tensor) -> State:
    """The state_dict with neuron `order[i]` of layer `first` at place i, for which layer `second` reads it there."""
    new = dict(state)
    new[f"{first}.weight"] = state[f"{first}.weight"][order]
    if f"{first}.bias" in state:
        new[f"{first}.bias"] = state[f"{first}.bias"][order]
    new[f"{second}.weight"] = _reading(state, first, second)[:, order].reshape(state[f"{second}.weight"].shape)
    return new


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
