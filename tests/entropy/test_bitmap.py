"""Bitmaps (spec 6.5): bits written out by hand, every kind, and the cheapest form."""

from __future__ import annotations

import numpy as np
import pytest
from craft import bits, gamma
from hypothesis import given
from hypothesis import strategies as st

from swsfmt.entropy.bitmap import Form, Kind, Live, cheapest_form, read_bitmap, stretch, write_bitmap
from swsfmt.entropy.bits import BitReader, BitWriter
from swsfmt.errors import IndexRuleError


def live(text: str) -> Live:
    return np.array([digit == "1" for digit in text.replace(" ", "")], np.bool_)


EARLIER = [live("1011"), live("01")]

BY_HAND = [
    (Form(Kind.RAW), "10110", "10110"),
    (Form(Kind.RUNS), "1", "1 1"),
    (Form(Kind.RUNS), "10110", "1 1 1 010 1"),
    (Form(Kind.RUNS), "0001111", "0 011 00100"),
    # d = 110 000 100: bits 3 to 5 repeat 0 to 2, of 6 to 8 the first differs.
    (Form(Kind.STRIDE_RUNS, 3), "110 110 010", "1 010 00100 1 010"),
    (Form(Kind.STRIDE_RUNS, 1), "0111", "0 1 1 010"),
    (Form(Kind.COPY, 0), "1011", ""),
    (Form(Kind.COPY, 0), "11 00 11 11", ""),
    (Form(Kind.COPY, 1), "0000 1111", ""),
    (Form(Kind.MASKED_RAW, 0), "0011", "011"),
    (Form(Kind.MASKED_RAW, 0), "10 00 01 11", "10 01 11"),
    (Form(Kind.MASKED_RUNS, 0), "0011", "0 1 010"),
    (Form(Kind.MASKED_RUNS, 1), "000 110", "1 010 1"),
]


@pytest.mark.parametrize(("form", "bitmap", "expected"), BY_HAND)
def test_bits_by_hand(form: Form, bitmap: str, expected: str) -> None:
    digits = expected.replace(" ", "")
    writer = BitWriter()
    write_bitmap(writer, live(bitmap), form, EARLIER)
    assert writer.bits.to01() == digits
    reader = BitReader(bits(digits + "1"), IndexRuleError)
    found = read_bitmap(reader, len(live(bitmap)), form, EARLIER)
    assert found.tolist() == live(bitmap).tolist()
    assert reader.position == len(digits)


def test_all_live_takes_no_bits() -> None:
    reader = BitReader(b"", IndexRuleError)
    assert read_bitmap(reader, 5, Form(Kind.ALL_LIVE), []).all()


def test_which_kinds_have_an_argument() -> None:
    assert [kind.has_argument for kind in Kind] == [False, False, False, True, True, True, True]


def test_stretch() -> None:
    assert stretch(live("101"), 9).tolist() == live("111000111").tolist()


BROKEN = [
    ("runs past the end", Form(Kind.RUNS), 4, "1" + gamma(2) + gamma(3), "run of 3"),
    ("stride 0", Form(Kind.STRIDE_RUNS, 0), 4, "1" + gamma(4), "stride 0"),
    ("stride L", Form(Kind.STRIDE_RUNS, 4), 4, "1" + gamma(4), "stride 4"),
    ("no such bitmap", Form(Kind.COPY, 2), 4, "", "only 2 come before"),
    ("does not divide", Form(Kind.COPY, 0), 6, "", "cannot be stretched"),
    ("longer than this", Form(Kind.COPY, 0), 2, "", "cannot be stretched"),
    ("masked, does not divide", Form(Kind.MASKED_RAW, 0), 5, "11111", "cannot be stretched"),
    ("masked runs past the mask", Form(Kind.MASKED_RUNS, 0), 4, "1" + gamma(4), "run of 4"),
    ("ends early", Form(Kind.RAW), 9, "1", "takes 9 bits"),
    ("runs end early", Form(Kind.RUNS), 100, "1" + gamma(3), "gamma"),
]


@pytest.mark.parametrize(
    ("form", "length", "digits", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BROKEN]
)
def test_broken(form: Form, length: int, digits: str, fragment: str) -> None:
    with pytest.raises(IndexRuleError, match=fragment):
        read_bitmap(BitReader(bits(digits), IndexRuleError), length, form, EARLIER)


def test_masked_raw_with_a_dead_mask() -> None:
    """An earlier bitmap without a live bit cannot come from a file; the reader holds nevertheless."""
    with pytest.raises(IndexRuleError, match="no live bit"):
        read_bitmap(BitReader(b"\1", IndexRuleError), 2, Form(Kind.MASKED_RUNS, 0), [live("00")])


bitmaps = st.lists(st.booleans(), min_size=1, max_size=200)


@given(bitmaps.filter(any), st.lists(bitmaps.filter(any), max_size=3))
def test_cheapest_form_is_readable_and_tells_its_size(values: list[bool], others: list[list[bool]]) -> None:
    array, earlier = np.array(values), [np.array(other) for other in others]
    form, size = cheapest_form(array, earlier)
    writer = BitWriter()
    write_bitmap(writer, array, form, earlier)
    argument = 8 if form.kind.has_argument else 0
    assert size == len(writer.bits) + argument
    assert size <= len(values)
    reader = BitReader(writer.to_bytes(), IndexRuleError)
    assert read_bitmap(reader, len(values), form, earlier).tolist() == values
    assert reader.position == len(writer.bits)


@given(bitmaps, st.data())
def test_every_kind_round_trips(values: list[bool], data: st.DataObject) -> None:
    array = np.array(values)
    forms = [Form(Kind.RAW), Form(Kind.RUNS)]
    if len(values) > 1:
        forms.append(Form(Kind.STRIDE_RUNS, data.draw(st.integers(1, len(values) - 1))))
    for form in forms:
        writer = BitWriter()
        write_bitmap(writer, array, form, [])
        reader = BitReader(writer.to_bytes(), IndexRuleError)
        assert read_bitmap(reader, len(values), form, []).tolist() == values


@given(bitmaps.filter(any), st.integers(1, 9), st.randoms(use_true_random=False))
def test_masked_kinds_round_trip(values: list[bool], factor: int, rng: object) -> None:
    earlier = np.array(values)
    array = stretch(earlier, factor * len(values))
    for kind in (Kind.COPY, Kind.MASKED_RAW, Kind.MASKED_RUNS):
        if kind != Kind.COPY:
            array = array & np.array([rng.random() < 0.7 for _ in array])  # type: ignore[attr-defined]
        writer = BitWriter()
        write_bitmap(writer, array, Form(kind, 0), [earlier])
        reader = BitReader(writer.to_bytes(), IndexRuleError)
        assert read_bitmap(reader, len(array), Form(kind, 0), [earlier]).tolist() == array.tolist()
