"""Order of bits, fields, Elias gamma (spec 6.1, 6.2): bits written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from craft import bits, field, fields, gamma
from hypothesis import given
from hypothesis import strategies as st

from swsfmt.entropy.bits import BitReader, BitWriter, gamma_bits
from swsfmt.errors import FormatError, PayloadError


def text(writer: BitWriter) -> str:
    return writer.bits.to01()


def reader_of(digits: str) -> BitReader:
    reader = BitReader(bits(digits), PayloadError)
    reader.bits = reader.bits[: len(digits.replace(" ", ""))]
    return reader


@pytest.mark.parametrize(
    ("value", "width", "expected"),
    [(0, 0, ""), (0, 1, "0"), (1, 1, "1"), (1, 3, "100"), (4, 3, "001"), (6, 3, "011"), (0x80, 8, "00000001")],
)
def test_field(value: int, width: int, expected: str) -> None:
    writer = BitWriter()
    writer.field(value, width)
    assert text(writer) == expected
    assert reader_of(expected).field(width, "x") == value


def test_bytes_fill_from_the_least_significant_bit() -> None:
    writer = BitWriter()
    writer.field(1, 1)
    writer.field(0, 2)
    writer.field(0b10110, 5)
    writer.field(3, 2)
    assert writer.to_bytes() == bytes([0b10110_00_1, 0b11])


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, "1"),
        (2, "01 0"),
        (3, "01 1"),
        (4, "001 00"),
        (5, "001 10"),
        (6, "001 01"),
        (7, "001 11"),
        (8, "0001 000"),
        (13, "0001 101"),
        (1 << 32, "0" * 32 + "1" + "0" * 32),
    ],
)
def test_gamma(n: int, expected: str) -> None:
    digits = expected.replace(" ", "")
    writer = BitWriter()
    writer.gamma(n)
    assert text(writer) == digits == gamma(n)
    assert gamma_bits(n) == len(digits)
    reader = reader_of(digits)
    assert reader.gamma("x") == n
    assert reader.remaining == 0


@pytest.mark.parametrize(
    ("digits", "fragment"),
    [
        ("", "no one bit"),
        ("0", "no one bit"),
        ("0" * 33 + "1" + "0" * 33, "no one bit among its first 33"),
        ("001 1", "are left"),
        ("0001", "are left"),
    ],
)
def test_broken_gamma(digits: str, fragment: str) -> None:
    with pytest.raises(PayloadError, match=fragment):
        reader_of(digits).gamma("x")


@pytest.mark.parametrize("read", [lambda r: r.field(9, "x"), lambda r: r.flags(9, "x"), lambda r: r.fields(3, 3, "x")])
def test_reads_never_go_past_the_end(read: object) -> None:
    reader = BitReader(b"\xff", PayloadError)
    with pytest.raises(PayloadError, match="x takes 9 bits, 8 are left"):
        read(reader)  # type: ignore[operator]
    assert reader.position == 0


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(0, 1 << 32))))
def test_mixed_fields(items: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    expected = ""
    for width, value in items:
        writer.field(value % (1 << width), width)
        expected += field(value % (1 << width), width)
    assert writer.to_bytes() == bits(expected)
    reader = BitReader(writer.to_bytes(), PayloadError)
    for width, value in items:
        assert reader.field(width, "x") == value % (1 << width)
    reader.finish("x")


@given(st.integers(0, 32), st.lists(st.integers(0, (1 << 32) - 1)), st.integers(0, 7))
def test_columns_of_fields(width: int, values: list[int], offset: int) -> None:
    numbers = np.array([v % (1 << width) for v in values], np.int64)
    writer = BitWriter()
    writer.field(0, offset)
    writer.fields(numbers, width)
    assert text(writer) == "0" * offset + fields(numbers.tolist(), width)
    reader = BitReader(writer.to_bytes(), PayloadError)
    reader.field(offset, "x")
    np.testing.assert_array_equal(reader.fields(len(numbers), width, "x"), numbers)


@given(st.lists(st.booleans()), st.integers(0, 7))
def test_flags(values: list[bool], offset: int) -> None:
    writer = BitWriter()
    writer.field(0, offset)
    writer.flags(np.array(values, np.bool_))
    reader = BitReader(writer.to_bytes(), PayloadError)
    reader.position = offset
    assert reader.flags(len(values), "x").tolist() == values


@given(st.lists(st.integers(1, (1 << 33) - 1)))
def test_gammas(values: list[int]) -> None:
    writer = BitWriter()
    for value in values:
        writer.gamma(value)
    reader = BitReader(writer.to_bytes(), PayloadError)
    assert [reader.gamma("x") for _ in values] == values
    reader.finish("x")


@pytest.mark.parametrize(
    ("data", "position", "fragment"),
    [(b"\0\0", 3, "ends 13 bits before"), (b"\0", 0, "ends 8 bits"), (b"\x80", 7, "padding"), (b"\x08", 3, "padding")],
)
def test_finish_refuses(data: bytes, position: int, fragment: str) -> None:
    reader = BitReader(data, PayloadError)
    reader.position = position
    with pytest.raises(PayloadError, match=fragment):
        reader.finish("x")


@pytest.mark.parametrize(("data", "position"), [(b"", 0), (b"\xff", 8), (b"\x07", 3), (b"\x7f", 7)])
def test_finish_accepts(data: bytes, position: int) -> None:
    reader = BitReader(data, PayloadError)
    reader.position = position
    reader.finish("x")
    assert reader.position % 8 == 0


def test_errors_have_the_class_and_the_offset_asked_for() -> None:
    reader = BitReader(b"\0\0", FormatError, base=100)
    reader.position = 9
    with pytest.raises(FormatError) as caught:
        reader.field(8, "x")
    assert caught.value.offset == 101
