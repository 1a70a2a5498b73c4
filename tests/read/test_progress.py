"""`on_decode`: a reader tells of each tensor that it has decoded."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

import swsfmt
from swsfmt.codings.base import Decoded
from swsfmt.read.progress import DecodeCounter
from swsfmt.read.reader import Reader, Record
from swsfmt.read.tensors import load_all


@pytest.fixture(scope="module")
def data() -> bytes:
    weight = np.arange(600).reshape(20, 30) % 7
    arrays = {"a": weight, "b": np.linspace(0, 1, 500), "tied": weight, **{f"n{i}": np.full(50, i) for i in range(20)}}
    return swsfmt.save(arrays, profile="fast")


def test_it_is_given_the_record_and_what_was_decoded(data: bytes) -> None:
    calls: list[tuple[Record, Decoded]] = []
    with Reader.open(data, on_decode=lambda record, decoded: calls.append((record, decoded))) as reader:
        assert calls == []
        elements = reader.read("tied")
        assert [record.name for record, _ in calls] == ["a"]
        decoded = reader.decode(reader.record("b"))
    assert calls[0][1].bits is elements.bits
    assert calls[1][0] is reader.record("b")
    assert calls[1][1] is decoded
    # In bits of the payload.
    assert decoded.spans[0].start == 0


def test_what_is_not_decoded_whole_does_not_count(data: bytes) -> None:
    broken = bytearray(data)
    broken[-1] ^= 1
    calls: list[Record] = []
    with Reader.open(bytes(broken), on_decode=lambda record, decoded: calls.append(record)) as reader:
        reader.read_rows("a", 3, 5)
        with pytest.raises(swsfmt.ChecksumError):
            reader.read("b")
    assert calls == []


@pytest.mark.parametrize("threads", [1, 4])
def test_steps_go_up_to_the_end(threads: int, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SMALL", "_LITTLE", "_BATCH"):
        monkeypatch.setattr(f"swsfmt.read.tensors.{name}", 400)
    steps: list[tuple[int, int]] = []
    decoders: set[int] = set()
    calls, both = itertools.count(), threading.Barrier(2, timeout=60)

    def then(record: Record, decoded: Decoded) -> None:
        decoders.add(threading.get_ident())
        # The first two tensors that are decoded side by side wait for each other.
        if threads > 1 and record.info is not None and record.info.nbytes <= 400 and next(calls) < 2:
            both.wait()

    counter = DecodeCounter(lambda done, total: steps.append((done, total)), then=then)
    with Reader.open(data, on_decode=counter) as reader:
        counter.expect(reader)
        load_all(reader, lambda elements: elements, threads)
    assert steps == [(done, 22) for done in range(1, 23)]
    assert (decoders == {threading.get_ident()}) == (threads == 1)


def test_more_than_was_expected_moves_the_end(data: bytes) -> None:
    steps: list[tuple[int, int]] = []
    counter = DecodeCounter(lambda done, total: steps.append((done, total)))
    with Reader.open(data, on_decode=counter) as reader:
        counter.expect(reader)
        counter.expect(reader, every_name=True)
        for name in reader.keys() * 2:
            reader.read(name)
    assert steps[0] == (1, 45)
    assert steps[-1] == (46, 46)
