"""`sws encode --sort-neurons`: a smaller file of a network that computes the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command import run
from torch import nn

import swsfmt
import swsfmt.torch


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3)
        self.fc1 = nn.Linear(12 * 36, 40)
        self.fc2 = nn.Linear(40, 5)
        self.register_buffer("steps", torch.tensor(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.max_pool2d(torch.relu(self.conv(x)), 1).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    model = Network().eval()
    with torch.no_grad():
        for layer in (model.conv, model.fc1, model.fc2):
            layer.weight.copy_((layer.weight * 90).round() / 64 * (torch.rand_like(layer.weight) < 0.3))
        # Dead and living neurons mixed, so that their order matters.
        dead = torch.rand(40) < 0.6
        model.fc1.weight[dead] = 0
        model.fc2.weight[:, dead] = 0
    return model


@pytest.mark.parametrize("profile", ["fast", "small"])
def test_smaller_and_the_same_function(profile: str, network: Network, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "model.pt")
    plain, small = tmp_path / "plain.sws", tmp_path / "sorted.sws"
    common = ("encode", tmp_path / "model.pt", "--profile", profile, "-o")
    assert run(*common, plain).exit_code == 0
    result = run(*common, small, "--sort-neurons", "conv,fc1,fc2")
    assert result.exit_code == 0, result.output
    assert small.stat().st_size < plain.stat().st_size
    assert swsfmt.verify(small).dense_bytes == swsfmt.verify(plain).dense_bytes
    other = Network().eval()
    swsfmt.torch.load_model(other, small)
    assert not torch.equal(other.fc1.weight, network.fc1.weight)
    assert int(other.steps) == 7
    images = torch.randn(16, 1, 8, 8)
    torch.testing.assert_close(other(images), network(images))


def test_order_of_the_tensors_stays(network: Network, tmp_path: Path) -> None:
    swsfmt.torch.save_file(network.state_dict(), tmp_path / "model.sws")
    run("decode", tmp_path / "model.sws", "-o", tmp_path / "model.safetensors")
    assert run("encode", tmp_path / "model.safetensors", "--force", "--sort-neurons", "fc1,fc2").exit_code == 0
    assert list(swsfmt.torch.load_file(tmp_path / "model.sws")) == list(network.state_dict())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("conv,fc9", "'fc9.weight'"),
        ("fc2,fc1", "'fc1' of shape (40, 432) does not read the 5 of 'fc2'"),
        ("", "'.weight'"),
    ],
)
def test_layers_that_do_not_fit(layers: str, message: str, network: Network, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "model.pt")
    result = run("encode", tmp_path / "model.pt", "--sort-neurons", layers)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "model.sws").exists()


@pytest.mark.parametrize(("weight", "bias"), [((), ()), ((3,), (3,)), ((3, 2), (2,)), ((3, 2), ())])
def test_tensors_that_are_no_layer(weight: tuple[int, ...], bias: tuple[int, ...], tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(weight), "a.bias": torch.zeros(bias)}, tmp_path / "model.pt")
    result = run("encode", tmp_path / "model.pt", "--sort-neurons", "a,a")
    assert result.exit_code == 1
    assert "'a' has no weight matrix" in result.stderr


def test_tied_layers_are_refused(network: Network, tmp_path: Path) -> None:
    state = network.state_dict()
    torch.save({"first.weight": state["fc2.weight"], **state}, tmp_path / "model.pt")
    result = run("encode", tmp_path / "model.pt", "--sort-neurons", "fc1,fc2")
    assert result.exit_code == 1
    assert "tied" in result.stderr


def with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))


def of_the_flattened() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 2))


class TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 4)


class Again(nn.Module):
    """The same layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2)
        self.c = self.a


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (with_batch_norm(), "0,3", "cannot tell whether '1.weight' of shape (8,) belongs to the 8 neurons of '0'"),
        (of_the_flattened(), "0,4", "cannot tell whether '2.weight' of shape (12,) belongs to the 3 neurons of '0'"),
        (TwoReaders(), "a,b", "cannot tell whether 'c.weight' of shape (4, 8) belongs to the 8 neurons of 'a'"),
        (Again(), "a,b", "'c.weight' is tied to it"),
    ],
    ids=["batch norm", "batch norm of the flattened", "two readers", "two names"],
)
def test_what_would_change_the_function_is_refused(model: nn.Module, layers: str, message: str, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "model.pt")
    result = run("encode", tmp_path / "model.pt", "--sort-neurons", layers)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "model.sws").exists()


def test_layers_with_nothing_between_are_sorted_beside_a_norm(tmp_path: Path) -> None:
    torch.save(with_batch_norm().state_dict(), tmp_path / "model.pt")
    assert run("encode", tmp_path / "model.pt", "--sort-neurons", "3,5").exit_code == 1
    wider = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.save(wider.state_dict(), tmp_path / "wider.pt")
    result = run("encode", tmp_path / "wider.pt", "--sort-neurons", "3,5")
    assert result.exit_code == 0, result.output
