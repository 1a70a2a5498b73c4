"""Files of every kind of tensor with a bit flipped, bytes missing or added: each damage is found."""

from __future__ import annotations

from typing import Any

import pytest
from craft import ALIAS, BOOK, TABLE4, U8, crc, dense, fields, file_, gamma, no_entries, record, sparse
from gallery_files import BIG

import swsfmt
from swsfmt import SwsError

pytestmark = pytest.mark.usefixtures("each_kernel")


def rich_dense() -> bytes:
    """Dense in chunks with a payload of its own, dense and raw in the index, narrow, alias, metadata."""
    return file_(
        dense(
            "layer.weight",
            (1025,),
            kind=1,
            chunk=1,
            width=b"\x0c",
            packed=TABLE4,
            stream=fields([2048, 2], 12) + "00 01 10 11 01" * 205,
        ),
        dense("layer.bias"),
        record("step", dtype=U8, payload=b"\7"),
        record("tied", ALIAS, params=b"\1"),
        codebooks=[BOOK],
        metadata=[("license", "CC0")],
    )


def rich_sparse() -> bytes:
    """Sparse with bitmaps and a payload of its own, sparse with line ends in the index, a tensor of zeros."""
    gaps = [i % 3 for i in range(600)]
    return file_(
        sparse(
            "w",
            (60, 50),
            n=600,
            rows=2,
            columns=2,
            packed="1" + gamma(20) + gamma(10) + gamma(30) + "0" + gamma(5) + gamma(45),
            stream=fields(gaps, 2) + fields([2, 1, 0] * 200, 2),
        ),
        sparse(
            "v",
            ends=1,
            rows=6,
            arguments=b"\0",
            widths=b"\4",
            shape=(60, 2),
            n=1,
            packed="1" + gamma(1) + gamma(49),
            stream=fields([1], 4) + "10" + "01",
        ),
        no_entries("z"),
        codebooks=[BOOK],
    )


RICH = pytest.mark.parametrize("make", [rich_dense, rich_sparse])


@RICH
def test_rich_files_are_valid(make: Any) -> None:
    data = make()
    assert 300 < len(data) < 512
    report = swsfmt.verify(data)
    assert {tensor.coding for tensor in report.tensors} >= {make.__name__.removeprefix("rich_")}


def check_refused(data: bytes) -> None:
    with pytest.raises(SwsError):
        swsfmt.verify(data)


@RICH
def test_every_flipped_bit_is_found(make: Any) -> None:
    data = bytearray(make())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        check_refused(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@RICH
def test_every_truncation_is_found(make: Any) -> None:
    data = make()
    for length in range(len(data)):
        check_refused(data[:length])


@RICH
def test_every_added_byte_is_found(make: Any) -> None:
    data = make()
    for byte in range(256):
        check_refused(data + bytes([byte]))
    for place in range(len(data)):
        check_refused(data[:place] + data[place : place + 1] + data[place:])


def test_payload_crc_is_that_of_the_payload() -> None:
    data = file_(BIG)
    assert crc(data[-400:]) in data[:-400]
