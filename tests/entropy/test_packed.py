"""Runs of bitmaps and code tables: both kernels read the same of any bits, and no call is made for each of them."""

from __future__ import annotations

import numpy as np
import pytest
from bitarray import bitarray
from craft import field, gamma
from hypothesis import given
from hypothesis import strategies as st
from operations import python_calls

from swsfmt.entropy import backend, twin
from swsfmt.entropy.bitmap import Form, Kind, read_bitmap
from swsfmt.entropy.bits import BitReader
from swsfmt.entropy.code_table import read_table
from swsfmt.errors import IndexRuleError

native = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
DIGITS = st.lists(st.sampled_from(["0", "1", "01", "0000", "011", "11101"]), max_size=60).map("".join)


def bits_of(digits: str) -> bitarray:
    return bitarray(digits, endian="little")


@native
@pytest.mark.parametrize("kernel", ["read_runs", "read_table"])
@given(digits=DIGITS, start=st.integers(0, 9), size=st.integers(1, 40))
def test_kernels_agree_on_any_bits(kernel: str, digits: str, start: int, size: int) -> None:
    bits, start = bits_of(digits), min(start, len(digits))
    results = []
    for kernels in (backend.load(backend.NATIVE), twin):
        out = np.zeros(size, np.bool_ if kernel == "read_runs" else np.uint8)
        end = getattr(kernels, kernel)(bits, start, len(bits), out)
        results.append((end, None if end is None else out.tolist()))
    assert results[0] == results[1]


@native
@pytest.mark.parametrize("kernel", ["read_runs", "read_table"])
@pytest.mark.parametrize(("start", "stop"), [(3, 2), (0, 17), (1 << 63, 1 << 63)])
def test_native_kernel_checks_sizes(kernel: str, start: int, stop: int) -> None:
    read = getattr(backend.load(backend.NATIVE), kernel)
    with pytest.raises(ValueError, match="do not fit"):
        read(bits_of("0" * 16), start, stop, np.zeros(4, np.uint8))


def test_longest_run() -> None:
    """A run of 2**20, its 41 bits behind one bit."""
    reader = BitReader(bits_of("1" + gamma(1 << 20)), IndexRuleError)
    assert read_bitmap(reader, 1 << 20, Form(Kind.RUNS), []).all()
    with pytest.raises(IndexRuleError, match=r"no one bit among its first 33"):
        read_bitmap(BitReader(bits_of("1" + "0" * 33 + "1" * 40), IndexRuleError), 5, Form(Kind.RUNS), [])


@native
def test_calls_do_not_grow_with_runs_and_lengths() -> None:
    def runs(count: int) -> int:
        reader = BitReader(bits_of("1" * (count + 1)), IndexRuleError)
        return python_calls(lambda: read_bitmap(reader, count, Form(Kind.RUNS), []))

    def lengths(count: int) -> int:
        # Lengths 11 and 12 in turn, each with a token of its own.
        digits = "0" + field(11, 4) + "".join("100" + "101" for _ in range(count // 2)) + "0" * 4096
        reader = BitReader(bits_of(digits), IndexRuleError)
        return python_calls(lambda: read_table(reader, 4096))

    assert runs(8) == runs(10_000)
    assert lengths(8) == lengths(2000)
