"""Small files that stand for huge ones, and each limit that guards against them (section 8)."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest
from craft import (
    ALIAS,
    ONLY0_OF3,
    ONLY0_OF4,
    ONLY1_OF4,
    TABLE4,
    U8,
    U16,
    codebook,
    dense,
    field,
    file_,
    floats,
    gamma,
    index,
    no_entries,
    record,
    sparse,
    varint,
    wrap,
)
from gallery_files import ONE, SMALL, books
from refused import MAX_PEAK, refused

import swsfmt
from swsfmt import LimitError, Limits

pytestmark = pytest.mark.usefixtures("each_kernel")


def zeros(name: str, numel: int) -> Any:
    return no_entries(name, (numel,), dtype=U8)


def long_names(count: int) -> bytes:
    """Names that grow by one byte each, in six bytes each."""
    first = record("a" * 60_000, shape=(0,))
    copies = [record(coding=ALIAS, prefix=i, suffix=varint(1), params=b"\0") for i in range(1, count)]
    return file_(first, *copies)


def wide_codes(kind: int, count: int) -> bytes:
    """Tensors of one element, each with a code for 4096 gaps of its own, in about 15 bytes each."""
    packed = {0: "", 1: "1" + field(0, 12)}[kind]
    stream = {0: field(0, 12), 1: ""}[kind] + "00"
    return books(*(sparse(f"{i}", (1,), n=1, gap=kind, pbits=12, packed=packed, stream=stream) for i in range(count)))


U8_BOOK = codebook(b"\1", 1, U8, U8)
ROWS_ABOVE = (1 << 26) + 1
ONE_ENTRY = {"n": 1, "dtype": U8, "stream": "00"}

BOMB_ROWS: list[tuple[str, bytes, str]] = [
    ("2^40 bytes of zeros", file_(zeros("a", 1 << 40)), "Limits(max_decoded_bytes=1099511627776)"),
    ("2^62 bytes of zeros", file_(zeros("a", 1 << 62)), f"Limits(max_decoded_bytes={1 << 62})"),
    ("2^34 + 1 bytes of zeros", file_(zeros("a", (1 << 34) + 1)), f"Limits(max_decoded_bytes={(1 << 34) + 1})"),
    (
        "dense of one symbol",
        books(dense(shape=(1 << 40,), kind=1, packed=ONLY1_OF4, stream="")),
        f"Limits(max_decoded_bytes={1 << 42})",
    ),
    (
        "sparse, all entries without bits",
        books(sparse(shape=(1 << 20, 1 << 20), n=1 << 40, gap=1, value=1, chunk=b"\0", packed=ONLY0_OF4 + ONLY0_OF3)),
        f"Limits(max_decoded_bytes={1 << 42})",
    ),
    (
        "many tensors, each below the limit",
        file_(*(zeros(f"t{i}", 1 << 32) for i in range(5))),
        f"Limits(max_decoded_bytes={5 << 32})",
    ),
    (
        "bitmap of zeros with a live end",
        file_(
            sparse("a", (ROWS_ABOVE, 1), rows=2, packed="0" + gamma(ROWS_ABOVE - 1) + gamma(1), **ONE_ENTRY),
            codebooks=[U8_BOOK],
        ),
        f"Limits(max_bitmap_bits={ROWS_ABOVE})",
    ),
    (
        "column bitmap",
        file_(
            sparse("a", (1, ROWS_ABOVE), columns=2, packed="1" + gamma(ROWS_ABOVE), **ONE_ENTRY), codebooks=[U8_BOOK]
        ),
        f"Limits(max_bitmap_bits={ROWS_ABOVE})",
    ),
    (
        "copies of a small bitmap",
        file_(
            sparse("a", (1 << 20, 1), rows=2, packed="1" + gamma(1 << 20), **ONE_ENTRY),
            *(sparse(f"b{i}", (1 << 24, 1), rows=4, arguments=b"\0", **ONE_ENTRY) for i in range(4)),
            codebooks=[U8_BOOK],
        ),
        "Limits(max_bitmap_bits=",
    ),
    (
        "too many tensors",
        wrap(index(counts=(None, None, (1 << 20) + 1)) + bytes(3 << 21)),
        "Limits(max_tensors=1048577)",
    ),
    ("code tables", wide_codes(1, 2049), f"Limits(max_table_symbols={2049 << 12})"),
    ("index", file_(index_length=varint(1 << 40)), f"Limits(max_index_bytes={1 << 40})"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BOMB_ROWS])
def test_bomb_is_refused_before_it_grows(data: bytes, fragment: str) -> None:
    found = refused(data)
    assert type(found) is LimitError
    assert fragment in str(found)
    assert len(str(found).splitlines()) == 1


def many_alphabets(count: int) -> bytes:
    """The same with fixed codes for 100 alphabets of some 4000 symbols in turn."""
    values = [codebook(struct.pack(f"<{n}H", *range(1, n + 1)), n, U16, U16) for n in range(3900, 4000)]
    tensors = (dense(f"{i}", (1,), dtype=U16, book=i % 100, stream=field(i, 12)) for i in range(count))
    return file_(*tensors, codebooks=values)


WIDE = {
    "fixed": wide_codes(0, 6000),
    "one symbol": wide_codes(1, 2048),
    "many alphabets": many_alphabets(3800),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_memory_for_codes_is_bounded_by_the_file(name: str) -> None:
    """Section 10: a reader's memory is bounded by the size of the file plus the decoded size."""
    tracemalloc.start()
    try:
        with swsfmt.safe_open(WIDE[name]) as file:
            assert len(file.keys()) >= 2048
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MAX_PEAK // 2


def test_names_that_grow_by_copying() -> None:
    data = long_names(200)
    assert len(data) < 62_000
    found = refused(data, Limits(max_names_bytes=1 << 20))
    assert type(found) is LimitError
    assert "the length of all names" in str(found)


def test_limit_names_the_value_that_would_do() -> None:
    """The value in the message is enough where one tensor is the reason."""
    data = file_(zeros("a", 5000))
    with pytest.raises(LimitError, match=r"Limits\(max_decoded_bytes=5000\)"):
        swsfmt.load(data, limits=Limits(max_decoded_bytes=4999))
    assert swsfmt.load(data, limits=Limits(max_decoded_bytes=5000))["a"].nbytes == 5000


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (Limits(max_tensors=1), file_(ONE, record("b", payload=floats(1)))),
        (Limits(max_name_bytes=4), file_(record("abcde", payload=floats(1)))),
        (Limits(max_bitmap_bits=7), books(sparse(rows=1, columns=1, packed="111 11111"))),
        (Limits(max_index_bytes=10), SMALL),
        (Limits(max_table_symbols=3), books(dense(kind=1, packed=TABLE4))),
    ],
    ids=["max_tensors", "max_name_bytes", "max_bitmap_bits", "max_index_bytes", "max_table_symbols"],
)
def test_each_limit_can_be_set(limits: Limits, data: bytes) -> None:
    assert swsfmt.load(data)
    assert type(refused(data, limits)) is LimitError


def test_deep_alias_does_not_count_as_decoded() -> None:
    data = file_(ONE, *(record(f"b{i}", ALIAS, params=b"\0") for i in range(100)))
    assert len(swsfmt.load(data, limits=Limits(max_decoded_bytes=8))) == 101
