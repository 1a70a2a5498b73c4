"""The option `positive_zeros`: 0.0 for every -0.0, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import swsfmt
from swsfmt.dtypes import BY_NAME
from tests.helpers.command import run

PLAIN = [np.float16, np.float32, np.float64, np.complex64, np.complex128]
SMALL = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
# One bit pattern of these is NaN, where others have -0.0.
UNSIGNED_ZERO = [ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz, np.int8, np.int64, np.uint8]


def masked(shape: tuple[int, ...] = (200, 300)) -> np.ndarray[Any, Any]:
    """Weights times a mask: half of the zeros are negative."""
    random = np.random.default_rng(0)
    weights = (random.normal(size=shape) * 2).round().clip(-4, 4)
    return (weights * (random.random(shape) < 0.1)).astype(np.float32)


@pytest.mark.parametrize("dtype", PLAIN + SMALL, ids=lambda d: np.dtype(d).name)
def test_negative_zeros_are_stored_as_zero(dtype: Any) -> None:
    array = np.array([0.0, -0.0, 1.5, -1.5, -0.0, -2.0], dtype)
    loaded = swsfmt.load(swsfmt.save({"a": array}, positive_zeros=True))["a"]
    expected = np.where(array == 0, np.zeros(1, dtype), array)
    assert loaded.dtype == array.dtype
    assert loaded.tobytes() == expected.tobytes()
    assert swsfmt.load(swsfmt.save({"a": array}))["a"].tobytes() == array.tobytes()


def test_parts_of_complex_numbers() -> None:
    array = np.array([complex(-0.0, 1), complex(-0.0, -0.0), complex(2, -0.0)], np.complex64)
    loaded = swsfmt.load(swsfmt.save({"a": array}, positive_zeros=True))["a"]
    assert loaded.tobytes() == np.array([1j, 0, 2], np.complex64).tobytes()


@pytest.mark.parametrize("dtype", UNSIGNED_ZERO, ids=lambda d: np.dtype(d).name)
def test_all_else_is_kept(dtype: Any) -> None:
    array = np.arange(256, dtype=np.uint8).repeat(8).view(dtype)
    assert swsfmt.load(swsfmt.save({"a": array}, positive_zeros=True))["a"].tobytes() == array.tobytes()


def test_nan_and_the_caller_keep_their_bits() -> None:
    array = np.array([0x7FC00001, 0xFFC00001, 0x80000000, 0x80000001], np.uint32).view(np.float32)
    before = array.tobytes()
    loaded = swsfmt.load(swsfmt.save({"a": array}, positive_zeros=True))["a"]
    assert loaded.view(np.uint32).tolist() == [0x7FC00001, 0xFFC00001, 0, 0x80000001]
    assert array.tobytes() == before


@pytest.mark.parametrize("profile", ["fast", "small"])
def test_the_file_is_that_of_positive_zeros(profile: Any) -> None:
    array = masked()
    signed = swsfmt.save({"a": array}, profile=profile)
    unsigned = swsfmt.save({"a": array + np.float32(0)}, profile=profile)
    assert swsfmt.save({"a": array}, profile=profile, positive_zeros=True) == unsigned
    assert len(signed) > 1.5 * len(unsigned)


def test_ties_stay() -> None:
    array = masked((20, 30))
    loaded = swsfmt.load(swsfmt.save({"a": array, "b": array}, positive_zeros=True))
    assert loaded["a"] is loaded["b"]


def test_the_command_tells_and_mends(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    save_file({"fc.weight": masked(), "bias": np.ones(3, np.float32)}, path)
    result = run("encode", path)
    count = np.count_nonzero(np.signbit(masked()) & (masked() == 0))
    assert f"{count:,} negative zeros (-0.0) in 1 tensor" in result.stderr
    assert "--positive-zeros" in result.stderr
    out = path.with_suffix(".sws")
    assert f"{count:,} negative zeros (-0.0) in 1 tensor" in run("inspect", out).stderr
    assert {tensor.name: tensor.negative_zeros for tensor in swsfmt.inspect(out).tensors} == {
        "bias": 0,
        "fc.weight": count,
    }
    size = out.stat().st_size
    result = run("encode", path, "--positive-zeros", "--force")
    assert "negative zeros" not in result.stderr
    assert out.stat().st_size < size / 1.5
    assert "zeros" not in run("inspect", out).stderr


def test_no_word_where_there_are_none(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    few = np.array([-0.0, 1], np.float32)
    save_file({"a": masked() + np.float32(0), "floats": np.random.default_rng(0).normal(size=9000), "few": few}, path)
    assert "zeros" not in run("encode", path).stderr


def test_dtypes_with_a_negative_zero() -> None:
    assert {name for name, dtype in BY_NAME.items() if dtype.negative_zero is not None} == {
        "F16",
        "BF16",
        "F32",
        "F64",
        "F8_E4M3",
        "F8_E5M2",
    }
