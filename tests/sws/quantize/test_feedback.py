"""The kernels in C and in Python, what feedback minimises, and networks from floats to files."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import swsfmt
import swsfmt.torch
from sws.quantize import Network, QuantizedModel, collect, quantize_model
from sws.quantize.factors import factors
from sws.quantize.kernels.choice import kernels
from sws.quantize.layout import Layout
from sws.quantize.lengths import lengths_of, rate
from sws.quantize.matrix import RATE, quantize_matrix
from sws.quantize.shrinkage import effective_samples, shrunk
from sws.quantize.statistics import Moments
from sws.quantize.targets import Target
from sws.warnings import QualityWarning
from swsfmt.entropy import backend
from swsfmt.torch import Scaled


def moments(rows: int, columns: int, tokens: int = 400, seed: int = 0) -> Moments:
    """Of inputs and gradients that are correlated."""
    generator = torch.Generator().manual_seed(seed)
    own = Moments.zeros(Layout((rows, columns)))
    mix_in, mix_out = (torch.randn(size, size, generator=generator) * 0.3 + torch.eye(size) for size in (columns, rows))
    x = torch.randn(tokens, columns, generator=generator) @ mix_in
    g = torch.randn(tokens, rows, generator=generator) @ mix_out
    own.add(x[None], g[None], None)
    return own


def loss(own: Moments, error: torch.Tensor) -> float:
    """tr(G E H E^T)"""
    assert isinstance(own.rows, list)
    return float((own.rows[0][0] @ error @ own.columns[0][0] @ error.T).trace())


@pytest.mark.parametrize("without", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("with_zeros", [False, True])
@pytest.mark.parametrize("paths", [1, 2, 7])
def test_c_is_the_twin(paths: int, with_zeros: bool, without: tuple[int, ...]) -> None:
    """without : factors"""
    if backend.active() != backend.NATIVE:
        pytest.skip("there are no kernels in C")
    random = np.random.default_rng(3)
    rows, columns, reach = 13, 21, 3
    upper = [np.triu(random.normal(0, 0.3, (n, n)) + np.eye(n)).astype(np.float32) for n in (columns, rows)]
    for factor in upper:
        np.fill_diagonal(factor, np.abs(factor.diagonal()) + np.float32(0.5))
    for number in without:
        upper[number] = np.zeros((0, 0), np.float32)
    zeros = random.integers(0, 2, (rows, columns), np.uint8) if with_zeros else np.zeros(0, np.uint8)
    results = []
    for name in (backend.NATIVE, backend.BITARRAY):
        random = np.random.default_rng(4)
        weights = random.normal(0, 1, (rows, columns)).astype(np.float32)
        levels = np.full((rows, columns), -99, np.int32)
        with backend.use(name):
            fits = kernels().quantize_tile(
                weights,
                upper[0],
                upper[1],
                random.uniform(0.3, 0.6, rows + columns).astype(np.float32),
                random.uniform(0.1, 0.6, rows + columns).astype(np.float32),
                random.integers(0, 2, rows, np.uint8),
                random.integers(0, 3, columns, np.uint8),
                random.uniform(0, 6, (2, 3, 2 * reach + 1)).astype(np.float32),
                zeros,
                (rows, columns, 3, reach, paths),
                levels,
            )
        assert fits
        results.append((levels, weights))
    assert np.array_equal(results[0][0], results[1][0])
    if paths == 1:
        # What a search leaves of the weights is of no use.
        assert np.array_equal(results[0][1], results[1][1])
    assert np.abs(results[0][0]).max() > reach
    if with_zeros:
        assert not results[0][0][zeros == 1].any()


def test_sizes_that_do_not_fit_are_refused() -> None:
    if backend.active() != backend.NATIVE:
        pytest.skip("there are no kernels in C")
    one, none = np.ones((1, 1), np.float32), np.zeros(1, np.uint8)
    two, levels = np.ones(2, np.float32), np.zeros((1, 1), np.int32)
    bits = np.zeros((1, 1, 3), np.float32)
    quantize = kernels().quantize_tile
    assert quantize(one.copy(), one, one, two, two, none, none, bits, none[:0], (1, 1, 1, 1, 1), levels)
    for shape in [
        (2, 1, 1, 1, 1),
        (1, 2, 1, 1, 1),
        (1, 1, 2, 1, 1),
        (1, 1, 1, 2, 1),
        (0, 1, 1, 1, 1),
        (1, 1, 0, 1, 1),
        (1, 1, 1, 1, 0),
        (1, 1, 1, 1, 65),
    ]:
        with pytest.raises(ValueError, match="sizes do not fit"):
            quantize(one.copy(), one, one, two, two, none, none, bits, none[:0], shape, levels)
    with pytest.raises(ValueError, match="sizes do not fit"):
        quantize(one.copy(), one, one, two, two, none + np.uint8(1), none, bits, none[:0], (1, 1, 1, 1, 1), levels)


@pytest.mark.parametrize("shape", [(40, 30), (150, 70), (70, 150)])
def test_feedback_is_better_than_rounding_at_the_same_steps(shape: tuple[int, int]) -> None:
    """Over tiles too; and what is left is what theory says: c^2 / 12 for each weight."""
    layout, own = Layout(shape), moments(*shape)
    weights = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    known = factors([own], 1, damping=(1e-6, 1e-6), shrinks=False)
    assert known is not None
    step = 0.05 * float(own.total.sqrt()) / shape[0] / shape[1]
    made = quantize_matrix(weights, known, step, layout, rate=0)
    steps = made.row_steps[:, :, None] * made.column_steps[:, None, :]
    rounded = (weights / steps).round() * steps
    with_feedback = loss(own, (weights - made.dequantize())[0])
    assert with_feedback < 0.7 * loss(own, (weights - rounded)[0])
    expected = float(own.total) * step**2 / 12 * weights.numel()
    assert with_feedback == pytest.approx(expected, rel=0.1)


def test_rate_aware_rounding_saves_bits() -> None:
    layout, own = Layout((64, 64)), moments(64, 64)
    weights = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(1))
    known = factors([own], 1)
    assert known is not None
    sizes, losses = [], []
    for worth in (0.0, 0.1155):
        levels = quantize_matrix(weights, known, 20.0, layout, rate=worth)
        numbers = levels.levels[0].numpy()
        sizes.append(rate(numbers, lengths_of(numbers)))
        losses.append(loss(own, (weights - levels.dequantize())[0]))
    assert sizes[1] < sizes[0]
    # At the slope at which finer steps would buy it back: 6 dB a bit.
    worse = 0.5 * np.log2(losses[1] / losses[0]) * weights.numel()
    assert worse < sizes[0] - sizes[1]


def test_more_paths_cost_less() -> None:
    """Errors and bits together, at the same steps; one path is what there was before."""
    layout, own = Layout((70, 80)), moments(70, 80)
    weights = torch.randn(1, 70, 80, generator=torch.Generator().manual_seed(1))
    known = factors([own], 1)
    assert known is not None
    costs, step = [], 20.0
    for paths in (1, 2, 8):
        levels = quantize_matrix(weights, known, step, layout, paths=paths)
        numbers = levels.levels[0].numpy()
        (one,) = known
        assert isinstance(one.rows, list)
        assert isinstance(one.columns, list)
        # |X|^2 of E = V^T X U.
        error = torch.linalg.solve_triangular(one.rows[0].T, (weights - levels.dequantize())[0], upper=False)
        left = torch.linalg.solve_triangular(one.columns[0], error, upper=True, left=False)
        costs.append(float(left.square().sum()) / step**2 + RATE * rate(numbers, lengths_of(numbers)))
    assert costs[2] < costs[1] < costs[0]
    assert (costs[0] - costs[2]) / RATE > 0.04 * weights.numel()


def test_paths_that_cannot_be() -> None:
    with pytest.raises(swsfmt.InputError, match="paths is 65, it must be 1 to 64"):
        quantize_model(nn.Linear(4, 4), target=0.01, paths=65)


NETWORKS = {
    "groups": lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.ConvTranspose2d(6, 3, 2, stride=2)),
    "1d": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(360, 5)),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_file_gives_is_what_was_quantised(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = NETWORKS[kind]().eval()
    batches = [torch.randn(4, 4, 8, 8) for _ in range(4)]
    own = collect(model, batches)
    quantized = quantize_model(model.to(dtype), statistics=own, target=0.002)
    quantized.save(tmp_path / "model.sws")
    state, loaded = quantized.state_dict(), swsfmt.torch.load_file(tmp_path / "model.sws")
    assert {name: tensor.dtype for name, tensor in state.items()} == {
        name: tensor.dtype for name, tensor in model.state_dict().items()
    }
    for name, tensor in state.items():
        assert torch.equal(tensor, loaded[name])
    assert quantized.size() == (tmp_path / "model.sws").stat().st_size
    if dtype == torch.float32:
        expected = model(batches[0]).flatten(1)
        quantized.apply_to(model)
        error = (model(batches[0]).flatten(1) - expected).norm() / expected.norm()
        assert 1e-5 < float(error.detach()) < 0.05


def test_tied_tensors_stay_tied() -> None:
    embedding = nn.Embedding(40, 8)
    model = nn.Sequential(embedding, nn.Linear(8, 40, bias=False))
    model[1].weight = embedding.weight
    quantized = quantize_model(model, [torch.randint(0, 40, (3, 5))], target=0.01)
    assert quantized.tensors["0.weight"] is quantized.tensors["1.weight"]
    state = quantized.state_dict()
    assert state["0.weight"] is state["1.weight"]


def test_pruned_weights_stay_zero() -> None:
    torch.manual_seed(1)
    model = nn.Linear(64, 32)
    with torch.no_grad():
        model.weight[torch.rand(32, 64) < 0.5] = 0
    quantized = quantize_model(model, [torch.randn(50, 64)], target=0.001)
    assert not quantized.state_dict()["weight"][model.weight == 0].any()


def test_an_outlier_is_not_clamped() -> None:
    torch.manual_seed(1)
    model = nn.Linear(64, 32)
    with torch.no_grad():
        model.weight[3, 5] = 4000
    quantized = quantize_model(model, [torch.randn(50, 64)], target=0.0001)
    tensor = quantized.tensors["weight"]
    assert isinstance(tensor, Scaled)
    assert tensor.levels.abs().max() > 127
    assert quantized.state_dict()["weight"][3, 5] == pytest.approx(4000, rel=1e-3)


def test_levels_beyond_31_bits_are_an_error() -> None:
    model = nn.Linear(64, 32)
    with pytest.raises(swsfmt.InputError, match=r"weight.*do not fit in 31 bits"):
        quantize_model(model, [torch.randn(50, 64)], target=1e-12)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    model = nn.Linear(64, 32)
    with torch.no_grad():
        model.weight[3, 5] = value
    with pytest.raises(swsfmt.InputError, match=r"tensor 'weight': some weights are infinite or NaN"):
        quantize_model(model, target=0.01)


def test_statistics_of_another_model() -> None:
    own = collect(nn.Linear(64, 32), [torch.randn(50, 64)])
    with pytest.raises(swsfmt.InputError, match=r"statistics are of shape \(32, 64\)"):
        quantize_model(nn.Linear(64, 31), statistics=own, target=0.01)


def test_matrices_that_calibration_does_not_reach_have_a_floor() -> None:
    torch.manual_seed(1)
    model = nn.ModuleList([nn.Linear(64, 32), nn.Linear(64, 32)])
    own = collect(model, [torch.randn(50, 64)], lambda model, batch: model[0](batch))
    network = Network(model.state_dict(), own)
    assert network.without_statistics == ["1.weight"]
    tensors = network.quantize(0.003)
    errors = []
    for name in ("0.weight", "1.weight"):
        tensor, weights = tensors[name], model.state_dict()[name]
        assert isinstance(tensor, Scaled)
        errors.append(float((tensor.dequantize() - weights).norm() / weights.norm()))
    assert 0.2 < errors[1] / errors[0] < 5


def test_without_calibration_the_relative_error_is_the_same_everywhere() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    with torch.no_grad():
        model[1].weight *= 100
    state = QuantizedModel(Network(model.state_dict()).quantize(0.001)).state_dict()
    errors = [
        float((state[name] - weights).norm() / weights.norm())
        for name, weights in model.state_dict().items()
        if name.endswith("weight")
    ]
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


@pytest.mark.parametrize("target", [Target.size(6000), Target.bits(4.0), Target.error(0.05)])
def test_targets(target: Target) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
    batches = [torch.randn(50, 64) for _ in range(16)]
    quantized = quantize_model(model, batches, target=target)
    elements = sum(parameter.numel() for parameter in model.parameters())
    made = {"size": quantized.size(), "bits": 8 * quantized.size() / elements, "error": quantized.report["error"]}
    assert 0.99 * target.value <= made[target.kind] <= target.value
    assert quantized.report["bytes"] == quantized.size()


def test_rules_and_methods() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 128), nn.Linear(128, 32))
    state = quantize_model(model, target=0.01, rules=["1.*:raw"], method="grid").state_dict()
    assert torch.equal(state["1.weight"], model[1].weight)
    assert not torch.equal(state["0.weight"], model[0].weight)
    with pytest.raises(swsfmt.InputError, match="nothing to measure"):
        quantize_model(model, target=Target.error(0.1))


def inputs_in_common(count: int) -> torch.Tensor:
    """64 of each, which are mixed of 8."""
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(count, 8, generator=generator) @ torch.randn(8, 64, generator=generator)
    return few + 0.5 * torch.randn(count, 64, generator=generator)


def test_too_little_calibration_is_said() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    with pytest.warns(QualityWarning, match=r"too little calibration for 2 of 2 .* 0\.weight with 64 inputs.* times"):
        quantize_model(model, inputs_in_common(8).split(4), target=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantize_model(model, inputs_in_common(1000).split(50), target=0.01)


@pytest.mark.parametrize("tokens", [10, 25])
def test_shrunk_moments_of_few_samples_are_better_on_others(tokens: int) -> None:
    """Errors are made good by correlations: those of a few samples are of these alone."""
    layout, few, many = Layout((48, 40)), moments(48, 40, tokens), moments(48, 40, 20_000)
    weights = torch.randn(1, 48, 40, generator=torch.Generator().manual_seed(1))
    merits = []
    for shrinks in (True, False):
        known = factors([few], few.count, shrinks=shrinks)
        assert known is not None
        made = quantize_matrix(weights, known, 0.02, layout, rate=0)
        steps = (made.row_steps.log2().mean() + made.column_steps.log2().mean()).exp2()
        # At the same mean of the logarithms of steps, and so about the same bits.
        merits.append(loss(many, (weights - made.dequantize())[0]) / float(steps) ** 2)
    assert merits[0] < 0.8 * merits[1]


def test_effective_samples_are_tokens_of_equal_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 10, generator=generator, dtype=torch.float64)
    weight = torch.ones(2000, 1, dtype=torch.float64)
    sizes = []
    for _ in range(2):
        own = x * weight.sqrt()
        sizes.append(effective_samples([own.T @ own], [float(own.square().sum(1).square().sum())], [2000]))
        # A twentieth of them weighs as much as all others.
        weight[:100] = 19
    assert sizes[0] == pytest.approx(2000, rel=0.05)
    assert sizes[1] == pytest.approx((1900 + 1900) ** 2 / (1900 + 100 * 19**2), rel=0.1)


def test_inputs_that_are_always_zero() -> None:
    """In one group of a convolution: nothing is known of its weights, and nothing depends on them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(8, 8, 3, groups=2), nn.Flatten())
    inputs = torch.randn(40, 8, 12)
    inputs[:, 4:] = 0
    quantized = quantize_model(model, list(inputs.split(20)), target=0.05)
    assert bool(torch.isfinite(quantized.state_dict()["0.weight"]).all())


def test_what_is_known_for_certain_is_not_shrunk() -> None:
    total = torch.tensor([[4.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    same, share = shrunk(total, math.inf, 0)
    assert share == 0
    torch.testing.assert_close(same, total)
    less, share = shrunk(total, 16, 0)
    # Of one correlation of a half: 1 / 16 / (1 / 4).
    assert share == pytest.approx(0.25)
    torch.testing.assert_close(less, torch.tensor([[4.0, 0.75], [0.75, 1.0]], dtype=torch.float64))
    dead, _ = shrunk(torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)), 16, 0)
    assert 0 < float(dead[1, 1]) < 0.01
