"""Streams of symbols (spec 6.3): bits written out by hand, round trips, streams that end early."""

from __future__ import annotations

import numpy as np
import pytest
from bitarray import bitarray
from craft import bits, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from swsfmt.entropy import kernels
from swsfmt.entropy.prefix_code import PrefixCode, field_width
from swsfmt.errors import PayloadError

pytestmark = pytest.mark.usefixtures("each_kernel")


def symbols_of(*values: int) -> np.ndarray:
    return np.array(values, np.uint16)


def canonical(*lengths: int) -> PrefixCode:
    return PrefixCode.canonical(np.array(lengths, np.uint8))


def stream(digits: str) -> bitarray:
    return bitarray(digits.replace(" ", ""), endian="little")


@pytest.mark.parametrize(
    ("alphabet", "width"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9), (4095, 12), (4096, 12)]
)
def test_field_width(alphabet: int, width: int) -> None:
    """The bit length of A - 1."""
    assert field_width(alphabet) == width
    assert PrefixCode.fixed(alphabet).max_length == width


BY_HAND = [
    ("fixed", PrefixCode.fixed(4), [0, 1, 2, 3], "00 10 01 11"),
    ("fixed, alphabet of 3", PrefixCode.fixed(3), [2, 1, 0], "01 10 00"),
    ("fixed, alphabet of 1", PrefixCode.fixed(1), [0, 0, 0], ""),
    ("one symbol", PrefixCode.one_symbol(2, 4), [2, 2, 2, 2], ""),
    ("worked example, gaps", canonical(2, 2, 1, 0), [1, 2, 0, 2], "11 0 10 0"),
    ("worked example, values", canonical(1, 0, 1), [0, 0, 2, 0], "0 0 1 0"),
    ("RFC 1951", canonical(3, 3, 3, 3, 3, 2, 4, 4), [5, 0, 6, 7, 4], "00 010 1110 1111 110"),
]
CASES = pytest.mark.parametrize(("code", "values", "digits"), [pytest.param(*row[1:], id=row[0]) for row in BY_HAND])


@CASES
def test_bits_by_hand(code: PrefixCode, values: list[int], digits: str) -> None:
    assert kernels.encode_symbols(symbols_of(*values), code) == stream(digits)
    for offset in (0, 3):
        data = stream("1" * offset + digits + "1011")
        found, end = kernels.decode_symbols(data, offset, len(values), code)
        assert found.tolist() == values
        assert found.dtype == np.uint16
        assert end == offset + len(stream(digits))


@CASES
def test_streams_that_end_early(code: PrefixCode, values: list[int], digits: str) -> None:
    data = stream(digits)
    for size in range(len(data)):
        with pytest.raises(PayloadError, match="ends before"):
            kernels.decode_symbols(data[:size], 0, len(values), code)


def test_no_symbols() -> None:
    for code in (PrefixCode.fixed(4), canonical(1, 1), PrefixCode.one_symbol(0, 3)):
        assert len(kernels.encode_symbols(symbols_of(), code)) == 0
        found, end = kernels.decode_symbols(stream("1"), 1, 0, code)
        assert (len(found), end) == (0, 1)


@pytest.mark.parametrize(("alphabet", "symbol"), [(3, 3), (5, 5), (5, 7), (4095, 4095)])
def test_fixed_symbols_outside_of_the_alphabet(alphabet: int, symbol: int) -> None:
    width = field_width(alphabet)
    data = bitarray(fields([0, symbol, 1], width), endian="little")
    with pytest.raises(PayloadError, match=f"symbol {symbol} is outside"):
        kernels.decode_symbols(data, 0, 3, PrefixCode.fixed(alphabet))
    # What follows the stream is none of its business.
    assert kernels.decode_symbols(data, 0, 1, PrefixCode.fixed(alphabet))[0].tolist() == [0]


@pytest.mark.parametrize(
    ("digits", "entries", "found"),
    [
        ("10 01", 2, [1, 2]),
        ("11 00", 1, [3, 0]),
        ("11 11 11 10 00", 2, [3, 3, 3, 1, 0]),
        # Skips after the last entry belong to what follows.
        ("10 11", 1, [1]),
    ],
)
def test_gaps_by_hand(digits: str, entries: int, found: list[int]) -> None:
    symbols, end = kernels.decode_gaps(stream(digits), 0, entries, PrefixCode.fixed(4))
    assert symbols.tolist() == found
    assert end == 2 * len(found)


@pytest.mark.parametrize(("digits", "missing"), [("", 2), ("10", 1), ("11 11 11", 2), ("10 11 1", 1)])
def test_gaps_that_end_early(digits: str, missing: int) -> None:
    with pytest.raises(PayloadError, match=f"{missing} entries early"):
        kernels.decode_gaps(stream(digits), 0, 2, PrefixCode.fixed(4))


def test_gaps_without_bits() -> None:
    symbols, end = kernels.decode_gaps(stream(""), 0, 1000, PrefixCode.one_symbol(5, 8))
    assert (symbols.tolist(), end) == ([5] * 1000, 0)


def random_code(rng: np.random.Generator, alphabet: int) -> tuple[PrefixCode, np.ndarray]:
    """A code and the symbols that it has."""
    counts = rng.integers(0, 1000, alphabet) * (rng.random(alphabet) < 0.7)
    counts[rng.integers(alphabet)] += 1
    return PrefixCode.optimal(counts.astype(np.int64)), np.flatnonzero(counts)


@settings(deadline=None)
@given(st.integers(1, 4096), st.integers(0, 3000), st.integers(0, 1 << 30), st.booleans(), st.integers(0, 20))
def test_round_trip(alphabet: int, count: int, seed: int, fixed: bool, offset: int) -> None:
    rng = np.random.default_rng(seed)
    code, used = random_code(rng, alphabet)
    if fixed:
        code, used = PrefixCode.fixed(alphabet), np.arange(alphabet)
    symbols = used[rng.integers(0, len(used), count)].astype(np.uint16)
    encoded = kernels.encode_symbols(symbols, code)
    assert len(encoded) == code.cost(np.bincount(symbols, minlength=alphabet))
    found, end = kernels.decode_symbols(stream("0" * offset) + encoded + stream("101"), offset, count, code)
    np.testing.assert_array_equal(found, symbols)
    assert end == offset + len(encoded)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 2000), st.integers(0, 1 << 30), st.booleans(), st.floats(0, 0.95))
def test_gaps_round_trip(pbits: int, entries: int, seed: int, fixed: bool, skips: float) -> None:
    rng = np.random.default_rng(seed)
    skip = (1 << pbits) - 1
    gaps = rng.integers(0, skip, entries).astype(np.uint16)
    before = rng.geometric(1 - skips, entries) - 1
    symbols = np.concatenate([[*[skip] * k, g] for k, g in zip(before, gaps, strict=True)]).astype(np.uint16)
    code = PrefixCode.fixed(1 << pbits)
    if not fixed:
        code = PrefixCode.optimal(np.bincount(symbols, minlength=1 << pbits))
    data = kernels.encode_symbols(symbols, code) + stream("1")
    found, end = kernels.decode_gaps(data, 0, entries, code)
    np.testing.assert_array_equal(found, symbols)
    assert end == len(data) - 1


def test_more_symbols_than_one_block() -> None:
    count = (1 << 20) + 5
    symbols = (np.arange(count) * 7 % 5 % 3).astype(np.uint16)
    code = canonical(1, 2, 2)
    found, end = kernels.decode_symbols(kernels.encode_symbols(symbols, code), 0, count, code)
    np.testing.assert_array_equal(found, symbols)
    assert end == code.cost(np.bincount(symbols))


def test_bytes_of_the_worked_example() -> None:
    gaps = kernels.encode_symbols(symbols_of(1, 2, 0, 2), canonical(2, 2, 1, 0))
    values = kernels.encode_symbols(symbols_of(0, 0, 2, 0), canonical(1, 0, 1))
    assert (gaps + values).tobytes() == bytes.fromhex("0B 01") == bits("11 0 10 0 0 0 1 0")
