"""Shapes that are long in one dimension: no parameter of any coding is too narrow for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.codings.sparse import encode as sparse_encode
from swsfmt.entropy import backend
from swsfmt.read.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")

# Around the widths of bytes and of two bytes, in every place of a shape.
LENGTHS = [255, 256, 257, 65535, 65536, 65537]
SHAPES = [
    shape
    for length in LENGTHS
    for shape in [
        (length,),
        (1, length),
        (length, 1),
        (2, 2, length),
        (2, length, 2),
        (length, 2, 2),
        (1, 1, 1, length),
    ]
]


@pytest.mark.parametrize("profile", ["fast", "small"])
@pytest.mark.parametrize("shape", [*SHAPES, (4, 2, 65537), (2, 3, 40000, 2), (3, 2, 70000, 3)], ids=str)
def test_long_shapes(shape: tuple[int, ...], profile: Any) -> None:
    if backend.active() == backend.BITARRAY and (profile == "small" or np.prod(shape) > 1 << 17):
        pytest.skip("slow in Python")
    random = np.random.default_rng(0)
    last = np.zeros(shape, np.float32)
    last.reshape(-1)[-1] = 1
    tensors = {
        "zeros": np.zeros(shape, np.float32),
        "last": last,
        "few": (random.random(shape) < 0.01).astype(np.float32),
        "values": random.integers(0, 3, shape).astype(np.int16),
    }
    for name, array in tensors.items():
        if profile == "small" and name in ("zeros", "last") and np.prod(shape) > 1 << 17:
            continue
        data = swsfmt.save({name: array}, profile=profile, threads=1)
        assert np.array_equal(swsfmt.load(data, threads=1)[name], array)


def test_entries_too_far_apart_for_a_chunk_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes eight billion elements to get there; a lower limit does, too."""
    entries = np.random.default_rng(0).random((2000, 400)) < 0.06
    one = entries.astype(np.float32)
    usual = swsfmt.save({"a": one}, profile="fast", threads=1)
    monkeypatch.setattr(sparse_encode, "MAX_FIELD_WIDTH", 10)
    data = swsfmt.save({"a": one}, profile="fast", threads=1)
    assert np.array_equal(swsfmt.load(data)["a"], one)
    codes = [Reader.open(file).records[0].params.coded.chunks.code for file in (usual, data)]
    assert codes[0] > 0 == codes[1]
