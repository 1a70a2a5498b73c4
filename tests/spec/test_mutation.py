"""Random damage with mended checksums: what lies behind the CRCs answers to every file with tensors or an SwsError."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from craft import (
    ALIAS,
    BOOK,
    BOOL,
    DENSE,
    ESCAPE,
    F16,
    F32,
    NARROW,
    ONLY0_OF3,
    ONLY0_OF4,
    PLANES,
    SPARSE,
    TABLE4,
    U8,
    U16,
    Record,
    adaptive,
    codebook,
    dense,
    field,
    fields,
    floats,
    gamma,
    halves,
    index,
    no_entries,
    part,
    record,
    refit,
    sparse,
    varint,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt import Limits, SwsError
from swsfmt.entropy import backend, protocol
from swsfmt.entropy.twin import adaptive_together
from swsfmt.read.reader import Reader

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


RECORDS["adaptive"] = [
    adaptive("plain"),
    # Light contexts, no zeros, a stride of 3, chunks of two lines.
    adaptive(
        "chunks",
        layout=2 + 4 + 8 + 16,
        arguments=b"\3\2",
        payload=bytes.fromhex("02000000 daf2 7d9a"),
    ),
]
# In Python the adaptive coder takes its time.
FEW = Limits(max_decoded_bytes=1 << 9, max_tensors=64, max_index_bytes=1 << 16, max_bitmap_bits=1 << 16)
KERNELS = sorted({backend.BITARRAY, backend.active()})


ONES = codebook(b"\1", 1, BOOL, BOOL)
# Of shape (3, 7), with four entries, and gaps of two bits.
_MASK = part(SPARSE, params=varint(4) + b"\1" + (2 << 12).to_bytes(2, "little"), payload=b"\xa6")
_PLANES = part(PLANES, params=b"".join(part(payload=bytes([16 * k + n for n in range(4)])) for k in range(1, 5)))
_MAIN = part(DENSE, params=b"\0\0", payload=bytes([0b11001001]), dtype=F32)
RECORDS["escape"] = [
    record("mask", ESCAPE, (3, 7), dtype=F32, params=varint(4) + _MASK + _PLANES),
    record("raw", ESCAPE, (6,), dtype=F16, params=varint(2) + part(payload=b"\0\1\0\0\1\0") + part(payload=b"abcd")),
    record("main", ESCAPE, (4,), dtype=F32, params=varint(1) + _MAIN + floats(0.25) + part(payload=b"efgh")),
    record(
        "behind",
        ESCAPE,
        (300,),
        dtype=U16,
        params=varint(200) + part(payload=b"\1\1\0" * 100) + part(payload=b"ij" * 200),
        payload=b"\1\1\0" * 100 + b"ij" * 200,
    ),
]


def parts(kind: str) -> tuple[bytes, list[bytes]]:
    """The index of a valid file and the payloads behind it."""
    records = RECORDS[kind]
    body = index(records, [BOOK, ONES], [("license", "CC0"), ("made by", "hand")])
    return body, [r.payload for r in records if r.payload]


Answer = tuple[str, dict[str, bytes] | None]


def answers(data: bytes, limits: Limits = LIMITS) -> bool:
    """Whether the file is valid; any error but SwsError fails the test, and so do readers and kernels that disagree."""
    outcomes = []
    for name in KERNELS:
        with backend.use(name):
            outcomes.append(answers_once(data, limits))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    return not outcomes[0][0]


def answers_once(data: bytes, limits: Limits) -> Answer:
    """The error, "" for a valid file, and the elements of all tensors."""
    errors = ["", ""]
    report, tensors = None, None
    try:
        report = swsfmt.verify(data, limits=limits)
    except SwsError as error:
        errors[0] = f"{type(error).__name__}: {error}"
    try:
        tensors = swsfmt.load(data, limits=limits)
    except SwsError as error:
        errors[1] = f"{type(error).__name__}: {error}"
    assert all(len(error.splitlines()) <= 1 for error in errors)
    if report is None:
        assert tensors is None
        return errors[0], None
    assert sum(report.sections.values()) == report.file_bytes == len(data)
    if tensors is None:
        # NumPy has no dtype for these.
        assert any(tensor.dtype in ("C32", "F4_X2") for tensor in report.tensors)
        return "", None
    return "", {name: array.tobytes() for name, array in tensors.items()}


def rows_agree(data: bytes, limits: Limits) -> None:
    """Any rows of a tensor are those of the whole, or are refused as it is."""
    try:
        reader = Reader.open(data, limits)
    except SwsError:
        return
    with reader:
        for record in reader.records:
            if record.target is not None or not record.coding.is_known or record.info is None or not record.info.shape:
                continue
            rows = record.info.shape[0]
            parts = [(0, min(1, rows)), (rows // 2, rows)]
            try:
                whole = reader.read(record.name).bits
            except SwsError as error:
                for first, last in parts:
                    with pytest.raises(type(error)):
                        reader.read_rows(record.name, first, last)
                continue
            for first, last in parts:
                part = reader.read_rows(record.name, first, last)
                row = len(whole) // max(1, rows)
                assert part.bits.tobytes() == whole[first * row : last * row].tobytes()


def large() -> dict[str, np.ndarray]:
    """Large enough for chunk tables: one without zeros, one with many."""
    return {"dense": weights((400, 300), 1), "sparse": weights((700, 700), 0.08)}


def weights(shape: tuple[int, int], density: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = np.array([0.25, 0.5, -0.5, 1, -1], np.float32)
    return rng.choice(values, shape, p=[0.6, 0.2, 0.1, 0.05, 0.05]) * (rng.random(shape) < density)


def written(tensors: dict[str, np.ndarray], **options: Any) -> None:
    """The same bytes whatever the kernels."""
    files = []
    for name in KERNELS:
        with backend.use(name):
            files.append(swsfmt.save(tensors, **options))
    assert all(file == files[0] for file in files)


def compare(kind: str) -> None:
    """A valid file is read, and what is in it is written again."""
    data = valid(kind)
    assert answers(data)
    written(swsfmt.load(data))


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
    compare(kind)


@pytest.mark.parametrize("options", [{}, {"huffman": False}, {"scan": "columns"}], ids=str)
def test_files_are_written_the_same(options: dict[str, Any]) -> None:
    written(large(), **options)


@pytest.mark.parametrize("contexts", ["full", "light"])
def test_adaptive_files_are_written_the_same(contexts: str) -> None:
    written({"w": weights((30, 40), 0.3)}, profile="small", contexts=contexts)


def limits(kind: str) -> Limits:
    return FEW if kind == "adaptive" else LIMITS


def valid(kind: str) -> bytes:
    body, payloads = parts(kind)
    return refit(body, payloads, payloads)


# The twin has no `record_head`; the search for codes in either has its own `code_lengths`, which test_huffman compares.
NOT_OF_FILES = {"record_head", "code_lengths"}


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize("name", [n for n in vars(protocol.Kernels) if not n.startswith("_") and n not in NOT_OF_FILES])
def test_a_wrong_kernel_is_found(name: str) -> None:
    """Of each kernel the results are compared: it is enough that one of them is wrong."""
    twin = backend.load(backend.BITARRAY)
    with patch.object(twin, name, wrong(getattr(twin, name))), pytest.raises((AssertionError, ValueError, IndexError)):
        compare_all()


def compare_all() -> None:
    for kind in RECORDS:
        compare(kind)
    written(large())
    thin = weights((30, 40), 0.3)
    written({"w": thin}, profile="small")
    rare = np.random.default_rng(1).normal(size=(30, 40)).astype(np.float32)
    written({"mask": rare * (thin != 0), "main": np.where(rare < 1, np.float32(3), rare)}, profile="small")
    many, rows = np.arange(2400).reshape(60, 40) ** 2 % 97 % 60, np.arange(60)[:, None] % 7 > 2
    written({"w": many, "v": many[::-1], "x": many * rows, "y": (many + 1) * rows})
    with patch.object(adaptive_together, "MOST", 0):
        written({"w": thin[:10]}, profile="small")


def wrong(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but for the order of what it returns or writes, and for the lowest bit of each element."""

    def changed(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(changed(one) for one in result)
        if isinstance(result, list):
            return [changed(one) for one in result]
        if isinstance(result, int) and not isinstance(result, bool):
            return result ^ 1
        if isinstance(result, bytes | np.ndarray) and len(result):
            raw = np.frombuffer(result, result.dtype if isinstance(result, np.ndarray) else np.uint8)[::-1] ^ 1
            return raw.tobytes() if isinstance(result, bytes) else raw
        return result

    def run(*arguments: Any) -> Any:
        result = kernel(*arguments)
        # Where arrays are written to, numbers that are returned say how much.
        written = [a for a in arguments if isinstance(a, np.ndarray) and a.size and a.flags.writeable]
        parts = result if isinstance(result, tuple) else [result]
        if any(isinstance(one, bytes | list | np.ndarray) for one in parts) or not written:
            return changed(result)
        for array in written:
            array.reshape(-1)[:] = array.reshape(-1)[::-1] ^ array.dtype.type(1)
        return result

    return run


@pytest.mark.parametrize("kind", RECORDS)
@SETTINGS
@given(st.integers(0, 1 << 60))
def test_damaged_index(kind: str, seed: int) -> None:
    body, payloads = parts(kind)
    answers(refit(mutate(random.Random(seed), body), payloads, payloads), limits(kind))


@pytest.mark.parametrize("kind", ["dense", "sparse", "chunks"])
@SETTINGS
@given(st.integers(0, 1 << 60))
def test_damaged_payload(kind: str, seed: int) -> None:
    damaged_payload(kind, seed)


@settings(SETTINGS, max_examples=100)
@given(st.integers(0, 1 << 60))
def test_damaged_adaptive_payload(seed: int) -> None:
    damaged_payload("adaptive", seed)


def damaged_payload(kind: str, seed: int) -> None:
    body, payloads = parts(kind)
    rng = random.Random(seed)
    answers(refit(body, payloads, [mutate(rng, payload) for payload in payloads]), limits(kind))


@pytest.mark.parametrize("kind", RECORDS)
def test_every_flipped_bit_of_the_index(kind: str) -> None:
    """Most are refused, some make another valid file (a name, a value); none breaks the reader."""
    body, payloads = parts(kind)
    valid = 0
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        valid += answers(refit(bytes(flipped), payloads, payloads), limits(kind))
    assert 0 < valid < 8 * len(body)


@pytest.mark.parametrize("kind", RECORDS)
@settings(SETTINGS, max_examples=60)
@given(st.integers(0, 1 << 60), st.booleans())
def test_rows_of_a_damaged_file(kind: str, seed: int, in_index: bool) -> None:
    body, payloads = parts(kind)
    rng = random.Random(seed)
    if in_index:
        body, damaged = mutate(rng, body), payloads
    else:
        # The chunk tables come first.
        damaged = [mutate(rng, payload[:16]) + payload[16:] for payload in payloads]
    rows_agree(refit(body, payloads, damaged), limits(kind))


@SETTINGS
@given(st.binary(max_size=200))
def test_any_index(body: bytes) -> None:
    answers(refit(body, [], []))


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    answers(data)
