"""Which values a narrower type holds: a look at a few bits of a float may say that none does."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from swsfmt import dtypes

F16, BF16, F32, F64 = (dtypes.BY_NAME[name] for name in ("F16", "BF16", "F32", "F64"))


def numbers(storage: dtypes.DType) -> np.ndarray[Any, Any]:
    """All numbers of a type of two bytes; of F32 every exponent, subnormal ones too, with some mantissas."""
    if storage == BF16:
        found = (np.arange(1 << 16, dtype="<u4") << 16).view("<f4")
    elif storage == F16:
        found = np.arange(1 << 16, dtype="<u2").view("<f2")
    else:
        mantissas = np.array([0, 1, 2, 3, 0x2AAAAA, 0x400000, 0x7FFFFF], "<u4")
        found = (np.arange(1 << 9, dtype="<u4")[:, None] << 23 | mantissas).reshape(-1).view("<f4")
    return found[~np.isnan(found)]


@pytest.mark.parametrize(("dtype", "storage"), [(F32, F16), (F32, BF16), (F64, F16), (F64, BF16), (F64, F32)], ids=str)
def test_every_number_of_a_narrower_type_is_narrowed(dtype: dtypes.DType, storage: dtypes.DType) -> None:
    wide = numbers(storage).astype(f"<f{dtype.itemsize}").view(dtype.bits)
    for start in range(0, len(wide), 4096):
        assert dtypes.storage_for(wide[start : start + 4096], dtype).itemsize <= storage.itemsize


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_one_finer_number_is_seen(dtype: dtypes.DType) -> None:
    """Wherever it is."""
    for place in (0, 255, 256, 999):
        bits = np.ones(1000, f"<f{dtype.itemsize}").view(dtype.bits).copy()
        bits[place : place + 1] += 1
        assert dtypes.storage_for(bits, dtype) == dtype


def test_a_dtype_is_the_same_object_in_another_process() -> None:
    for dtype in dtypes.BY_ID.values():
        assert pickle.loads(pickle.dumps(dtype)) is dtype


@pytest.mark.parametrize("size", [1, 256, 257])
@pytest.mark.parametrize("name", ["F32", "F64", "I64", "U16"])
def test_the_narrowest_storage(name: str, size: int) -> None:
    """Of few values, which are tried once, and of many."""
    dtype = dtypes.BY_NAME[name]
    for top in (1, 200, 40_000):
        numbers = np.full(size, top).astype(dtype.numbers)
        storage, stored = dtypes.narrowest(numbers.view(dtype.bits), dtype)
        assert storage == dtypes.storage_for(numbers.view(dtype.bits), dtype)
        assert storage.itemsize == (2 if dtype.kind == "float" or top > 255 else 1)
        assert np.array_equal(dtypes.widen(stored, storage, dtype), numbers.view(dtype.bits))
