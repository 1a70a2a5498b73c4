"""One CRC-32, whoever computes it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

import swsfmt
from swsfmt.format import checksum
from swsfmt.format.checksum import crc32
from swsfmt.read import reader

MUCH = np.random.default_rng(0).bytes((1 << 20) + 13)


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    """What is installed is looked for once in a process."""
    checksum._fastest.cache_clear()
    yield
    checksum._fastest.cache_clear()


@pytest.fixture(params=["zlib", "isal"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)  # as if it were not installed
    return str(request.param)


@pytest.mark.parametrize("data", [b"", b"123456789", MUCH], ids=["empty", "check", "much"])
@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFF])
def test_it_is_that_of_zlib(data: bytes, value: int, implementation: str) -> None:
    assert crc32(data, value) == zlib.crc32(data, value)


def test_check_value() -> None:
    assert crc32(b"123456789") == 0xCBF43926


def test_it_goes_on(implementation: str) -> None:
    assert crc32(MUCH, crc32(b"before")) == zlib.crc32(b"before" + MUCH)


def test_views(implementation: str) -> None:
    assert crc32(memoryview(np.frombuffer(MUCH[:-1], np.uint16)).cast("B")) == zlib.crc32(MUCH[:-1])


def test_much_goes_to_isal_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("isal.isal_zlib")
    fake.crc32 = lambda data, value: 42  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "isal", ModuleType("isal"))
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", fake)
    assert crc32(MUCH) == 42
    assert crc32(MUCH[: 1 << 10]) == zlib.crc32(MUCH[: 1 << 10])


def test_it_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time would take a lock of the import system, which a process that is forked meanwhile inherits."""
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert crc32(MUCH) == zlib.crc32(MUCH)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", ModuleType("another, without what is asked for"))
    assert crc32(MUCH) == zlib.crc32(MUCH)


@pytest.mark.parametrize("threads", [1, 3])
def test_damage_is_told_before_what_it_leads_to(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding runs beside the checksum where there are threads; here every bit of the payload is wrong."""
    monkeypatch.setattr(reader, "_MUCH", 1)
    array = np.random.default_rng(0).integers(0, 3, (100, 100)).astype(np.float32)
    data = swsfmt.save({"a": array})
    with reader.Reader.open(data) as file:
        start = file.records[0].offset
    damaged = data[:start] + bytes(255 - byte for byte in data[start:])
    with pytest.raises(swsfmt.ChecksumError, match=f"tensor 'a', byte {start}: the CRC-32 of the payload"):
        swsfmt.load(damaged, threads=threads)
    assert np.array_equal(swsfmt.load(data, threads=threads)["a"], array)
