"""Each simple method: same shape, smaller for a larger step, zeros kept, exact in a file; and what is its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import swsfmt.torch
from sws.quantize.methods import METHODS
from sws.quantize.methods.base import narrowest, number_of_values
from sws.quantize.methods.kmeans import k_means
from sws.quantize.methods.mixture import fit
from swsfmt import InputError
from swsfmt.torch import Scaled

STEPS = {"grid": 0.3, "rtn": 1 / 15, "kmeans": 0.4, "mixture": 0.4, "prune": 1.0}


def weights(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return (
        torch.randn(shape, generator=random) * torch.rand(shape[:1] + (1,) * (len(shape) - 1), generator=random)
    ).to(dtype)


def dense(value: Tensor | Scaled) -> Tensor:
    return value.dequantize() if isinstance(value, Scaled) else value


def relative(value: Tensor, original: Tensor) -> float:
    return float((value.double() - original.double()).norm() / original.double().norm())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(48, 100), (16, 7, 3, 3), (5, 1), (30, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_shape_dtype_and_file(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    original = weights(*shape, dtype=dtype)
    quantized = METHODS[name].quantize(original, STEPS[name])
    assert (tuple(quantized.shape), quantized.dtype) == (shape, dtype)
    back = swsfmt.torch.load(swsfmt.torch.save({"w": quantized}))["w"]
    assert torch.equal(back, dense(quantized))
    assert relative(back, original) < (0.6 if name == "prune" else 0.3)


@pytest.mark.parametrize("name", METHODS)
def test_a_larger_step_is_a_smaller_file_with_a_larger_error(name: str) -> None:
    original = weights(120, 200)
    sizes, errors = [], []
    for factor in (0.5, 1, 2):
        quantized = METHODS[name].quantize(original, STEPS[name] * factor)
        sizes.append(len(swsfmt.torch.save({"w": quantized})))
        errors.append(relative(dense(quantized), original))
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]


@pytest.mark.parametrize("name", METHODS)
def test_zeros_of_a_pruned_tensor_stay(name: str) -> None:
    original = weights(64, 96)
    original[original.abs() < 0.3] = 0
    original[:, 5] = 0
    quantized = dense(METHODS[name].quantize(original, STEPS[name]))
    assert not quantized[original == 0].any()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [0.0, -2.5])
def test_weights_that_are_all_equal(name: str, value: float) -> None:
    original = torch.full((20, 40), value)
    quantized = dense(METHODS[name].quantize(original, STEPS[name]))
    torch.testing.assert_close(quantized, original, rtol=0.1, atol=0)


@pytest.mark.parametrize("name", METHODS)
def test_an_outlier_is_not_cut_off(name: str) -> None:
    original = weights(40, 64)
    original[3, 5] = 300.0
    assert dense(METHODS[name].quantize(original, STEPS[name]))[3, 5] == pytest.approx(300, rel=0.1)


def test_mixture_finds_its_components() -> None:
    random = torch.Generator().manual_seed(1)
    points = torch.cat([torch.randn(n, generator=random) * s + m for n, s, m in ((8000, 0.05, 0), (2000, 0.1, 2))])
    fitted = fit(points.double(), torch.ones(len(points), dtype=torch.float64), 1, 0.5)
    torch.testing.assert_close(fitted.means, torch.tensor([0.0, 2.0], dtype=torch.float64), atol=0.02, rtol=0)
    torch.testing.assert_close(fitted.shares, torch.tensor([0.8, 0.2], dtype=torch.float64), atol=0.01, rtol=0)
    assert fitted.deviations[0] == pytest.approx(0.05, rel=0.1) or fitted.deviations[0] < 0.25


def test_k_means_finds_its_centres() -> None:
    points = torch.tensor([-1.1, -0.9, 2.0, 2.2, 5.0], dtype=torch.float64)
    centres = k_means(points, torch.tensor([1.0, 3.0, 2.0, 2.0, 4.0], dtype=torch.float64), 3)
    torch.testing.assert_close(centres, torch.tensor([-0.95, 2.1, 5.0], dtype=torch.float64))


def test_levels_take_the_dtype_that_holds_them() -> None:
    assert narrowest(torch.tensor([-128.0, 127])).dtype == torch.int8
    assert narrowest(torch.tensor([-129.0])).dtype == torch.int16
    assert narrowest(torch.tensor([40000.0])).dtype == torch.int32
    with pytest.raises(InputError, match="do not fit"):
        narrowest(torch.tensor([3e9], dtype=torch.float64))


def test_the_number_of_values_does_not_follow_outliers() -> None:
    plain, with_outlier = weights(300, 300), weights(300, 300)
    with_outlier[0, 0] = 50
    assert number_of_values(with_outlier, 0.5) <= number_of_values(plain, 0.5)
