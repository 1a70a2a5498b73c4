"""What `sws encode` refuses, and how it says so."""

from __future__ import annotations

import os
import pickle
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from command import fails, run
from tensors import saved

import swsfmt
import swsfmt.torch
import swsfmt.write.file

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tensors() -> Tensors:
    weight = torch.randint(-3, 4, (32, 48), generator=torch.Generator().manual_seed(0)) * 0.125
    return {"fc.weight": weight, "fc.bias": torch.arange(32) / 7, "scalar": torch.tensor(7)}


@pytest.fixture
def pt(tensors: Tensors, tmp_path: Path) -> Path:
    return saved(tensors, tmp_path / "model.pt")


@pytest.fixture
def st(tensors: Tensors, tmp_path: Path) -> Path:
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_nested_state_dict(key: str, tensors: Tensors, tmp_path: Path) -> None:
    path = saved({"epoch": 3, key: tensors, "optimizer": {"state": {}}}, tmp_path / "a.pt")
    message = fails("encode", path)
    assert repr(key) in message
    assert f"--key {key}" in message
    assert run("encode", path, "--key", key).exit_code == 0
    assert list(swsfmt.torch.load_file(tmp_path / "a.sws")) == list(tensors)


def test_absent_key_lists_what_is_there(tmp_path: Path) -> None:
    path = saved({"epoch": 3, "model": {"a": torch.ones(2)}}, tmp_path / "a.pt")
    message = fails("encode", path, "--key", "nonsense")
    assert "'nonsense'" in message
    assert "'model'" in message
    assert "'epoch' is an int" in fails("encode", path, "--key", "epoch")


def test_key_is_for_torch_only(st: Path) -> None:
    assert "--key" in fails("encode", st, "--key", "model")


def test_entry_that_is_no_tensor(tmp_path: Path) -> None:
    message = fails("encode", saved({"a": torch.ones(2), "steps": 3}, tmp_path / "a.pt"))
    assert "'steps' is an int" in message


@pytest.mark.parametrize("value", [torch.ones(3), [torch.ones(3)], 3])
def test_checkpoint_that_is_no_mapping(value: Any, tmp_path: Path) -> None:
    assert "not a state_dict" in fails("encode", saved(value, tmp_path / "a.pt"))


def test_key_that_is_no_string(tmp_path: Path) -> None:
    assert "not a string: 3" in fails("encode", saved({3: torch.ones(2)}, tmp_path / "a.pt"))


def test_tensor_that_is_not_dense(tmp_path: Path) -> None:
    message = fails("encode", saved({"w": torch.eye(3).to_sparse()}, tmp_path / "a.pt"))
    assert "'w'" in message
    assert "not dense" in message


class Custom:
    """Refused by weights_only."""


def test_objects_are_refused(tmp_path: Path) -> None:
    message = fails("encode", saved({"a": Custom()}, tmp_path / "a.pt"))
    assert "Custom" in message
    assert "never unpickles code" in message
    assert "torch.save(model.state_dict()" in message


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)

    def __init__(self, target: Path) -> None:
        self.target = target


@pytest.mark.parametrize("zipped", [True, False])
def test_code_does_not_run(zipped: bool, tmp_path: Path) -> None:
    path = saved({"a": Evil(tmp_path / "ran")}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert "posix.mkdir" in fails("encode", path)
    assert not (tmp_path / "ran").exists()


def test_plain_pickle(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": 1}, protocol=5))
    fails("encode", tmp_path / "a.pt")
    assert [str(warning.message) for warning in recwarn] == []


def test_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("word/document.xml", "<xml>")
    assert "an archive of 'word/document.xml', and not a PyTorch checkpoint" in fails("encode", tmp_path / "a.pt")


@pytest.mark.parametrize("kind", ["pt", "st"])
def test_truncated_checkpoint(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data = request.getfixturevalue(kind).read_bytes()
    for length in (9, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:length])
        fails("encode", tmp_path / "cut")
        assert not (tmp_path / "cut.sws").exists()


def test_git_lfs_pointer(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    assert "run git lfs pull" in fails("encode", tmp_path / "a.pt")


def test_output_under_the_name_of_another_format(tmp_path: Path) -> None:
    source, out = saved({"a": torch.ones(3)}, tmp_path / "a.pt"), tmp_path / "b.safetensors"
    text = "a checkpoint becomes a .sws file only, and this is the name of a safetensors file; choose a NAME.sws"
    assert fails("encode", source, "-o", out) == f"sws: error: {out}: {text}\n"
    assert not out.exists()


def test_sws_is_one_already(pt: Path) -> None:
    run("encode", pt)
    assert "is a .sws file already" in fails("encode", pt.with_suffix(".sws"))


@pytest.mark.parametrize("data", [b"hello", b"\0" * 100, b"<html>"])
def test_something_else(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    assert "neither" in fails("encode", tmp_path / "a")


def test_without_torch(pt: Path, st: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'swsfmt[torch]'" in fails("encode", pt)
    assert run("encode", st).exit_code == 0
    assert "pip install 'swsfmt[torch]'" in fails("decode", st.with_suffix(".sws"), "-o", st.parent / "x.pt")


def test_messages_of_torch_stay_out(tmp_path: Path) -> None:
    message = fails("encode", saved({"a": Custom()}, tmp_path / "a.pt"))
    assert not re.search(r"weights_only|\x1b|add_safe_globals", message)
