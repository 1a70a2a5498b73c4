"""Where the bytes of a file come from: memory that may change, handles in other processes."""

from __future__ import annotations

import numpy as np

import swsfmt
from swsfmt.read.source import BytesSource


def test_what_the_caller_may_change_is_read_once() -> None:
    data = bytearray(swsfmt.save({"a": np.arange(1000.0)}))
    for memory in (data, memoryview(data), memoryview(data).toreadonly()):
        source = BytesSource(memory)
        part = source.read_at(10, 20)
        assert part == data[10:30]
        assert not np.shares_memory(np.frombuffer(part, np.uint8), np.frombuffer(data, np.uint8))
    fixed = bytes(data)
    part = BytesSource(fixed).read_at(10, 20)
    assert np.shares_memory(np.frombuffer(part, np.uint8), np.frombuffer(fixed, np.uint8))
