"""`sws decode`: back to checkpoints that other programs read."""

from __future__ import annotations

import io
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from command import fails, run
from tensors import same

import swsfmt
import swsfmt.dtypes
import swsfmt.torch
from swsfmt.codings.base import Decoded
from swsfmt.processors import processors
from swsfmt.read import tensors as handle
from swsfmt.read.reader import Reader, Record

Tensors = dict[str, torch.Tensor]
METADATA = {"format": "pt", "note": "é\n", "a": "", "z": "4", "m": "5"}


def of_dtype(dtype: torch.dtype) -> torch.Tensor:
    """Twelve elements with varied bits; bool takes 0 and 1 only."""
    numbers = np.random.default_rng(2).integers(0, 2 if dtype is torch.bool else 256, 16 * 12, dtype=np.uint8)
    return torch.from_numpy(numbers).view(dtype)[:12].reshape(3, 4).clone()


KNOWN = [
    *(torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32, torch.uint64),
    *(torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
]


def can_be_saved(dtype: torch.dtype) -> bool:
    """By `torch.save`: old versions know less than they have."""
    try:
        torch.save(of_dtype(dtype), io.BytesIO())
    except (KeyError, RuntimeError):
        return False
    return True


SAFE = [dtype for dtype in KNOWN if can_be_saved(dtype)]


@pytest.fixture
def tensors() -> Tensors:
    weight = torch.randn(6, 7, generator=torch.Generator().manual_seed(0)).round()
    return {
        "weight": weight,
        "half": weight.bfloat16()[:3],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(3, 0, dtype=torch.float16),
        "tied": weight,
        "": torch.tensor([float("nan"), -0.0]),
        **{str(dtype): of_dtype(dtype) for dtype in SAFE},
    }


@pytest.fixture
def sws(tensors: Tensors, tmp_path: Path) -> Path:
    swsfmt.torch.save_file(tensors, tmp_path / "model.sws", METADATA)
    return tmp_path / "model.sws"


def test_safetensors(sws: Path, tensors: Tensors) -> None:
    result = run("decode", sws)
    out = sws.with_suffix(".safetensors")
    assert result.exit_code == 0
    back = safetensors.torch.load_file(out)
    assert set(back) == set(tensors)
    assert [name for name in tensors if not same(back[name], tensors[name])] == []
    with safetensors.safe_open(out, "pt") as file:
        assert file.metadata() == METADATA
    told = f"{os.stat(out).st_size:,} bytes, {len(tensors)} tensors from the {os.stat(sws).st_size:,} bytes of {sws}"
    assert result.stdout == f"{out}: {told}\n"
    assert result.stderr == ""


def test_no_metadata_stays_none(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.ones(2)}, tmp_path / "a.sws")
    run("decode", tmp_path / "a.sws")
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() is None


@pytest.mark.parametrize("suffix", ["pt", "pth", "PT"])
def test_torch(suffix: str, sws: Path, tensors: Tensors, tmp_path: Path) -> None:
    out = tmp_path / f"out.{suffix}"
    result = run("decode", sws, "-o", out)
    assert result.exit_code == 0
    back = torch.load(out, weights_only=True)
    assert list(back) == list(tensors)
    assert [name for name in tensors if not same(back[name], tensors[name])] == []
    assert back["tied"].data_ptr() == back["weight"].data_ptr()
    assert "metadata" in result.stderr


def test_no_note_where_there_is_no_metadata(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.ones(2)}, tmp_path / "a.sws")
    assert run("decode", tmp_path / "a.sws", "-o", tmp_path / "a.pt").stderr == ""


@pytest.mark.parametrize(("dtype", "name"), [(torch.complex128, "C128"), (torch.complex32, "C32")])
def test_dtypes_that_safetensors_lacks(dtype: torch.dtype, name: str, tmp_path: Path) -> None:
    tensors = {"ok": torch.ones(2), "z": of_dtype(dtype)}
    swsfmt.torch.save_file(tensors, tmp_path / "a.sws")
    message = fails("decode", tmp_path / "a.sws")
    assert name in message
    assert "'z'" in message
    assert ".pt" in message
    assert not (tmp_path / "a.safetensors").exists()
    assert run("decode", tmp_path / "a.sws", "-o", tmp_path / "a.pt").exit_code == 0
    assert same(torch.load(tmp_path / "a.pt", weights_only=True)["z"], tensors["z"])


def test_name_that_safetensors_keeps_for_itself(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"__metadata__": torch.ones(2)}, tmp_path / "a.sws")
    assert "__metadata__" in fails("decode", tmp_path / "a.sws")


def test_empty_model(tmp_path: Path) -> None:
    swsfmt.save_file({}, tmp_path / "a.sws")
    assert run("decode", tmp_path / "a.sws").exit_code == 0
    assert safetensors.torch.load_file(tmp_path / "a.safetensors") == {}
    assert run("decode", tmp_path / "a.sws", "-o", tmp_path / "a.pt").exit_code == 0
    assert torch.load(tmp_path / "a.pt", weights_only=True) == {}


def test_there_and_back_is_the_same_file(sws: Path, tmp_path: Path) -> None:
    run("decode", sws, "-o", tmp_path / "a.safetensors")
    run("encode", tmp_path / "a.safetensors")
    run("decode", tmp_path / "a.sws", "-o", tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    found: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return found


def test_header_is_in_the_order_of_the_file(sws: Path, tensors: Tensors) -> None:
    run("decode", sws)
    assert list(header(sws.with_suffix(".safetensors"))) == ["__metadata__", *tensors]


def test_data_is_aligned_and_without_holes(sws: Path) -> None:
    run("decode", sws)
    path = sws.with_suffix(".safetensors")
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert start % 8 == 0
    entries = header(path)
    del entries["__metadata__"]
    sizes = {t.name: swsfmt.dtypes.BY_NAME[t.dtype].itemsize for t in swsfmt.inspect(sws).tensors if t.dtype}
    for name, entry in entries.items():
        assert entry["data_offsets"][0] % sizes[name] == 0, name
    offsets = sorted(entry["data_offsets"] for entry in entries.values())
    assert [first for first, _ in offsets] == [0, *(last for _, last in offsets[:-1])]
    assert start + offsets[-1][1] == path.stat().st_size


def test_it_is_as_large_as_what_the_library_writes(sws: Path, tensors: Tensors) -> None:
    """Neither padding nor anything else is added to what safetensors itself would write."""
    run("decode", sws)
    path = sws.with_suffix(".safetensors")
    safetensors.torch.save_file({name: t.clone() for name, t in tensors.items()}, sws.with_suffix(".lib"), METADATA)
    assert path.stat().st_size == sws.with_suffix(".lib").stat().st_size


def test_numpy_reads_it_too(tmp_path: Path) -> None:
    arrays = {
        "z": np.array([True, False, True]),
        "f": np.arange(5, dtype="f4"),
        "b": np.array(7),
        "a": np.ones(3, "f2"),
    }
    swsfmt.save_file(arrays, tmp_path / "a.sws")
    run("decode", tmp_path / "a.sws")
    back = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert {n: (a.dtype, a.tolist()) for n, a in back.items()} == {n: (a.dtype, a.tolist()) for n, a in arrays.items()}


def test_too_long_a_header(sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("swsfmt.checkpoints.safetensors"), "_MAX_HEADER", 500)
    assert "header" in fails("decode", sws)
    assert not sws.with_suffix(".safetensors").exists()


def mixed() -> Tensors:
    """Names and dtypes in no order, values that get each kind of coding, nothing tied."""
    generator = torch.Generator().manual_seed(4)
    sparse = torch.randint(-2, 3, (60, 70), generator=generator).float() * (
        torch.rand(60, 70, generator=generator) < 0.1
    )
    return {
        "z.flag": torch.tensor([True, False, True]),
        "m.weight": sparse,
        "a.half": torch.randn(7, generator=generator).bfloat16(),
        "steps": torch.tensor(12),
        "b.weight": sparse.double(),
        "float8": of_dtype(torch.float8_e5m2),
        "a.weight": torch.randint(0, 9, (50, 40), generator=generator).half(),
        "none": torch.zeros(0, 3),
        "c": torch.randn(90, generator=generator),
        "B": torch.randn(5, dtype=torch.complex64, generator=generator),
    }


@pytest.mark.parametrize("model", ["digits_cnn", "mixed"])
def test_encode_decode_encode_is_the_same_file(model: str, tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / "digits_cnn.pt"
    if model == "mixed":
        source = tmp_path / "mixed.pt"
        torch.save(mixed(), source)
    assert run("encode", source, "-o", tmp_path / "a.sws").exit_code == 0
    assert run("decode", tmp_path / "a.sws", "-o", tmp_path / "a.safetensors").exit_code == 0
    original, back = torch.load(source, weights_only=True), safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert set(back) == set(original)
    assert all(same(back[name], original[name]) for name in original)
    assert run("encode", tmp_path / "a.safetensors", "-o", tmp_path / "b.sws").exit_code == 0
    assert (tmp_path / "a.sws").read_bytes() == (tmp_path / "b.sws").read_bytes()


def test_stdin_and_stdout(sws: Path) -> None:
    run("decode", sws)
    result = run("decode", "-", "-o", "-", input=sws.read_bytes())
    assert result.exit_code == 0
    assert result.stdout_bytes == sws.with_suffix(".safetensors").read_bytes()
    assert result.stderr.startswith("stdout: ")


def test_stdin_to_torch(sws: Path, tmp_path: Path) -> None:
    assert run("decode", "-", "-o", tmp_path / "a.pt", input=sws.read_bytes()).exit_code == 0
    assert run("verify", sws, "--against", tmp_path / "a.pt").exit_code == 0


def test_stdin_needs_an_output(sws: Path) -> None:
    assert run("decode", "-", input=sws.read_bytes()).exit_code == 2


def test_unknown_suffix_is_2(sws: Path, tmp_path: Path) -> None:
    result = run("decode", sws, "-o", tmp_path / "a.bin")
    assert result.exit_code == 2
    assert ".safetensors, .pt, .pth, .npz, .npy or .onnx" in result.stderr


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_json(suffix: str, sws: Path) -> None:
    out = sws.with_suffix(suffix)
    result = run("decode", sws, "-o", out, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        **swsfmt.inspect(sws).to_json(),
        "file": str(sws),
        "output": str(out),
        "output_bytes": os.stat(out).st_size,
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("args", [(), ("--json",)])
def test_every_tensor_is_decoded_once_and_a_tied_one_again_for_each_name(
    args: tuple[str, ...], suffix: str, sws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = Reader.decode

    def counted(reader: Reader, record: Record, *rest: Any) -> Decoded:
        decoded.append(record.name)
        return decode(reader, record, *rest)

    monkeypatch.setattr(Reader, "decode", counted)
    assert run("decode", sws, "-o", sws.with_suffix(suffix), *args).exit_code == 0
    with Reader.open(sws) as reader:
        own = [r.name for r in reader.records if r.target is None]
    assert sorted(decoded) == sorted([*own, "weight"] if suffix == ".safetensors" else own)


def test_json_of_stdin(sws: Path, tmp_path: Path) -> None:
    result = run("decode", "-", "-o", tmp_path / "out.pt", "--json", input=sws.read_bytes())
    assert json.loads(result.stdout)["file"] == "-"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(("args", "expected"), [((), processors()), (("--threads", "3"), 3)])
def test_threads(args: tuple[str, ...], expected: int, suffix: str, sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    decode = Reader.decode

    def watched(reader: Reader, record: Record, threads: int = 1, *rest: Any) -> Decoded:
        seen.add(threads)
        return decode(reader, record, threads, *rest)

    monkeypatch.setattr(Reader, "decode", watched)
    # No tensor is a small one, of which many are decoded side by side, each in one thread.
    monkeypatch.setattr(handle, "_SMALL", -1)
    assert run("decode", sws, "-o", sws.with_suffix(suffix), *args).exit_code == 0
    assert seen == {expected}


@pytest.mark.parametrize("threads", ["0", "-1", "x"])
def test_bad_threads_is_2(threads: str, sws: Path) -> None:
    assert run("decode", sws, "--threads", threads).exit_code == 2


def test_json_and_stdout_exclude_each_other(sws: Path) -> None:
    assert run("decode", sws, "-o", "-", "--json").exit_code == 2


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_existing_output_is_kept(suffix: str, sws: Path) -> None:
    out = sws.with_suffix(suffix)
    out.write_text("old")
    assert "--force" in fails("decode", sws, "-o", out)
    assert out.read_text() == "old"
    assert run("decode", sws, "-o", out, "--force").exit_code == 0
    assert out.read_bytes()[:3] != b"old"


def test_input_is_not_written_over(sws: Path, tmp_path: Path) -> None:
    sws.rename(tmp_path / "odd.safetensors")
    before = (tmp_path / "odd.safetensors").read_bytes()
    assert "input" in fails("decode", tmp_path / "odd.safetensors", "--force")
    assert (tmp_path / "odd.safetensors").read_bytes() == before


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_killed_decoder_leaves_the_old_file(suffix: str, sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = sws.with_suffix(suffix)
    out.write_text("old")
    before = sorted(os.listdir(sws.parent))

    def stop(*_args: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", stop)
    fails("decode", sws, "-o", out, "--force")
    assert out.read_text() == "old"
    assert sorted(os.listdir(sws.parent)) == before


def test_checkpoint_is_not_a_sws_file(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    assert "sws encode" in fails("decode", tmp_path / "a.pt", "-o", tmp_path / "b.pt", code=3)
