"""Tuning after quantising: better on inputs that were held out or nothing at all, and levels, ties, the model stay."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from small_models import network
from torch import Tensor, nn

from sws.quantize import Network, QuantizedModel, Target, collect, quantize_model
from sws.quantize.network import Value
from sws.quantize.outputs import OutputError
from sws.quantize.targets import Attempt
from sws.quantize.tuning import Tuned, Tuning, tune
from swsfmt import InputError
from swsfmt.torch import Scaled

STEPS = Tuning(steps=30, rate=5e-3)


def batches(seed: int, count: int = 8) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(32, 32, generator=random) for _ in range(count)]


def quantized(model: nn.Module, step: float = 0.01) -> dict[str, Value]:
    return Network(model.state_dict(), collect(model, batches(1))).quantize(step)


def tuned(model: nn.Module, tensors: Mapping[str, Value], tuning: Tuning = STEPS, **given: list[str]) -> Tuned:
    return tune(model, tensors, batches(1), batches(2, 3), tuning, **given)


def test_the_error_falls_on_inputs_that_nobody_has_seen() -> None:
    model = network()
    tensors = quantized(model)
    result = tuned(model, tensors)
    assert 0 < result.steps <= STEPS.steps
    assert result.after < 0.97 * result.before
    judge, others = OutputError(model, batches(2, 3)), OutputError(model, batches(3))
    assert (result.before, result.after) == (judge.measure(tensors), judge.measure(result.tensors))
    assert others.measure(result.tensors) < 0.97 * others.measure(tensors)


@pytest.mark.parametrize("factors", [0, 1, 2])
def test_levels_and_dtypes_stay(factors: int) -> None:
    model = network()
    tensors = quantized(model)
    result = tuned(model, tensors, Tuning(20, 5e-3, factors))
    assert list(result.tensors) == list(tensors)
    for name, old in tensors.items():
        new = result.tensors[name]
        assert type(new) is type(old)
        assert (new.dtype, tuple(new.shape)) == (old.dtype, tuple(old.shape))
        if isinstance(old, Scaled) and isinstance(new, Scaled):
            assert [scale.dtype for scale in new.scales] == [scale.dtype for scale in old.scales]
            if len(old.scales) == 2:
                assert new.levels is old.levels
                same = [torch.equal(*scales) for scales in zip(new.scales, old.scales, strict=True)]
                assert same == [factors < 1, factors < 2]
        elif name.endswith("bias"):
            assert isinstance(new, Tensor)
            assert torch.equal(new.half().float(), new)


@pytest.mark.parametrize("rate", [30.0, 1e30])
def test_where_nothing_is_better_nothing_changes(rate: float) -> None:
    model = network()
    tensors = quantized(model)
    result = tuned(model, tensors, Tuning(8, rate))
    assert result.tensors is tensors
    assert (result.steps, result.after) == (0, result.before)


def test_the_model_is_as_it_was() -> None:
    model = network().train()
    model[1].eval()  # type: ignore[index]
    model[0].weight.requires_grad_(False)  # type: ignore[index]
    model[2].weight.grad = torch.ones_like(model[2].weight)  # type: ignore[index]
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tuned(model, quantized(model), Tuning(3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model] == [True, False, True, True, True]  # type: ignore[union-attr]
    assert not model[0].weight.requires_grad  # type: ignore[index]
    assert torch.equal(model[2].weight.grad, torch.ones_like(model[2].weight))  # type: ignore[index]
    assert model[4].weight.grad is None  # type: ignore[index]
    assert len(model._forward_hooks) == 1
    count = len(calls)
    model(batches(4, 1)[0])
    assert len(calls) == count + 1


class Tied(nn.Module):
    """Its two matrices are one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(32, 32), nn.Linear(32, 32)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))


def test_tied_tensors_stay_tied() -> None:
    model = Tied()
    result = tuned(model, quantized(model))
    assert result.steps
    assert result.tensors["first.weight"] is result.tensors["last.weight"]


def test_what_is_fixed_stays() -> None:
    model = network()
    tensors = quantized(model)
    result = tuned(model, tensors, fixed=["0.weight", "2.bias"])
    assert result.steps
    same = {name for name, value in result.tensors.items() if value is tensors[name]}
    assert same == {"0.weight", "2.bias"}


def test_it_is_deterministic() -> None:
    model = network()
    tensors = quantized(model)
    first, second, other = (tuned(model, tensors, Tuning(10, 5e-3, seed=seed)) for seed in (0, 0, 1))
    assert first.after == second.after != other.after
    for name in tensors:
        one, two = (value.dequantize() if isinstance(value, Scaled) else value
                    for value in (first.tensors[name], second.tensors[name]))  # fmt: skip
        assert torch.equal(one, two)


def test_without_batches_or_gradients() -> None:
    model = network()
    tensors = quantized(model)
    with pytest.raises(InputError, match="more samples"):
        tune(model, tensors, [], batches(2), STEPS)
    with pytest.raises(InputError, match="more samples"):
        tune(model, tensors, batches(1), [], STEPS)
    with pytest.raises(InputError, match="no_grad"):
        tune(model, tensors, batches(1), batches(2), STEPS, forward=lambda net, batch: net(batch).detach())


def test_in_one_call() -> None:
    model, inputs = network(), batches(1, 10)
    plain = quantize_model(model, inputs, target=0.03)
    better = quantize_model(model, inputs, target=0.03, tuning_steps=150)
    assert plain.report["tuning"] is None
    own = better.report["tuning"]
    assert 0 < own["steps"] <= 150
    assert own["after"] < own["before"]
    assert better.report["error"] == own["after"]
    assert OutputError(model, inputs[::5]).measure(better.tensors) == own["after"]
    assert better.report["bytes"] == better.size()


@pytest.mark.parametrize("spare", [-1, 1])
def test_a_file_keeps_to_its_size(spare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    floats = QuantizedModel(model.state_dict())
    monkeypatch.setattr("sws.quantize.model.tune", lambda *args, **given: Tuned(floats.tensors, 0.5, 0.0, 1))
    monkeypatch.setattr("sws.quantize.model.search", lambda *args, **given: Attempt(0.01, 1))
    result = quantize_model(model, batches(1), target=Target.size(floats.size() + spare), tuning_steps=1)
    assert (result.tensors == floats.tensors) is (spare > 0)
    assert result.report["tuning"]["after"] == (0.0 if spare > 0 else 0.5)


@pytest.mark.parametrize("inputs", [None, batches(1, 1)])
def test_too_little_to_be_judged_by(inputs: list[Tensor] | None) -> None:
    with pytest.raises(InputError, match="two batches"):
        quantize_model(network(), inputs, target=0.01, tuning_steps=1)
