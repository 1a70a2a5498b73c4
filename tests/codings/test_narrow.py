"""Narrow storage: memory while it is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from operations import peak_memory

import swsfmt


@pytest.mark.parametrize(("dtype", "unit"), [(np.float32, 2.0**-100), (np.float64, 2.0**-100), (np.int64, 1)])
def test_memory_is_that_of_the_elements(dtype: type, unit: float) -> None:
    """More distinct values than a codebook holds, of 16 bits or fewer each."""
    array = (np.arange(1 << 20) % 6000 - 100).astype(np.float64)
    array = np.ldexp(1 + array % 128 / 128, (array // 128).astype(int)) if unit != 1 else array
    tensor = (array * unit).astype(dtype)
    data = swsfmt.save({"a": tensor}, profile="fast")
    assert swsfmt.inspect(data).tensors[0].coding == "narrow"
    assert np.array_equal(swsfmt.load(data)["a"], tensor)
    assert peak_memory(lambda: swsfmt.load(data, threads=1)) < tensor.nbytes + 3_000_000
    out = {"a": np.empty_like(tensor)}
    assert swsfmt.load(data, out=out)["a"] is out["a"]
    assert np.array_equal(out["a"], tensor)
