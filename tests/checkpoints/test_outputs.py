"""`swsfmt.checkpoints`: what a program asks before it converts, and what `convert` refuses to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from formats import Tensors, written

import swsfmt
from swsfmt import checkpoints
from swsfmt.checkpoints import Checkpoint, convert
from swsfmt.read.reader import Reader

# ---- what a program asks before --------------------------------------------------------------------------------------


def test_recognised(checkpoint: tuple[Path, str | None], sws: Path) -> None:
    names = {".pt": "a PyTorch checkpoint", ".st": "a safetensors file", ".json": "a sharded index"}
    path, _ = checkpoint
    assert checkpoints.recognise(path) == checkpoints.recognise(path.read_bytes()) == names[path.suffix]
    with pytest.raises(swsfmt.InputError, match=r"is a \.sws file already") as error:
        checkpoints.recognise(sws)
    assert error.value.file == str(sws)


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("./net.pt", "./net.sws"),
        ("a.b/net", "a.b/net.sws"),
        ("net.index.json", "net.index.sws"),
        ("net.safetensors.index.json", "net.sws"),
        ("pytorch_model.bin.index.json", "pytorch_model.sws"),
    ],
)
def test_usual_name_of_a_sws_file(name: str, usual: str) -> None:
    assert checkpoints.encoded_name(name) == usual


@pytest.mark.parametrize("out", ["out.safetensors", "out.pt", "folder", None])
@pytest.mark.parametrize("sharded", [False, True])
def test_outputs_are_told_before(out: str | None, sharded: bool, sws: Path, tmp_path: Path) -> None:
    """What is refused before is what `convert` refuses, and it writes the files that were told."""
    (tmp_path / "folder").mkdir()
    size = 10_000 if sharded else None
    target: Any = tmp_path / out if out else io.BytesIO()
    if sharded and out in ("out.pt", None):
        texts = []
        for ask in (
            lambda: checkpoints.check_output(target, sharded=sharded),
            lambda: convert(sws, target, max_shard_size=size),
        ):
            with pytest.raises(swsfmt.InputError) as error:
                ask()
            texts.append(error.value.message)
        assert texts[0] == texts[1]
        return
    checkpoints.check_output(target, sharded=sharded)
    if out is None:
        return
    there = set(tmp_path.rglob("*"))
    with Reader.open(sws) as reader:
        paths = checkpoints.decoded_paths(reader, target, size)
    assert set(tmp_path.rglob("*")) == there
    done = convert(sws, target, max_shard_size=size)
    assert set(tmp_path.rglob("*")) == there | set(paths)
    assert done.path == paths[-1]


# ---- what does not fit -----------------------------------------------------------------------------------------------


def test_suffix_that_is_no_format(sws: Path, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.InputError, match=r"must end in \.safetensors, \.pt, \.pth, \.npz, \.npy or \.onnx"):
        convert(sws, tmp_path / "out.bin")


@pytest.mark.parametrize("out", ["out.pt", None])
def test_shards_of_another_format(out: str | None, sws: Path, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.InputError, match="max_shard_size is for safetensors"):
        convert(sws, tmp_path / out if out else io.BytesIO(), max_shard_size=100)
    with pytest.raises(swsfmt.InputError, match="'much' is not a size"):
        convert(sws, tmp_path, max_shard_size="much")


def test_checkpoint_where_a_sws_file_is_wanted(tensors: Tensors, tmp_path: Path) -> None:
    path = written("safetensors", tensors, tmp_path)
    with pytest.raises(swsfmt.NotSwsError, match="safetensors file"):
        convert(path, tmp_path, max_shard_size=100)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".PTH"])
def test_checkpoint_under_the_name_of_another_format(
    suffix: str, checkpoint: tuple[Path, str | None], tmp_path: Path
) -> None:
    """A .sws file is never written there, whether the checkpoint is open or not."""
    path, key = checkpoint
    out = tmp_path / f"out{suffix}"
    format_name = "a safetensors file" if suffix == ".safetensors" else "a PyTorch checkpoint"
    texts = []
    for arguments in ({"file": checkpoints.open(path, key)}, {"file": path, "key": key}):
        with pytest.raises(
            swsfmt.InputError, match=rf"a \.sws file only, and this is the name of {format_name}"
        ) as error:
            convert(out=out, **arguments)
        assert error.value.file == str(out)
        texts.append(str(error.value))
    assert texts[0] == texts[1]
    assert not out.exists()


def test_neither_a_checkpoint_nor_a_sws_file(tmp_path: Path) -> None:
    """Where a checkpoint is to come of it a .sws file was meant."""
    (tmp_path / "a.sws").write_bytes(b"not a file of ours, nor of others")
    with pytest.raises(swsfmt.NotSwsError, match="signature"):
        convert(tmp_path / "a.sws", tmp_path / "out.pt")


@pytest.mark.parametrize("argument", [{"key": "model"}, {"executor": object()}, {"huffman": True}])
def test_arguments_of_the_encoder(argument: dict[str, Any], sws: Path, tmp_path: Path) -> None:
    with Reader.open(sws) as reader:
        for given in (sws, reader):
            with pytest.raises(swsfmt.InputError, match=f"{next(iter(argument))}= is not for"):
                convert(given, tmp_path / "out.pt", **argument)


def test_arguments_of_what_is_open_already(sws: Path, tmp_path: Path) -> None:
    for argument in ({"key": "model"}, {"max_shard_size": 100}):
        with pytest.raises(swsfmt.InputError, match="is not for a checkpoint that is open"):
            convert(Checkpoint({}), tmp_path / "out.sws", **argument)
    with Reader.open(sws) as reader, pytest.raises(swsfmt.InputError, match="step= is not for"):
        convert(reader, tmp_path / "out.pt", step=print)
