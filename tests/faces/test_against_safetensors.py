"""Calls written for safetensors work here: the same functions, arguments in the same places, the same methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

import swsfmt
import swsfmt.torch

FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    f"{theirs.__name__.split('.')[1]}.{name}": (getattr(theirs, name), getattr(ours, name))
    for theirs, ours in ((safetensors.numpy, swsfmt), (safetensors.torch, swsfmt.torch))
    for name in ("save", "save_file", "load", "load_file", "save_model", "load_model")
    if hasattr(theirs, name)
}
# What they take and we do not, with the reason.
NOT_TAKEN = {"backend": "there is one way to read a .sws file"}
OTHER_NAMES = {"tensor_dict": "tensors"}  # safetensors.torch calls it so too


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_in_the_same_places(name: str) -> None:
    theirs, ours = (list(inspect.signature(function).parameters.values()) for function in FUNCTIONS[name])
    positional = [parameter for parameter in theirs if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    for number, parameter in enumerate(positional):
        assert ours[number].name == OTHER_NAMES.get(parameter.name, parameter.name)
        assert ours[number].kind is parameter.POSITIONAL_OR_KEYWORD
        assert ours[number].default == parameter.default
    assert {p.name for p in theirs} - {p.name for p in positional} <= {p.name for p in ours} | NOT_TAKEN.keys()


def methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} | {"__enter__", "__exit__"}


def test_handles_and_slices_have_the_same_methods(tmp_path: Path) -> None:
    arrays = {"a": np.arange(12.0).reshape(3, 4)}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    swsfmt.save_file(arrays, tmp_path / "a.sws")
    with (
        safetensors.safe_open(tmp_path / "a.safetensors", "np", device="cpu") as theirs,
        swsfmt.safe_open(tmp_path / "a.sws", "np", device="cpu") as ours,
    ):
        assert methods(type(theirs)) <= methods(type(ours))
        assert methods(type(theirs.get_slice("a"))) - {"__enter__", "__exit__"} <= methods(type(ours.get_slice("a")))
        assert ours.keys() == theirs.keys()
        assert ours.offset_keys() == theirs.offset_keys()
        assert ours.get_slice("a").get_shape() == theirs.get_slice("a").get_shape()
        assert ours.get_slice("a").get_dtype() == theirs.get_slice("a").get_dtype()
        assert (ours.get_slice("a")[1:, :2] == theirs.get_slice("a")[1:, :2]).all()
        assert ours.get_tensors().keys() == theirs.get_tensors().keys()
        # Here they differ: a caller need not ask whether there is any.
        assert theirs.metadata() is None
        assert ours.metadata() == {}


@pytest.mark.parametrize("framework", ["np", "numpy", "pt", "torch", "pytorch"])
def test_names_of_frameworks(framework: str, tmp_path: Path) -> None:
    swsfmt.save_file({"a": np.arange(4)}, tmp_path / "a.sws")
    with swsfmt.safe_open(tmp_path / "a.sws", framework=framework) as file:  # type: ignore[call-overload]
        assert type(file.get_tensor("a")) is (np.ndarray if framework.startswith("n") else torch.Tensor)


def channels_last() -> torch.nn.Module:
    return torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)


def test_force_contiguous(tmp_path: Path) -> None:
    """True, as there, takes everything; False refuses what is not contiguous."""
    theirs, ours = tmp_path / "a.safetensors", tmp_path / "a.sws"
    model = channels_last()
    for arguments in ({}, {"force_contiguous": True}):
        safetensors.torch.save_model(model, str(theirs), **arguments)  # type: ignore[arg-type]
        swsfmt.torch.save_model(model, ours, **arguments)  # type: ignore[arg-type]
        assert torch.equal(swsfmt.torch.load_file(ours)["weight"], safetensors.torch.load_file(theirs)["weight"])
    swsfmt.torch.save_model(model, ours, {"a": "b"}, True)
    with pytest.raises(ValueError, match="force_contiguous=True"):
        safetensors.torch.save_model(model, str(theirs), force_contiguous=False)
    with pytest.raises(swsfmt.InputError, match="force_contiguous=True") as caught:
        swsfmt.torch.save_model(model, ours, force_contiguous=False)
    assert caught.value.tensor == "weight"
    swsfmt.torch.save_model(torch.nn.Linear(3, 4), ours, force_contiguous=False)
