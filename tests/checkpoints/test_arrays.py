"""NumPy's own files, .npz and .npy, in and out. Nothing is unpickled, and nothing small becomes large unasked."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from command import fails, run

import swsfmt
import swsfmt.torch
from swsfmt import checkpoints
from swsfmt.checkpoints import arrays, convert
from swsfmt.numpy import to_array

ARRAYS: dict[str, Any] = {
    "layer/weight": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype="i4").reshape(2, 3)),
    "big": np.arange(5, dtype=">f4"),
    "half": np.ones(3, "f2"),
    "flag": np.array([True, False]),
    "complex": np.array([1 + 2j], "c8"),
    "wide": np.array([1 + 2j], "c16"),
    "scalar": np.float64(7),
    "empty": np.zeros((0, 3), "u1"),
    "a.npy": np.ones(1),
}


def npz(path: Path, content: dict[str, Any], compressed: bool = False, **kwargs: Any) -> Path:
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **content, **kwargs)
    return path


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def npy(array: Any, **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def header(text: str, version: int = 1) -> bytes:
    width = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(width, "little") + text.encode()


def same(loaded: Any, content: dict[str, Any]) -> None:
    assert list(loaded) == list(content)
    for name, array in content.items():
        assert loaded[name].dtype == np.asarray(array).dtype.newbyteorder("<")
        assert loaded[name].shape == np.shape(array)
        assert np.array_equal(loaded[name], array)


@pytest.mark.parametrize("compressed", [False, True])
def test_there_and_back(compressed: bool, tmp_path: Path) -> None:
    path = npz(tmp_path / "m.npz", ARRAYS, compressed)
    assert run("encode", path).exit_code == 0
    same(swsfmt.load_file(tmp_path / "m.sws"), ARRAYS)
    assert (tmp_path / "m.sws").read_bytes() == swsfmt.save(swsfmt.load_file(tmp_path / "m.sws"))
    assert run("verify", tmp_path / "m.sws", "--against", path).exit_code == 0
    assert run("decode", tmp_path / "m.sws", "-o", tmp_path / "back.npz").exit_code == 0
    with np.load(tmp_path / "back.npz") as back:
        same({name: back[name] for name in back.files}, ARRAYS)
    assert run("verify", tmp_path / "m.sws", "--against", tmp_path / "back.npz").exit_code == 0
    stream = io.BytesIO()
    convert(path.read_bytes(), stream)
    assert stream.getvalue() == (tmp_path / "m.sws").read_bytes()


def test_one_array_there_and_back(tmp_path: Path) -> None:
    for number, array in enumerate(ARRAYS.values()):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(npy(array))
        assert run("encode", path).exit_code == 0
        same(swsfmt.load_file(path.with_suffix(".sws")), {"arr_0": array})
        assert run("decode", path.with_suffix(".sws"), "-o", tmp_path / "back.npy", "--force").exit_code == 0
        same({"a": np.load(tmp_path / "back.npy")}, {"a": array})


def test_same_tensors_same_bytes(tmp_path: Path) -> None:
    swsfmt.save_file({"b": np.ones(3), "a": np.arange(3)}, tmp_path / "m.sws")
    for name in ("1.npz", "2.npz"):
        convert(tmp_path / "m.sws", tmp_path / name)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_versions_of_the_header(tmp_path: Path) -> None:
    for version in ((1, 0), (2, 0)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.arange(3.0), version=version)
        assert to_array(checkpoints.open(buffer.getvalue()).elements("arr_0")).tolist() == [0, 1, 2]
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }".ljust(99) + "\n"
    assert to_array(checkpoints.open(header(text, 3) + bytes(8)).elements("arr_0")).tolist() == [0]
    # As Python 2 wrote it.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1L,), }".ljust(99) + "\n"
        assert to_array(checkpoints.open(header(text) + bytes(8)).elements("arr_0")).tolist() == [0]


def test_an_archive_of_nothing(tmp_path: Path) -> None:
    assert checkpoints.open(npz(tmp_path / "m.npz", {})).tensors == {}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_stay_in_the_file(compressed: bool, tmp_path: Path) -> None:
    path = npz(tmp_path / "m.npz", ARRAYS, compressed)
    opened = checkpoints.open(path)
    assert all(isinstance(tensor, arrays.StoredArray) for tensor in opened.tensors.values())
    copy = pickle.loads(pickle.dumps(opened.tensors["fortran"]))
    assert np.array_equal(to_array(copy.load()), ARRAYS["fortran"])
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(swsfmt.ChangedError, match="has changed") as error:
        opened.elements("big")
    assert error.value.file == str(path)


def test_headers_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz(tmp_path / "m.npz", ARRAYS)
    header, reads = arrays._header, 0

    def read(file: Any) -> Any:
        nonlocal reads
        reads += 1
        return header(file)

    monkeypatch.setattr(arrays, "_header", read)
    convert(path, tmp_path / "m.sws")
    assert reads == len(ARRAYS)


def test_other_processes_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path / "m.npz", {"a": np.arange(100.0), "b": np.ones(50)})
    monkeypatch.chdir(tmp_path)
    with ProcessPoolExecutor(1) as pool:
        convert("m.npz", "m.sws", executor=pool)
    assert swsfmt.load_file("m.sws")["b"].tolist() == [1] * 50


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([{}], object), "swsfmt never unpickles code"),
        (np.array(["a"]), "dtype <U1 cannot be stored"),
        (np.zeros(2, "M8[s]"), "cannot be stored"),
        (np.zeros(2, [("a", "f4"), ("b", "O")]), "swsfmt never unpickles code"),
        (np.zeros(2, [("a", "f4")]), "cannot be stored"),
        (np.ones(2, ml_dtypes.bfloat16), "cannot be stored; if it was bfloat16"),
    ],
)
def test_dtypes_that_are_refused(array: Any, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(array, allow_pickle=True))
    assert text in fails("encode", tmp_path / "a.npy")
    message = fails("encode", npz(tmp_path / "a.npz", {"good": np.ones(1), "w": array}))
    assert text in message
    assert "tensor 'w'" in message


@pytest.mark.parametrize(
    ("shape", "data", "text"),
    [
        ("(10000000000000,)", 8, "80,000,000,000,000 bytes of elements should be there, and 8 are"),
        ("(2,)", 8, "16 bytes of elements should be there, and 8 are"),
        ("(2,)", 24, "16 bytes of elements should be there, and 24 are"),
        ("(-1,)", 8, "below 0"),
        (f"({1 << 63}, 0)", 0, "too large to address"),
        (f"({'1, ' * 65})", 8, "rank 65"),
        ("3", 8, "damaged"),
        ("(", 8, "damaged"),
    ],
)
def test_headers_that_are_wrong(shape: str, data: int, text: str, tmp_path: Path) -> None:
    content = header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n") + bytes(data)
    (tmp_path / "a.npy").write_bytes(content)
    assert text in fails("encode", tmp_path / "a.npy")
    assert text in fails("encode", archive(tmp_path / "a.npz", {"w.npy": content}))


def test_bomb(tmp_path: Path) -> None:
    """A megabyte of zeros is a kilobyte in the archive; the limit is on what all arrays are together."""
    path = npz(tmp_path / "a.npz", {"a": np.zeros(1 << 17), "b": np.zeros(1 << 17)}, compressed=True)
    limit = swsfmt.Limits(max_decoded_bytes=(1 << 21) - 1)
    for ask in (checkpoints.open, lambda path, limits: convert(path, tmp_path / "a.sws", limits=limits)):
        with pytest.raises(swsfmt.LimitError, match="--limit max_decoded_bytes=2097152"):
            ask(path, limits=limit)
    assert "max_decoded_bytes=2097152" in fails("encode", path, "--limit", "max_decoded_bytes=2000000")
    assert run("encode", path, "--limit", "max_decoded_bytes=2097152").exit_code == 0
    assert "max_decoded_bytes" in fails(
        "verify", tmp_path / "a.sws", "--against", path, "--limit", "max_decoded_bytes=2000000"
    )
    # What is as large itself may be as large.
    checkpoints.open(npz(tmp_path / "b.npz", {"a": np.zeros(1000)}), limits=swsfmt.Limits(max_decoded_bytes=10))


def test_size_in_the_archive_is_a_lie(tmp_path: Path) -> None:
    content = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({1 << 30},), }}\n") + bytes(100)
    path = archive(tmp_path / "a.npz", {"w.npy": content}, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    size = len(content).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (len(content) - 100 + (1 << 30)).to_bytes(4, "little")))
    opened = checkpoints.open(path)
    with pytest.raises(swsfmt.InputError, match="should be there"):
        opened.elements("w")


def test_damage_is_seen(tmp_path: Path) -> None:
    for compressed in (False, True):
        path = npz(tmp_path / "a.npz", {"w": np.arange(1000.0)}, compressed)
        data = bytearray(path.read_bytes())
        for place in range(0, len(data), 1 + len(data) // 200):
            data[place] ^= 0x55
            path.write_bytes(data)
            try:
                back = to_array(checkpoints.open(path).elements("w"))
                assert np.array_equal(back, np.arange(1000.0))
            except swsfmt.SwsError:
                pass
            data[place] ^= 0x55


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"w.npy": npy(np.ones(1)), "readme": b"text"}, "no array of NumPy"),
        ({"w.npy": b"text"}, "damaged"),
        ({"w.npy": b""}, "damaged"),
    ],
)
def test_members_that_are_no_arrays(members: dict[str, bytes], text: str, tmp_path: Path) -> None:
    assert text in fails("encode", archive(tmp_path / "a.npz", members))


def test_twice_the_same_name_and_other_compression(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("w.npy", npy(np.ones(1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("w.npy", npy(np.ones(2)))
    assert "has this array twice" in fails("encode", tmp_path / "a.npz")
    archive(tmp_path / "b.npz", {"w.npy": npy(np.ones(1))}, zipfile.ZIP_BZIP2)
    assert "compression 12" in fails("encode", tmp_path / "b.npz")


def test_what_numpy_cannot_hold(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.ones(2), "h": torch.ones(2).bfloat16()}, tmp_path / "a.sws")
    message = fails("decode", tmp_path / "a.sws", "-o", tmp_path / "a.npz")
    assert "tensor 'h': NumPy has no BF16; decode to a .safetensors file" in message
    assert "a .npy file holds one array, there are 2 tensors" in fails(
        "decode", tmp_path / "a.sws", "-o", tmp_path / "a.npy"
    )
    swsfmt.save_file({"a\0b": np.ones(1)}, tmp_path / "b.sws")
    assert "cannot have this name" in fails("decode", tmp_path / "b.sws", "-o", tmp_path / "b.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sws", "b.sws"]


def test_metadata_that_is_lost_is_told(tmp_path: Path) -> None:
    swsfmt.save_file({"a": np.ones(1)}, tmp_path / "a.sws", {"note": "x"})
    for suffix in ("npz", "npy"):
        result = run("decode", tmp_path / "a.sws", "-o", tmp_path / f"a.{suffix}")
        assert "does not carry the metadata" in result.stderr


def test_tied_arrays_are_written_under_each_name(tmp_path: Path) -> None:
    array = np.arange(3.0)
    swsfmt.save_file({"a": array, "b": array}, tmp_path / "a.sws")
    convert(tmp_path / "a.sws", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as back:
        same({name: back[name] for name in back.files}, {"a": array, "b": array})


def test_key_is_not_for_them(tmp_path: Path) -> None:
    assert "this is a .npz file" in fails("encode", npz(tmp_path / "a.npz", {"a": np.ones(1)}), "--key", "a")
