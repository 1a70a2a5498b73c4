"""`load_model`: into memory that is there, in place of it, and on the meta device; what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import swsfmt
from swsfmt.torch import load_model, save_model


class Model(nn.Module):
    """A tie, buffers, one of them in no state_dict, and a parameter that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(4), requires_grad=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    model = Model()
    with torch.no_grad():
        model.scale.mul_(3)
        model.norm.running_mean.fill_(0.5)  # type: ignore[union-attr, operator]
    save_model(model, tmp_path / "model.sws")
    return tmp_path / "model.sws"


def check(model: nn.Module, path: Path) -> None:
    expected = swsfmt.torch.load_file(path)
    assert list(expected) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_model_on_the_meta_device(path: Path) -> None:
    with torch.device("meta"):
        model = Model()
    assert load_model(model, path) == ([], [])
    check(model, path)
    assert model.head.weight is model.embed.weight
    assert isinstance(model.head.weight, nn.Parameter)
    assert model.head.weight.requires_grad
    assert not model.scale.requires_grad
    # It can be trained: one gradient for both names.
    model.head(model.embed(torch.arange(3))).sum().backward()
    assert model.embed.weight.grad is model.head.weight.grad


def test_a_model_that_is_partly_on_the_meta_device(path: Path) -> None:
    """What is there stays where it is, as an optimizer may know it."""
    model = Model()
    scale, mean = model.scale, model.norm.running_mean
    with torch.device("meta"):
        weight = nn.Parameter(torch.empty(7, 4))
    model.embed.weight = model.head.weight = weight
    assert load_model(model, path) == ([], [])
    check(model, path)
    assert model.scale is scale
    assert model.norm.running_mean is mean
    assert model.head.weight is model.embed.weight


def test_what_the_file_lacks_is_named(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"weight": torch.ones(2, 3), "more": torch.ones(1)}, tmp_path / "a.sws")
    with torch.device("meta"):
        model = nn.Linear(3, 2)
    assert load_model(model, tmp_path / "a.sws", strict=False) == (["bias"], ["more"])
    assert torch.equal(model.weight, torch.ones(2, 3))
    assert model.bias.is_meta


def test_nothing_is_loaded_into_nothing(path: Path) -> None:
    with torch.device("meta"):
        model = Model()
    with pytest.raises(swsfmt.InputError, match="meta device") as caught:
        load_model(model, path, assign=False)
    assert (caught.value.file, caught.value.tensor) == (str(path), "scale")


def test_assign(path: Path) -> None:
    model = Model()
    weight, scale = model.embed.weight, model.scale
    load_model(model, path)
    assert model.embed.weight is weight
    load_model(model, path, assign=False)
    assert model.embed.weight is weight
    load_model(model, path, assign=True)
    assert model.embed.weight is not weight
    assert model.scale is not scale
    assert model.head.weight is model.embed.weight
    check(model, path)


def test_dtypes(path: Path) -> None:
    """Copied tensors keep the dtype of the model, assigned ones that of the file."""
    model = Model().to(torch.float64)
    load_model(model, path)
    assert model.scale.dtype == torch.float64
    with torch.device("meta"):
        model = Model().to(torch.float64)
    load_model(model, path)
    assert model.scale.dtype == torch.float32


class Rotary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("frequencies", torch.arange(3.0), persistent=False)


def test_a_buffer_that_no_file_has_is_named(tmp_path: Path) -> None:
    save_model(Rotary(), tmp_path / "a.sws")
    with torch.device("meta"):
        model = Rotary()
    with pytest.warns(swsfmt.SwsWarning, match="still on the meta device.*frequencies") as caught:
        load_model(model, tmp_path / "a.sws")
    assert caught[0].filename == __file__
    assert torch.equal(model.weight, torch.ones(3))


def test_what_does_not_fit(tmp_path: Path) -> None:
    """One error, of this package, and of the kind that `Module.load_state_dict` raises; in one line, with the file."""
    path = tmp_path / "a.sws"
    swsfmt.torch.save_file({"weight": torch.ones(2, 3), "more": torch.ones(1)}, path)
    for model, strict, message in (
        (nn.Linear(3, 2), True, r'Missing key.*"bias".*Unexpected key.*"more"'),
        (nn.Linear(3, 4), False, r"size mismatch for weight"),
    ):
        with pytest.raises(swsfmt.StateDictError, match=message) as caught:
            load_model(model, path, strict)
        assert isinstance(caught.value, RuntimeError | swsfmt.InputError)
        assert str(caught.value).startswith(str(path))
        assert len(str(caught.value).splitlines()) == 1


class Tied(torch.nn.Module):
    def __init__(self, device: str) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 3, device=device)
        self.head = torch.nn.Linear(3, 5, bias=False, device=device)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize(("device", "assign"), [("meta", None), ("cpu", True), ("cpu", None)])
def test_a_tie_to_a_name_that_the_file_lacks(device: str, assign: bool | None, tmp_path: Path) -> None:
    """As files of Hugging Face leave out the head that is the embedding."""
    weight = torch.arange(15.0).reshape(5, 3)
    swsfmt.torch.save_file({"embedding.weight": weight}, tmp_path / "m.sws")
    model = Tied(device)
    missing, unexpected = load_model(model, tmp_path / "m.sws", strict=False, assign=assign)
    assert (missing, unexpected) == (["head.weight"], [])
    assert model.head.weight is model.embedding.weight
    assert torch.equal(model.head.weight, weight)
