"""While a large tensor goes to another device the next one is decoded."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.read.reader import Reader
from swsfmt.read.source import BytesSource
from swsfmt.read.tensors import load_all
from swsfmt.tensor import Elements

# Above what is decoded side by side.
LARGE = (1 << 20) + 1
FILE = swsfmt.save({name: np.full(LARGE, number, "f4") for number, name in enumerate("abc", 1)})


def load(prefetch: bool, wait: float) -> list[bool]:
    """Whether, when a tensor was converted, the next one was there after so many seconds."""
    decoded = {name: threading.Event() for name in "abc"}
    seen: list[bool] = []

    def convert(elements: Elements) -> int:
        if len(seen) < 2:
            seen.append(decoded["abc"[len(seen) + 1]].wait(wait))
        return int(elements.bits.view("f4")[0])

    with Reader(BytesSource(FILE), on_decode=lambda record, _: decoded[record.name].set()) as reader:
        assert load_all(reader, convert, 2, prefetch=prefetch) == {"a": 1, "b": 2, "c": 3}
    return seen


def test_the_next_one_is_decoded_meanwhile() -> None:
    assert load(prefetch=True, wait=60) == [True, True]


def test_only_where_it_was_asked_for() -> None:
    assert load(prefetch=False, wait=0) == [False, False]


def test_an_error_in_the_next_one_is_raised() -> None:
    data = bytearray(swsfmt.save({name: np.random.default_rng(0).random(LARGE, "f4") for name in "ab"}))
    data[-9] ^= 1
    with Reader(BytesSource(bytes(data))) as reader, pytest.raises(swsfmt.ChecksumError):
        load_all(reader, lambda elements: elements, 2, prefetch=True)


class Watched(BytesSource):
    """Counts payloads that were read; index and header are no payloads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.payloads = 0
        self.changed = threading.Condition()

    def read_at(self, offset: int, count: int) -> memoryview:
        with self.changed:
            self.payloads += offset > 0
            self.changed.notify_all()
        return super().read_at(offset, count)


@pytest.mark.parametrize(("threads", "wait", "seen"), [(2, 60, [2, 3, 3]), (1, 0, [1, 2, 3])])
def test_the_next_payload_is_read_meanwhile(threads: int, wait: float, seen: list[int]) -> None:
    source = Watched(swsfmt.save({name: np.random.default_rng(0).random(LARGE, "f4") for name in "abc"}))
    read: list[int] = []

    def convert(elements: Elements) -> None:
        with source.changed:
            source.changed.wait_for(lambda: source.payloads >= min(3, len(read) + 2), wait)
            read.append(source.payloads)

    with Reader(source) as reader:
        load_all(reader, convert, threads)
    assert read == seen


class Held(BytesSource):
    """Counts the payloads that it gave and that somebody still has."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.given: list[weakref.ref[np.ndarray[Any, Any]]] = []
        self.most = 0

    def read_at(self, offset: int, count: int) -> memoryview:
        payload = np.frombuffer(super().read_at(offset, count), np.uint8).copy()
        self.given.append(weakref.ref(payload))
        self.most = max(self.most, sum(one() is not None for one in list(self.given)))
        return payload.data


@pytest.mark.parametrize("threads", [1, 2])
def test_payloads_that_are_checked_are_not_kept(threads: int) -> None:
    source = Held(swsfmt.save({str(number): np.full(5000, number, "f4") + np.arange(5000) for number in range(24)}))
    with Reader(source) as reader:
        reader.check_payloads(reader.records, threads)
    # The header is one.
    assert len(source.given) == 25
    assert source.most <= threads
