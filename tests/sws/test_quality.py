"""The defaults of soft weight-sharing keep networks whole, and what makes one worse is said."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from modules import load
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import swsfmt
from sws.compress import compression_report
from sws.data import make_loaders
from sws.models import make_model
from sws.prior import MixturePrior, init_mixture
from sws.quality import Quality
from sws.shrink import Pruning, Quantization, Settings, compress_network
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from sws.utils import set_seed
from sws.warnings import LOG, QualityWarning, SkippedWarning

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "soft_weight_sharing.py"


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def mlp() -> nn.Module:
    return make_model("digits_300_100")


def trained(make: Callable[[], nn.Module]) -> tuple[nn.Module, Any, Any, float]:
    set_seed(0)
    train, test, _ = make_loaders("digits", 64)
    model = make()
    return model, train, test, train_standard(model, train, test, epochs=12, eval_every=0)


# As the tutorial has them.
TUTORIAL = {"epochs": 10, "lr_w": 5e-4, "lr_theta": 3e-4, "weight_decay": 0.0, "tau": 0.003, "tau_warmup_epochs": 0}


@pytest.mark.parametrize("make", [mlp, convolutional])
@pytest.mark.parametrize(
    ("mixture", "retraining", "quantisation"),
    [
        ({"J": 16}, {"epochs": 10}, {}),
        ({"J": 16, "pi0": 0.99, "init_sigma": 0.25}, TUTORIAL, {"skip_last_matrix": True}),
    ],
    ids=["defaults", "wide at the start"],
)
def test_networks_stay_whole(
    make: Callable[[], nn.Module], mixture: dict[str, Any], retraining: dict[str, Any], quantisation: dict[str, Any]
) -> None:
    model, train, test, dense = trained(make)
    prior = init_mixture(model, **mixture)
    retrain_soft_weight_sharing(model, prior, train, test, **retraining)
    prior.quantize_model(model, **quantisation)
    assert evaluate(model, test) > dense - 0.035
    weights = [p for p in model.parameters() if p.dim() > 1]
    assert all(bool(weight.any()) for weight in weights)
    assert len(torch.cat([w.detach().flatten() for w in weights[:-1]]).unique()) <= 16
    assert compression_report(model, prior)["CR"] > 6


def test_the_cells_of_the_tutorial() -> None:
    """It quantises by another rule than that of the training: right, or said loudly."""
    model, train, test, dense = trained(mlp)
    prior = init_mixture(model, J=16, pi0=0.99, init_means_mode="from_weights", init_sigma=0.25)
    retrain_soft_weight_sharing(model, prior, train, test, **TUTORIAL)
    prior.quantize_model(model, skip_last_matrix=True, assign="ml")
    assert evaluate(model, test) > dense - 0.035


def test_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(EXAMPLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkippedWarning)
        dense, quantised = module.main(file=str(tmp_path / "m.sws"))
    assert dense > 0.88
    assert quantised > dense - 0.02
    assert f"{quantised:.1%} in the file" in capsys.readouterr().out
    assert swsfmt.inspect(tmp_path / "m.sws").ratio > 10


def test_a_quantisation_that_empties_a_network_says_so(tmp_path: Path) -> None:
    """The settings of the tutorial without the narrowing: all that is left is zero."""
    model, train, test, dense = trained(mlp)
    prior = init_mixture(model, init_sigma=0.25)
    free: dict[str, Any] = {"sigma_zero_end": None, "quantize_from": 1.0}
    retrain_soft_weight_sharing(model, prior, train, test, **TUTORIAL, **free, run_dir=tmp_path)
    with pytest.warns(QualityWarning) as told:
        prior.quantize_model(model)
    assert evaluate(model, test) < dense - 0.5
    messages = [str(warning.message) for warning in told]
    assert "all weights of fc1.weight, fc2.weight, fc3.weight are zero" in messages[0]
    assert "cost" in messages[1]
    assert "points of accuracy" in messages[1]
    assert (tmp_path / LOG).read_text().splitlines() == [f"QualityWarning: {message}" for message in messages]


def test_without_data_an_emptied_layer_is_seen() -> None:
    model = mlp()
    with pytest.warns(QualityWarning, match="are zero"):
        MixturePrior(torch.tensor([0.01]), 5.0).quantize_model(model)
    # It was empty before.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixturePrior(torch.tensor([0.01]), 5.0).quantize_model(model)


def test_of_another_loss_the_growth_counts() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    data = DataLoader(TensorDataset(x, x @ torch.randn(6, 2)), 32, shuffle=True)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 2))
    train_standard(model, data, None, epochs=30, lr=1e-2, loss=mse_loss)
    free: dict[str, Any] = {"remove_dead": False, "order": False}
    harmless = Settings(Pruning(sparsity=0.0, epochs=0), Quantization(values=200, epochs=0), **free)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compress_network(copy.deepcopy(model), data, harmless, loss=mse_loss)
    harmful = Settings(Pruning(sparsity=0.9, epochs=1), Quantization(values=2, epochs=1), **free)
    with pytest.warns(QualityWarning, match=r"compression took the loss from [\d.]+ to [\d.]+"):
        compress_network(copy.deepcopy(model), data, harmful, loss=mse_loss)
    prior = init_mixture(model, J=2)
    retrain_soft_weight_sharing(model, prior, data, None, epochs=1, loss=mse_loss)
    with pytest.warns(QualityWarning, match="took the loss from"):
        prior.quantize_model(model)


def test_copies_and_files_of_a_prior_do_not_hold_the_data() -> None:
    model = mlp()
    prior = init_mixture(model)
    prior.watch(Quality([(torch.zeros(1, 1, 8, 8), torch.zeros(1).long())]), 1.0)
    for other in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))):
        assert other._watch is None
        assert torch.equal(other.means, prior.means)
    assert prior._watch is not None


@pytest.mark.parametrize("owner", ["torch", "loader", "sampler"])
def test_looking_changes_nothing(owner: str) -> None:
    """The same examples each time, the generators and modes as they were."""
    generator = None if owner == "torch" else torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    model[2].eval()
    x = torch.randn(5000, 4)
    examples = TensorDataset(x, x.argmax(1) % 3)
    if owner == "sampler":
        # Several processes get such a one from `accelerate`.
        data = DataLoader(examples, 100, sampler=RandomSampler(examples, generator=generator))
    else:
        data = DataLoader(examples, 100, shuffle=True, generator=generator)
    quality = Quality(data)
    states = torch.get_rng_state(), None if generator is None else generator.get_state()
    assert quality.measure(model) == quality.measure(model)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert generator is None or torch.equal(generator.get_state(), states[1])
    assert (model.training, model[1].training, model[2].training) == (True, True, False)
    assert Quality(iter([])).measure(model) is None
    assert Quality([]).measure(model) is None


def test_what_is_left_out_is_said() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    model.table = nn.Parameter(torch.randn(3, 4))
    prior = init_mixture(model, J=4)
    with pytest.warns(SkippedWarning, match="table stay as they are"):
        assert prior.quantize_model(model).skipped == ("table",)
    assert compression_report(model, prior)["skipped"] == ["table"]
    x = torch.randn(32, 6)
    data = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), 16)
    settings = Settings(Pruning(sparsity=0.1, epochs=1), Quantization(epochs=1))
    with pytest.warns(SkippedWarning, match="table will be left as they are"):
        compress_network(model, data, settings)
