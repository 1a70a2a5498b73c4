"""The coding with classes where it is smaller, from the tensor to the file and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import swsfmt
import swsfmt.torch
from swsfmt.codings.classes import CLASSES
from swsfmt.codings.clustering import find_classes
from swsfmt.entropy import backend, rans
from swsfmt.read.reader import Reader

slow_twin = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the kernels in Python take minutes")


def grid(shape: tuple[int, ...] = (400, 300), seed: int = 0, step: float = 0.5) -> npt.NDArray[np.float32]:
    """Normal weights on a grid, whose spread is that of their row and column."""
    rng = np.random.default_rng(seed)
    rows = np.exp(rng.normal(0, 0.5, (shape[0], *[1] * (len(shape) - 1))))
    columns = np.exp(rng.normal(0, 0.5, shape[1:]))
    return (np.rint(rng.normal(size=shape) * rows * columns / step) * step + np.float32(0)).astype(np.float32)


def codings(data: bytes) -> list[int]:
    with Reader.open(data) as reader:
        return [record.coding.id for record in reader.records]


def params_of(data: bytes) -> Any:
    with Reader.open(data) as reader:
        return reader.records[0].params


def test_smaller_than_the_profile_fast_by_default() -> None:
    arrays = {"a": grid(), "small": grid((9, 9)), "floats": np.random.default_rng(0).normal(size=(80, 80))}
    fast, default = swsfmt.save(arrays, profile="fast"), swsfmt.save(arrays)
    assert (codings(fast), codings(default)) == ([3, 3, 0], [9, 3, 6])
    assert len(default) < 0.97 * len(fast)
    assert default == swsfmt.save(arrays, profile="default") == swsfmt.save(arrays, profile={"a": "default"})
    for name, array in swsfmt.load(default).items():
        assert array.tobytes() == arrays[name].tobytes()


def test_never_larger() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "ones": np.ones((100, 100), np.float32),
        "fixed": rng.integers(1, 5, (128, 128)).astype(np.float32),
        "sparse": (grid() * (rng.random((400, 300)) < 0.02)).astype(np.float32) + np.float32(0),
        "vector": rng.integers(0, 9, 5000).astype(np.float32),
    }
    for name, array in arrays.items():
        fast, default = (swsfmt.save({name: array}, profile=profile) for profile in ("fast", "default"))
        assert len(default) <= len(fast)
        assert swsfmt.load(default)[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float64"])
def test_dtypes(dtype: str) -> None:
    array = (grid((150, 200)) * 2).astype(dtype)
    data = swsfmt.save({"a": array})
    assert codings(data) == [9]
    assert swsfmt.load(data)["a"].tobytes() == array.tobytes()
    with backend.without_vectors():
        assert swsfmt.load(data)["a"].tobytes() == array.tobytes()


def test_bfloat16_and_conversion() -> None:
    tensor = torch.from_numpy(grid()).to(torch.bfloat16)
    data = swsfmt.torch.save({"a": tensor})
    assert codings(data) == [9]
    assert torch.equal(swsfmt.torch.load(data)["a"], tensor)
    assert torch.equal(swsfmt.torch.load(data, dtype=torch.float32)["a"], tensor.float())


@pytest.mark.parametrize(
    "shape", [(90_000,), (1, 90_000), (90_000, 1), (30, 40, 5, 15), (2, 50_000), (50_000, 2)], ids=str
)
def test_shapes(shape: tuple[int, ...]) -> None:
    array = grid(shape)
    data = swsfmt.save({"a": array})
    assert swsfmt.load(data)["a"].tobytes() == array.tobytes()


@slow_twin
def test_any_number_of_threads_has_the_same_bytes() -> None:
    array = grid((1500, 700))
    data = swsfmt.save({"a": array}, threads=1)
    assert params_of(data).chunk_rows > 0
    assert swsfmt.save({"a": array}, threads=4) == data
    for threads in (1, 2, 5):
        assert swsfmt.load(data, threads=threads)["a"].tobytes() == array.tobytes()
    target = {"a": np.empty_like(array)}
    swsfmt.load(data, out=target)
    assert target["a"].tobytes() == array.tobytes()


@slow_twin
def test_the_bytes_of_the_kernels_in_python() -> None:
    array = grid((90, 110))
    data = swsfmt.save({"a": array})
    assert codings(data) == [9]
    with backend.use(backend.BITARRAY):
        assert swsfmt.save({"a": array}) == data
        assert swsfmt.load(data)["a"].tobytes() == array.tobytes()


@slow_twin
def test_rows_come_from_the_chunks_that_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    array = grid((1500, 700))
    rows = []
    original = rans.decode
    monkeypatch.setattr(rans, "decode", lambda *a: (rows.append(len(a[3].rows)), original(*a)))
    data = swsfmt.save({"a": array})
    size = params_of(data).chunk_rows
    with swsfmt.safe_open(data) as file:
        part = file.get_slice("a")
        for first, last in ((0, 1), (size - 1, size + 1), (700, 1400), (1499, 1500)):
            assert np.array_equal(part[first:last], array[first:last])
            assert rows.pop() <= last - first + 2 * size
            rows.clear()


@slow_twin
def test_a_fault_elsewhere_is_found_before_the_first_rows() -> None:
    array = grid((1500, 700))
    data = bytearray(swsfmt.save({"a": array}))
    with Reader.open(bytes(data)) as reader:
        record, payload = reader.records[0], bytearray(reader.payload(reader.records[0]))
        payload[-1] ^= 1
        assert record.info is not None
        with pytest.raises(swsfmt.PayloadError, match="chunk"):
            CLASSES.check(record.params, record.info, bytes(payload))
        CLASSES.check(record.params, record.info, bytes(reader.payload(record)), 3)


def test_inspect_tells_where_the_bytes_go() -> None:
    tensor = swsfmt.inspect(swsfmt.save({"a": grid()})).tensors[0]
    assert (tensor.coding, tensor.saved_bytes) == ("classes", None)
    used = {section for section, size in tensor.sections.items() if size}
    assert used == {"header_and_index", "class_labels", "code_tables", "values"}
    assert sum(tensor.sections.values()) == tensor.file_bytes


def test_wide_alphabets_are_left_to_others() -> None:
    array = np.minimum(np.abs(grid((400, 400), step=0.05)), 10).astype(np.float32)
    assert codings(swsfmt.save({"a": array})) == [9]
    array[:4] = np.resize(np.arange(1, 1101), (4, 400))
    data = swsfmt.save({"a": array})
    assert 9 not in codings(data)
    assert swsfmt.load(data)["a"].tobytes() == array.tobytes()


def test_classes_are_found() -> None:
    """Rows and columns of two kinds, however they are ordered."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 2, 300), rng.integers(0, 2, 200)
    symbols = np.where((rows[:, None] + columns) % 2, rng.integers(0, 2, (300, 200)), rng.integers(0, 8, (300, 200)))
    classes = find_classes(symbols.astype(np.uint16), np.arange(8))
    for labels, kinds in ((classes.rows, rows), (classes.columns, columns)):
        for kind in (0, 1):
            others = set(labels[kinds == 1 - kind].tolist())
            assert not set(labels[kinds == kind].tolist()) & others


def test_no_classes_where_there_are_none() -> None:
    symbols = np.random.default_rng(0).integers(0, 20, (300, 200)).astype(np.uint16)
    assert find_classes(symbols, np.arange(20))[2:] == (1, 1)


def test_large_samples_and_whole_matrices() -> None:
    """Rows and columns that the sample leaves out have classes too."""
    rng = np.random.default_rng(0)
    for shape in ((3000, 400), (300, 4000), (2000, 2000)):
        spread = 1 + 3 * (rng.random(shape[0]) < 0.5)[:, None] + 9 * (rng.random(shape[1]) < 0.5)
        symbols = np.minimum(rng.geometric(1 / spread), 60).astype(np.uint16)
        classes = find_classes(symbols, np.arange(61), threads=2)
        assert (len(classes.rows), len(classes.columns)) == shape
        assert classes.row_classes > 1
        assert classes.column_classes > 1


def test_checkpoint(checkpoint_path: Path) -> None:
    """Bit for bit, and never larger than without."""
    state = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
    state = state.get("state_dict", state)
    fast, default = swsfmt.torch.save(state, profile="fast"), swsfmt.torch.save(state)
    assert len(default) <= len(fast)
    for name, tensor in swsfmt.torch.load(default).items():
        assert torch.equal(tensor, state[name])
