"""Removing and sorting hidden neurons changes the file and not the function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import swsfmt.torch
from sws.chain import layer_chain
from sws.neurons import order_neurons, permute, remove_dead_neurons
from swsfmt import InputError


class Small(nn.Module):
    """A convolution, pooling, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(6 * 9, 20)
        self.out = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv(x)))
        x = torch.relu(self.hidden(x.flatten(1)))
        return self.out(x)


@pytest.fixture
def model() -> Small:
    """Sparse, of integers, so that sums are exact in any order; some neurons dead."""
    torch.manual_seed(3)
    model = Small()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randint(-3, 4, p.shape) * (torch.rand(p.shape) < 0.3))
        model.conv.weight[1] = 0
        model.conv.bias[1] = -2.0
        model.hidden.weight[[4, 7, 8]] = 0
        model.hidden.bias[[4, 7, 8]] = torch.tensor([-1.0, 0.0, 2.0])
        model.out.weight[:, [2, 5]] = 0
    return model


X = torch.randint(-4, 5, (50, 1, 8, 8), generator=torch.Generator().manual_seed(1)).float()
LAYERS = ["conv", "hidden", "out"]


def outputs(state: dict[str, Tensor]) -> Tensor:
    model = Small()
    model.load_state_dict(state)
    with torch.no_grad():
        return model(X)


def size(state: dict[str, Tensor]) -> int:
    return len(swsfmt.torch.save(state))


def test_layers(model: Small) -> None:
    assert list(layer_chain(model).layers) == LAYERS
    with pytest.raises(InputError, match="not a plain chain"):
        layer_chain(nn.ModuleList([nn.Linear(4, 3), nn.Linear(4, 3)]))


def test_dead_neurons(model: Small) -> None:
    state = model.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    found = remove_dead_neurons(state, LAYERS)
    assert torch.equal(outputs(found), outputs(state))
    assert all(torch.equal(state[name], kept[name]) for name in state), "the input was changed"
    assert not found["conv.bias"][1]
    assert not found["hidden.weight"].view(20, 6, 9)[:, 1].any()
    assert not found["hidden.weight"][[2, 5]].any()
    assert not found["hidden.bias"][[2, 4, 5]].any()
    assert not found["out.weight"][:, [4, 7]].any()
    # A neuron without weights whose bias passes the ReLU is a constant, which somebody may need.
    assert found["hidden.bias"][8] == 2
    assert found["out.weight"][:, 8].any()
    assert size(found) < size(state)


def test_death_spreads_backwards() -> None:
    """Nothing reads the last hidden layer, so nothing reads the one before."""
    state = {
        "a.weight": torch.ones(3, 2),
        "a.bias": torch.ones(3),
        "b.weight": torch.ones(2, 3),
        "b.bias": torch.ones(2),
    }
    state |= {"c.weight": torch.zeros(1, 2), "c.bias": torch.ones(1)}
    found = remove_dead_neurons(state, ["a", "b", "c"])
    assert [name for name in found if found[name].any()] == ["c.bias"]


def test_order(model: Small) -> None:
    state = model.state_dict()
    found = order_neurons(state, LAYERS, size)
    assert torch.equal(outputs(found), outputs(state))
    assert size(found) < size(state)
    assert list(found) == list(state)
    assert torch.equal(found["hidden.bias"].sort().values, state["hidden.bias"].sort().values)


def test_permute_moves_the_columns_that_read(model: Small) -> None:
    state = model.state_dict()
    order = torch.tensor([5, 0, 4, 1, 3, 2])
    found = permute(state, "conv", "hidden", order)
    assert torch.equal(found["conv.weight"], state["conv.weight"][order])
    assert torch.equal(found["hidden.weight"][:, :9], state["hidden.weight"][:, 45:54])
    assert torch.equal(outputs(found), outputs(state))


def test_an_order_that_does_not_pay_is_not_taken(model: Small) -> None:
    state = model.state_dict()
    assert order_neurons(state, LAYERS, lambda s: 100) == state
