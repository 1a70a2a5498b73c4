"""Where in nested dicts the tensors are: keys of several levels, and messages that name those that would do."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from command import fails, run
from tensors import saved

import swsfmt
import swsfmt.torch
from swsfmt import checkpoints
from swsfmt.checkpoints import entries

STATE = {"w": torch.ones(2), "b": torch.zeros(3)}
OPTIMIZER = {
    "state": {i: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)} for i in range(3)},
    "param_groups": [{"lr": 0.1, "params": [0, 1, 2]}],
}


def names(path: Path, key: str | None = None) -> list[str]:
    return list(checkpoints.open(path, key).tensors)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ({"state": {"model": STATE}, "epoch": 3}, ["state.model", "state/model"]),
        ({"a": {"b": {"c": {"d": STATE}}}}, ["a.b.c.d", "a/b/c/d", "a/b.c/d"]),
        ({"state.model": STATE}, ["state.model"]),
        ({"a.b": {"c/d": STATE}}, ["a.b.c/d", "a.b/c/d"]),
        ({"models": [{"x": torch.ones(1)}, STATE]}, ["models.1"]),
        ({"models": {0: {"x": torch.ones(1)}, 1: STATE}}, ["models.1"]),
        ({"state": {"other": {}}, "state.model": STATE}, ["state.model"]),
        ({"state": {"x": 1}, "state.a": {"model": STATE}}, ["state.a.model"]),
        ({"": {"": STATE}}, ["/", "."]),
        (OPTIMIZER | {"state": {"0": {"no": 1}, 0: STATE}}, []),
    ],
)
def test_keys_of_any_depth(content: Any, keys: list[str], tmp_path: Path) -> None:
    path = saved(content, tmp_path / "a.pt")
    for key in keys:
        assert names(path, key) == list(STATE)
        assert run("encode", path, "--key", key, "--force").exit_code == 0
        assert run("verify", tmp_path / "a.sws", "--against", path, "--key", key).exit_code == 0


def test_exact_name_first(tmp_path: Path) -> None:
    path = saved({"a": {"b": {"x": torch.ones(1)}}, "a.b": STATE}, tmp_path / "a.pt")
    assert names(path, "a.b") == list(STATE)
    assert names(path, "a/b") == ["x"]


@pytest.mark.parametrize(
    "name", ["state_dict", "model", "model_state", "model_state_dict", "ema", "module", "params", "net"]
)
def test_one_nesting_is_named(name: str, tmp_path: Path) -> None:
    """As Lightning, timm, DETR, MMCV and others write them, with what they put beside it."""
    beside = {"epoch": 3, "optimizer_states": [OPTIMIZER], "lr_schedulers": [{"last_epoch": 3}], "loss": 0.5}
    path = saved({**beside, name: STATE}, tmp_path / "a.pt")
    assert f"in the entry {name!r}; choose with key={name!r} (2 tensors) (sws: --key {name})\n" in fails("encode", path)


def test_deeper_ones_are_named_those_with_most_tensors_first(tmp_path: Path) -> None:
    content = {"epoch": 1, "gan": {"discriminator": {"w": torch.ones(1)}, "generator": STATE}, "optimizer": OPTIMIZER}
    path = saved(content, tmp_path / "a.pt")
    text = "key='gan.generator' (2 tensors) or key='gan.discriminator' (1 tensor) (sws: --key gan.generator or "
    text += "--key gan.discriminator)"
    assert text in fails("encode", path)
    assert text in fails("encode", path, "--key", "gan")
    assert text in fails("encode", path, "--key", "nonsense")
    assert names(path, "gan.discriminator") == ["w"]


def test_many_are_cut(tmp_path: Path) -> None:
    path = saved({f"{'n' * 150}{i}": dict(STATE) for i in range(100)}, tmp_path / "a.pt")
    message = fails("encode", path)
    assert "or one of others" in message
    assert len(message) < 4000


def test_optimizer(tmp_path: Path) -> None:
    path = saved(OPTIMIZER, tmp_path / "a.pt")
    text = "the state of an optimizer, not of a model; save the tensors alone"
    assert f"it is {text}" in fails("encode", path)
    path = saved({"model": STATE, "optimizer": OPTIMIZER}, tmp_path / "a.pt")
    assert "(2 tensors)" in fails("encode", path)
    assert "optimizer.state" not in fails("encode", path)
    assert f"its entry 'optimizer' is {text}" in fails("encode", path, "--key", "optimizer")
    assert names(path, "optimizer.state.0") == ["step", "exp_avg"]


def test_entry_with_something_else(tmp_path: Path) -> None:
    path = saved({"model": {**STATE, "steps": 3}}, tmp_path / "a.pt")
    assert "key='model' (2 tensors) (sws: --key model)" in fails("encode", path)
    assert "the entry 'steps' is an int, not a tensor" in fails("encode", path, "--key", "model")


def test_extra_state(tmp_path: Path) -> None:
    advice = "; a module's get_extra_state() gave it: save {name: t for "
    for value, text in (
        (None, "the entry 'fc._extra_state' is None, not a tensor"),
        ({"scale": torch.ones(2)}, "the entry 'fc._extra_state' is a dict, not a tensor"),
        (io.BytesIO(b"x"), "it holds a _io.BytesIO, and swsfmt never unpickles code"),
    ):
        assert text + advice in fails("encode", saved({**STATE, "fc._extra_state": value}, tmp_path / "a.pt"))
    assert names(saved({**STATE, "fc._extra_state": torch.ones(2)}, tmp_path / "a.pt"))[-1] == "fc._extra_state"


def test_key_with_blanks_is_quoted(tmp_path: Path) -> None:
    path = saved({"my model": STATE}, tmp_path / "a.pt")
    assert "key='my model' (2 tensors) (sws: --key 'my model')" in fails("encode", path)


def test_dicts_without_end_are_looked_into_once() -> None:
    """A pickle may hold a dict that lies in itself, and one that lies in many others, over and over."""
    looked = 0

    class Counted(dict[str, Any]):
        def items(self) -> Any:
            nonlocal looked
            looked += 1
            return super().items()

    circle: dict[str, Any] = Counted()
    circle["again"] = circle
    lattice: Any = STATE
    for _ in range(30):
        lattice = Counted(left=lattice, right=lattice)
    with pytest.raises(swsfmt.InputError):
        entries.select({"circle": circle, "lattice": lattice}, None, lambda value: isinstance(value, torch.Tensor))
    assert looked < 500
