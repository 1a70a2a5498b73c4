"""`load_model`: into memory that is there, in place of it, and on the meta device; what does not fit."""

from __future__ import annotations

import threading
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_models import check
from torch import nn

import swsfmt
from swsfmt.read.reader import Reader
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


def layers(count: int = 4, size: int = 1024) -> nn.Sequential:
    """Each weight of 4 MiB, above what is decoded side by side."""
    return nn.Sequential(*(nn.Linear(size, size + 1) for _ in range(count)))


class Watch:
    """Peak of what NumPy allocates, which is all that is decoded, in bytes."""

    def __enter__(self) -> Watch:
        tracemalloc.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


WEIGHT = 4 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    model = layers()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 64).round() / 64 + 0.0)
    save_model(model, tmp_path_factory.mktemp("large") / "m.sws")
    return tmp_path_factory.getbasetemp() / "large0" / "m.sws"


@pytest.mark.parametrize("threads", [1, 3])
def test_weights_are_decoded_into_those_of_the_model(large: Path, threads: int) -> None:
    model = layers()
    with Watch() as watch:
        assert load_model(model, large, threads=threads) == ([], [])
    # Payloads, and no weight beside the model's.
    assert watch.peak < WEIGHT
    check(model, large)


def test_weights_of_another_dtype_are_converted_one_by_one(large: Path) -> None:
    model = layers().to(torch.bfloat16)
    with Watch() as watch:
        load_model(model, large, threads=1)
    assert watch.peak < 2 * WEIGHT
    for name, tensor in swsfmt.torch.load_file(large).items():
        assert torch.equal(model.get_parameter(name), tensor.to(torch.bfloat16))


def test_old_weights_are_gone_before_new_ones_come(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = layers()
    old = [weakref.ref(parameter) for parameter in model.parameters()]
    left: list[int] = []
    decode = Reader.decode

    def watched(self: Reader, *args: Any, **kwargs: Any) -> Any:
        left.append(sum(weight() is not None for weight in old))
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(Reader, "decode", watched)
    assert load_model(model, large, assign=True, threads=1) == ([], [])
    assert left == [0] * len(old)
    check(model, large)


@pytest.mark.parametrize("assign", [True, False])
def test_what_is_damaged_or_does_not_fit_changes_nothing(large: Path, tmp_path: Path, assign: bool) -> None:
    data = bytearray(large.read_bytes())
    data[-9] ^= 1
    (tmp_path / "damaged.sws").write_bytes(data)
    swsfmt.torch.save_file({**layers(2).state_dict(), "more": torch.ones(1)}, tmp_path / "other.sws")
    for name, error in (("damaged.sws", swsfmt.ChecksumError), ("other.sws", swsfmt.StateDictError)):
        model = layers() if name == "damaged.sws" else layers(3)
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        with pytest.raises(error):
            load_model(model, tmp_path / name, assign=assign)
        after = model.state_dict()
        same = [torch.equal(tensor, after[key]) for key, tensor in before.items()]
        # torch loads those that fit, and then says that others are missing.
        assert all(same) if name == "damaged.sws" else same == [False] * 4 + [True] * 2
        assert not any(tensor.is_meta for tensor in after.values())


def test_a_parametrized_model_is_loaded(tmp_path: Path) -> None:
    """Its weight is no parameter, but made of some."""
    model, other = (nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)) for _ in range(2))
    save_model(model, tmp_path / "m.sws")
    for assign in (True, False):
        load_model(other, tmp_path / "m.sws", assign=assign)
        check(other, tmp_path / "m.sws")
        assert torch.equal(other(torch.eye(3)), model(torch.eye(3)))


def test_another_device_gets_one_tensor_after_the_other(large: Path) -> None:
    """The meta device stands for one: what has gone there is not on the host any more."""
    with Watch() as watch:
        loaded = swsfmt.torch.load_file(large, device="meta", threads=2)
    assert all(tensor.is_meta for tensor in loaded.values())
    # One that goes there and the next one, of four, and their payloads.
    assert watch.peak < 3 * WEIGHT


def test_a_copy_to_another_device_meets_the_next_one_decoded(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose copies take until the next large tensor is there."""
    decoded, on_device = list[str](), list[set[str]]()
    waiting = threading.Condition()
    decode = Reader.decode

    def watched(self: Reader, record: Any, *args: Any, **kwargs: Any) -> Any:
        result = decode(self, record, *args, **kwargs)
        with waiting:
            decoded.append(record.name)
            waiting.notify_all()
        return result

    def slow(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if tensor.dim() == 2:
            own, last = len(on_device), 3
            with waiting:
                waiting.wait_for(lambda: own == last or f"{own + 1}.weight" in decoded, 60)
                on_device.append({name for name in decoded if name.endswith("weight")})
        return torch.empty_like(tensor, device="meta")

    monkeypatch.setattr(Reader, "decode", watched)
    monkeypatch.setattr(torch.Tensor, "to", slow)
    only_weights = {name: tensor for name, tensor in layers().state_dict().items() if name.endswith("weight")}
    data = swsfmt.torch.save(only_weights)
    swsfmt.torch.load(data, device="cuda", threads=2)
    assert [len(names) for names in on_device] == [2, 3, 4, 4]
