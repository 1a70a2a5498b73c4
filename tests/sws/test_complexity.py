"""The fused complexity term and the table against the plain formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sws.complexity import _Fused, _table_is_good, complexity, log_density


def mixture(
    count: int, components: int, sigma: float, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(count, generator=generator, dtype=dtype) * 0.1
    means = torch.cat([torch.zeros(1, dtype=dtype), torch.linspace(-0.5, 0.5, components - 1, dtype=dtype)])
    log_variances = 2 * math.log(sigma) + 0.3 * torch.randn(components, generator=generator, dtype=dtype)
    log_mixing = torch.log_softmax(torch.randn(components, generator=generator, dtype=dtype), 0)
    return [t.requires_grad_() for t in (w, means, log_variances, log_mixing)]


def value_and_gradients(given: list[Tensor], method: str) -> tuple[Tensor, tuple[Tensor, ...]]:
    value = complexity(*given, method=method)
    return value.detach(), torch.autograd.grad(value, given)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_plain_is_the_formula() -> None:
    """Two components, by hand."""
    w = torch.tensor([0.3], dtype=torch.float64)
    means, variances, pi = torch.tensor([[0.0, 0.5], [0.01, 0.04], [0.75, 0.25]], dtype=torch.float64)
    density = sum(
        float(p) * math.exp(-((0.3 - float(m)) ** 2) / (2 * float(v))) / math.sqrt(2 * math.pi * float(v))
        for m, v, p in zip(means, variances, pi, strict=True)
    )
    assert complexity(w, means, variances.log(), pi.log(), "plain").item() == pytest.approx(-math.log(density))


@pytest.mark.parametrize("components", [2, 3, 17])
@pytest.mark.parametrize("sigma", [0.25, 0.05, 0.005])
@pytest.mark.parametrize("count", [1, 100, 8192, 20001])
def test_fused_equals_plain(components: int, sigma: float, count: int) -> None:
    given_ = mixture(count, components, sigma)
    value, gradients = value_and_gradients(given_, "plain")
    found, found_gradients = value_and_gradients(given_, "fused")
    assert abs(found - value) <= 1e-6 * abs(value)
    for ours, theirs in zip(found_gradients, gradients, strict=True):
        assert relative(ours, theirs) < 1e-6


def test_fused_in_single_precision() -> None:
    given_ = mixture(50_000, 16, 0.05, torch.float32)
    value, gradients = value_and_gradients([t.detach().double().requires_grad_() for t in given_], "plain")
    found, found_gradients = value_and_gradients(given_, "fused")
    assert abs(found - value) <= 1e-6 * abs(value)
    assert relative(found_gradients[0].double(), gradients[0]) < 1e-6
    assert relative(found_gradients[1].double(), gradients[1]) < 1e-5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40),
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-18, 2), st.floats(-30, 0)), min_size=1, max_size=6),
)
def test_weights_far_from_all_components(weights: list[float], components: list[tuple[float, float, float]]) -> None:
    """Where every component underflows, value and gradient are those of the nearest one."""
    w = torch.tensor(weights, dtype=torch.float64)
    means, log_variances, log_mixing = torch.tensor(components, dtype=torch.float64).T.contiguous()
    given_ = [t.requires_grad_() for t in (w, means, log_variances, log_mixing)]
    value, gradients = value_and_gradients(given_, "plain")
    found, found_gradients = value_and_gradients(given_, "fused")
    assert math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)
    # Autograd takes the exponential of a difference of numbers of this size: it is that inexact.
    tolerance = 1e-7 + 1e-15 * abs(value)
    for ours, theirs in zip(found_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * max(1.0, float(theirs.abs().max())))


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(_Fused.apply, mixture(23, 4, 0.1))


@pytest.mark.parametrize("sigma", [0.25, 0.05, 0.02])
def test_table_is_near(sigma: float) -> None:
    given_ = mixture(200_000, 16, sigma)
    value, gradients = value_and_gradients(given_, "plain")
    found, found_gradients = value_and_gradients(given_, "table")
    assert abs(found - value) < 3e-5 * abs(value)
    assert relative(found_gradients[0], gradients[0]) < 1e-3
    assert relative(found_gradients[1], gradients[1]) < 1e-3


@pytest.mark.parametrize("weights", [[0.1] * 5, [0.0], [1.0, 1.0 + 1e-15]])
def test_table_of_equal_weights(weights: list[float]) -> None:
    given_ = mixture(3, 4, 0.1)
    given_[0] = torch.tensor(weights, dtype=torch.float64).requires_grad_()
    value, _ = value_and_gradients(given_, "plain")
    found, gradients = value_and_gradients(given_, "table")
    assert abs(found - value) < 1e-4 * abs(value)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_auto_takes_the_table_only_where_it_is_good() -> None:
    assert _table_is_good(*[t.detach() for t in mixture(200_000, 16, 0.05)])
    assert not _table_is_good(*[t.detach() for t in mixture(500, 16, 0.05)]), "larger than the weights"
    assert not _table_is_good(*[t.detach() for t in mixture(200_000, 16, 1e-5)]), "too fine"


def test_auto_is_one_of_both() -> None:
    for given_, method in ((mixture(200_000, 16, 0.05), "table"), (mixture(500, 16, 0.05), "fused")):
        assert torch.equal(complexity(*given_), complexity(*given_, method=method))


def test_shapes_and_methods() -> None:
    w, *rest = mixture(24, 3, 0.1)
    assert torch.equal(complexity(w.reshape(2, 3, 4), *rest, method="fused"), complexity(w, *rest, method="fused"))
    assert log_density(w.reshape(4, 6), *rest).shape == (4, 6)
    with pytest.raises(ValueError, match="not one of"):
        complexity(w, *rest, method="quick")


def test_the_gradient_of_a_multiple() -> None:
    given_ = mixture(40, 3, 0.1)
    once = torch.autograd.grad(complexity(*given_, method="fused"), given_)
    thrice = torch.autograd.grad(3 * complexity(*given_, method="fused"), given_)
    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(three, 3 * one)
