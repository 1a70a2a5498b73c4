"""What wrappers put before the names of tensors: pointed out in a line, and taken away where that is asked for."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from command import fails, run
from tensors import saved

import swsfmt
import swsfmt.torch
from swsfmt import checkpoints
from swsfmt.checkpoints import convert
from swsfmt.tensor import Tied


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


PLAIN = list(model().state_dict())


def under(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in model().state_dict().items()}


@pytest.mark.parametrize(
    ("state", "prefix"),
    [
        (torch.nn.DataParallel(model()).state_dict(), "module."),
        (under("module._orig_mod."), "module._orig_mod."),
        (under("_orig_mod.module."), "_orig_mod.module."),
        (under("_orig_mod."), "_orig_mod."),
        ({**under("module."), "n_averaged": torch.tensor(3)}, "module."),
    ],
)
def test_pointed_out_and_taken_away(state: Any, prefix: str, tmp_path: Path) -> None:
    path = saved(state, tmp_path / "a.pt")
    with pytest.warns(swsfmt.CheckpointWarning, match=f"strip_prefix='{prefix}'"):
        assert list(checkpoints.open(path).tensors) == list(state)
    result = run("encode", path)
    assert result.stderr.startswith("sws: warning: ")
    assert result.stderr.count("\n") == 1
    assert f"--strip-prefix {prefix})" in result.stderr
    assert list(swsfmt.torch.load_file(tmp_path / "a.sws")) == list(state)
    plain = [name.removeprefix(prefix) for name in state]
    for given in (prefix, prefix.removesuffix(".")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert list(checkpoints.open(path, strip_prefix=given).tensors) == plain
        result = run("encode", path, "--strip-prefix", given, "--force")
        assert (result.exit_code, result.stderr) == (0, "")
    assert list(swsfmt.torch.load_file(tmp_path / "a.sws")) == plain
    assert run("verify", tmp_path / "a.sws", "--against", path, "--strip-prefix", prefix).exit_code == 0
    assert run("verify", tmp_path / "a.sws", "--against", path).exit_code == 3


def test_compiled_part_of_a_model(tmp_path: Path) -> None:
    state = {
        "layers.0._orig_mod.weight": torch.ones(2),
        "layers.1._orig_mod.weight": torch.zeros(2),
        "b": torch.ones(1),
    }
    path = saved({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "a.pt")
    with pytest.warns(swsfmt.CheckpointWarning, match=r"strip_prefix='module\.'"):
        checkpoints.open(path)
    with pytest.warns(swsfmt.CheckpointWarning, match=r"strip_prefix='_orig_mod\.'"):
        checkpoints.open(saved(state, tmp_path / "b.pt"))
    convert(path, tmp_path / "a.sws", strip_prefix=["module.", "_orig_mod."])
    assert list(swsfmt.torch.load_file(tmp_path / "a.sws")) == ["layers.0.weight", "layers.1.weight", "b"]
    prefixes = ["--strip-prefix", "module", "--strip-prefix", "_orig_mod"]
    assert run("encode", path, *prefixes, "-o", tmp_path / "c.sws").exit_code == 0
    assert (tmp_path / "c.sws").read_bytes() == (tmp_path / "a.sws").read_bytes()


def test_safetensors_and_shards_have_them_too(tmp_path: Path) -> None:
    safetensors.torch.save_file(under("module."), tmp_path / "1.st")
    (tmp_path / "i.json").write_text(json.dumps({"weight_map": dict.fromkeys(under("module."), "1.st")}))
    for path in (tmp_path / "1.st", tmp_path / "i.json"):
        assert sorted(checkpoints.open(path, strip_prefix="module").tensors) == sorted(PLAIN)


def test_tied_tensors_stay_tied(tmp_path: Path) -> None:
    weight = torch.ones(2)
    path = saved({"module.a": weight, "module.b": weight}, tmp_path / "a.pt")
    assert checkpoints.open(path, strip_prefix="module.").tensors["b"] == Tied("a")


@pytest.mark.parametrize("names", [["modules.a", "module.b"], ["module", "b"], ["encoder.module.a"], []])
def test_other_names_are_nothing_to_speak_of(names: list[str], tmp_path: Path) -> None:
    path = saved({name: torch.ones(1) for name in names}, tmp_path / "a.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(checkpoints.open(path).tensors) == names


def test_what_cannot_be_taken_away(tmp_path: Path) -> None:
    path = saved({"module.a": torch.ones(1), "a": torch.ones(1)}, tmp_path / "a.pt")
    assert "two tensors would be called 'a'" in fails("encode", path, "--strip-prefix", "module.")
    assert "no tensor has a name that begins with 'net.'" in fails("encode", path, "--strip-prefix", "net")
    # Whole parts of names only.
    assert "begins with 'mod.'" in fails("encode", path, "--strip-prefix", "mod")
    result = run("verify", path, "--strip-prefix", "module.")
    assert result.exit_code == 2
    assert "--strip-prefix is for --against" in result.stderr
