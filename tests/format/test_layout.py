"""Bytes of the index: varints, names, records, the worked example; `build` and `parse_prefix` are inverse."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from craft import (
    ALIAS,
    DENSE,
    F32,
    I16,
    SIGNATURE,
    U8,
    U16,
    bits,
    codebook,
    dense,
    file_,
    floats,
    halves,
    no_entries,
    record,
    sparse,
    string,
    varint,
)
from hypothesis import given
from hypothesis import strategies as st

import swsfmt
from swsfmt import IndexRuleError, Limits
from swsfmt.codings import coding_of
from swsfmt.dtypes import BY_ID, BY_NAME, narrower
from swsfmt.format import cursor
from swsfmt.format.cursor import Cursor
from swsfmt.format.index import build, parse_prefix
from swsfmt.format.names import NameParser, NameWriter
from swsfmt.format.records import MAX_INLINE, Draft
from swsfmt.format.sections import Section, Span, fill
from swsfmt.read.reader import Reader
from swsfmt.tensor import TensorInfo

SPEC = Path(__file__).resolve().parents[2] / "spec" / "sws-1.0.md"

# ---- varints and strings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7F"),
        (128, "80 01"),
        (300, "AC 02"),
        (16383, "FF 7F"),
        (16384, "80 80 01"),
        ((1 << 63) - 1, "FF FF FF FF FF FF FF FF 7F"),
    ],
)
def test_varint(value: int, expected: str) -> None:
    data = bytes.fromhex(expected)
    assert cursor.varint(value) == data == varint(value)
    reader = Cursor(data + b"x")
    assert reader.varint("x") == value
    assert reader.remaining == 1


@pytest.mark.parametrize("value", [-1, 1 << 63])
def test_varint_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        cursor.varint(value)


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        ("", "0 are left"),
        ("80", "0 are left"),
        ("80 00", "shortest form"),
        ("FF 80 00", "shortest form"),
        ("80 80 80 80 80 80 80 80 80 01", "longer than 9 bytes"),
        ("FF FF FF FF FF FF FF FF FF 01", "longer than 9 bytes"),
    ],
)
def test_broken_varint(data: str, fragment: str) -> None:
    with pytest.raises(IndexRuleError, match=fragment):
        Cursor(bytes.fromhex(data)).varint("x")


@given(st.integers(0, (1 << 63) - 1))
def test_any_varint(value: int) -> None:
    data = cursor.varint(value)
    assert data == varint(value)
    assert Cursor(data).varint("x") == value
    assert len(data) == max(1, -(-value.bit_length() // 7))


@given(st.text(st.characters(codec="utf-8")))
def test_strings(text: str) -> None:
    assert cursor.string(text) == string(text)
    assert Cursor(string(text)).string("x") == text


def test_offsets_in_errors_are_those_of_the_file() -> None:
    reader = Cursor(b"abc", base=11)
    reader.take(2, "x")
    with pytest.raises(IndexRuleError) as caught:
        reader.u16("x")
    assert caught.value.offset == 13


# ---- names -----------------------------------------------------------------------------------------------------------


def coded(names: list[str]) -> list[bytes]:
    writer = NameWriter()
    return [writer.write(name) for name in names]


def test_names_by_hand() -> None:
    """The nearest earlier record with the same suffix is referred to; an equal length goes to the literal."""
    assert coded(["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]) == [
        b"\x00\x18conv1.weight",
        b"\x06\x08bias",
        b"\x04\x102.weight",
        b"\x06\x03",
    ]
    assert coded(["a", "b", ""]) == [b"\0\2a", b"\0\2b", b"\0\0"]
    assert coded(["x.w", "x.w2"]) == [b"\0\6x.w", b"\3\0022"]


@given(st.lists(st.text(st.sampled_from("abä.0"), max_size=6), unique=True, max_size=20))
def test_names_round_trip(names: list[str]) -> None:
    reader = Cursor(b"".join(coded(names)))
    parser = NameParser(swsfmt.Limits())
    assert [parser.parse(reader) for _ in names] == names
    assert reader.remaining == 0


# ---- whole files -----------------------------------------------------------------------------------------------------


def worked_example() -> bytes:
    """The file of section 11, from its parts."""
    return file_(
        sparse("fc.weight", gap=1, value=1, rows=1, packed=bytes.fromhex("25 54 58"), payload=bytes.fromhex("0B 01")),
        record("bias", shape=(3,), prefix=3, payload=floats(0.1, -0.2, 0.3)),
        codebooks=[codebook(halves(0.25, 1.0, -0.5))],
    )


def test_the_worked_example_is_what_the_specification_says() -> None:
    data = worked_example()
    assert len(data) == 71
    table = SPEC.read_text(encoding="utf-8").split("## 11 Worked example")[1]
    rows = re.findall(r"^\| (\d+) \| ((?:`[0-9A-F ]+` ?)+)\|", table, re.MULTILINE)
    assert len(rows) > 15
    place = 0
    for offset, cell in rows:
        assert int(offset) == place
        expected = bytes.fromhex(cell.replace("`", ""))
        assert data[place : place + len(expected)] == expected
        place += len(expected)
    assert place == 71
    packed = "101  0 0100 0 0 101  0 1000 0 1101 0"
    assert bits(packed) == bytes.fromhex("25 54 58")


def test_the_worked_example_decodes() -> None:
    loaded = swsfmt.load(worked_example())
    weight = np.array([[0, 0.25, 0, 0, 0.25], [0] * 5, [-0.5, 0, 0, 0.25, 0]], np.float32)
    assert loaded["fc.weight"].tobytes() == weight.tobytes()
    assert loaded["fc.bias"].tobytes() == floats(0.1, -0.2, 0.3)
    vector = SPEC.parent / "vectors" / "valid" / "worked-example.sws"
    assert vector.read_bytes() == worked_example()


def test_the_shortest_file() -> None:
    data = swsfmt.save({})
    assert data == file_()
    assert data[:14] == SIGNATURE + b"\1\0\3\0\0\0"
    assert len(data) == 18


def test_a_file_of_raw_tensors_by_hand() -> None:
    arrays = {
        "a.x": np.array([300, 301], np.uint16),
        "a.y": np.array(1000, np.uint16),
        "b.y": np.array(np.pi, np.float32),
        "b": np.zeros((0, 3), np.float32),
        "r7": np.full((1,) * 7, 5, np.uint8),
    }
    expected = file_(
        record("a.x", dtype=U16, shape=(2,), payload=b"\x2c\1\x2d\1"),
        record("y", prefix=2, payload=b"\xe8\3"),
        record("b.y", dtype=F32, payload=floats(np.pi)),
        record("", prefix=1, shape=(0, 3)),
        record("r7", dtype=U8, shape=(1,) * 7, payload=b"\5"),
        metadata=[("a", "1"), ("ä", "2")],
    )
    assert swsfmt.save(arrays, {"ä": "2", "a": "1"}) == expected


def test_an_alias_leaves_the_dtype_before_it() -> None:
    array = np.array([1, 300], np.int16)
    data = swsfmt.save({"a": array, "b": array, "c": np.array([7, 301], np.int16)})
    assert data == file_(
        record("a", dtype=I16, shape=(2,), payload=b"\1\0\x2c\1"),
        record("b", ALIAS, params=b"\0"),
        record("c", shape=(2,), payload=b"\7\0\x2d\1"),
    )


def test_records_of_a_parsed_file() -> None:
    data = file_(
        dense("d"),
        no_entries("z", (2, 2)),
        record("big", shape=(70,), payload=floats(*range(70))),
        record("tied", ALIAS, params=b"\2"),
        record("future", 13, (4, 4), dtype=200, params=b"abc", payload=b"x" * 300),
        codebooks=[codebook(halves(0.25, 1.0, -0.5))],
        metadata=[("k", "v")],
        version=(1, 3),
    )
    with Reader.open(data) as reader:
        found = reader.layout
        sizes = {record.name: (record.coding.id, record.payload_length) for record in reader.records}
        assert sizes == {"d": (DENSE, 2), "z": (4, 0), "big": (0, 280), "tied": (2, 0), "future": (13, 300)}
        assert reader.record("tied").name == "big"
        assert reader.record("big").offset == len(data) - 580
        assert reader.record("future").offset == len(data) - 300
        assert reader.record("future").info is None
    assert (found.version, found.metadata, found.file_length) == ((1, 3), {"k": "v"}, len(data))
    assert found.prefix_length == len(data) - 580


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(0, 21))
def test_build_and_parse_are_inverse(sizes: list[int], dtype_id: int) -> None:
    dtype = BY_ID[dtype_id]
    drafts = [
        Draft(f"t{i}", coding_of(0), TensorInfo(dtype, (size,)), None, bytes(size * dtype.itemsize))
        for i, size in enumerate(sizes)
    ]
    prefix = build({"a": "b"}, [], drafts)
    behind = b"".join(d.payload for d in drafts if len(d.payload) > MAX_INLINE)
    found = parse_prefix(prefix, len(prefix) + len(behind), coding_of)
    assert [(r.name, r.info, r.payload_length) for r in found.records] == [
        (d.name, d.info, len(d.payload)) for d in drafts
    ]
    assert swsfmt.verify(prefix + behind).file_bytes == len(prefix + behind)


def test_registry_of_the_specification() -> None:
    """The table of dtypes in registry.md is that of the package."""
    text = (SPEC.parent / "registry.md").read_text(encoding="utf-8").split("## Dtypes")[1]
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (\d+) \|", text, re.MULTILINE)
    assert [(int(i), name, int(size)) for i, name, size in rows] == [(d.id, d.name, d.itemsize) for d in BY_ID.values()]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257])
def test_where_payloads_lie(size: int) -> None:
    array = (1 + np.arange(size) * 7 % 251).astype(np.uint8)
    data = swsfmt.save({"a": array})
    with Reader.open(data) as reader:
        found = reader.record("a")
    assert (found.crc is not None) == (size >= 256)
    if size:
        assert data[found.offset :][:size] == array.tobytes()


# ---- sections --------------------------------------------------------------------------------------------------------


def test_spans_count_bytes_by_their_first_bit() -> None:
    spans = [
        Span(Section.VALUES, 0, 3),
        Span(Section.RAW, 3, 8),
        Span(Section.VALUES, 8, 17),
        Span(Section.RAW, 17, 24),
    ]
    assert [span.bytes for span in spans] == [1, 0, 2, 0]


@given(st.lists(st.integers(1, 40), max_size=12))
def test_bytes_of_spans_sum_up(sizes: list[int]) -> None:
    ends = np.cumsum([0, *sizes]).tolist()
    spans = [Span(Section.VALUES, a, b) for a, b in itertools.pairwise(ends)]
    assert sum(span.bytes for span in spans) == -(-ends[-1] // 8)


def test_fill() -> None:
    spans = fill([Span(Section.RAW, 20, 30), Span(Section.VALUES, 5, 10)], 0, 40, 7)
    assert [(s.section, s.start, s.end) for s in spans] == [
        ("header_and_index", 0, 5),
        ("values", 5, 10),
        ("header_and_index", 10, 20),
        ("raw", 20, 30),
        ("header_and_index", 30, 40),
    ]


def test_dtypes_that_can_be_narrowed() -> None:
    """Section 3.2, as a table."""
    table: dict[str, set[str]] = {
        "F32": {"F16", "BF16"},
        "F64": {"F32", "F16", "BF16"},
        "I16": {"I8", "U8"},
        "I32": {"I8", "U8", "I16", "U16"},
        "I64": {"I8", "U8", "I16", "U16", "I32", "U32"},
        "U16": {"U8"},
        "U32": {"U8", "U16"},
        "U64": {"U8", "U16", "U32"},
    }
    found: dict[str, Any] = {name: {d.name for d in narrower(dtype)} for name, dtype in BY_NAME.items()}
    assert {name: storages for name, storages in found.items() if storages} == table


def test_a_writer_keeps_the_limits_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {name: np.zeros(3) for name in "abcd"}
    swsfmt.save(tensors)
    for limits, message in ((Limits(max_tensors=3), "4 tensors"), (Limits(max_index_bytes=20), "the index would have")):
        monkeypatch.setattr("swsfmt.format.index.DEFAULT_LIMITS", limits)
        with pytest.raises(swsfmt.InputError, match=message):
            swsfmt.save(tensors)


def test_only_mappings_are_saved() -> None:
    with pytest.raises(swsfmt.InputError, match="not a list"):
        swsfmt.save([np.zeros(3)])  # type: ignore[arg-type]
