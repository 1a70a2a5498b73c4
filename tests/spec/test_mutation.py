"""Random damage with mended checksums: what lies behind the CRCs answers to every file with tensors or an SwsError."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from craft import refit
from every_kind import RECORDS, parts, valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt import Limits, SwsError
from swsfmt.entropy import backend, protocol
from swsfmt.entropy.twin import adaptive_together
from swsfmt.read.reader import Reader

LIMITS = Limits(max_decoded_bytes=1 << 20, max_tensors=64, max_index_bytes=1 << 16, max_bitmap_bits=1 << 16)
SETTINGS = settings(deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])

# In Python the adaptive coder takes its time.
FEW = Limits(max_decoded_bytes=1 << 9, max_tensors=64, max_index_bytes=1 << 16, max_bitmap_bits=1 << 16)
KERNELS = sorted({backend.BITARRAY, backend.active()})


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


# The twin has no `record_head`; the search for codes in either has its own `code_lengths`, which test_huffman compares.
NOT_OF_FILES = {"record_head", "code_lengths"}


KERNEL_NAMES = sorted(
    {name for kind in protocol.Kernels.__mro__ for name in vars(kind) if not name.startswith("_")} - set(NOT_OF_FILES)
)


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_a_wrong_kernel_is_found(name: str) -> None:
    """Of each kernel the results are compared: it is enough that one of them is wrong."""
    twin = backend.load(backend.BITARRAY)
    with patch.object(twin, name, wrong(getattr(twin, name))), pytest.raises((AssertionError, ValueError, IndexError)):
        compare_all()


def compare_all() -> None:
    for kind in RECORDS:
        compare(kind)
    written(large(), profile="fast")
    thin = weights((30, 40), 0.3)
    written({"w": thin}, profile="small")
    rare = np.random.default_rng(1).normal(size=(30, 40)).astype(np.float32)
    written({"mask": rare * (thin != 0), "main": np.where(rare < 1, np.float32(3), rare)}, profile="small")
    many, rows = np.arange(2400).reshape(60, 40) ** 2 % 97 % 60, np.arange(60)[:, None] % 7 > 2
    written({"w": many, "v": many[::-1], "x": many * rows, "y": (many + 1) * rows})
    floats = np.random.default_rng(2).normal(size=(64, 80)).astype(np.float32)
    floats *= np.exp(np.arange(64) % 8 / 4).astype(np.float32)[:, None]
    scales = (np.abs(floats).max(1, keepdims=True) / 100).astype(np.float32)
    read_and_written({"planes": floats, "scaled": np.round(floats / scales) * scales, "classes": np.round(floats * 4)})
    with patch.object(adaptive_together, "MOST", 0):
        written({"w": thin[:10]}, profile="small")


def read_and_written(tensors: dict[str, np.ndarray]) -> None:
    """With all codings of the profile default."""
    written(tensors)
    assert answers(swsfmt.save(tensors))


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
            whole = array.reshape(-1).view(f"u{array.itemsize}")
            whole[:] = whole[::-1] ^ whole.dtype.type(1)
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
