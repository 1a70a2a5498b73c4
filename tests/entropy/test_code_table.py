"""Code tables (spec 6.4): bits written out by hand, every token, every rule."""

from __future__ import annotations

import numpy as np
import pytest
from craft import bits, field, gamma
from hypothesis import given, settings
from hypothesis import strategies as st

from swsfmt.entropy.bits import BitReader, BitWriter
from swsfmt.entropy.code_table import cheapest_code, read_table, write_table
from swsfmt.entropy.huffman import code_lengths
from swsfmt.entropy.prefix_code import PrefixCode
from swsfmt.errors import IndexRuleError


def written(code: PrefixCode) -> str:
    writer = BitWriter()
    write_table(writer, code)
    return writer.bits.to01()


def read(digits: str, alphabet: int) -> tuple[PrefixCode, int]:
    """The table and the number of bits that it took."""
    reader = BitReader(bits(digits), IndexRuleError)
    return read_table(reader, alphabet), reader.position


TABLES = [
    ([1, 1], "0 1000 0 0"),
    # The gap table and the value table of the worked example.
    ([2, 2, 1, 0], "0 0100 0 0 101"),
    ([1, 0, 1], "0 1000 0 1101 0"),
    ([0, 1, 1], "0 1000 1101 0 0"),
    ([1, 2, 2], "0 1000 0 100 0"),
    ([2, 2, 2, 2], "0 0100 0 0 0 0"),
    # Steps of more than one: the length itself.
    ([1, 3, 3, 3, 3], "0 1000 0 111 1100 0 0 0"),
    ([3, 3, 3, 3, 1], "0 1100 0 0 0 0 111 1000"),
    # p stays over unused symbols, the first ones included; what follows the last code is not written.
    ([0, 0, 0, 2, 2, 0, 0, 1, 0, 0], "0 0100 110 011 0 0 110 010 101"),
    # RFC 1951's example.
    ([3, 3, 3, 3, 3, 2, 4, 4], "0 1100 0 0 0 0 0 101 111 0010 0"),
]


@pytest.mark.parametrize(("lengths", "expected"), TABLES)
def test_bits_by_hand(lengths: list[int], expected: str) -> None:
    digits = expected.replace(" ", "")
    assert written(PrefixCode.canonical(np.array(lengths, np.uint8))) == digits
    code, size = read(digits + "1" * 8, len(lengths))
    assert code.lengths.tolist() == lengths
    assert size == len(digits)


@pytest.mark.parametrize(
    ("symbol", "alphabet", "expected"),
    [(0, 1, "1"), (0, 2, "1 0"), (1, 2, "1 1"), (2, 3, "1 01"), (3, 5, "1 110"), (4095, 4096, "1" * 13)],
)
def test_one_symbol(symbol: int, alphabet: int, expected: str) -> None:
    digits = expected.replace(" ", "")
    assert written(PrefixCode.one_symbol(symbol, alphabet)) == digits
    code, size = read(digits, alphabet)
    assert (code.single, code.alphabet, size) == (symbol, alphabet, len(digits))


@pytest.mark.parametrize(
    ("digits", "lengths"),
    [
        # The same table with other tokens: readers accept all forms.
        ("0 0010 111 1000 111 1000", [1, 1]),
        ("0 1000 111 1000 0", [1, 1]),
        ("0 0100 101 0", [1, 1]),
        ("0 1000 0 1101 1101 0", [1, 0, 0, 1]),
        # A step counts from the length before, over unused symbols.
        ("0 1000 0 1101 100 0", [1, 0, 2, 2]),
    ],
)
def test_other_forms_are_accepted(digits: str, lengths: list[int]) -> None:
    code, _ = read(digits, len(lengths))
    assert code.lengths.tolist() == lengths


BROKEN = [
    ("one symbol outside", "1 11", 3, "symbol 3 is outside"),
    ("p 0", "0 0000 00", 2, "length 0"),
    ("p 13", "0" + field(13, 4) + "00", 2, "length 13"),
    ("step below 1", "0 1000 0 101", 4, "length 0"),
    ("step above 12", "0" + field(12, 4) + "0 100", 4, "length 13"),
    ("length 0", "0 1000 111 0000", 4, "length 0"),
    ("length 15", "0 1000 111 1111", 4, "length 15"),
    ("Kraft above 1", "0 0100 0 0 0 101", 4, "above 1"),
    ("Kraft below 1 at the end", "0 0100 0 0 0 0", 3, "below 1"),
    ("one symbol of length 1", "0 1000 0 0", 1, "below 1"),
    ("unused symbols past the end", "0 1000 0 110" + gamma(2) + "0", 3, "below 1"),
    ("far past the end", "0 1000 0 110" + gamma(1 << 32) + "0", 3, "below 1"),
    ("gamma too long", "0 1000 0 110" + "0" * 33 + "1" + "0" * 40, 3, "gamma"),
]


@pytest.mark.parametrize(("digits", "alphabet", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BROKEN])
def test_broken_tables(digits: str, alphabet: int, fragment: str) -> None:
    with pytest.raises(IndexRuleError, match=fragment):
        read(digits, alphabet)


@pytest.mark.parametrize(("lengths", "digits"), TABLES)
def test_tables_that_end_early(lengths: list[int], digits: str) -> None:
    whole = digits.replace(" ", "")
    for size in range(len(whole)):
        reader = BitReader(bits(whole), IndexRuleError)
        reader.bits = reader.bits[:size]
        with pytest.raises(IndexRuleError):
            read_table(reader, len(lengths))


counts_arrays = st.lists(st.one_of(st.just(0), st.integers(0, 5000)), min_size=2, max_size=300).filter(
    lambda counts: sum(n > 0 for n in counts) >= 2
)


@given(counts_arrays)
def test_round_trip(counts: list[int]) -> None:
    code = PrefixCode.canonical(code_lengths(np.array(counts, np.int64)))
    digits = written(code)
    again, size = read(digits, len(counts))
    assert size == len(digits)
    assert again.lengths.tolist() == code.lengths.tolist()
    assert again.codewords.tolist() == code.codewords.tolist()


@settings(deadline=None)
@given(counts_arrays, st.booleans())
def test_cheapest_code_covers_and_tells_its_size(counts: list[int], smooth: bool) -> None:
    array = np.array(counts, np.int64)
    code, size = cheapest_code(array, smooth)
    assert code.covers(array)
    assert size == len(written(code)) + code.cost(array)
    plain = PrefixCode.optimal(array)
    assert size <= len(written(plain)) + plain.cost(array)
