"""Training with quantised weights: what the network sees, and where its gradients go."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from sws.data import make_loaders
from sws.models import make_model
from sws.prior import MixturePrior, init_mixture
from sws.straight_through import StraightThrough
from sws.substitution import substituted
from sws.train import retrain_soft_weight_sharing, train_standard
from sws.utils import set_seed


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.fixture
def prior() -> MixturePrior:
    return MixturePrior(torch.tensor([-0.3, 0.25]), 0.05, pi0=0.6)


X = torch.randn(7, 6, generator=torch.Generator().manual_seed(2))


def test_the_network_sees_what_quantisation_gives(network: nn.Sequential, prior: MixturePrior) -> None:
    with substituted(StraightThrough(network, prior).values()):
        found = network(X)
    quantised = copy.deepcopy(network)
    prior.quantize_model(quantised, assign="map")
    torch.testing.assert_close(found, quantised(X))


def test_gradients(network: nn.Sequential, prior: MixturePrior) -> None:
    """Those of the quantised network, added to what is there; means get the sums over their components."""
    quantised = copy.deepcopy(network)
    ids = prior.quantize_model(quantised, assign="map").ids
    quantised(X).square().sum().backward()
    network[0].weight.grad = torch.ones(5, 6)
    through = StraightThrough(network, prior)
    with substituted(through.values()):
        network(X).square().sum().backward()
    through.pass_on()
    torch.testing.assert_close(network[0].weight.grad, quantised[0].weight.grad + 1)
    torch.testing.assert_close(network[2].weight.grad, quantised[2].weight.grad)
    torch.testing.assert_close(network[0].bias.grad, quantised[0].bias.grad)
    for component in (1, 2):
        wanted = sum(quantised[i].weight.grad[ids[f"{i}.weight"] == component].sum() for i in (0, 2))
        torch.testing.assert_close(prior.means.grad[component - 1], wanted)


def test_weights_that_are_all_equal(prior: MixturePrior) -> None:
    network = nn.Sequential(nn.Linear(4, 2))
    nn.init.constant_(network[0].weight, 0.25)
    with substituted(StraightThrough(network, prior).values()):
        found = network(torch.ones(1, 4))
    torch.testing.assert_close(found, 1.0 + network[0].bias[None])


def run(**options: Any) -> tuple[nn.Module, MixturePrior]:
    set_seed(0)
    train, test, _ = make_loaders("digits", 128)
    model = make_model("digits_300_100")
    train_standard(model, train, test, epochs=4, eval_every=0)
    prior = init_mixture(model, J=3, pi0=0.9, init_sigma=0.04)
    options = {"sigma_zero_end": None, "schedule": "constant", "quantize_from": 1.0, **options}
    retrain_soft_weight_sharing(model, prior, train, test, epochs=5, lr_w=1e-3, tau=0.02, eval_every=0, **options)
    return model, prior


def accuracy_of_the_quantised(model: nn.Module, prior: MixturePrior) -> float:
    from sws.train import evaluate

    prior.quantize_model(model, assign="map")
    return evaluate(model, make_loaders("digits", 128)[1])


def test_it_helps_the_quantised_network() -> None:
    assert accuracy_of_the_quantised(*run(quantize_from=0.2)) > accuracy_of_the_quantised(*run()) + 0.05


def test_the_schedule_of_the_zero_component() -> None:
    _, prior = run(sigma_zero_end=0.01)
    assert math.exp(0.5 * prior.log_variances[0].item()) == pytest.approx(0.01, rel=1e-2)
