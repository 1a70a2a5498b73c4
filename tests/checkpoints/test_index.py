"""The index of shards of any format, and what it has otherwise than they: what the shards hold counts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import safetensors.torch
import torch
from command import fails, run
from tensors import same

import swsfmt
import swsfmt.torch
from swsfmt import checkpoints
from swsfmt.tensor import Tied

Tensors = dict[str, torch.Tensor]

A, B, C = torch.arange(6.0), torch.ones(2, 2), torch.tensor([3, 4])


def written(folder: Path, weight_map: dict[str, str], shards: dict[str, Tensors]) -> Path:
    for name, tensors in shards.items():
        if name.endswith(".bin"):
            torch.save(tensors, folder / name)
        else:
            safetensors.torch.save_file(tensors, folder / name)
    kind = "pytorch_model.bin" if all(name.endswith(".bin") for name in shards) else "model.safetensors"
    index = folder / f"{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


def loaded(index: Path, *options: str) -> Tensors:
    out = index.parent / "out.sws"
    result = run("encode", index, "-o", out, "--force", *options)
    assert result.exit_code == 0, result.stderr
    assert run("verify", out, "--against", index, *options).exit_code == 0
    return swsfmt.torch.load_file(out)


@pytest.mark.parametrize("names", [("1.bin", "2.bin"), ("1.bin", "2.safetensors"), ("1.safetensors", "2.bin")])
def test_shards_of_pytorch(names: tuple[str, str], tmp_path: Path) -> None:
    first, second = names
    index = written(tmp_path, {"b": second, "a": first, "c": second}, {first: {"a": A}, second: {"b": B, "c": C}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoints.open(index).shards == [tmp_path / second, tmp_path / first]
    back = loaded(index)
    assert list(back) == ["b", "a", "c"]
    assert same(back["a"], A)
    assert same(back["b"], B)
    assert same(back["c"], C)
    assert checkpoints.encoded_name(index) == str(index).replace(".safetensors.index.json", ".sws").replace(
        ".bin.index.json", ".sws"
    )


def test_one_file_called_bin(tmp_path: Path) -> None:
    torch.save({"a": A}, tmp_path / "pytorch_model.bin")
    assert run("encode", tmp_path / "pytorch_model.bin").exit_code == 0
    assert same(swsfmt.torch.load_file(tmp_path / "pytorch_model.sws")["a"], A)


def test_key_is_for_the_shards_of_pytorch(tmp_path: Path) -> None:
    torch.save({"model": {"a": A}}, tmp_path / "1.bin")
    index = written(tmp_path, {"a": "1.bin"}, {})
    assert "--key model" in fails("encode", index)
    assert same(loaded(index, "--key", "model")["a"], A)
    index = written(tmp_path, {"a": "1.st"}, {"1.st": {"a": A}})
    assert "key= (sws: --key) is for PyTorch checkpoints, this is a safetensors file" in fails(
        "encode", index, "--key", "model"
    )


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_names_that_the_index_has_otherwise(suffix: str, tmp_path: Path) -> None:
    one, two = f"1.{suffix}", f"2.{suffix}"
    weight_map = {"lm_head": one, "a": one, "b": two}
    index = written(tmp_path, weight_map, {one: {"a": A}, two: {"inv_freq": C, "b": B}})
    absent, unlisted = (
        f"{index}: no shard has what the index names: 'lm_head'; it is left out",
        f"{index}: the index does not name what the shards have: 'inv_freq'; it is taken",
    )
    with pytest.warns(swsfmt.CheckpointWarning) as record:
        opened = checkpoints.open(index)
    assert [str(warning.message) for warning in record] == [absent, unlisted]
    assert list(opened.tensors) == ["a", "b", "inv_freq"]
    result = run("encode", index, "-o", tmp_path / "out.sws")
    assert result.exit_code == 0
    assert result.stderr == f"sws: warning: {absent}\nsws: warning: {unlisted}\n"
    assert list(loaded(index)) == ["a", "b", "inv_freq"]


def test_endless_names_are_cut(tmp_path: Path) -> None:
    names = [f"{'n' * 200}{i}" for i in range(50)]
    index = written(tmp_path, {"a": "1.st", **dict.fromkeys(names, "1.st")}, {"1.st": {"a": A}})
    result = run("encode", index)
    assert result.exit_code == 0
    assert len(result.stderr) < 2000
    assert "(50 in all)" in result.stderr


def test_name_in_another_shard_and_in_two(tmp_path: Path) -> None:
    weight_map = {"a": "2.st", "b": "2.st"}
    index = written(tmp_path, {**weight_map, "c": "1.st"}, {"1.st": {"a": A, "b": C, "c": C + 1}, "2.st": {"b": B}})
    back = loaded(index)
    assert same(back["a"], A)
    assert same(back["b"], B)


def test_ties_within_a_shard_stay(tmp_path: Path) -> None:
    """The first in the order of the index has the elements, wherever the name that a shard has first comes from."""
    tied = {"x": A, "y": A, "z": A}
    index = written(tmp_path, {"z": "1.bin", "y": "1.bin", "x": "2.bin"}, {"1.bin": tied, "2.bin": {"x": B}})
    opened = checkpoints.open(index)
    assert isinstance(opened.tensors["y"], Tied)
    assert opened.tensors["y"].to == "z"
    back = loaded(index)
    assert same(back["y"], A)
    assert same(back["z"], A)
    assert same(back["x"], B)
    assert back["y"].data_ptr() == back["z"].data_ptr()


def test_shard_that_is_not_there(tmp_path: Path) -> None:
    index = written(tmp_path, {"a": "1.bin", "b": "2.bin"}, {"1.bin": {"a": A}})
    assert f"{tmp_path / '2.bin'}: No such file" in fails("encode", index)


def test_shard_that_is_an_index_or_a_sws_file(tmp_path: Path) -> None:
    index = written(tmp_path, {"a": "model.safetensors.index.json"}, {"x.st": {"a": A}})
    assert "but it is a sharded index" in fails("encode", index)
    swsfmt.torch.save_file({"a": A}, tmp_path / "1.sws")
    assert "is a .sws file already" in fails("encode", written(tmp_path, {"a": "1.sws"}, {"x.st": {"a": A}}))
