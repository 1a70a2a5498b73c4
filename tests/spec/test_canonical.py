"""No two payloads of a record are the same tensor: what a reader accepts is what an encoder writes (spec 7).

Every payload of up to two bytes is tried, for records of every coding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from craft import (
    BOOK,
    BOOL,
    F16,
    NARROW,
    ONLY0_OF4,
    TABLE4,
    adaptive,
    dense,
    file_,
    record,
    sparse,
)

from swsfmt.entropy import adaptive as coder
from swsfmt.entropy import backend
from swsfmt.entropy.adaptive_model import Model, Pairs
from swsfmt.errors import PayloadError
from swsfmt.read.reader import Reader

SHAPES = [(1, 1), (1, 3), (2, 2), (3, 5), (8, 1)]
MODELS = [
    Model(1, 1, (2, 1)),
    Model(2, 1, (2, 1), light=True),
    Model(1, 3, (0, 1)),
    Model(1, 1, (2, 1), zeros=False),
    Model(1, 1, (1, 0), zeros=False),
]


def with_pairs(model: Model, shape: tuple[int, int]) -> Model:
    """Two classes of lines, and two of places."""
    lines, places = bytes(k % 2 for k in range(shape[0])), bytes(2 * (k % 2) for k in range(shape[1]))
    return replace(model, pairs=Pairs(lines, places, 4))


def payloads(longest: int) -> Iterator[bytes]:
    for size in range(longest + 1):
        for number in range(256**size):
            yield number.to_bytes(size, "big")


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("has_pairs", [False, True])
def test_adaptive_payload_is_what_an_encoder_writes(shape: tuple[int, int], model: Model, has_pairs: bool) -> None:
    model = with_pairs(model, shape) if has_pairs else model
    longest = 1 if backend.active() == backend.BITARRAY else 2
    accepted = 0
    for payload in payloads(longest):
        try:
            symbols = coder.decode(payload, *shape, model)
        except PayloadError:
            continue
        assert coder.encode(symbols, model) == payload
        accepted += 1
    assert accepted


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
def test_kernels_accept_the_same_adaptive_payloads() -> None:
    for payload in payloads(1):
        for shape in SHAPES:
            assert accepts(backend.active(), payload, shape) == accepts(backend.BITARRAY, payload, shape)


def accepts(kernels: str, payload: bytes, shape: tuple[int, int]) -> bool:
    with backend.use(kernels):
        try:
            coder.decode(payload, *shape, MODELS[0])
        except PayloadError:
            return False
    return True


RECORDS = {
    "raw bool": record(dtype=BOOL, shape=(2,), payload=b"\0\0"),
    "narrow": record(coding=NARROW, shape=(), params=bytes([F16]), payload=b"\0\0"),
    "dense": dense(shape=(5,), payload=b"\0\0"),
    "dense, huffman": dense(shape=(5,), kind=1, packed=TABLE4, payload=b"\0\0"),
    "sparse": sparse(n=2, payload=b"\0\0"),
    "sparse, huffman": sparse(n=3, gap=1, packed=TABLE4, payload=b"\0\0"),
    "sparse, one gap": sparse(n=7, gap=1, packed=ONLY0_OF4, payload=b"\0\0"),
    "sparse, line ends": sparse(n=2, ends=1, widths=b"\2", payload=b"\0\0"),
    "sparse, columns": sparse(n=2, scan=1, pbits=1, payload=b"\0\0"),
    "adaptive chunks": adaptive(layout=16, arguments=b"\2", payload=b"\0\0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECORDS)
def test_payloads_of_a_record_are_different_tensors(kind: str) -> None:
    """All payloads of two bytes, behind the same parameters."""
    reader = Reader.open(file_(RECORDS[kind], codebooks=[BOOK]))
    tensor = reader.records[0]
    assert tensor.info is not None
    tensors: dict[bytes, bytes] = {}
    for number in range(1 << 16):
        payload = number.to_bytes(2, "little")
        try:
            bits = tensor.coding.decode(tensor.params, tensor.info, payload).bits
        except PayloadError:
            continue
        assert tensors.setdefault(np.asarray(bits).tobytes(), payload) == payload
    assert kind == "adaptive chunks" or tensors
