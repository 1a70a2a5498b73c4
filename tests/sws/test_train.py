"""The two training loops: what they minimise, what they leave behind, going on after a kill, errors."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sws.data import make_loaders
from sws.models import make_model
from sws.prior import MixturePrior, init_mixture
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from sws.utils import collect_weight_params, set_seed, weight_layers
from swsfmt import InputError


def loaders() -> tuple[Any, Any]:
    train, test, _ = make_loaders("digits", 128)
    return train, test


def trained(epochs: int = 6) -> nn.Module:
    set_seed(0)
    model = make_model("digits_300_100")
    train_standard(model, *loaders(), epochs=epochs, eval_every=0)
    return model


def state(model: nn.Module, prior: MixturePrior | None = None) -> list[Tensor]:
    return [*model.state_dict().values(), *(prior.state_dict().values() if prior else [])]


def test_standard_training_learns() -> None:
    set_seed(0)
    model = make_model("digits_300_100")
    accuracy = train_standard(model, *loaders(), epochs=6)
    assert accuracy > 0.85
    assert accuracy == evaluate(model, loaders()[1])


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimizers(name: str) -> None:
    set_seed(0)
    model = make_model("digits_300_100")
    before = [p.clone() for p in model.parameters()]
    train_standard(model, *loaders(), epochs=1, optim_name=name, wd=1e-4, schedule="cosine")
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_evaluate_keeps_the_mode() -> None:
    model = make_model("digits_300_100").train()
    evaluate(model, loaders()[1])
    assert model.training
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(model, [])


def test_retraining_clusters_weights() -> None:
    model = trained()
    prior = init_mixture(model, J=8, init_sigma=0.1)
    before = prior.complexity_loss(collect_weight_params(model)).item()
    accuracy = retrain_soft_weight_sharing(model, prior, *loaders(), epochs=8, tau=0.05, lr_w=2e-3)
    assert accuracy > 0.85
    assert prior.complexity_loss(collect_weight_params(model)).item() < before
    prior.quantize_model(model)
    weights = torch.cat([w.detach().flatten() for w in collect_weight_params(model)])
    assert len(weights.unique()) <= 8
    assert (weights == 0).float().mean() > 0.3


def one_step(**options: Any) -> list[Tensor]:
    """The state after one step from the same start."""
    model = trained(1)
    prior = init_mixture(model, J=4)
    images, labels = loaders()[0].dataset[:64]
    loader = [(images, labels)]

    class One(list[Any]):
        dataset = range(1000)

    plain: dict[str, Any] = {"sigma_zero_end": None, "quantize_from": 1.0, "schedule": "constant"}
    retrain_soft_weight_sharing(model, prior, One(loader), None, epochs=1, **{**plain, **options})
    return state(model, prior)


def test_what_is_minimised() -> None:
    """One step of plain gradient descent by hand: Adam's first step is the learning rate times the sign."""
    model = trained(1)
    prior = init_mixture(model, J=4)
    images, labels = loaders()[0].dataset[:64]
    kept = [t.clone() for t in state(model, prior)]
    model.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss = loss + 0.3 / 1000 * prior.complexity_loss([w for _, w in weight_layers(model)], "plain")
    loss.backward()
    found = one_step(tau=0.3, lr_w=1e-3)
    weight = next(iter(model.parameters()))
    clear = weight.grad.abs() > 1e-4
    step = found[0] - kept[0]
    torch.testing.assert_close(step[clear], (-1e-3 * weight.grad.sign())[clear], rtol=2e-2, atol=1e-6)
    names = list(prior.state_dict())
    means, log_variances, logits = (len(kept) - len(names) + names.index(n) for n in names[:3])
    for place, parameter, rate in (
        (means, prior.means, 1e-4),
        (log_variances, prior.log_variances, 3e-3),
        (logits, prior.mixing_logits, 3e-3),
    ):
        torch.testing.assert_close(found[place] - kept[place], -rate * parameter.grad.sign(), rtol=2e-2, atol=1e-6)


def test_lr_theta_scales_all_rates_of_the_mixture() -> None:
    with_default, doubled = one_step(), one_step(lr_theta=6e-4)
    start = state(trained(1), init_mixture(trained(1), J=4))
    for first, second, zero in zip(with_default[-4:-1], doubled[-4:-1], start[-4:-1], strict=True):
        torch.testing.assert_close(second - zero, 2 * (first - zero), rtol=1e-2, atol=1e-6)


def test_the_two_modes_differ_by_the_batch_size() -> None:
    """tau of one is tau * N / steps of the other, so here a thousandth."""
    keras, epoch = one_step(tau=1.0, complexity_mode="keras"), one_step(tau=1e-3, complexity_mode="epoch")
    for first, second in zip(keras, epoch, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)
    assert not all(torch.equal(a, b) for a, b in zip(keras, one_step(tau=1.0, complexity_mode="epoch"), strict=True))


def test_warm_up() -> None:
    """The first of two epochs' one step gets half of tau."""

    class Two(list[Any]):
        dataset = range(1000)

    def after(tau: float, warm: int) -> list[Tensor]:
        model = trained(1)
        prior = init_mixture(model, J=4)
        data = Two([loaders()[0].dataset[:64]])
        retrain_soft_weight_sharing(model, prior, data, None, epochs=1, tau=tau, tau_warmup_epochs=warm)
        return state(model, prior)

    for first, second in zip(after(0.4, 2), after(0.2, 0), strict=True):
        torch.testing.assert_close(first, second)


def test_biases_and_norm_parameters_keep_training() -> None:
    set_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    before = [p.detach().clone() for p in model.parameters()]
    retrain_soft_weight_sharing(model, init_mixture(model, J=4), *loaders(), epochs=1)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_log(tmp_path: Path) -> None:
    model = trained(1)
    prior = init_mixture(model, J=4)
    retrain_soft_weight_sharing(
        model, prior, *loaders(), epochs=4, eval_every=2, cr_every=2, mixture_every=3, run_dir=tmp_path
    )
    found = rows(tmp_path / "retrain_log.csv")
    assert [row["epoch"] for row in found] == ["1", "2", "3", "4"]
    assert [bool(row["accuracy"]) for row in found] == [False, True, False, True]
    assert [bool(row["ratio"]) for row in found] == [False, True, False, True]
    assert all(float(row["loss"]) > 0 for row in found)
    lines = [json.loads(line) for line in (tmp_path / "retrain_mixture.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [3, 4]
    assert lines[-1]["mu"] == prior.snapshot()["mu"]


def test_the_logged_ratio_is_that_of_the_file(tmp_path: Path) -> None:
    import swsfmt.torch

    model = trained(1)
    prior = init_mixture(model, J=4)
    retrain_soft_weight_sharing(model, prior, *loaders(), epochs=1, cr_every=1, run_dir=tmp_path)
    prior.quantize_model(model)
    dense = sum(t.nbytes for t in model.state_dict().values())
    ratio = dense / len(swsfmt.torch.save(model.state_dict()))
    assert float(rows(tmp_path / "retrain_log.csv")[0]["ratio"]) == ratio


class StopError(Exception):
    """A kill."""


class StopAfter:
    """A visualizer that kills the run."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def begin(self, weights: list[Tensor]) -> None:
        pass

    def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None:
        if epoch > self.epoch:
            raise StopError

    def finish(self) -> Path:
        return Path()


def test_going_on_after_a_kill(tmp_path: Path) -> None:
    def run(folder: Path, **options: Any) -> list[Tensor]:
        model = trained(1)
        prior = init_mixture(model, J=4)
        retrain_soft_weight_sharing(
            model, prior, *loaders(), epochs=4, mixture_every=1, run_dir=folder, schedule="cosine", **options
        )
        return state(model, prior)

    whole = run(tmp_path / "whole")
    with pytest.raises(StopError):
        run(tmp_path / "killed", viz=StopAfter(2))
    assert len(rows(tmp_path / "killed" / "retrain_log.csv")) == 2
    # Other numbers in between must not matter.
    torch.rand(100)
    resumed = run(tmp_path / "killed", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
    for name in ("retrain_log.csv", "retrain_mixture.jsonl"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "killed" / name).read_text()


def test_going_on_with_standard_training(tmp_path: Path) -> None:
    def run(epochs: int, **options: Any) -> list[Tensor]:
        set_seed(4)
        model = make_model("digits_300_100")
        train_standard(model, *loaders(), epochs=epochs, run_dir=tmp_path, **options)
        return state(model)

    whole = run(3)
    run(2)
    assert all(torch.equal(a, b) for a, b in zip(whole, run(3, resume=True), strict=True))
    assert len(rows(tmp_path / "train_log.csv")) == 3
    run(1)
    assert len(rows(tmp_path / "train_log.csv")) == 1, "without resume a run starts anew"


def test_resume_without_a_checkpoint_starts(tmp_path: Path) -> None:
    set_seed(0)
    assert train_standard(make_model("digits_300_100"), *loaders(), epochs=1, run_dir=tmp_path, resume=True) > 0


@pytest.mark.parametrize("data", [b"nothing", b""])
def test_a_damaged_checkpoint(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "train_checkpoint.pt").write_bytes(data)
    with pytest.raises(InputError, match="not a checkpoint"):
        train_standard(make_model("digits_300_100"), *loaders(), epochs=1, run_dir=tmp_path, resume=True)


@pytest.mark.parametrize(("name", "content"), [("log.csv", "a,b\n1,2\n"), ("mixture.jsonl", "[]\n")])
def test_a_damaged_log(tmp_path: Path, name: str, content: str) -> None:
    train_standard(make_model("digits_300_100"), *loaders(), epochs=1, run_dir=tmp_path)
    (tmp_path / f"train_{name}").write_text(content)
    with pytest.raises(InputError, match=r"not a log|not snapshots") as caught:
        train_standard(make_model("digits_300_100"), *loaders(), epochs=2, run_dir=tmp_path, resume=True)
    assert caught.value.file == str(tmp_path / f"train_{name}")


def test_the_checkpoint_of_another_model(tmp_path: Path) -> None:
    train_standard(make_model("digits_300_100"), *loaders(), epochs=1, run_dir=tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(InputError, match="of another run"):
        train_standard(other, *loaders(), epochs=2, run_dir=tmp_path, resume=True)


class Spoilt:
    """From the second epoch on the images are not numbers."""

    def __init__(self) -> None:
        self.dataset = loaders()[0].dataset
        self.epoch = 0

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Any:
        self.epoch += 1
        images, labels = self.dataset[:64]
        yield (images if self.epoch == 1 else images * math.nan), labels


def test_a_loss_that_is_not_finite_leaves_the_checkpoint(tmp_path: Path) -> None:
    model = make_model("digits_300_100")
    with pytest.raises(InputError, match="the loss is nan in epoch 2; lower the learning rate"):
        train_standard(model, Spoilt(), None, epochs=3, run_dir=tmp_path)
    assert torch.load(tmp_path / "train_checkpoint.pt", weights_only=True)["epoch"] == 1
    assert len(rows(tmp_path / "train_log.csv")) == 1


def test_a_mixture_that_diverges(tmp_path: Path) -> None:
    class Breaks(StopAfter):
        def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None:
            with torch.no_grad():
                prior.means.fill_(math.nan)

    model = trained(1)
    with pytest.raises(InputError, match="the loss is nan in epoch 2"):
        retrain_soft_weight_sharing(model, init_mixture(model, J=4), *loaders(), epochs=3, viz=Breaks(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"complexity_mode": "both"}, "complexity_mode"), ({"schedule": "stairs"}, "schedule is 'stairs'")],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    model = make_model("digits_300_100")
    with pytest.raises(InputError, match=message):
        retrain_soft_weight_sharing(model, init_mixture(model, J=3), *loaders(), epochs=1, **options)
    with pytest.raises(InputError, match="optim_name"):
        train_standard(model, *loaders(), epochs=1, optim_name="lion")


def test_the_visualizer_is_told() -> None:
    told: list[Any] = []

    class Listens:
        def begin(self, weights: list[Tensor]) -> None:
            told.append([w.clone() for w in weights])

        def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None:
            told.append((epoch, accuracy))

        def finish(self) -> Path:
            told.append("end")
            return Path()

    model = trained(1)
    before = [w.detach().clone() for w in collect_weight_params(model)]
    accuracy = retrain_soft_weight_sharing(
        model, init_mixture(model, J=3), *loaders(), epochs=3, eval_every=2, viz=Listens()
    )
    assert all(torch.equal(a, b) for a, b in zip(told[0], before, strict=True)), "what it got was changed"
    assert [entry[0] for entry in told[1:4]] == [1, 2, 3]
    assert [entry[1] is None for entry in told[1:4]] == [True, False, False]
    assert told[3][1] == accuracy
    assert told[4] == "end"
