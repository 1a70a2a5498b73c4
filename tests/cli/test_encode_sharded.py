"""`sws encode` of a sharded index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from command import fails, run
from tensors import same

import swsfmt
import swsfmt.torch
import swsfmt.write.file

Tensors = dict[str, torch.Tensor]


def sharded(folder: Path, weight_map: dict[str, Any], shards: dict[str, Tensors]) -> Path:
    for number, (name, tensors) in enumerate(shards.items()):
        safetensors.torch.save_file(tensors, folder / name, {"format": "pt", f"n{number}": "x"})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


A, B = torch.arange(6.0), torch.ones(2, 2)


def test_sharded(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"b": "2.st", "a": "1.st", "c": "2.st"}, {"1.st": {"a": A}, "2.st": {"b": B, "c": A}})
    assert run("encode", index).exit_code == 0
    back = swsfmt.torch.load_file(tmp_path / "model.sws")
    assert list(back) == ["b", "a", "c"]
    assert same(back["b"], B)
    assert same(back["a"], A)
    with swsfmt.safe_open(tmp_path / "model.sws") as file:
        assert file.metadata() == {"format": "pt", "n0": "x", "n1": "x"}
    assert run("verify", tmp_path / "model.sws", "--against", index).exit_code == 0


@pytest.mark.parametrize(
    ("weight_map", "complaint"),
    [
        ({}, "weight_map"),
        ({"a": "1.st", "b": "absent.st"}, "No such file"),
        ({"a": "../1.st"}, "plain file name"),
        ({"a": "sub/1.st"}, "plain file name"),
        ({"a": "..\\1.st"}, "plain file name"),
        ({"a": ".."}, "plain file name"),
        ({"a": ""}, "plain file name"),
        ({"a": 3}, "plain file name"),
        ({"a": "model.safetensors.index.json"}, "but it is a sharded index"),
    ],
)
def test_bad_index(weight_map: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    index = sharded(tmp_path, weight_map, {"1.st": {"a": A}, "two.st": {"a": A, "b": B}})
    assert complaint in fails("encode", index)


@pytest.mark.parametrize("text", ['{"weight_map": ', '{"a": 1}', '{"weight_map": []}', "{" * 9, '{"a":' * 100_000])
def test_index_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    fails("encode", tmp_path / "a.json")


def test_shard_is_not_written_over(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"a": "1.st"}, {"1.st": {"a": A}})
    before = (tmp_path / "1.st").read_bytes()
    assert "input" in fails("encode", index, "-o", tmp_path / "1.st", "--force")
    assert (tmp_path / "1.st").read_bytes() == before


def test_index_cannot_come_from_stdin(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"a": "1.st"}, {"1.st": {"a": A}})
    assert "give its path" in fails("encode", "-", "-o", tmp_path / "x.sws", input=index.read_bytes())
