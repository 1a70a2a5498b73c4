"""Rows of the gallery of hostile files: dense tensors, code tables."""

from __future__ import annotations

from craft import (
    BOOK,
    DENSE,
    F64,
    ONLY1_OF4,
    TABLE4,
    bits,
    codebook,
    dense,
    field,
    fields,
    file_,
    gamma,
    halves,
    index,
    record,
    wrap,
)
from gallery_files import Row, books, chunked_dense, cut_table, table

from swsfmt import IndexRuleError, PayloadError

# ---- 5.4 dense -------------------------------------------------------------------------------------------------------

DENSE_ROWS: list[Row] = [
    ("without elements", books(dense(shape=(0,), stream="")), IndexRuleError, "without elements"),
    ("codebook number", books(dense(book=1)), IndexRuleError, "codebook 1 does not exist"),
    ("codebook of another dtype", books(dense(dtype=F64)), IndexRuleError, "holds F32"),
    ("reserved bit 2", books(dense(reserved=1)), IndexRuleError, "reserved"),
    ("reserved bit 3", books(dense(reserved=2)), IndexRuleError, "reserved"),
    ("kind 3", books(dense(kind=3)), IndexRuleError, "stream kind 3"),
    ("table number", books(dense(kind=2, table=b"\0")), IndexRuleError, "table 0 does not exist"),
    (
        "table of itself",
        books(dense(kind=1, packed=TABLE4), dense("b", kind=2, table=b"\1")),
        IndexRuleError,
        "table 1",
    ),
    (
        "table of another alphabet",
        books(
            dense(kind=1, packed=TABLE4, stream="00" * 5),
            dense("b", book=1, kind=2, table=b"\0", stream="00" * 5),
            codebooks=(BOOK, codebook(halves(1.0))),
        ),
        IndexRuleError,
        "alphabet of 4",
    ),
    ("chunks of a fixed width", chunked_dense(kind=0), IndexRuleError, "fixed"),
    ("chunk code with one chunk", chunked_dense(numel=1024), IndexRuleError, "more than one chunk"),
    ("one chunk with a chunk table", chunked_dense((2048,), numel=1024), IndexRuleError, "more than one chunk"),
    ("chunk code with far less than a chunk", chunked_dense(chunk=15), IndexRuleError, "more than one chunk"),
    (
        "chunk width 0",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\0", packed=TABLE4)),
        IndexRuleError,
        "width 0",
    ),
    (
        "chunk width 33",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\x21", packed=TABLE4)),
        IndexRuleError,
        "33",
    ),
    ("chunk table, first chunk", chunked_dense((2049, 2)), PayloadError, "chunk 0 is 2048"),
    ("chunk table, second chunk", chunked_dense((2048, 1)), PayloadError, "chunk 1 is 2"),
    (
        "chunk table past the end",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\x20", packed=ONLY1_OF4, stream="0" * 56)),
        PayloadError,
        "chunk table takes 64 bits",
    ),
    (
        "symbol outside of the alphabet",
        file_(dense(stream=fields([0, 1, 2, 3, 1], 2)), codebooks=[codebook(halves(1.0, 2.0))]),
        PayloadError,
        "outside of the alphabet",
    ),
    ("stream too short", books(dense(shape=(9,))), PayloadError, "ends before"),
    ("stream of no bytes", books(dense(payload=b"")), PayloadError, "ends before"),
    ("Huffman stream too short", books(dense(kind=1, shape=(9,), packed=TABLE4)), PayloadError, "ends before"),
    (
        "Huffman stream ends within a symbol",
        file_(
            dense(shape=(8,), kind=1, packed="0" + field(1, 4) + "0" + "100" + "0", stream="1011 1111"),
            codebooks=[codebook(halves(1.0, 2.0))],
        ),
        PayloadError,
        "ends before",
    ),
    (
        "a byte too long",
        books(dense(payload=bits(fields([0, 1, 2, 3, 1], 2)) + b"\0")),
        PayloadError,
        "before its last byte",
    ),
    ("a symbol too long", books(dense(stream=fields([0, 1, 2, 3, 1, 1], 2))), PayloadError, "padding"),
    ("padding bit", books(dense(stream=fields([0, 1, 2, 3, 1], 2) + "000001")), PayloadError, "padding"),
    (
        "one symbol with a payload",
        books(dense(kind=1, packed=ONLY1_OF4, stream="0")),
        PayloadError,
        "before its last byte",
    ),
    (
        "padding bit of the table",
        books(dense(kind=1, packed=TABLE4 + "000 0001", stream="00" * 5)),
        IndexRuleError,
        "padding",
    ),
    (
        "table past the index",
        wrap(index([record(coding=DENSE, shape=(5,), params=b"\0\1")], [BOOK])[:-1]),
        IndexRuleError,
        "bits, 0 are left",
    ),
]

# ---- 6.4 code tables -------------------------------------------------------------------------------------------------

TABLE_ROWS: list[Row] = [
    (
        "one symbol outside",
        file_(dense(kind=1, packed="1" + field(3, 2), stream=""), codebooks=[codebook(halves(1.0, 2.0))]),
        IndexRuleError,
        "symbol 3 is outside",
    ),
    ("one symbol more than the alphabet", table("0" + field(1, 4) + "0 100 100 100 0"), IndexRuleError, "below 1"),
    ("first length 0", table("0" + field(0, 4) + "0" * 8), IndexRuleError, "code length 0"),
    ("first length 13", table("0" + field(13, 4) + "0" * 8), IndexRuleError, "code length 13"),
    ("first length 15", table("0" + field(15, 4) + "0" * 8), IndexRuleError, "code length 15"),
    ("explicit length 0", table("0" + field(2, 4) + "0 111" + field(0, 4) + "0" * 8), IndexRuleError, "code length 0"),
    ("explicit length 13", table("0" + field(2, 4) + "0 111" + field(13, 4) + "00"), IndexRuleError, "code length 13"),
    ("step down to 0", table("0" + field(1, 4) + "0 101" + "0" * 8), IndexRuleError, "code length 0"),
    ("step up to 13", table("0" + field(12, 4) + "0 100" + "0" * 8), IndexRuleError, "code length 13"),
    ("Kraft above 1", table("0" + field(2, 4) + "000 101 00"), IndexRuleError, "above 1"),
    ("Kraft above 1 at once", table("0" + field(2, 4) + "0 111" + field(1, 4) + "0"), IndexRuleError, "above 1"),
    ("Kraft below 1", table("0" + field(2, 4) + "000" + "100" + "0" * 16), IndexRuleError, "below 1"),
    (
        "one length only",
        table("0" + field(1, 4) + "0 110" + gamma(2) + "110" + gamma(1) + "0" * 9),
        IndexRuleError,
        "below 1",
    ),
    (
        "unused past the alphabet",
        table("0" + field(1, 4) + "0 110" + gamma(3) + "0" + "0" * 9),
        IndexRuleError,
        "below 1",
    ),
    (
        "unused far past the alphabet",
        table("0" + field(1, 4) + "0 110" + gamma(1 << 31) + "0"),
        IndexRuleError,
        "below 1",
    ),
    ("gamma of 33 zeros", table("0" + field(1, 4) + "0 110" + "0" * 33 + "1" + "0" * 33), IndexRuleError, "gamma"),
    ("gamma past the index", cut_table("0" + field(1, 4) + "0 110" + "0" * 15), IndexRuleError, "gamma"),
    ("past the index", cut_table("0" + field(12, 4) + "0" * 19), IndexRuleError, "0 are left"),
]
