"""`load_model` where the model is not as the file: hooks, ties, views, extra state, lazy modules, dtypes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_models import check
from torch import nn

import swsfmt
from swsfmt.torch import load_model, save_model


class Pair(nn.Module):
    """Two weights, of these dtypes, on these devices."""

    def __init__(
        self,
        dtypes: tuple[torch.dtype, torch.dtype] = (torch.float32, torch.float32),
        devices: tuple[str, str] = ("cpu", "cpu"),
    ) -> None:
        super().__init__()
        self.a, self.b = (
            nn.Parameter(torch.zeros(3, dtype=dtype, device=device))
            for dtype, device in zip(dtypes, devices, strict=True)
        )


class Exchanging(Pair):
    def _load_from_state_dict(self, state_dict: Any, *args: Any) -> None:
        state_dict["a"], state_dict["b"] = state_dict["b"], state_dict["a"]
        super()._load_from_state_dict(state_dict, *args)


def exchange(*args: Any) -> None:
    """A hook, with and without the module before the state."""
    state = next(value for value in args if isinstance(value, dict))
    state["a"], state["b"] = state["b"], state["a"]


@pytest.mark.parametrize("way", ["hook with module", "hook", "method"])
@pytest.mark.parametrize("assign", [None, True, False])
def test_what_exchanges_weights_sees_those_of_the_file(way: str, assign: bool | None, tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.full((3,), 1.0), "b": torch.full((3,), 2.0)}, tmp_path / "m.sws")
    model = Exchanging() if way == "method" else Pair()
    if way == "hook with module":
        # What `register_load_state_dict_pre_hook` is, which older torch has not.
        model._register_load_state_dict_pre_hook(exchange, with_module=True)
    if way == "hook":
        model._register_load_state_dict_pre_hook(exchange)
    load_model(model, tmp_path / "m.sws", assign=assign)
    assert (model.a.tolist(), model.b.tolist()) == ([2.0] * 3, [1.0] * 3)


def add_one(state: Any, *args: Any) -> None:
    for name in state:
        state[name] += 1


@pytest.mark.parametrize("devices", [("cpu", "cpu"), ("meta", "meta"), ("cpu", "meta")])
@pytest.mark.parametrize("assign", [None, True])
def test_a_hook_that_changes_weights_does_it_once(
    devices: tuple[str, str], assign: bool | None, tmp_path: Path
) -> None:
    swsfmt.torch.save_file({"a": torch.full((3,), 1.0), "b": torch.full((3,), 2.0)}, tmp_path / "m.sws")
    model = Pair(devices=devices)
    model._register_load_state_dict_pre_hook(add_one)
    load_model(model, tmp_path / "m.sws", assign=assign)
    assert (model.a.tolist(), model.b.tolist()) == ([2.0] * 3, [3.0] * 3)
    assert model.a.requires_grad
    assert model.b.requires_grad


def test_a_hook_that_renames(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"old": torch.ones(3), "b": torch.ones(3)}, tmp_path / "m.sws")
    for device in ("meta", "cpu"):
        model = Pair(devices=(device, device))
        model._register_load_state_dict_pre_hook(lambda state, *_: state.update(a=state.pop("old")))
        assert load_model(model, tmp_path / "m.sws") == ([], [])
        assert model.a.tolist() == model.b.tolist() == [1.0] * 3


def test_a_hook_that_transposes(tmp_path: Path) -> None:
    weight = torch.arange(9.0).reshape(3, 3)
    swsfmt.torch.save_file({"weight": weight}, tmp_path / "m.sws")
    model = nn.Linear(3, 3, bias=False)
    model._register_load_state_dict_pre_hook(lambda state, *_: state.update(weight=state["weight"].t()))
    load_model(model, tmp_path / "m.sws")
    assert torch.equal(model.weight, weight.t())


@pytest.mark.parametrize("dtypes", [(torch.float16, torch.float32), (torch.float32, torch.float16)])
def test_tied_in_the_file_and_of_two_dtypes_in_the_model(
    dtypes: tuple[torch.dtype, torch.dtype], tmp_path: Path
) -> None:
    weight = torch.tensor([0.1, 1 / 3, 1e-7])
    swsfmt.torch.save_file({"a": weight, "b": weight}, tmp_path / "m.sws")
    model = Pair(dtypes)
    load_model(model, tmp_path / "m.sws")
    for tensor, dtype in zip((model.a, model.b), dtypes, strict=True):
        assert tensor.dtype == dtype
        assert torch.equal(tensor, weight.to(dtype))


def test_tied_in_the_file_and_apart_in_the_model(tmp_path: Path) -> None:
    """One of them on the meta device: what takes its place has memory of its own."""
    weight = torch.ones(3)
    swsfmt.torch.save_file({"a": weight, "b": weight}, tmp_path / "m.sws")
    model = Pair(devices=("cpu", "meta"))
    load_model(model, tmp_path / "m.sws")
    with torch.no_grad():
        model.b.add_(1)
    assert model.a.tolist() == weight.tolist()


def test_views_of_the_same_memory_hold_the_last_one_of_the_model(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"b": torch.full((3,), 2.0), "a": torch.full((3,), 1.0)}, tmp_path / "m.sws")
    model = Pair()
    model.b = nn.Parameter(model.a.detach())
    load_model(model, tmp_path / "m.sws")
    assert model.a.tolist() == model.b.tolist() == [2.0] * 3


class Counting(nn.Module):
    """Its extra state is no tensor, as long as it has not been loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.steps: Any = {"steps": 1}

    def get_extra_state(self) -> Any:
        return self.steps

    def set_extra_state(self, state: Any) -> None:
        self.steps = state


@pytest.mark.parametrize("assign", [None, True, False])
def test_extra_state(assign: bool | None, tmp_path: Path) -> None:
    swsfmt.torch.save_file({"weight": torch.ones(3), "_extra_state": torch.tensor(7)}, tmp_path / "m.sws")
    model = Counting()
    load_model(model, tmp_path / "m.sws", assign=assign)
    assert model.weight.tolist() == [1.0] * 3
    assert model.steps == torch.tensor(7)


@pytest.mark.parametrize("assign", [None, True, False])
@pytest.mark.parametrize("make", [nn.LazyLinear, nn.LazyConv1d])
def test_parameters_without_a_shape_get_that_of_the_file(make: Any, assign: bool | None, tmp_path: Path) -> None:
    settings = (2, 1) if make is nn.LazyConv1d else (2,)
    model, other = make(*settings), make(*settings)
    model(torch.ones(3, 3))
    save_model(model, tmp_path / "m.sws")
    load_model(other, tmp_path / "m.sws", assign=assign)
    check(other, tmp_path / "m.sws")
    assert torch.equal(other(torch.ones(3, 3)), model(torch.ones(3, 3)))


def test_a_parameter_whose_dtype_torch_lacks_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swsfmt.torch.save_file({"a": torch.ones(3), "b": torch.ones(3, dtype=torch.float16)}, tmp_path / "m.sws")
    monkeypatch.delitem(swsfmt.torch_tensors._DTYPES, "F16")
    for assign in (True, False):
        model = Pair()
        with pytest.warns(swsfmt.SwsWarning, match="left out 'b'"):
            assert load_model(model, tmp_path / "m.sws", strict=False, assign=assign) == (["b"], [])
        assert (model.a.tolist(), model.b.tolist()) == ([1.0] * 3, [0.0] * 3)


def test_a_model_with_nothing_to_copy_to_is_not_changed(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.ones(3), "b": torch.ones(3)}, tmp_path / "m.sws")
    model = Pair(devices=("cpu", "meta"))
    with pytest.raises(swsfmt.InputError, match="meta device"):
        load_model(model, tmp_path / "m.sws", assign=False)
    assert model.a.tolist() == [0.0] * 3
