"""The compression report counts the file, and its parts are all of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import swsfmt.torch
from sws.compress import compression_report
from sws.estimate import customary_estimate
from sws.models import TutorialNet
from sws.prior import MixturePrior

PARTS = ("bits_IR", "bits_IC", "bits_A", "bits_codebook", "bits_record")


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return TutorialNet()


@pytest.fixture
def prior() -> MixturePrior:
    return MixturePrior(torch.tensor([-0.15, -0.05, 0.05, 0.15]), 0.02, pi0=0.9)


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_the_parts_are_the_file(model: nn.Module, prior: MixturePrior, huffman: bool, skip: bool) -> None:
    prior.quantize_model(model, skip_last_matrix=skip)
    report = compression_report(model, prior, "mnist", huffman, 5, 8, skip, "ml")
    file = swsfmt.torch.save(model.state_dict(), huffman=huffman, pbits_fc=5, pbits_conv=8, profile="fast")
    assert report["compressed_bits"] == 8 * len(file)
    assert report["orig_bits"] == 32 * 642_460
    assert report["CR"] == report["orig_bits"] / report["compressed_bits"]
    counted = sum(entry[part] for entry in report["layers"] + report["other"] for part in PARTS)
    assert counted + report["shared_bits"] == report["compressed_bits"]
    assert 0 < report["shared_bits"] < 2000
    assert [entry["layer"] for entry in report["layers"]] == ["conv1", "conv2", "fc1", "fc2"]
    assert [entry["passthrough"] for entry in report["layers"]] == [False, False, False, skip]
    assert [entry["layer"] for entry in report["other"]] == ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"]
    assert report["layers"][2]["shape"] == (500, 1250)
    assert report["nnz"] == sum(
        int(p.count_nonzero()) for name, p in model.named_parameters() if name.endswith("weight")
    )
    assert report["dataset"] == "mnist"


def test_a_model_that_was_not_quantised_is_left_alone(model: nn.Module, prior: MixturePrior) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    report = compression_report(model, prior, assign_mode="map")
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert prior.assignment is None
    prior.quantize_model(model, assign="map")
    assert compression_report(model, prior)["compressed_bits"] == report["compressed_bits"]


def test_nothing_is_assigned_twice(model: nn.Module, prior: MixturePrior) -> None:
    """By ML a wide component takes weights whose mean a narrow one would take; a second assignment would move them."""
    prior.quantize_model(model)
    with torch.no_grad():
        prior.log_variances[1:] += 4
    report = compression_report(model, prior, assign_mode="map")
    assert report["compressed_bits"] == 8 * len(swsfmt.torch.save(model.state_dict(), profile="fast"))


def test_the_estimate_is_of_the_weights_alone(model: nn.Module, prior: MixturePrior) -> None:
    assignment = prior.quantize_model(model, skip_last_matrix=True)
    report = compression_report(model, prior, "", True, 5, 8, True)
    wanted = 32 * 5000
    for ids in assignment.ids.values():
        # A component that the layer does not use has no mean to be stored.
        used, numbers = torch.unique(ids, return_inverse=True)
        assert used[0] == 0
        matrix = numbers.reshape(len(ids), -1).numpy()
        wanted += customary_estimate(matrix, len(used), 8 if ids.dim() > 2 else 5).bits
    assert report["estimate_bits"] == wanted
    assert report["estimate_CR"] == 32 * (642_460 - 25 - 50 - 500 - 10) / wanted


def test_weights_without_a_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    nn.init.constant_(model[0].weight, 0.5)
    prior = MixturePrior(torch.tensor([0.5]), 0.1)
    prior.quantize_model(model)
    report = compression_report(model, prior)
    assert report["nnz"] == 12
    assert report["estimate_bits"] > 0
