"""Files of many records: what a record begins with, as both kernels read it, and that opening does little for each."""

from __future__ import annotations

import numpy as np
import pytest
from craft import ALIAS, BOOK, U8, codebook, dense, file_, floats, no_entries, record, varint, wrap
from hypothesis import given
from hypothesis import strategies as st
from operations import peak_memory, python_calls

import swsfmt
from swsfmt import SwsError
from swsfmt.entropy import backend

native = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
# Bytes of a record: a name, then what may be a head, a dtype, a rank, a shape.
PARTS = st.sampled_from([b"\0", b"\2a", b"\4ab", b"\1", b"\3", b"\x80\1", b"\x80\0", b"\x20", b"\xff" * 8, b"\x70\x08"])
BODIES = st.lists(PARTS | st.binary(max_size=3), max_size=8).map(b"".join)


def opened(data: bytes) -> list[tuple[object, ...]] | str:
    try:
        with swsfmt.safe_open(data) as file:
            return [(r.name, r.coding.name, r.info, r.offset, r.inline, r.target) for r in file._reader.records]
    except SwsError as error:
        return f"{type(error).__name__} {error}"


@native
@given(bodies=st.lists(BODIES, max_size=4))
def test_both_kernels_read_the_same_records(bodies: list[bytes]) -> None:
    """Or refuse them in the same words, for the same place."""
    first = record("first", payload=floats(1)).index
    data = wrap(b"\0\0" + varint(1 + len(bodies)) + first + b"".join(bodies))
    results = []
    for name in (backend.NATIVE, backend.BITARRAY):
        with backend.use(name):
            results.append(opened(data))
    assert results[0] == results[1]


@native
def test_native_kernel_checks_sizes() -> None:
    head = backend.load(backend.NATIVE).record_head
    for position in (-1, 5):
        with pytest.raises(ValueError, match="do not fit"):
            head(b"\0\2a\0", position)
    assert head(b"\0\2a\0", 4) is None
    assert head(b"\0\2a\x20\3\4", 0) == (0, b"a", 32, 0, -1, (3, 4), 6)
    assert head(b"\1\5\x9f\x10\7\x80\1", 0) == (1, 3, 0x9F, 16, 7, (128,), 7)


def many(count: int) -> bytes:
    """Raw, constant, zero and tied tensors in turn."""
    kinds = [
        lambda name: record(name, shape=(2,), payload=floats(1, 2)),
        lambda name: dense(name, (4,), kind=1, packed="1 10", payload=b""),
        lambda name: no_entries(name, (5,)),
        lambda name: record(name, ALIAS, params=b"\0"),
    ]
    return file_(*(kinds[i % 4](f"{i:05}") for i in range(count)), codebooks=[BOOK])


@native
def test_opening_makes_few_calls_for_each_record() -> None:
    swsfmt.safe_open(many(8)).close()
    data = [many(count) for count in (400, 2400)]
    calls = [python_calls(lambda file=file: swsfmt.safe_open(file).close()) for file in data]
    assert calls[1] - calls[0] < 30 * 2000


@native
def test_codebooks_make_few_calls() -> None:
    """They are as short as 4 bytes."""
    data = [file_(codebooks=[codebook(b"\1", 1, U8, U8)] * count) for count in (400, 2400)]
    swsfmt.safe_open(data[0]).close()
    calls = [python_calls(lambda file=file: swsfmt.safe_open(file).close()) for file in data]
    assert calls[1] - calls[0] < 20 * 2000


def test_memory_of_many_records_is_in_proportion() -> None:
    data = many(4000)
    assert swsfmt.load(data)["00001"].tolist() == [0.25] * 4
    assert peak_memory(lambda: swsfmt.safe_open(data)) < 1200 * 4000


def test_report_of_many_records() -> None:
    """`sums` hold for every one of them."""
    data = many(400)
    report = swsfmt.inspect(data)
    assert sum(report.sections.values()) == report.file_bytes == len(data)
    assert [tensor.coding for tensor in report.tensors[:4]] == ["raw", "dense", "sparse", "alias"]
    assert np.isclose(report.ratio, report.dense_bytes / len(data))
