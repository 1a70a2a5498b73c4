"""Random damage with mended checksums: what lies behind the CRCs answers to every file with tensors or an SwsError."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from craft import (
    ALIAS,
    BOOK,
    BOOL,
    F16,
    NARROW,
    ONLY0_OF3,
    ONLY0_OF4,
    TABLE4,
    U8,
    Record,
    dense,
    field,
    fields,
    floats,
    gamma,
    halves,
    index,
    no_entries,
    record,
    refit,
    sparse,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt import Limits, SwsError
from swsfmt.entropy import kernels

LIMITS = Limits(max_decoded_bytes=1 << 20, max_tensors=64, max_index_bytes=1 << 16, max_bitmap_bits=1 << 16)
SETTINGS = settings(deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])

RECORDS = {
    "dense": [
        dense(
            "weight",
            (1025,),
            kind=1,
            chunk=1,
            width=b"\x0c",
            packed=TABLE4,
            stream=fields([2048, 2], 12) + "00 01 10 11 01" * 205,
        ),
        dense("bias"),
        dense("again", kind=2, table=b"\0", stream="00 01 10 11 01"),
        record("step", dtype=U8, payload=b"\7"),
        record("tied", ALIAS, params=b"\1"),
        record("flags", dtype=BOOL, shape=(3,), payload=b"\0\1\1"),
    ],
    "sparse": [
        sparse(
            "w",
            (60, 50),
            n=600,
            rows=2,
            columns=2,
            packed="1" + gamma(20) + gamma(10) + gamma(30) + "0" + gamma(5) + gamma(45),
            stream=fields([i % 3 for i in range(600)], 2) + fields([2, 1, 0] * 200, 2),
        ),
        sparse(
            "v",
            (60, 2),
            n=1,
            ends=1,
            rows=6,
            arguments=b"\0",
            widths=b"\4",
            packed="1" + gamma(1) + gamma(49),
            stream=fields([1], 4) + "10 01",
        ),
        sparse(
            "u",
            (120, 4),
            n=3,
            rows=3,
            columns=1,
            arguments=b"\5",
            packed="1" + gamma(9) + gamma(111) + "1010",
            stream=fields([0, 2, 3, 0], 2) + fields([0, 1, 2], 2),
        ),
        no_entries("z"),
        record("n", NARROW, (4,), params=bytes([F16]), payload=halves(1, 2, 3, -0.5)),
    ],
    "tables": [
        sparse(
            "a", gap=1, value=1, packed=TABLE4 + "0" + field(1, 4) + "0 100 0", stream="01 10 11 10 10" + "0 0 11 0"
        ),
        sparse("b", scan=1, gap=2, value=2, arguments=b"\0\1", columns=5 * 0, stream="01 00 01 00" + "0 0 11 0"),
        sparse(
            "c",
            (5000,),
            n=5000,
            gap=1,
            value=1,
            chunk=b"\3",
            widths=b"\1\1\x0d",
            packed=ONLY0_OF4 + ONLY0_OF3,
            stream="00" + field(4096, 13) + "00" + field(904, 13),
        ),
        record("d", payload=floats(1)),
    ],
}


def chunked() -> Record:
    """4200 entries in chunks of 1024, read column by column, 10 of 90 rows dead; gaps 0, 0, 1, values 0, 1, 2."""
    gaps, values = [0, 0, 1] * 1400, [0, 1, 2] * 1400
    table, gap_bits, value_bits = "", "", ""
    for start in range(0, 4200, 1024):
        part = slice(start, min(start + 1024, 4200))
        gap_part = "".join(["00", "01"][g] for g in gaps[part])
        value_part = "".join(["0", "10", "11"][v] for v in values[part])
        advance = sum(g + 1 for g in gaps[part])
        table += field(len(gap_part), 12) + field(len(value_part), 11) + field(advance, 11)
        gap_bits, value_bits = gap_bits + gap_part, value_bits + value_part
    return sparse(
        "w",
        (90, 70),
        n=4200,
        scan=1,
        rows=2,
        gap=1,
        value=1,
        chunk=b"\1",
        widths=bytes([12, 11, 11]),
        packed="0" + gamma(10) + gamma(80) + TABLE4 + "0" + field(1, 4) + "0 100 0",
        stream=table + gap_bits + value_bits,
    )


RECORDS["chunks"] = [chunked(), record("d", payload=floats(1))]


def parts(kind: str) -> tuple[bytes, list[bytes]]:
    """The index of a valid file and the payloads behind it."""
    records = RECORDS[kind]
    body = index(records, [BOOK], [("license", "CC0"), ("made by", "hand")])
    return body, [r.payload for r in records if r.payload]


def answers(data: bytes) -> bool:
    """Whether the file is valid; any error but SwsError fails the test, and so do readers and kernels that disagree."""
    valid, tensors = answers_once(data)
    if kernels.active() == "native":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "_native", None)
            assert answers_once(data) == (valid, tensors)
    return valid


def answers_once(data: bytes) -> tuple[bool, dict[str, bytes] | None]:
    """Validity, and the elements of all tensors."""
    message = ""
    report, tensors = None, None
    try:
        report = swsfmt.verify(data, limits=LIMITS)
    except SwsError as error:
        message = str(error)
    try:
        tensors = swsfmt.load(data, limits=LIMITS)
    except SwsError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
    if report is None:
        assert tensors is None
        return False, None
    assert sum(report.sections.values()) == report.file_bytes == len(data)
    if tensors is None:
        # NumPy has no dtype for these.
        assert any(tensor.dtype in ("C32", "F4_X2") for tensor in report.tensors)
        return True, None
    return True, {name: array.tobytes() for name, array in tensors.items()}


Edit = Callable[[random.Random, bytearray], Any]


def flip(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] = rng.choice([0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)])


def insert(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.randbytes(rng.choice([1, 1, 2, 9]))


def delete(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.choice([1, 1, 2, 9])]


def repeat(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data))
    place = rng.randrange(len(data))
    data[place:place] = data[start : start + rng.randrange(1, 40)]


EDITS: list[Edit] = [flip, flip, overwrite, insert, delete, repeat]


def mutate(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        if out:
            rng.choice(EDITS)(rng, out)
    return bytes(out)


@pytest.mark.parametrize("kind", RECORDS)
def test_the_files_are_valid(kind: str) -> None:
    body, payloads = parts(kind)
    assert answers(refit(body, payloads, payloads))


@pytest.mark.parametrize("kind", RECORDS)
@SETTINGS
@given(st.integers(0, 1 << 60))
def test_damaged_index(kind: str, seed: int) -> None:
    body, payloads = parts(kind)
    answers(refit(mutate(random.Random(seed), body), payloads, payloads))


@pytest.mark.parametrize("kind", ["dense", "sparse", "chunks"])
@SETTINGS
@given(st.integers(0, 1 << 60))
def test_damaged_payload(kind: str, seed: int) -> None:
    body, payloads = parts(kind)
    rng = random.Random(seed)
    answers(refit(body, payloads, [mutate(rng, payload) for payload in payloads]))


@pytest.mark.parametrize("kind", RECORDS)
def test_every_flipped_bit_of_the_index(kind: str) -> None:
    """Most are refused, some make another valid file (a name, a value); none breaks the reader."""
    body, payloads = parts(kind)
    valid = 0
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        valid += answers(refit(bytes(flipped), payloads, payloads))
    assert 0 < valid < 8 * len(body)


@SETTINGS
@given(st.binary(max_size=200))
def test_any_index(body: bytes) -> None:
    answers(refit(body, [], []))


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    answers(data)
