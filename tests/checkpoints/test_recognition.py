"""Which format a file has: valid safetensors files of every length of header, and what is none of the formats."""

from __future__ import annotations

import codecs
import io
import json
import mmap
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from command import fails, run
from gguf_files import Stored, gguf_file

import swsfmt
from swsfmt import checkpoints
from swsfmt.checkpoints import registry
from swsfmt.format import not_sws
from swsfmt.numpy import to_array

PREDICATES = [
    not_sws.is_safetensors,
    not_sws.is_zip,
    not_sws.is_npz,
    not_sws.is_npy,
    not_sws.is_pickle,
    not_sws.is_gguf,
    not_sws.is_json_object,
    not_sws.is_git_lfs_pointer,
]
HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
# Lengths whose bytes are the signature of something else.
SIGNATURES = [
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x80\x02",
    b"\x80\x05\x95",
    b"\x1f\x8b",
    b"BZh",
    b"{",
    b"{ \n",
    b"\n",
    b" ",
]


def with_header(header: bytes, data: bytes = b"\0\0\x80?") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def test_all_lengths_of_header() -> None:
    """No other format is seen in any: those up to 70,000, those of signatures, the longest that the library reads."""
    signatures = [int.from_bytes(signature, "little") for signature in SIGNATURES]
    for length in (*range(2, 70_000), *(n for n in signatures if 2 <= n <= 10**8), 10**8):
        head = length.to_bytes(8, "little") + b'{"'
        assert [p.__name__ for p in PREDICATES if p(head)] == ["is_safetensors"], length
        assert type(registry.format_of(checkpoints.file.CheckpointFile(None, head, 10, head))) is registry.Safetensors


@pytest.mark.parametrize("blanks_before", [0, 1, 3])
def test_files_of_all_lengths_of_header(blanks_before: int) -> None:
    """The library reads them: blanks may be before and behind, and nothing must be a multiple of eight."""
    for length in range(len(HEADER) + blanks_before, 700):
        header = (b" \t\n"[:blanks_before] + HEADER).ljust(length)
        data = with_header(header)
        assert safetensors.numpy.load(data)["w"].tolist() == [1]
        opened = checkpoints.open(data)
        assert to_array(opened.elements("w")).tolist() == [1], length


def test_header_of_blanks_longer_than_what_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(with_header(b" " * (not_sws.HEAD + 10) + HEADER))
    assert checkpoints.recognise(tmp_path / "a") == "a safetensors file"
    assert list(checkpoints.open(tmp_path / "a").tensors) == ["w"]


def test_no_tensors(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(with_header(b"{}", b""))
    assert checkpoints.open(tmp_path / "a").tensors == {}


@pytest.mark.parametrize("low", [0x80, *b"P{ \n\x1f\x89\x93v"])
def test_as_input_as_shard_and_as_original(low: int, tmp_path: Path) -> None:
    header = HEADER.ljust(256 + low)
    shard, index, out = tmp_path / "a.safetensors", tmp_path / "i.json", tmp_path / "out.sws"
    shard.write_bytes(with_header(header))
    index.write_text(json.dumps({"weight_map": {"w": shard.name}}))
    for source in (shard, index):
        assert run("encode", source, "-o", out, "--force").exit_code == 0
        assert run("verify", out, "--against", source).exit_code == 0
    assert run("encode", "-", "-o", out, "--force", input=shard.read_bytes()).exit_code == 0
    with pytest.raises(swsfmt.NotSwsError, match="this is a safetensors file"):
        swsfmt.load_file(shard)


def saved(**kwargs: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(1)}, buffer, **kwargs)
    return buffer.getvalue()


def npz(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, w=np.ones(1))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(1))
    return buffer.getvalue()


KINDS = {
    "a PyTorch checkpoint": [saved(), saved(_use_new_zipfile_serialization=False)],
    "a safetensors file": [with_header(HEADER), with_header(b" " + HEADER)],
    "a .npz file": [npz(False), npz(True), b"PK\x05\x06" + bytes(18)],
    "a .npy file": [npy()],
    "a GGUF file": [gguf_file({"w": Stored(0, (8,), bytes(32))})],
    "a sharded index": [b'{"weight_map": {}}', b" \n{", codecs.BOM_UTF8 + b"{", codecs.BOM_UTF16_LE + b"{\0"],
}


# The bytes of old versions of torch differ from process to process, and are no part of a name.
@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param(name, data, id=f"{name}, {number}")
        for name, files in KINDS.items()
        for number, data in enumerate(files)
    ],
)
def test_each_kind_is_one_kind(name: str, data: bytes) -> None:
    assert checkpoints.recognise(data) == name
    assert sum(predicate(data) for predicate in PREDICATES) == 1


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, b" \r\n\t"])
def test_index_behind_a_mark(mark: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.st").write_bytes(with_header(HEADER))
    text = json.dumps({"weight_map": {"w": "a.st"}})
    (tmp_path / "i.json").write_bytes(mark + text.encode("utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-8"))
    assert list(checkpoints.open(tmp_path / "i.json").tensors) == ["w"]


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (tar(), "tar archive"),
        (b"\x1f\x8b\x08" + bytes(60), "gzip file; unpack it first"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        (b"\x80", "neither"),
        (b"\x80\0\0\0", "neither"),
        (bytes(64), "neither"),
        (b"", "the file is empty"),
    ],
)
def test_what_it_is_instead(data: bytes, text: str, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.InputError, match=text):
        checkpoints.open(data)
    with pytest.raises(swsfmt.NotSwsError):
        swsfmt.load(data)
    (tmp_path / "a").write_bytes(data)
    assert text in fails("encode", tmp_path / "a")


@pytest.mark.parametrize("files", KINDS.values())
def test_cut_short_is_an_error_of_ours(files: list[bytes]) -> None:
    for data in files:
        for length in range(0, len(data), 1 + len(data) // 97):
            with pytest.raises(swsfmt.InputError):
                checkpoints.open(data[:length])


def test_script_of_torch_and_pickle_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script", "w") as archive:
        for name in ("data.pkl", "code/__torch__.py", "constants.pkl", "version"):
            archive.writestr(f"script/{name}", b"\x80\x02}q\0.")
    assert "TorchScript" in fails("encode", tmp_path / "script")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": np.ones(3)}))
    assert "never unpickles code" in fails("encode", tmp_path / "pickle")


def test_memory_of_all_kinds(tmp_path: Path) -> None:
    data = with_header(HEADER)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for given in (data, bytearray(data), memoryview(data), mapped, file, io.BytesIO(data)):
            assert to_array(checkpoints.open(given).elements("w")).tolist() == [1]
    for wrong in (3, None, ["a"]):
        with pytest.raises(swsfmt.InputError, match="a path, the bytes of a file or an open binary file"):
            checkpoints.open(wrong)  # type: ignore[arg-type]
