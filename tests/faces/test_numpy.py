"""The NumPy interface: kinds of arrays, files, handles, and what cannot be stored."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from craft import F32, file_, floats, record

import swsfmt
import swsfmt.torch
from swsfmt import InputError, TruncatedError
from swsfmt.numpy import _MAX_RANK

BASE = np.arange(24, dtype=np.float32).reshape(4, 6)
READ_ONLY = BASE.copy()
READ_ONLY.flags.writeable = False

ARRAYS: dict[str, Any] = {
    "plain": BASE,
    "transposed": BASE.T,
    "strided": BASE[::2, ::3],
    "reversed": BASE[::-1, ::-1],
    "fortran": np.asfortranarray(BASE),
    "broadcast": np.broadcast_to(np.float32(3), (4, 5)),
    "read-only": READ_ONLY,
    "0-d": np.array(1.5),
    "scalar": np.float64(2.5),
    "bool scalar": np.bool_(True),
    "empty": np.zeros((3, 0)),
    "unaligned": np.frombuffer(b"x" + floats(1, 2, 3), np.float32, offset=1),
    "subclass": BASE.view(np.matrix) if hasattr(np, "matrix") else BASE,
    "all dimensions": np.ones((1,) * _MAX_RANK, np.int8),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_kinds_of_arrays(name: str) -> None:
    expected = np.asarray(ARRAYS[name])
    found = swsfmt.load(swsfmt.save({name: ARRAYS[name]}))[name]
    assert type(found) is np.ndarray
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert found.flags.writeable
    assert found.flags.c_contiguous


@pytest.mark.parametrize("dtype", [">f4", ">i8", ">u2", ">c16", ">f2"])
def test_big_endian_arrays_keep_their_values(dtype: str) -> None:
    array = np.array([1, 2, 300], dtype)
    found = swsfmt.load(swsfmt.save({"a": array}))["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("<")


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "<i2", "<i4", "<u8", "<c8"])
def test_arrays_at_odd_addresses(dtype: str) -> None:
    """As a view of a file may have them."""
    size = np.dtype(dtype).itemsize
    data = b"\0" + np.random.default_rng(0).normal(0, 1, 3000 * size // 4).astype("<f4").tobytes()
    array = np.frombuffer(data, dtype, 3000, offset=1)
    assert not array.flags.aligned
    assert swsfmt.load(swsfmt.save({"a": array}))["a"].tobytes() == array.tobytes()


def test_many_scalars() -> None:
    """Scalars become arrays for a moment only; none of them is another."""
    tensors = {str(i): np.float32(i) for i in range(100)}
    found = swsfmt.load(swsfmt.save(tensors))
    assert [int(array) for array in found.values()] == list(range(100))


def test_npz_file(tmp_path: Path) -> None:
    expected = {str(i): np.asfortranarray(np.full((7, 9), i, np.float32)) for i in range(20)}
    np.savez(tmp_path / "a.npz", **expected)
    with np.load(tmp_path / "a.npz") as archive:
        found = swsfmt.load(swsfmt.save(archive))
    assert [int(array[0, 0]) for array in found.values()] == list(range(20))


BAD: dict[str, Any] = {
    "a list": [1, 2],
    "a float": 1.5,
    "None": None,
    "objects": np.array([None, 1]),
    "text": np.array(["a", "b"]),
    "bytes": np.array([b"a"]),
    "dates": np.array(["2024-01-01"], "datetime64[D]"),
    "records": np.zeros(2, [("a", "f4")]),
    "a nested dict": {"a": BASE},
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_stored(name: str) -> None:
    with pytest.raises(InputError) as caught:
        swsfmt.save({"good": BASE, name: BAD[name]})
    assert caught.value.tensor == name
    assert len(str(caught.value).splitlines()) == 1


def test_masked_arrays_are_refused() -> None:
    """As plain arrays they would be without their mask."""
    masked = np.ma.masked_array(np.arange(4.0), [0, 0, 1, 0])
    with pytest.raises(InputError, match="would lose its mask; give filled") as caught:
        swsfmt.save({"good": BASE, "w": masked})
    assert caught.value.tensor == "w"
    data = swsfmt.save({"w": masked.filled(0)})
    with pytest.raises(InputError, match="masked array in `out`"):
        swsfmt.load(data, out={"w": masked})


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_dtypes_that_files_of_numpy_lose(dtype: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3, dtype))
    lost = np.load(io.BytesIO(buffer.getvalue()))
    with pytest.raises(InputError, match=r"dtype \|V. cannot be stored; .*\.view\(ml_dtypes.bfloat16\).*torch"):
        swsfmt.save({"a": lost})
    swsfmt.save({"a": lost.view(dtype)})
    for other in (np.zeros(2, "V3"), np.zeros(2, [("a", "i1")])):
        with pytest.raises(InputError, match=r"cannot be stored$"):
            swsfmt.save({"a": other})


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is a double here")
def test_long_double_cannot_be_stored() -> None:
    with pytest.raises(InputError, match="cannot be stored"):
        swsfmt.save({"a": np.zeros(3, np.longdouble)})


@pytest.mark.parametrize("name", [1, None, b"a", "\udc80"])
def test_names_that_cannot_be_stored(name: Any) -> None:
    with pytest.raises(InputError):
        swsfmt.save({name: BASE})


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}, {"a": "\ud800"}, {"\ud800": "a"}])
def test_metadata_that_cannot_be_stored(metadata: Any) -> None:
    with pytest.raises(InputError):
        swsfmt.save({"a": BASE}, metadata)


@pytest.mark.parametrize(
    "options",
    [
        {"pbits": 0},
        {"pbits": 13},
        {"pbits": -1},
        {"pbits_fc": 13},
        {"pbits_conv": 0},
        {"scan": "up"},
        {"compact": "on"},
    ],
)
def test_options_out_of_range(options: Any) -> None:
    with pytest.raises(InputError):
        swsfmt.save({"a": BASE}, **options)


def test_a_writer_keeps_to_the_limits_of_the_format() -> None:
    """Section 8: a writer MUST NOT exceed them; what it writes can be read."""
    longest = "a" * (2**16 - 1)
    assert list(swsfmt.load(swsfmt.save({longest: BASE}))) == [longest]
    with pytest.raises(InputError):
        swsfmt.save({longest + "a": BASE})


def test_bool_of_another_byte_is_not_written_unreadably() -> None:
    """A view can give a bool any byte; what is saved must be refused at once or be readable."""
    odd = np.array([0, 1, 2, 255], np.uint8).view(np.bool_)
    try:
        data = swsfmt.save({"a": odd})
    except InputError:
        return
    assert swsfmt.load(data)["a"].tolist() == [False, True, True, True]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "t.sws"
    swsfmt.save_file({"a": BASE, "b": np.int8(3)}, path, {"k": "v"}, pbits=5)
    assert path.read_bytes() == swsfmt.save({"a": BASE, "b": np.int8(3)}, {"k": "v"}, pbits=5)
    for name in (path, str(path)):
        np.testing.assert_array_equal(swsfmt.load_file(name)["a"], BASE)
    with swsfmt.safe_open(path) as file:
        assert file.keys() == ["a", "b"]
        assert file.metadata() == {"k": "v"}
        np.testing.assert_array_equal(file.get_tensor("a"), BASE)
        part = file.get_slice("a")
        assert (part.get_shape(), part.get_dtype()) == ([4, 6], "F32")
        np.testing.assert_array_equal(part[1:, -2], BASE[1:, -2])
    assert swsfmt.inspect(path).file == str(path)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_buffers(make: Any) -> None:
    data = make(swsfmt.save({"a": BASE}))
    np.testing.assert_array_equal(swsfmt.load(data)["a"], BASE)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.sws"
    path.write_bytes(swsfmt.save({"a": BASE})[:-1])
    with pytest.raises(TruncatedError) as caught:
        swsfmt.load_file(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(FileNotFoundError):
        swsfmt.load_file(tmp_path / "none.sws")
    with pytest.raises(InputError, match="folder"):
        swsfmt.load_file(tmp_path)


def test_file_that_shrinks_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "t.sws"
    path.write_bytes(file_(record(shape=(1000,), dtype=F32, payload=bytes(4000))))
    with swsfmt.safe_open(path) as file:
        with path.open("r+b") as other:
            other.truncate(2000)
        with pytest.raises(TruncatedError, match="shorter"):
            file.get_tensor("a")


def test_dtypes_that_numpy_lacks(tmp_path: Path) -> None:
    """They are named; the others are there. Where there are no others, that is an error."""
    lacking = (record(dtype=15, shape=(2,), payload=bytes(8)), record("b", dtype=21, payload=b"\1"))
    path = tmp_path / "a.sws"
    path.write_bytes(
        file_(*lacking, record("c", dtype=F32, payload=floats(1)), record("d\x1b", dtype=15, payload=bytes(4)))
    )
    with swsfmt.safe_open(path) as file:
        for name in ("a", "b"):
            with pytest.raises(InputError, match=r"use swsfmt\.torch"):
                file.get_tensor(name)
        readers: tuple[Callable[[], Any], ...] = (
            lambda: swsfmt.load_file(path),
            lambda: swsfmt.load(path.read_bytes()),
            file.get_tensors,
        )
        for read in readers:
            with pytest.warns(swsfmt.SwsWarning) as caught:
                assert read() == {"c": 1}
            text = str(caught[0].message).removeprefix(f"{path}: ")
            assert text.startswith(
                r"left out 'a', 'b', 'd\x1b': NumPy has no C32; use swsfmt.torch; NumPy has no F4_X2"
            )
            assert (len(caught), caught[0].filename) == (1, __file__)
    with pytest.raises(InputError, match=r"NumPy has no C32"):
        swsfmt.load(file_(*lacking))
    assert swsfmt.verify(path).dense_bytes == 17


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_tied_names_of_a_dtype_that_numpy_lacks() -> None:
    half = torch.zeros(3, dtype=torch.complex32)
    data = swsfmt.torch.save({"a": half, "b": half, "c": torch.arange(3)})
    with pytest.warns(swsfmt.SwsWarning, match="left out 'a', 'b': "):
        assert list(swsfmt.load(data)) == ["c"]
    with pytest.raises(InputError, match="NumPy has no C32"):
        swsfmt.load(data, out={"a": np.zeros(3)})


def test_bfloat16_without_ml_dtypes() -> None:
    """Only tensors that are such need the package."""
    both = (record(payload=floats(1)), record("b", dtype=10, payload=bytes(2)))
    code = f"""
import sys; sys.modules["ml_dtypes"] = None
import swsfmt, warnings
assert swsfmt.load({file_(record(payload=floats(1)))!r})["a"] == 1
with warnings.catch_warnings(record=True) as caught:
    assert list(swsfmt.load({file_(*both)!r})) == ["a"]
assert "left out 'b': NumPy has no BF16; install ml_dtypes" in str(caught[0].message)
try:
    swsfmt.load({file_(record(dtype=10, payload=bytes(2)))!r})
except swsfmt.InputError as error:
    assert "ml_dtypes" in str(error)
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_closed_handle(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    swsfmt.save_file({"w": np.arange(1000.0), "b": np.zeros(3)}, path)
    with swsfmt.safe_open(path) as file:
        part = file.get_slice("w")
        assert list(file.get_tensors()) == file.keys() == file.offset_keys() == ["w", "b"]
    assert part.get_shape() == [1000]
    for read in (lambda: file.get_tensor("w"), lambda: file.get_tensor("b"), lambda: part[:3], file.get_tensors):
        with pytest.raises(swsfmt.InputError, match=r"has been closed.*with statement") as caught:
            read()
        assert caught.value.file == str(path)


def test_a_path_is_not_data_and_data_is_not_a_path(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    swsfmt.save_file({"w": np.arange(4)}, path)
    with pytest.raises(InputError, match=r"not its path; load_file\(\)"):
        swsfmt.load(str(path))  # type: ignore[arg-type]
    assert swsfmt.load_file(os.fsencode(path)).keys() == {"w"}  # type: ignore[arg-type]
    assert swsfmt.load(bytearray(path.read_bytes())).keys() == {"w"}


def test_threads_share_a_handle(tmp_path: Path) -> None:
    """Each tensor is read at its own place, whoever reads at the same time."""
    tensors = {f"t{i}": np.random.default_rng(i).normal(size=2000) for i in range(40)}
    swsfmt.save_file(tensors, tmp_path / "m.sws")
    with swsfmt.safe_open(tmp_path / "m.sws") as file, ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for name, found in zip(tensors, pool.map(file.get_tensor, tensors), strict=True):
                np.testing.assert_array_equal(found, tensors[name])


def test_rank_that_an_old_numpy_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = swsfmt.save({"a": np.ones((1,) * 32, np.int8), "b": np.ones(2)})
    monkeypatch.setattr(swsfmt.numpy, "_MAX_RANK", 31)
    with pytest.raises(InputError, match="rank 31 at most, not 32"):
        swsfmt.load(data)
    with swsfmt.safe_open(data) as file:
        assert file.get_tensor("b").tolist() == [1, 1]
