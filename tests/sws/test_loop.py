"""The training loop: any batch, any loss, phases, going on after a kill; and the defaults, which stand once."""

from __future__ import annotations

import ast
import csv
import dataclasses
import inspect
import math
import textwrap
from collections import UserDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from sws import prior as prior_module
from sws import settings
from sws.batches import batch_size, call_model, targets_of, to_device
from sws.evaluation import Mean, accuracy
from sws.log import RunLog
from sws.loop import Backward, EpochRecord, Execution, Phase, Position, TrainingLoop
from sws.prior import MixturePrior, init_mixture
from sws.schedule import rate_factor
from sws.substitution import substituted
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from swsfmt import InputError

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(0))
Y = X @ torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
CLASSES = (Y[:, 0] > Y[:, 1]).long()


class Dicts(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"x": X[i], "labels": CLASSES[i]}


class TakesNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, *, x: Tensor) -> Tensor:
        return self.layer(x)


def loader(*tensors: Tensor, **options: Any) -> Any:
    return DataLoader(TensorDataset(*tensors), 16, **options)


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))


# ---- batches ---------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    inputs: Tensor
    targets: Tensor


def test_inputs_and_targets() -> None:
    model = network()
    wanted = model(X)
    for batch, targets in (
        ((X, CLASSES), CLASSES),
        ([X, CLASSES], CLASSES),
        (Pair(X, CLASSES), CLASSES),
        ((X,), X),
        (X, X),
    ):
        assert torch.equal(call_model(model, batch), wanted)
        assert targets_of(batch) is targets
        assert batch_size(batch) == 48
    named = {"x": X, "labels": CLASSES}
    assert call_model(TakesNames(), named).shape == (48, 2)
    assert targets_of(named) is CLASSES
    assert targets_of({"x": X})["x"] is X
    assert call_model(nn.Bilinear(6, 6, 3), (X, X, CLASSES)).shape == (48, 3)
    with pytest.raises(InputError, match="counts the examples"):
        batch_size({"a": "text", "b": torch.tensor(3)})


def test_batches_keep_their_form() -> None:
    batch = {"pair": Pair(X, CLASSES), "list": [X, "name"], "tuple": (X,)}
    moved = to_device(batch, "meta")
    assert isinstance(moved["pair"], Pair)
    assert moved["pair"].targets.device.type == moved["list"][0].device.type == "meta"
    assert moved["list"][1] == "name"
    assert isinstance(moved["tuple"], tuple)


class Encoding(UserDict[str, Any]):
    """As a tokeniser of transformers gives it: a mapping, but no dict, whose entries are attributes too."""

    def __getattr__(self, name: str) -> Any:
        if name == "data":
            raise AttributeError
        return self.data[name]


def test_mappings_that_are_not_dicts() -> None:
    batch = Encoding({"x": X, "labels": CLASSES})
    assert call_model(TakesNames(), batch).shape == (48, 2)
    assert targets_of(batch) is CLASSES
    assert batch_size(batch) == 48
    moved = to_device(batch, "meta")
    assert isinstance(moved, Encoding)
    assert moved.x.device.type == moved["labels"].device.type == "meta"
    assert batch.x is X, "the batch itself is as it was"
    assert to_device(MappingProxyType({"x": X}), "meta")["x"].device.type == "meta"


def test_means() -> None:
    mean = Mean()
    mean.add(torch.tensor([True, False, True]), 3)
    assert mean.value == 2 / 3
    mean.add(torch.tensor(1.0), 3)
    assert mean.value == 5 / 6
    with pytest.raises(InputError, match="nothing to evaluate"):
        _ = Mean().value


def test_a_metric_over_many_outputs_of_an_example() -> None:
    model = nn.Conv1d(1, 2, 1)
    images, classes = torch.randn(5, 1, 7), torch.randint(0, 2, (5, 7))
    wanted = (model(images).argmax(1) == classes).float().mean().item()
    assert evaluate(model, loader(images, classes)) == pytest.approx(wanted)


# ---- any loss, any batch ---------------------------------------------------------------------------------------------


def test_regression(tmp_path: Path) -> None:
    model = network()
    before = evaluate(model, loader(X, Y), metric=mse_loss)
    found = train_standard(model, loader(X, Y), loader(X, Y), epochs=20, lr=1e-2, loss=mse_loss, run_dir=tmp_path)
    assert found == evaluate(model, loader(X, Y), metric=mse_loss) < before / 2
    rows = list(csv.DictReader((tmp_path / "train_log.csv").open()))
    assert list(rows[0]) == ["epoch", "loss", "metric"]
    assert float(rows[-1]["metric"]) == found
    # Without test data it is the mean over the last epoch.
    again = train_standard(network(), loader(X, Y), None, epochs=20, lr=1e-2, loss=mse_loss)
    assert again == float(rows[-1]["loss"])


def test_regression_under_the_mixture_prior() -> None:
    model = network()
    train_standard(model, loader(X, Y), None, epochs=20, lr=1e-2, loss=mse_loss)
    prior = init_mixture(model, J=4, init_sigma=0.05)
    before = prior.complexity_loss([model[0].weight, model[2].weight]).item()
    found = retrain_soft_weight_sharing(
        model, prior, loader(X, Y), None, epochs=10, lr_w=1e-2, tau=0.1, loss=mse_loss, quantize_from=0.5,
        sigma_zero_end=None, schedule="constant",
    )  # fmt: skip
    assert math.isfinite(found)
    assert prior.complexity_loss([model[0].weight, model[2].weight]).item() < before


def test_batches_that_are_dicts() -> None:
    model = TakesNames()
    data: Any = DataLoader(Dicts(), 16)
    assert train_standard(model, data, data, epochs=30, lr=3e-2) > 0.9
    prior = init_mixture(model, J=3)
    assert retrain_soft_weight_sharing(model, prior, data, data, epochs=2, quantize_from=0.5) > 0.8


def test_a_forward_pass_and_a_loss_of_ones_own() -> None:
    """An autoencoder: a batch is a tensor, and the targets are the inputs."""

    def forward(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
        return model(batch[0] * 2)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - 2 * targets).abs().mean()

    torch.manual_seed(0)
    model = nn.Linear(6, 6)
    options: dict[str, Any] = {"loss": loss, "forward": forward}
    before = evaluate(model, loader(X), metric=loss, forward=forward)
    after = train_standard(model, loader(X), loader(X), epochs=20, lr=1e-2, **options)
    assert after < before / 2
    counted = train_standard(
        model, loader(X), loader(X), epochs=1, metric=lambda o, t: o.flatten(1).ne(7).all(1), **options
    )
    assert counted == 1


# ---- the loop --------------------------------------------------------------------------------------------------------


class Calls(Phase):
    """Notes what it is asked for, and doubles one weight for the network."""

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight = weight
        self.calls: list[Any] = []
        self.seen: list[float] = []

    def start_epoch(self, at: Position) -> None:
        self.calls.append(("start", at.epoch, at.step))

    def before_step(self, at: Position) -> None:
        self.calls.append(("before", at.step, at.progress))
        self.seen.append(self.weight.detach().mean().item())

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        return {self.weight: 2 * self.weight.detach()}

    def after_backward(self, at: Position, backward: Backward) -> float:
        assert self.weight.grad is not None
        assert self.weight.detach().mean().item() == self.seen[-1], "it has its own value again"
        self.calls.append(("after", at.step))
        penalty = 0 * self.weight.sum()
        backward(penalty)
        return penalty.item()

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        self.calls.append(("end", at.epoch, at.step))
        return EpochRecord({"seen": len(self.seen)})


def test_the_hooks_of_a_phase(tmp_path: Path) -> None:
    model = network()
    phase = Calls(model[0].weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    execution = Execution(run_dir=tmp_path)
    TrainingLoop(model, optimizer, loader(X[:32], CLASSES[:32]), phase, epochs=2, name="p", execution=execution).run()
    steps = [[("before", i, i / 4), ("after", i)] for i in range(4)]
    wanted = [
        ("start", 1, 0),
        *steps[0],
        *steps[1],
        ("end", 1, 2),
        ("start", 2, 2),
        *steps[2],
        *steps[3],
        ("end", 2, 4),
    ]
    assert phase.calls == wanted
    rows = list(csv.DictReader((tmp_path / "p_log.csv").open()))
    assert [row["seen"] for row in rows] == ["2", "4"]


def test_the_gradient_is_that_of_the_substitute() -> None:
    model, other = network(), network()
    with torch.no_grad():
        other[0].weight.mul_(2)
    cross_entropy(other(X), CLASSES).backward()
    before = model[0].weight.detach().clone()
    phase = Calls(model[0].weight)
    TrainingLoop(model, torch.optim.SGD(model.parameters(), 1.0), DataLoader(TensorDataset(X, CLASSES), 48), phase,
                 epochs=1, name="p").run()  # fmt: skip
    assert torch.equal(model[0].weight, before - other[0].weight.grad)


def test_own_values_come_back_after_an_error() -> None:
    model = network()
    before = model[0].weight.detach().clone()
    with pytest.raises(RuntimeError, match="shapes"), substituted({model[0].weight: torch.zeros(12, 5)}):
        model(X)
    assert torch.equal(model[0].weight, before)


def test_parameters_that_are_shared_are_substituted_everywhere() -> None:
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    second.weight = first.weight
    with substituted({first.weight: 2 * torch.eye(3)}):
        assert torch.equal(second(first(torch.ones(1, 3))), torch.full((1, 3), 4.0))


def test_the_order_of_a_loader_with_its_own_generator_goes_on(tmp_path: Path) -> None:
    def run(epochs: int, folder: Path, **options: Any) -> list[Tensor]:
        model = network()
        data = loader(X, CLASSES, shuffle=True, generator=torch.Generator().manual_seed(5))
        train_standard(model, data, None, epochs=epochs, run_dir=folder, **options)
        return list(model.state_dict().values())

    whole = run(3, tmp_path / "whole")
    run(1, tmp_path / "killed")
    for one, other in zip(whole, run(3, tmp_path / "killed", resume=True), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("devices", [0, 1, 2])
def test_the_generators_of_cuda_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: int) -> None:
    """devices : where the run goes on, of the two that it began with."""
    saved = [torch.tensor([i], dtype=torch.uint8) for i in (1, 2)]
    restored: dict[int, Tensor] = {}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: saved)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value, device: restored.update({device: value}))
    log = RunLog(tmp_path, "train")
    log.save({"epoch": 1})
    assert log.load() == {"epoch": 1}
    assert restored == dict(enumerate(saved[:devices]))


def test_without_cuda_its_generators_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: pytest.fail("this would start cuda"))
    RunLog(tmp_path, "train").save({"epoch": 1})
    assert set(torch.load(tmp_path / "train_checkpoint.pt", weights_only=True)) == {"epoch", "generator"}


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_going_on_where_the_zero_component_is_narrowed_and_the_weights_are_quantised(
    tmp_path: Path, killed: int
) -> None:
    class StopError(Exception):
        pass

    class Stop:
        def begin(self, weights: list[Tensor]) -> None: ...

        def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None:
            if epoch > killed:
                raise StopError

        def finish(self) -> Path:
            return Path()

    def run(folder: Path, **options: Any) -> list[Tensor]:
        model = network()
        prior = init_mixture(model, J=4, init_sigma=0.05)
        retrain_soft_weight_sharing(
            model, prior, loader(X, CLASSES, shuffle=True), None, epochs=4, sigma_zero_end=0.01, quantize_from=0.3,
            tau_warmup_epochs=2, run_dir=folder, **options,
        )  # fmt: skip
        return [*model.state_dict().values(), *prior.state_dict().values()]

    whole = run(tmp_path / "whole")
    with pytest.raises(StopError):
        run(tmp_path / "killed", viz=Stop())
    for one, other in zip(whole, run(tmp_path / "killed", resume=True), strict=True):
        assert torch.equal(one, other)


def test_no_batches() -> None:
    with pytest.raises(InputError, match="no batches to train on"):
        train_standard(network(), loader(X[:0], CLASSES[:0]), None, epochs=1)


def test_the_schedule() -> None:
    assert [rate_factor("constant", p) for p in (0, 0.5, 1)] == [1, 1, 1]
    assert rate_factor("cosine", 0) == 1
    assert rate_factor("cosine", 0.5) == pytest.approx(0.51)
    assert rate_factor("cosine", 1) == pytest.approx(0.02)


def test_accuracy_is_the_default_only_for_classes() -> None:
    assert accuracy(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1])).tolist() == [True, False]
    assert train_standard(network(), loader(X, CLASSES), None, epochs=1) <= 1
    assert train_standard(network(), loader(X, 100 * Y), None, epochs=1, loss=mse_loss) > 1


# ---- defaults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "table"),
    [
        (train_standard, settings.Pretrain),
        (init_mixture, settings.Mixture),
        (retrain_soft_weight_sharing, settings.Retrain),
        (prior_module.MixturePrior.quantize_model, settings.Quantize),
    ],
)
def test_a_default_stands_once(function: Callable[..., Any], table: type[Any]) -> None:
    """In the table of the recipe; the function refers to it by name."""
    parameters = inspect.signature(function).parameters
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef)
    given = definition.args
    positional = given.args[len(given.args) - len(given.defaults) :]
    written = dict(zip([a.arg for a in positional], given.defaults, strict=True))
    written |= {a.arg: value for a, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value is not None}
    shared = [field for field in dataclasses.fields(table) if field.name in parameters]
    assert len(shared) >= 2
    for field in shared:
        assert ast.unparse(written[field.name]) == f"{table.__name__}.{field.name}"
        assert parameters[field.name].default == field.default
