"""While a large tensor goes to another device the next one is decoded."""

from __future__ import annotations

import threading

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
