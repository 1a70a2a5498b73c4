"""Folders as Hugging Face's libraries write and read them."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from command import fails, run

import swsfmt
from swsfmt import checkpoints
from swsfmt.checkpoints import convert

ONE = {"a": np.arange(3.0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    for name in ("config.json", "tokenizer.json", "README.md", "training_args.bin", "optimizer.pt", "vocab.txt"):
        (tmp_path / "net" / name).write_text("{}")
    return tmp_path / "net"


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        if name.endswith(".index.json"):
            shard = name.removesuffix(".index.json").replace(".", "-00001-of-00001.")
            put(folder, shard)
            path.write_text(json.dumps({"weight_map": {"a": shard}}))
        elif name.endswith(".safetensors"):
            safetensors.numpy.save_file(ONE, path)
        elif name.endswith((".bin", ".pt", ".pth")):
            torch.save({"a": torch.arange(3.0, dtype=torch.float64)}, path)
        elif name.endswith(".npz"):
            np.savez(path, **ONE)  # type: ignore[arg-type]
        else:
            np.save(path, ONE["a"])


@pytest.mark.parametrize("name", ["Weights.PT", "net.SafeTensors", "NET.NPZ", "net.SafeTensors.Index.JSON"])
def test_case_of_suffixes(name: str, folder: Path) -> None:
    """That of what is in a folder, and of what a file is called after."""
    put(folder, name.lower())
    (folder / name.lower()).rename(folder / name)
    for other in ("Optimizer.PT", "RNG_state_0.pth", "X-00001-of-00002.SafeTensors"):
        (folder / other).write_text("{}")
    assert checkpoints.find(folder) == folder / name
    assert checkpoints.encoded_name(folder / name) == str(folder / name.partition(".")[0]) + ".sws"
    assert len(convert(folder, folder / "a.sws").negative_zeros) == 0


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors"], 0),
        (["model.safetensors.index.json"], 0),
        (["pytorch_model.bin"], 0),
        (["pytorch_model.bin.index.json"], 0),
        (["diffusion_pytorch_model.safetensors"], 0),
        (["diffusion_pytorch_model.safetensors.index.json"], 0),
        (["diffusion_pytorch_model.bin"], 0),
        (["adapter_model.safetensors"], 0),
        (["adapter_model.bin"], 0),
        (["weights.pth"], 0),
        (["weights.npz"], 0),
        (["my.safetensors.index.json"], 0),
        # Where both kinds are there they hold the same; variants and whatever else lies beside a model are not meant.
        (["pytorch_model.bin", "model.safetensors"], 1),
        (["pytorch_model.bin.index.json", "model.safetensors.index.json"], 1),
        (["diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"], 1),
        (["x.npz", "model.safetensors"], 1),
    ],
)
def test_the_checkpoint_in_a_folder(names: list[str], chosen: int, folder: Path) -> None:
    put(folder, *names)
    assert checkpoints.find(folder) == folder / names[chosen]
    out = folder.parent / "net.sws"
    for given in (str(folder), f"{folder}{os.sep}"):
        assert run("encode", given, "--force").exit_code == 0
        assert swsfmt.load_file(out)["a"].tolist() == [0, 1, 2]
        assert run("verify", out, "--against", given).exit_code == 0
    assert list(checkpoints.open(folder).tensors) == ["a"]
    convert(folder, folder.parent / "b.sws")
    assert (folder.parent / "b.sws").read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "there is no checkpoint in this folder, such as model.safetensors"),
        (["model.safetensors", "model.safetensors.index.json"], "'model.safetensors', 'model.safetensors.index.json'"),
        (["model.safetensors", "adapter_model.safetensors"], "several checkpoints"),
        (["a.pt", "b.npz"], "several checkpoints in this folder, 'a.pt', 'b.npz'; give the path of one"),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            "shards in this folder, but no index",
        ),
    ],
)
def test_folders_that_do_not_say_which(names: list[str], text: str, folder: Path) -> None:
    put(folder, *names)
    message = fails("encode", folder)
    assert message.startswith(f"sws: error: {folder}: ")
    assert text in message
    put(folder.parent, "x.safetensors")
    assert run("encode", folder.parent / "x.safetensors").exit_code == 0
    assert text in fails("verify", folder.parent / "x.sws", "--against", folder)
    with pytest.raises(swsfmt.InputError) as error:
        checkpoints.open(folder)
    assert error.value.file == str(folder)


def test_models_one_level_below_are_named(folder: Path) -> None:
    """As diffusers keeps a pipeline."""
    for part in ("unet", "vae"):
        (folder / part).mkdir()
        put(folder / part, "diffusion_pytorch_model.safetensors")
    assert "there is one in 'unet', 'vae'" in fails("encode", folder)


def test_name_of_the_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "net-v1.5").mkdir()
    put(folder.parent / "net-v1.5", "model.safetensors")
    assert run("encode", folder.parent / "net-v1.5").exit_code == 0
    assert (folder.parent / "net-v1.5.sws").exists()
    monkeypatch.chdir(folder)
    put(folder, "model.safetensors")
    assert run("encode", ".").exit_code == 0
    assert (folder.parent / "net.sws").exists()


def test_input_in_the_folder_is_not_written_over(folder: Path) -> None:
    put(folder, "pytorch_model.bin.index.json")
    for name in ("pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"):
        before = (folder / name).read_bytes()
        assert "this is the input" in fails("encode", folder, "-o", folder / name, "--force")
        assert (folder / name).read_bytes() == before


# ---- out -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sws(tmp_path: Path) -> Path:
    swsfmt.save_file({"a": np.arange(100.0), "b": np.ones(100)}, tmp_path / "m.sws", {"format": "pt"})
    return tmp_path / "m.sws"


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("size", [None, "800", "1GB"])
def test_into_a_folder_and_back(is_there: bool, size: str | None, sws: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    if is_there:
        folder.mkdir()
    given = str(folder) if is_there else f"{folder}{os.sep}"
    options = [] if size is None else ["--max-shard-size", size]
    assert run("decode", sws, "-o", given, *options).exit_code == 0
    assert checkpoints.find(folder).name == ("model.safetensors.index.json" if size == "800" else "model.safetensors")
    assert "--force replaces it" in fails("decode", sws, "-o", folder, *options)
    assert run("decode", sws, "-o", folder, *options, "--force").exit_code == 0
    assert run("encode", folder).exit_code == 0
    assert (tmp_path / "out.sws").read_bytes() == sws.read_bytes()
    assert run("verify", sws, "--against", folder).exit_code == 0


def test_library_writes_into_folders_too(sws: Path, tmp_path: Path) -> None:
    done = convert(sws, f"{tmp_path / 'new'}/")
    assert done.path == tmp_path / "new" / "model.safetensors"
    assert checkpoints.decoded_name(tmp_path / "new") == str(done.path)
    assert checkpoints.decoded_name(tmp_path / "x.pt") == str(tmp_path / "x.pt")
    assert safetensors.numpy.load_file(done.path)["b"].sum() == 100


def test_new_folder_is_gone_after_an_error(sws: Path, tmp_path: Path) -> None:
    data = bytearray(sws.read_bytes())
    data[-1] ^= 1
    sws.write_bytes(data)
    fails("decode", sws, "-o", f"{tmp_path / 'new'}/", code=3)
    assert not (tmp_path / "new").exists()
    assert "does not exist" in fails("decode", sws, "-o", f"{tmp_path / 'no' / 'new'}/")


def test_folder_without_a_slash_is_a_file_name(sws: Path, tmp_path: Path) -> None:
    assert run("decode", sws, "-o", tmp_path / "new").exit_code == 2
    (tmp_path / "x.pt").mkdir()
    assert "not a regular file" in fails("decode", sws, "-o", tmp_path / "x.pt")
    assert "not a regular file" in fails("decode", sws, "-o", tmp_path / "x.pt", "--force")


def test_folder_in_the_place_of_a_sws_file(sws: Path, folder: Path) -> None:
    for command in ("inspect", "verify", "decode"):
        message = fails(command, folder)
        assert "folder" in message
    put(folder, "model.safetensors")
    assert "not a regular file" in fails("encode", folder, "-o", folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((swsfmt.InputError, OSError)):
            convert(folder, folder)
