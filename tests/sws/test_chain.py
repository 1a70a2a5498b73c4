"""Which layers follow each other: plain chains of many kinds, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sws.chain import layer_chain
from sws.models import make_model
from swsfmt import InputError


class Net(nn.Module):
    """Three linear layers in any forward pass."""

    def __init__(self, forward: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.conv = nn.Conv2d(1, 6, 3)
        self.norm = nn.LayerNorm(4)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def linear(forward: Callable[[Any, Tensor], Any]) -> nn.Module:
    net = Net(forward)
    del net.conv
    return net


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet_300_100", ("fc1", "fc2", "fc3")),
        ("lenet5", ("conv1", "conv2", "fc1", "fc2")),
        ("tutorialnet", ("conv1", "conv2", "fc1", "fc2")),
        ("digits_300_100", ("fc1", "fc2", "fc3")),
    ],
)
def test_the_models_of_the_package(name: str, layers: tuple[str, ...]) -> None:
    chain = layer_chain(make_model(name))
    assert chain.layers == layers
    assert chain.rectified


def test_the_order_is_that_of_the_data() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = functional.max_pool2d(net.conv(x).relu(), 2)
        x = x.view(x.size(0), -1)
        return torch.log_softmax(net.c(net.b(net.a(x).clamp(0)).relu()), 1)

    with pytest.raises(InputError, match="'b' does not read the outputs of 'a'"):
        layer_chain(Net(forward))

    def right(net: Any, x: Tensor) -> Tensor:
        x = functional.max_pool2d(net.conv(x).relu(), 2)
        x = functional.dropout(net.a(x.view(x.shape[0], -1)), training=net.training).relu()
        return torch.log_softmax(net.c(net.b(x).relu()), 1)

    assert layer_chain(Net(right)).layers == ("conv", "a", "b", "c")


@pytest.mark.parametrize(
    ("function", "rectified"),
    [
        (torch.relu, True),
        (nn.ReLU6(), True),
        (nn.Sequential(nn.Tanh(), nn.ReLU()), True),
        (nn.Sequential(nn.Sigmoid(), nn.ReLU()), False),
        (nn.Sequential(nn.ReLU(), nn.Sigmoid()), False),
        (torch.tanh, False),
        (nn.GELU(), False),
        (nn.Identity(), False),
    ],
)
def test_activations(function: Any, rectified: bool) -> None:
    net = linear(lambda net, x: net.c(net.function(net.b(torch.relu(net.a(x))))))
    net.function = function
    assert layer_chain(net).rectified is rectified


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda net, x: net.c(net.b(net.a(x)) + net.a(x)), "'a' does not read the outputs of 'b'"),
        (
            lambda net, x: net.c(torch.relu(h := net.a(x)) + net.b(h)),
            "'b' does not read the outputs of 'a', or not",
        ),
        (lambda net, x: net.c(net.b(h := net.a(x))) + h.sum(), "the outputs of 'a' go to"),
        (lambda net, x: (net.c(net.b(h := net.a(x))), h), "the outputs of 'a' go to 'output'"),
        (
            lambda net, x: net.c(net.b(net.norm(net.a(x)))),
            "'b' does not read .*'norm', LayerNorm, is between",
        ),
        (lambda net, x: net.c(net.b(net.a(x).flip(1))), "'b' does not read the outputs of 'a'"),
        (lambda net, x: net.c(net.b(net.a(x).softmax(1))), "'b' does not read the outputs of 'a'"),
        (lambda net, x: net.c(net.b(net.b(net.a(x)))), "the forward pass goes through"),
        (lambda net, x: net.c(net.a(x)), "the forward pass goes through"),
        (lambda net, x: net.c(net.b(net.a(x))) if x.sum() > 0 else x, "cannot be followed"),
        (lambda net, x: net.c(functional.linear(net.a(x), net.b.weight)), "'c' does not read the outputs"),
    ],
)
def test_no_plain_chain(forward: Callable[[Any, Tensor], Any], message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*this is not a plain chain"):
        layer_chain(linear(forward))


def test_other_kinds_of_networks() -> None:
    for model, message in (
        # Which of the two comes first is a matter of the version of torch.
        (make_model("wrn_16_4"), "does not read|cannot be followed"),
        (nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2)), "the forward pass goes through"),
        (nn.Sequential(nn.Conv1d(4, 4, 1), nn.ReLU(), nn.Conv1d(4, 4, 1, groups=2)), "in groups"),
        (nn.TransformerEncoderLayer(8, 2, 16), "this is not a plain chain"),
    ):
        with pytest.raises(InputError, match=message):
            layer_chain(model)
    assert layer_chain(nn.Linear(3, 2)).layers == ("",)
