"""The search for levels and scales in floats: what is found is right to the bit, and both kernels find the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import swsfmt
import swsfmt.torch
from swsfmt.codings.scaled import grid, tables
from swsfmt.dtypes import BY_NAME
from swsfmt.entropy import backend
from swsfmt.entropy.grid import steps_of
from swsfmt.tensor import Elements, TensorInfo

Array = np.ndarray[Any, Any]


def weights(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def quantized(blocks: Array, bits: int, kind: Any = np.float32) -> tuple[Array, Array]:
    """Levels and scales of rows."""
    most = 2 ** (bits - 1) - 1
    scale = (np.abs(blocks).max(1, keepdims=True) / most).astype(kind).astype(np.float32)
    return np.rint(blocks / scale) + np.float32(0), scale


def search(array: Array, dtype: str = "F32") -> Any:
    own = BY_NAME[dtype]
    found = grid.search(Elements(TensorInfo(own, array.shape), np.ascontiguousarray(array).reshape(-1).view(own.bits)))
    return None if found is None else found[0].grid


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("block", [8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_groups_and_rows(bits: int, block: int, kind: Any) -> None:
    """The true scales, or multiples where all levels of a block have a common divisor."""
    levels, scale = quantized(weights((64 * 512 // block, block)), bits, kind)
    array = (levels * scale).astype(np.float32).reshape(64, 512)
    found = search(array)
    assert found is not None
    assert found.layout.blocks == (1, block)
    assert found.steps.size == scale.size
    times = found.steps / scale.ravel()
    assert np.array_equal(np.rint(times), times) or kind == np.float32
    if bits > 4 or block > 16:
        assert np.mean(times == 1) > 0.9
    if kind == np.float16:
        assert np.array_equal(found.steps.astype(np.float16).astype(np.float32), found.steps)


@pytest.mark.parametrize("levels", [5_000, 30_000])
def test_one_step(levels: int) -> None:
    step = np.float32(0.1 / levels)
    array = (np.rint(np.random.default_rng(0).uniform(-0.1, 0.1, (64, 512)) / step) * step).astype(np.float32)
    found = search(array)
    assert found.layout.blocks == (64, 512)
    assert abs(found.steps[0] / step - 1) < 1e-6


def test_columns_and_convolutions() -> None:
    levels, scale = quantized(weights((96, 300)), 8)
    array = (levels * scale).astype(np.float32)
    assert search(np.ascontiguousarray(array.T)).layout.blocks == (300, 1)
    assert search(array.reshape(96, 12, 5, 5)).layout.blocks == (1, 12, 5, 5)
    assert search(array.reshape(1, -1)) is None or search(array.reshape(1, -1)).layout.block < 96 * 300


def test_offsets() -> None:
    """As GGUF's Q4_1: scales and minima are numbers of float16."""
    own = weights((2048, 32))
    least = own.min(1, keepdims=True).astype(np.float16).astype(np.float32)
    scale = ((own.max(1, keepdims=True) - own.min(1, keepdims=True)) / 15).astype(np.float16).astype(np.float32)
    levels = np.clip(np.rint((own - least) / scale), 0, 15)
    found = search((levels * scale + least).astype(np.float32).reshape(128, 512))
    assert found.layout.blocks == (1, 32)
    assert np.array_equal(found.offsets, least.ravel())
    assert np.array_equal(found.steps, scale.ravel())


@pytest.mark.parametrize(("name", "dtype"), [("F16", torch.float16), ("BF16", torch.bfloat16)])
@pytest.mark.parametrize(("block", "bits"), [(512, 8), (128, 4), (32, 4)])
def test_of_16_bits(name: str, dtype: torch.dtype, block: int, bits: int) -> None:
    """As GPTQ and AWQ: computed in the dtype of the tensor."""
    levels, scale = quantized(weights((64 * 512 // block, block)), bits)
    tensor = torch.from_numpy(levels).to(dtype) * torch.from_numpy(scale).to(dtype)
    own = swsfmt.torch.from_tensor(tensor).bits.reshape(64, 512)
    found = search(own, name)
    assert found is not None
    assert found.layout.blocks == (1, block)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_ordinary_floats(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few blocks are looked at, never all."""
    own = BY_NAME[name]
    tensor = torch.from_numpy(weights((512, 512))).to(
        {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[name]
    )
    elements = Elements(TensorInfo(own, (512, 512)), swsfmt.torch.from_tensor(tensor).bits)
    seen = []
    monkeypatch.setattr(grid.grid, "steps_of", lambda *args: seen.append(len(args[0])) or steps_of(*args))
    assert grid.search(elements) is None
    assert sum(seen) < 512 * 512 // 16


def test_negative_zeros() -> None:
    """They are levels of their own."""
    levels, scale = quantized(weights((64, 512)), 8)
    array = (levels * scale).astype(np.float32)
    array[array == 0] *= np.where(np.arange(np.count_nonzero(array == 0)) % 2, -1, 1).astype(np.float32)
    data = swsfmt.save({"a": array}, profile="small")
    assert swsfmt.load(data)["a"].tobytes() == array.tobytes()
    with swsfmt.safe_open(data) as file:
        parts = file.get_parts("a")
        assert parts is not None
        assert parts.levels.dtype == np.float16


def test_as_small_as_given_apart() -> None:
    for block in (512, 32, 128):
        levels, scale = quantized(weights((256 * 512 // block, block)), 8 if block == 512 else 4)
        shape = (256, 512)
        array = (levels * scale).astype(np.float32).reshape(shape)
        data = swsfmt.save({"a": array}, profile="small")
        value = swsfmt.Scaled(levels.astype(np.int8).reshape(shape), scale.reshape(256, -1))
        assert swsfmt.load(data)["a"].tobytes() == array.tobytes()
        assert len(data) <= 1.01 * len(swsfmt.save({"a": value}, profile="small"))


@given(
    st.sampled_from(["F32", "F16", "BF16"]),
    st.integers(0, 1 << 20),
    st.sampled_from([4, 16, 33]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([1.0, 1e-3, 1e30, 1e-39, 1e-44, 3e38]),
)
@settings(deadline=None)
def test_both_kernels(name: str, seed: int, block: int, bits: int, affine: bool, size: float) -> None:
    """The same steps, whatever the floats are."""
    rng = np.random.default_rng(seed)
    scale = (rng.random((6, 1)) * size).astype(np.float32)
    with np.errstate(all="ignore"):
        array = (rng.integers(-(2**bits), 2**bits, (6, block)) * scale).astype(np.float32)
        if affine:
            array += (rng.random((6, 1)) * size).astype(np.float16).astype(np.float32)
        if seed % 4 == 0:
            array.reshape(-1)[seed % array.size] = rng.choice([np.nan, np.inf, -np.inf, -0.0, 1.0])
        kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[name]
        own = swsfmt.torch.from_tensor(torch.from_numpy(array).to(kind)).bits
        results = []
        for kernels in {backend.BITARRAY, backend.active()}:
            with backend.use(kernels):
                steps = np.zeros((2, 6), np.float32)
                done = backend.kernels.grid_steps(
                    own, BY_NAME[name].id, block, block, affine and name == "F32", 32767, steps[0], steps[1]
                )
                levels = np.zeros(own.size, np.int32)
                backend.kernels.grid_levels(
                    own, BY_NAME[name].id, block, 2, 3, np.ones(3 * block, np.float32), steps[1][:0], 0, levels
                )
                results.append((done, steps[:, :done].tobytes(), levels.tobytes()))
        assert results[0] == results[-1]


@pytest.mark.parametrize("table", range(len(tables.TABLES)))
@pytest.mark.parametrize("group", [64, 256])
def test_tables(table: int, group: int) -> None:
    """As bitsandbytes: one of sixteen floats, times the largest magnitude of a group."""
    entries, blocks = tables.TABLES[table], weights((64 * 512 // group, group))
    scale = np.abs(blocks).max(1, keepdims=True)
    numbers = np.abs((blocks / scale)[..., None] - entries).argmin(2)
    array = (entries[numbers] * scale).astype(np.float32).reshape(64, 512)
    found = search(array)
    assert found.group == group
    assert np.array_equal(found.scales, scale.ravel())
    data = swsfmt.save({"a": array}, profile="small")
    assert swsfmt.load(data)["a"].tobytes() == array.tobytes()
    with swsfmt.safe_open(data) as file:
        parts = file.get_parts("a")
    assert parts is not None
    assert np.array_equal(parts.levels.ravel(), entries[numbers].ravel())
