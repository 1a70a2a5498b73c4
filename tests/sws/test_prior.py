"""The mixture prior: what it starts with, hyper-priors, assignment, merging, quantisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Beta as TorchBeta
from torch.distributions import Gamma as TorchGamma

from sws.prior import Beta, Gamma, MixturePrior, init_mixture
from swsfmt import InputError


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
    )


def clear(pi0: float = 0.5) -> MixturePrior:
    return MixturePrior(torch.tensor([-1.0, 1.0]), 0.1, pi0)


def test_start() -> None:
    prior = init_mixture(model(), J=16, pi0=0.99, init_means_mode="from_weights", init_sigma=0.25)
    mu, variance, pi = prior.mixture_params()
    assert prior.J == 16
    assert prior.pi0_init == 0.99
    assert mu.shape == variance.shape == pi.shape == (16,)
    assert mu[0] == 0
    assert (mu[1:] != 0).all()
    weights = torch.cat(
        [p.flatten() for n, p in model().named_parameters() if n in ("0.weight", "3.weight", "5.weight")]
    )
    assert mu[1:].min() == weights.min()
    assert mu[1:].max() == weights.max()
    torch.testing.assert_close(variance, torch.full((16,), 0.0625))
    assert pi[0].item() == pytest.approx(0.99)
    assert pi.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("mode", ["from_weights", "quantiles", "fixed"])
@pytest.mark.parametrize("count", [2, 3, 4, 17])
def test_modes(mode: str, count: int) -> None:
    prior = init_mixture(model(), J=count, init_means_mode=mode)
    assert count == prior.J
    assert (prior.means.diff() > 0).all()
    assert (prior.means != 0).all()


def test_only_the_mean_of_zero_is_fixed() -> None:
    prior = clear()
    prior.complexity_loss(torch.randn(500)).backward()
    assert prior.means.grad is not None
    assert prior.means.grad.ne(0).all()
    assert prior.log_variances.grad is not None
    assert prior.log_variances.grad.ne(0).all()
    assert prior.mixing_logits.grad is not None
    assert prior.zero_logit.grad is None, "pi0 is fixed without a hyper-prior"
    learned = MixturePrior(torch.tensor([-1.0, 1.0]), 0.1, beta_pi0=Beta(5.0, 2.0))
    learned.complexity_loss(torch.randn(500)).backward()
    assert learned.zero_logit.grad is not None


def test_hyper_priors_are_those_of_torch() -> None:
    """Differences of log-densities, since constants are left out."""

    def log_density(sigma: float, pi0: float) -> float:
        prior = MixturePrior(
            torch.tensor([-1.0, 1.0], dtype=torch.float64),
            sigma,
            pi0,
            gamma_zero=Gamma(5.0, 0.3),
            gamma_others=Gamma(3.0, 0.2),
            beta_pi0=Beta(4.0, 2.0),
        )
        return prior.log_hyper_prior().item()

    def wanted(sigma: float, pi0: float) -> float:
        precision = torch.tensor(sigma**-2, dtype=torch.float64)
        zero, others = TorchGamma(5.0, 0.3).log_prob(precision), TorchGamma(3.0, 0.2).log_prob(precision)
        return (zero + 2 * others + TorchBeta(4.0, 2.0).log_prob(torch.tensor(pi0, dtype=torch.float64))).item()

    difference = log_density(0.3, 0.6) - log_density(0.2, 0.9)
    assert difference == pytest.approx(wanted(0.3, 0.6) - wanted(0.2, 0.9), rel=1e-5)


def test_no_hyper_priors() -> None:
    prior = MixturePrior(torch.tensor([0.5]), 0.1, gamma_zero=None, gamma_others=None)
    assert prior.log_hyper_prior() == 0


def test_a_list_of_weights_is_their_sum() -> None:
    prior = MixturePrior(torch.tensor([-1.0, 1.0]), 0.1, gamma_zero=None, gamma_others=None)
    parts = [torch.randn(3, 4), torch.randn(5)]
    whole = prior.complexity_loss(parts)
    torch.testing.assert_close(whole, sum(prior.complexity_loss(part) for part in parts))


def test_ml_and_map_differ_by_pi() -> None:
    """Half way between two components the prior decides; the likelihood takes the first."""
    prior = clear(pi0=0.99)
    near_one = torch.tensor([0.52, 0.9, 0.1, -0.6])
    assert prior.assign(near_one, "ml").tolist() == [2, 2, 0, 1]
    assert prior.assign(near_one, "map").tolist() == [0, 2, 0, 1]
    with pytest.raises(InputError, match="must be 'ml' or 'map'"):
        prior.assign(near_one, "best")


def test_quantize_model() -> None:
    network = model()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    prior = init_mixture(network, J=5, init_sigma=0.05)
    found = prior.quantize_model(network, skip_last_matrix=True)
    assert prior.assignment is found
    assert found.skipped == ("5.weight",)
    assert list(found.ids) == ["0.weight", "3.weight"]
    means = prior.mixture_params()[0]
    for name, parameter in network.named_parameters():
        if name in found.ids:
            assert torch.equal(parameter, means[found.ids[name]])
        else:
            assert torch.equal(parameter, before[name])
    everything = prior.quantize_model(network)
    assert everything.skipped == ()
    assert list(everything.ids) == ["0.weight", "3.weight", "5.weight"]


def test_quantising_again_changes_nothing_where_components_are_apart() -> None:
    network = model()
    prior = MixturePrior(torch.tensor([-0.3, 0.3]), 0.05)
    first = prior.quantize_model(network).ids
    assert all(torch.equal(first[name], ids) for name, ids in prior.quantize_model(network).ids.items())


def test_merge() -> None:
    prior = MixturePrior(torch.tensor([-1.0, 1.0, 1.0 + 1e-7]), 0.1, pi0=0.4)
    assert prior.merge_components() == 1
    mu, variance, pi = prior.mixture_params()
    torch.testing.assert_close(mu, torch.tensor([0.0, -1.0, 1.0]))
    torch.testing.assert_close(variance, torch.full((3,), 0.01))
    torch.testing.assert_close(pi, torch.tensor([0.4, 0.2, 0.4]))
    assert prior.merge_components() == 0


def test_merge_with_zero_keeps_zero() -> None:
    prior = MixturePrior(torch.tensor([0.01, 1.0]), 0.1, pi0=0.5)
    assert prior.merge_components(threshold=0.1) == 1
    mu, variance, pi = prior.mixture_params()
    assert mu.tolist() == [0, 1]
    assert pi.tolist() == pytest.approx([0.75, 0.25])
    assert variance[0].item() == pytest.approx(0.01 + 0.25 / 0.75 * 0.01**2, rel=1e-4)


def test_merge_moments_are_those_of_both() -> None:
    prior = MixturePrior(torch.tensor([1.0, 2.0]), torch.tensor([0.1, 1.0, 1.0]), pi0=0.5)
    prior.merge_components(threshold=10.0)
    mu, variance, _ = prior.mixture_params()
    assert mu.tolist() == [0, 1.5]
    assert variance[1].item() == pytest.approx(1.25)


def test_snapshot() -> None:
    found = clear().snapshot()
    assert (found["J"], found["mu"]) == (3, [0, -1, 1])
    assert found["sigma"] == pytest.approx([0.1] * 3)
    assert found["pi"] == pytest.approx([0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: init_mixture(model(), J=1), "J is 1"),
        (lambda: MixturePrior(torch.zeros(0), 0.1), "J >= 2"),
        (lambda: init_mixture(model(), init_means_mode="random"), "init_means_mode"),
        (lambda: init_mixture(nn.ReLU()), "no layer with weights"),
        (lambda: init_mixture(model(), pi0=1.0), "pi0 is 1.0"),
        (lambda: init_mixture(model(), init_sigma=0.0), "above 0"),
        (lambda: init_mixture(model(), init_sigma=math.nan), "above 0"),
    ],
)
def test_bad_input(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_weights_that_are_not_finite() -> None:
    network = model()
    with torch.no_grad():
        network[3].weight[0, 0] = math.inf
    with pytest.raises(InputError, match="not finite"):
        init_mixture(network)


def test_a_diverged_mixture() -> None:
    prior = clear()
    prior.check()
    with torch.no_grad():
        prior.means[1] = math.nan
    with pytest.raises(InputError, match="mean of component 2 is not finite"):
        prior.check()


def test_what_cannot_be_told_from_zero() -> None:
    prior = MixturePrior(torch.tensor([0.09, 0.2, 0.5, 1.0]), 0.1, pi0=0.5)
    weights = torch.tensor([0.0, 0.08, 0.24, 0.31, 0.4, 1.2])
    assert prior.assign(weights, "ml").tolist() == [0, 0, 0, 3, 3, 4], "0.09 is zero, 0.2 does not take part"
    assert prior.assign(weights, "map").tolist() == [0, 0, 2, 2, 3, 4], "0.09 is zero"
