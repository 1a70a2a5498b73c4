"""Streams of symbols (spec 6.3): bits written out by hand, round trips, streams that end early."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from bitarray import bitarray
from craft import bits, fields
from hypothesis import given, settings
from hypothesis import strategies as st
from symbols import symbols_of

import swsfmt
from swsfmt.entropy import backend, encoding, kernels, protocol, twin
from swsfmt.entropy.prefix_code import PrefixCode, field_width
from swsfmt.errors import ChangedError, PayloadError

pytestmark = pytest.mark.usefixtures("each_kernel")


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
    assert encoding.encode_symbols(symbols_of(*values), code) == stream(digits)
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
        assert len(encoding.encode_symbols(symbols_of(), code)) == 0
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
    encoded = encoding.encode_symbols(symbols, code)
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
    data = encoding.encode_symbols(symbols, code) + stream("1")
    found, end = kernels.decode_gaps(data, 0, entries, code)
    np.testing.assert_array_equal(found, symbols)
    assert end == len(data) - 1


def test_more_symbols_than_one_block() -> None:
    count = (1 << 20) + 5
    symbols = (np.arange(count) * 7 % 5 % 3).astype(np.uint16)
    code = canonical(1, 2, 2)
    found, end = kernels.decode_symbols(encoding.encode_symbols(symbols, code), 0, count, code)
    np.testing.assert_array_equal(found, symbols)
    assert end == code.cost(np.bincount(symbols))


def test_bytes_of_the_worked_example() -> None:
    gaps = encoding.encode_symbols(symbols_of(1, 2, 0, 2), canonical(2, 2, 1, 0))
    values = encoding.encode_symbols(symbols_of(0, 0, 2, 0), canonical(1, 0, 1))
    assert (gaps + values).tobytes() == bytes.fromhex("0B 01") == bits("11 0 10 0 0 0 1 0")


def entries_by_hand(
    symbols: np.ndarray, starts: list[int], numbers: list[int], last: int, fresh: bool
) -> tuple[list[int], list[int], int]:
    gaps, values = [], []
    for line, start in zip(symbols.tolist(), starts, strict=True):
        last = start - 1 if fresh else last
        for number, symbol in zip(numbers, line, strict=True):
            if symbol:
                gaps.append(start + number - last - 1)
                values.append(symbol - 1)
                last = start + number
    return gaps, values, last


@given(
    st.integers(1, 4),
    st.integers(1, 23),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None)
def test_entries_of_lines(lines: int, places: int, seed: int, density: float, compact: bool, fresh: bool) -> None:
    """Of a part of a matrix whose lines have 40 places that count."""
    random = np.random.default_rng(seed)
    symbols = (random.integers(1, 4097, (lines, places)) * (random.random((lines, places)) < density)).astype(np.uint16)
    starts = 40 * np.arange(2, 2 + lines)
    numbers = np.sort(random.permutation(40)[:places]).astype(np.int32) if compact else None
    gaps, values, last = kernels.line_entries(symbols, starts, numbers, fresh)
    wanted = entries_by_hand(symbols, starts.tolist(), list(range(places) if numbers is None else numbers), -1, fresh)
    assert (gaps.tolist(), values.tolist(), last) == wanted
    assert (gaps.dtype, values.dtype) == (np.int64, np.uint16)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 40)),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None)
def test_gaps_of_lines(shape: tuple[int, int], seed: int, density: float, by_columns: bool, compact: bool) -> None:
    """Of a part of a matrix; gaps from 8 on are listed."""
    random = np.random.default_rng(seed)
    symbols = (random.integers(1, 4097, shape) * (random.random(shape) < density)).astype(np.uint16)
    (top, bottom), (left, right) = (np.sort(random.integers(0, size + 1, 2)).tolist() for size in shape)
    window = kernels.Window(top, bottom, left, right)
    # As the places are numbered when those without entries are left out.
    numbers = np.cumsum(symbols.any(axis=1 if by_columns else 0), dtype=np.int32) - 1 if compact else None
    inside = symbols[top:bottom, left:right]
    counts, others, lines = [0] * 8, [], []
    for line in inside.T if by_columns else inside:
        places = np.flatnonzero(line) + (top if by_columns else left)
        places = places if numbers is None else numbers[places]
        for gap in (np.diff(places) - 1).tolist():
            if gap < 8:
                counts[gap] += 1
            else:
                others.append(gap)
        lines.append((places[0], places[-1], len(places)) if len(places) else (-1, -1, 0))
    with patch.object(kernels, "COUNTABLE", 8):
        found = kernels.line_gaps(symbols, window, by_columns, numbers)
    assert sorted(found.others.tolist()) == sorted(others)
    assert found.counts.tolist() == counts[: len(found.counts)]
    assert not any(counts[len(found.counts) :])
    assert found.lines.T.tolist() == [list(line) for line in lines]


@given(st.lists(st.integers(0, 40)), st.integers(1, 12))
def test_gap_symbols(gaps: list[int], pbits: int) -> None:
    skip = 2**pbits - 1
    wanted = [symbol for gap in gaps for symbol in [skip] * (gap // skip) + [gap % skip]]
    found = kernels.gap_symbols(np.array(gaps, np.int64), pbits)
    assert (found.tolist(), found.dtype) == (wanted, np.uint16)


@given(st.lists(st.integers(0, 2)), st.integers(1, 5))
def test_chunks_of_gaps(symbols: list[int], chunk: int) -> None:
    """Symbols 0 and 1 are gaps, 2 is the skip; they take 1, 2 and 2 bits. The last skips belong to no chunk."""
    rows, entries, bits, advance = [], 0, 0, 0
    left = max((i + 1 for i, symbol in enumerate(symbols) if symbol != 2), default=0)
    for symbol in symbols[:left]:
        entries, bits = entries + (symbol != 2), bits + (1, 2, 2)[symbol]
        advance += symbol + (symbol != 2)
        if symbol != 2 and entries % chunk == 0:
            rows.append([bits, advance])
            bits = advance = 0
    wanted = [*rows, [bits, advance]] if bits else rows
    assert kernels.gap_chunks(symbols_of(*symbols), canonical(1, 2, 2), chunk).tolist() == wanted


# A matrix of 2 x 3 live positions in a tensor of 3 x 4.
LIVE = np.array([4, 8]), np.array([0, 1, 3])


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize(
    ("gaps", "skip", "position", "offsets", "places", "after"),
    [
        ([0, 1], 3, 2, None, [2, 4], 5),
        ([0, 1], 3, 2, LIVE, [7, 9], 5),
        ([3, 0], 3, 1, LIVE, [9], 5),
        ([5], 7, 0, LIVE, [11], 6),
        ([3], 3, 0, None, [], 3),
    ],
)
def test_scatter(
    gaps: list[int], skip: int, position: int, offsets: object, places: list[int], after: int, dtype: str
) -> None:
    out = np.zeros(12, dtype)
    elements = np.arange(1, 1 + len(places)).astype(dtype)
    assert kernels.scatter(symbols_of(*gaps), skip, elements, position, 2, 3, offsets, out) == after  # type: ignore[arg-type]
    assert out[places].tolist() == elements.tolist()
    assert np.count_nonzero(out) == len(places)


@pytest.mark.parametrize(
    ("gaps", "elements", "position"),
    [([6], [1], 0), ([0], [1], 6), ([0], [], 0), ([3], [1], 0), ([0, 0], [1], 0), ([0], [1], 7)],
    ids=["too far", "at the end", "no element", "a skip", "two entries", "past the end"],
)
def test_scatter_refuses(gaps: list[int], elements: list[int], position: int) -> None:
    for offsets in (None, LIVE):
        out = np.zeros(12, np.uint32)
        found = kernels.scatter(symbols_of(*gaps), 3, np.array(elements, np.uint32), position, 2, 3, offsets, out)
        assert found is None
        assert not out.any()


def test_one_switch() -> None:
    """Nothing but `backend` reads the environment variable or loads a module of kernels."""
    package = Path(swsfmt.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "backend.py":
            text = path.read_text(encoding="utf-8")
            assert "SWS_KERNELS" not in text
            assert not re.search(r"^\s*(from|import)\b.*\b_native\b", text, re.MULTILINE)


def test_both_have_all_kernels() -> None:
    names = {name for kind in protocol.Kernels.__mro__ for name in vars(kind) if not name.startswith("_")}
    assert names == set(twin.__all__)
    assert all(hasattr(backend.load(backend.active()), name) for name in names)


SKIP = 3


@pytest.mark.parametrize("where", ["here", "there"])
def test_skips_belong_to_the_chunk_of_their_entry(where: str) -> None:
    """Two chunks of an entry each (spec 5.5): gap 1, then a skip and gap 0, whose entry lies at 1 + 1 + 3 = 5."""
    code = PrefixCode.fixed(4)
    gaps, values = symbols_of(1, SKIP, 0), symbols_of(0, 1)
    stream = encoding.encode_symbols(gaps, code) + encoding.encode_symbols(values, code)
    starts = np.array([[0, 6, 0], [2, 8, 2], [6, 10, 6]])
    if where == "here":
        starts[1] = 4, 8, 5
    elements, out = np.arange(1, 5, dtype=np.uint8), np.zeros(6, np.uint8)
    decoded = kernels.decode_sparse(stream, starts, 1, 2, 6, code, code, elements, 1, 6, None, out=out)
    assert (decoded is None) == (where == "here")
    if decoded is not None:
        assert decoded[0].tolist() == [0, 1, 0, 0, 0, 2]
        assert decoded[1] == 3


@settings(deadline=None)
@given(st.integers(1, 3000), st.sampled_from(["u1", "u2", "u4", "u8"]), st.integers(0, 1 << 30), st.booleans())
def test_elements(count: int, dtype: str, seed: int, whole: bool) -> None:
    """Straight into the elements, from any bit on; a stream that ends early is refused."""
    rng = np.random.default_rng(seed)
    code, used = random_code(rng, 300)
    symbols = used[rng.integers(0, len(used), count)].astype(np.uint16)
    encoded = encoding.encode_symbols(symbols, code)
    elements = rng.integers(0, 256, 300).astype(dtype)
    out = np.zeros(count, dtype)
    if whole or code.single is not None:
        assert kernels.decode_elements(stream("01") + encoded, 2, code, elements, out) == len(encoded) + 2
        np.testing.assert_array_equal(out, elements[symbols])
    else:
        with pytest.raises(PayloadError, match="ends before"):
            kernels.decode_elements(encoded[:-1], 0, code, elements, out)


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize(("chunk", "count"), [(21, 100), (77, 450)])
def test_fields_of_a_fixed_width_to_bytes(width: int, offset: int, chunk: int, count: int) -> None:
    """In chunks, to elements that are their own numbers and to others; a chunk that ends elsewhere is refused.

    With and without vectors, which take 32 fields at a time where there are as many, and eight bytes behind them.
    """
    code = PrefixCode.fixed(1 << width)
    symbols = np.random.default_rng(width).integers(0, 1 << width, count).astype(np.uint16)
    data = bitarray(offset, endian="little") + encoding.encode_symbols(symbols, code)
    starts = offset + np.append(np.arange(0, count, chunk), count) * width
    numbers = np.arange(1 << width, dtype=np.uint8)
    for elements in (numbers, numbers[::-1].copy()):
        out = kernels.decode_dense(data, starts, chunk, count, code, elements)
        assert out is not None
        assert np.array_equal(out, elements[symbols])
        for number, change in ((1, 1), (4, -width), (5, -1)):
            wrong = starts.copy()
            wrong[number] += change
            assert kernels.decode_dense(data, wrong, chunk, count, code, elements) is None


@pytest.mark.parametrize("count", [3, 1000, 20_000])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_elements_and_their_values(dtype: type[np.unsignedinteger[Any]], count: int) -> None:
    """Of one and two bytes without a hash, where they are many."""
    values = np.array([0, 7, 200, 255], dtype)
    elements = values[np.random.default_rng(count).integers(0, 4, count)]
    found = kernels.distinct(elements, 4)
    assert found is not None
    assert found.tolist() == sorted(set(elements.tolist()))
    assert kernels.distinct(elements, len(found) - 1) is None
    symbols, counts = kernels.symbols_of(elements, values)
    assert values[symbols].tolist() == elements.tolist()
    assert counts.tolist() == [(elements == value).sum() for value in values]
    elements[-1] = 8
    with pytest.raises(ChangedError):
        kernels.symbols_of(elements, values)
